//! Group commit: what many handlers want to store goes into the log as few large atomic batches.
//!
//! With `sync_interval: always` each acknowledged batch costs one flush to disk, however many messages it holds. So the
//! hot path never publishes one by one: while a batch is on its way, what arrives gathers for the next.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::batch::MAX_MESSAGES;
use crate::record::Record;
use crate::{Journal, JournalError, Stored};

/// How messages are gathered.
#[derive(Debug, Clone, Copy)]
pub struct Grouping {
    /// How long the first message waits for company before its batch leaves. Not at all when nothing was stored for as long:
    /// then there is no company to wait for.
    pub linger: Duration,
    /// Bytes a batch holds at most.
    pub max_bytes: usize,
    /// Batches under way at the same time.
    pub in_flight: usize,
}

impl Default for Grouping {
    fn default() -> Self {
        Self { linger: Duration::from_millis(3), max_bytes: 8 << 20, in_flight: 2 }
    }
}

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
    pub fn start(journal: Journal, grouping: Grouping) -> Self {
        // Bounded: producers wait when the log is slower than they are.
        let (wishes, queue) = mpsc::channel(4_096);
        tokio::spawn(run(journal, grouping, queue));
        Self { wishes }
    }

    /// Stores the records and returns where. Duplicates are reported as such. While NATS is away this waits: work that
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

async fn run(journal: Journal, grouping: Grouping, mut queue: mpsc::Receiver<Wish>) {
    let mut under_way = JoinSet::new();
    let (mut next, mut busy_until) = (None, Instant::now());
    loop {
        let first = match next.take() {
            Some(wish) => wish,
            None => match queue.recv().await {
                Some(wish) => wish,
                None => break,
            },
        };
        let mut batch = vec![first];
        while under_way.try_join_next().is_some() {}
        let idle = under_way.is_empty() && Instant::now() >= busy_until;
        let until = Instant::now() + if idle { Duration::ZERO } else { grouping.linger };
        next = gather(&mut batch, &mut queue, until, grouping.max_bytes).await;
        busy_until = Instant::now() + grouping.linger;
        while under_way.len() >= grouping.in_flight.max(1) {
            under_way.join_next().await;
        }
        let journal = journal.clone();
        under_way.spawn(async move { store(&journal, batch).await });
    }
    while under_way.join_next().await.is_some() {}
}

/// Fills the batch with what is there, and with what comes until then, or until it is full; returns the wish that did not fit.
async fn gather(
    batch: &mut Vec<Wish>,
    queue: &mut mpsc::Receiver<Wish>,
    until: Instant,
    max_bytes: usize,
) -> Option<Wish> {
    let (mut messages, mut bytes) = (batch[0].records.len(), batch[0].bytes);
    let over = tokio::time::sleep_until(until);
    tokio::pin!(over);
    while messages < MAX_MESSAGES && bytes < max_bytes {
        let wish = match queue.try_recv() {
            Ok(wish) => wish,
            Err(_) if Instant::now() >= until => return None,
            Err(_) => tokio::select! {
                biased;
                wish = queue.recv() => wish?,
                () = &mut over => return None,
            },
        };
        if messages + wish.records.len() > MAX_MESSAGES || bytes + wish.bytes > max_bytes {
            return Some(wish);
        }
        messages += wish.records.len();
        bytes += wish.bytes;
        batch.push(wish);
    }
    None
}

async fn store(journal: &Journal, batch: Vec<Wish>) {
    let (mut records, mut replies) = (Vec::new(), Vec::with_capacity(batch.len()));
    for wish in batch {
        replies.push((wish.records.len(), wish.reply));
        records.extend(wish.records);
    }
    let whole = if records.len() > MAX_MESSAGES {
        Err(JournalError::DuplicateInBatch) // one wish larger than a batch: wish by wish, below
    } else {
        retried(|| journal.commit(&records)).await
    };
    // A refused batch stored nothing: answer each wish by itself, so that one conflict does not touch the others.
    match whole {
        Ok(stored) => {
            let mut stored = stored.into_iter();
            for (count, reply) in replies {
                let _ = reply.send(Ok(stored.by_ref().take(count).collect()));
            }
        }
        Err(_) => {
            let mut rest = records.as_slice();
            for (count, reply) in replies {
                let (own, others) = rest.split_at(count);
                rest = others;
                let _ = reply.send(retried(|| journal.store_all(own)).await);
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
