//! Group commit: what many handlers want to store goes into the log as few large atomic batches.
//!
//! With `sync_interval: always` each acknowledged batch costs one flush to disk, and a store of its own at the server until it is
//! committed, however many messages it holds. So what is hot goes in batches: while one is on its way, what arrives gathers for the
//! next. Nothing waits for company, and only a full batch leaves while another one is on its way: the server would take them one
//! after the other, and they would be half as large. Where only a few have gathered, they are published one by one.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::batch::MAX_MESSAGES;
use crate::record::Record;
use crate::{Journal, JournalError, Stored};

/// Bytes a batch holds at most.
const MAX_BYTES: usize = 8 << 20;

/// So few messages are stored sooner one by one than as a batch (nats-server 2.15, messages of 400 to 20,000 bytes: 16 take 2.1 to
/// 4.1 ms one by one and 2.4 to 4.5 ms as a batch, 2 take 0.4 to 0.7 and 1.7 to 2.3 ms), and cost the server less.
const FEW: usize = 16;

/// So many full batches are on their way at the same time.
const FULL: usize = 2;

/// The pace at which an unanswered batch is sent again.
const RETRY: Duration = Duration::from_millis(250);

struct Wish {
    records: Vec<Record>,
    bytes: usize,
    reply: oneshot::Sender<Result<Vec<Stored>, JournalError>>,
}

/// A handle to the group commit of one stream. It ends, after storing what was accepted, when its last clone is dropped.
#[derive(Debug, Clone)]
pub struct Committer {
    wishes: mpsc::Sender<Wish>,
}

impl Committer {
    /// Starts the group commit. All records handed to it must lie in one stream.
    pub fn start(journal: Journal) -> Self {
        // Bounded: producers wait when the log is slower than they are.
        let (wishes, queue) = mpsc::channel(4_096);
        tokio::spawn(run(journal, queue));
        Self { wishes }
    }

