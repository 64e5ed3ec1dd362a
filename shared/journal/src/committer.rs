//! Group commit: what many handlers want to store goes into the log as few large atomic batches.
//!
//! With `sync_interval: always` each acknowledged batch costs one flush to disk, and a store of its own at the server until it is
//! committed, however many messages it holds. So what is hot goes in batches: while one is on its way, what arrives gathers for the
//! next. Nothing waits for company, and only a full batch leaves while another one is on its way: the server would take them one
//! after the other, and they would be half as large. Where only a few have gathered, they are published one by one.

use std::ops::Range;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::batch::MAX_MESSAGES;
use crate::record::Record;
use crate::storage_trouble::{StorageTrouble, store_patiently};
use crate::{Journal, JournalError, Stored};

/// Bytes a batch holds at most.
const MAX_BYTES: usize = 8 << 20;

/// So few messages are stored sooner one by one than as a batch (nats-server 2.15, messages of 400 to 20,000 bytes: 16 take 2.1 to
/// 4.1 ms one by one and 2.4 to 4.5 ms as a batch, 2 take 0.4 to 0.7 and 1.7 to 2.3 ms), and cost the server less.
const FEW: usize = 16;

/// So many full batches are on their way at the same time.
const FULL: usize = 2;

/// Where who wished something is told what became of it.
type Reply = oneshot::Sender<Result<Vec<Stored>, JournalError>>;

struct Wish {
    records: Vec<Record>,
    bytes: usize,
    reply: Reply,
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
    /// Duplicates are reported as such.
    ///
    /// # Errors
    /// For the first record that has one; the others may be stored. Nothing is tried again here: whoever waits for a record that
    /// cannot be stored does not hold up the others.
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

    /// Stores the records, and waits for as long as NATS is away or has no room: work that is done must not be forgotten because
    /// the log is restarting. Meanwhile `trouble` says why.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] or a refusal that will not pass; for the first record that has one. The others may be stored.
    pub async fn store_patiently(
        &self,
        records: Vec<Record>,
        trouble: &StorageTrouble,
    ) -> Result<Vec<Stored>, JournalError> {
        store_patiently(trouble, JournalError::is_retryable, || self.store(records.clone())).await
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

/// What is done about a batch that was not stored.
enum Fate {
    /// Nobody knows, or it concerns all of it: each is told so.
    Together,
    /// Some of it may be stored: each record by itself.
    Singly,
    /// It was refused for one of its records, and stored nothing: halves, until the refused ones stand alone.
    Halved,
}

impl Fate {
    fn of(error: &JournalError) -> Self {
        match error {
            JournalError::Unavailable { .. } | JournalError::Unauthorized { .. } => Self::Together,
            JournalError::Full { .. } | JournalError::NotPermitted { .. } => Self::Singly,
            _ => Self::Halved,
        }
    }
}

/// A batch on its way, and who waits for what of it.
struct Committing {
    records: Vec<Record>,
    /// Where the records of each wish end; the first begin at 0.
    ends: Vec<usize>,
    replies: Vec<Option<Reply>>,
}

impl Committing {
    fn of(batch: Vec<Wish>) -> Self {
        let mut committing =
            Self { records: Vec::new(), ends: vec![0], replies: Vec::with_capacity(batch.len()) };
        for wish in batch {
            committing.records.extend(wish.records);
            committing.ends.push(committing.records.len());
            committing.replies.push(Some(wish.reply));
        }
        committing
    }

    /// The records of these wishes.
    fn records(&self, wishes: &Range<usize>) -> &[Record] {
        &self.records[self.ends[wishes.start]..self.ends[wishes.end]]
    }

    fn answer(&mut self, wish: usize, result: Result<Vec<Stored>, JournalError>) {
        if let Some(reply) = self.replies[wish].take() {
            let _ = reply.send(result);
        }
    }

    fn answer_stored(&mut self, wishes: Range<usize>, stored: Vec<Stored>) {
        let mut stored = stored.into_iter();
        for wish in wishes {
            let count = self.ends[wish + 1] - self.ends[wish];
            let own = stored.by_ref().take(count).collect();
            self.answer(wish, Ok(own));
        }
    }

    /// Publishes the records of these wishes one by one.
    async fn publish_singly(&mut self, journal: &Journal, wishes: Range<usize>) {
        let mut stored = journal.publish_each(self.records(&wishes)).await.into_iter();
        for wish in wishes {
            let count = self.ends[wish + 1] - self.ends[wish];
            let own: Vec<_> = stored.by_ref().take(count).collect();
            self.answer(wish, own.into_iter().collect());
        }
    }
}

/// Stores a batch and tells everyone what became of theirs. A record that is refused touches no other.
async fn store(journal: Journal, batch: Vec<Wish>) {
    let mut committing = Committing::of(batch);
    let all = 0..committing.replies.len();
    if committing.records.len() <= FEW {
        return committing.publish_singly(&journal, all).await;
    }
    let mut parts = vec![all];
    while let Some(part) = parts.pop() {
        if part.len() == 1 {
            let stored = journal.store_all(committing.records(&part)).await;
            committing.answer(part.start, stored);
            continue;
        }
        let error = match journal.commit(committing.records(&part)).await {
            Ok(stored) => {
                committing.answer_stored(part, stored);
                continue;
            }
            Err(error) => error,
        };
        match Fate::of(&error) {
            Fate::Together => part.for_each(|wish| committing.answer(wish, Err(error.duplicate()))),
            Fate::Singly => committing.publish_singly(&journal, part).await,
            Fate::Halved => {
                let middle = part.start.midpoint(part.end);
                parts.extend([middle..part.end, part.start..middle]);
            }
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