    /// Stores the records and returns where: not always one behind another, nor all or none ([`Journal::commit`] does that).
    /// Duplicates are reported as such. While NATS is away this waits: work that
    /// is done (an order written at the target) must not be forgotten because the log is restarting.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] or a refusal; for the first record that has one. The others may be stored.
    pub async fn store(&self, records: Vec<Record>) -> Result<Vec<Stored>, JournalError> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = records.iter().map(Record::size).sum();
        let (reply, answer) = oneshot::channel();
        let gone = || JournalError::unavailable("store a message", "the group commit has ended");
        self.wishes.send(Wish { records, bytes, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn run(journal: Journal, mut queue: mpsc::Receiver<Wish>) {
    let (mut next, mut on_their_way) = (None, JoinSet::new());
    loop {
        let first = match next.take() {
            Some(wish) => wish,
            None => match queue.recv().await {
                Some(wish) => wish,
                None => break,
            },
        };
        let mut batch = Batch::of(first);
        next = batch.fill(&mut queue);
        // A full one is sent while the server stores the one before; any other has time to become fuller.
        let others = if next.is_some() { FULL - 1 } else { 0 };
        while on_their_way.len() > others {
            on_their_way.join_next().await;
        }
        if next.is_none() {
            next = batch.fill(&mut queue);
        }
        on_their_way.spawn(store(journal.clone(), batch.wishes));
    }
    on_their_way.join_all().await;
}

/// What has gathered.
struct Batch {
    wishes: Vec<Wish>,
    messages: usize,
    bytes: usize,
}

impl Batch {
    fn of(first: Wish) -> Self {
        Self { messages: first.records.len(), bytes: first.bytes, wishes: vec![first] }
    }

    /// Takes what is there, until it is full; returns the wish that did not fit.
    fn fill(&mut self, queue: &mut mpsc::Receiver<Wish>) -> Option<Wish> {
        loop {
            let wish = queue.try_recv().ok()?;
            if self.messages + wish.records.len() > MAX_MESSAGES || self.bytes + wish.bytes > MAX_BYTES {
                return Some(wish);
            }
            self.messages += wish.records.len();
            self.bytes += wish.bytes;
            self.wishes.push(wish);
        }
    }
}

/// Stores the batch. One that is refused stored nothing: it is halved until the refused wishes stand alone, so that a conflict
/// touches no other.
async fn store(journal: Journal, batch: Vec<Wish>) {
    let (mut records, mut ends, mut replies) = (Vec::new(), vec![0], Vec::with_capacity(batch.len()));
    for wish in batch {
        records.extend(wish.records);
        ends.push(records.len());
        replies.push(Some(wish.reply));
    }
    let mut answer = |wish: usize, result| {
        if let Some(reply) = replies[wish].take() {
            let _ = reply.send(result);
        }
    };
    let wishes = ends.len() - 1;
    let mut parts = Vec::new();
    if records.len() > FEW {
        parts.push((0, wishes));
    } else {
        let mut stored = journal.publish_each(&records).await.into_iter();
        for wish in 0..wishes {
            let own: Vec<_> = stored.by_ref().take(ends[wish + 1] - ends[wish]).collect();
            match own.into_iter().collect::<Result<Vec<_>, _>>() {
                Err(error) if error.is_retryable() => parts.push((wish, wish + 1)),
                own => answer(wish, own),
            }
        }
    }
    while let Some((start, end)) = parts.pop() {
        let own = &records[ends[start]..ends[end]];
        if end - start == 1 {
            answer(start, retried(|| journal.store_all(own)).await);
            continue;
        }
        match retried(|| journal.commit(own)).await {
            Ok(stored) => {
                let mut stored = stored.into_iter();
                for wish in start..end {
                    answer(wish, Ok(stored.by_ref().take(ends[wish + 1] - ends[wish]).collect()));
                }
            }
            Err(_) => {
                let middle = start.midpoint(end);
                parts.extend([(middle, end), (start, middle)]);
            }
        }
    }
}

async fn retried<T, F>(mut call: impl FnMut() -> F) -> Result<T, JournalError>
where
    F: Future<Output = Result<T, JournalError>>,
{
    loop {
        match call().await {
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "NATS is away; what is to be stored waits");
                tokio::time::sleep(RETRY).await;
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{PageJob, WindowId};

    fn wish(messages: usize, bytes: usize) -> Wish {
        let job = PageJob { window: WindowId::live(1), pass: 1, page: 1, slice: None };
        let record = Record::new("jobs", "job", &job).expect("encodes");
        Wish { records: vec![record; messages], bytes, reply: oneshot::channel().0 }
    }

    #[test]
    fn a_batch_takes_all_that_is_there_and_what_does_not_fit_begins_the_next() {
        let (wishes, mut queue) = mpsc::channel(2_000);
        let mut gathered = |first: Wish| {
            let mut batch = Batch::of(first);
            let next = batch.fill(&mut queue);
            (batch.messages, next.map(|wish| wish.records.len()))
        };
        assert_eq!(gathered(wish(1, 10)), (1, None), "nobody else is there, and it waits for nobody");
        let put = |wish| wishes.try_send(wish).expect("there is room");
        (0..5).for_each(|_| put(wish(100, 10)));
        assert_eq!(gathered(wish(1, 10)), (501, None));
        (0..10).for_each(|_| put(wish(100, 10)));
        assert_eq!(gathered(wish(1, 10)), (901, Some(100)), "a thousand messages at most");
        put(wish(3, MAX_BYTES - 15));
        assert_eq!(gathered(wish(1, 20)), (1, Some(3)), "nor more bytes");
        put(wish(7, 10));
        put(wish(2, 10));
        let alone = gathered(wish(MAX_MESSAGES + 500, 10));
        assert_eq!(alone, (MAX_MESSAGES + 500, Some(7)), "alone, and cut later");
        assert_eq!(gathered(wish(1, 10)), (3, None), "what began no batch is still there");
    }
}
