//! One small value that replicas share and change by compare-and-set: the last message of a subject of STATE.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use events::Event;
use futures::StreamExt;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{From, Journal, JournalError, Record, StorageTrouble, Stream, Topology};

/// After a failure to follow the value.
const RETRY: Duration = Duration::from_millis(250);

static NEXT: AtomicU64 = AtomicU64::new(1);

/// A shared value.
#[derive(Debug, Clone)]
pub struct Cell {
    journal: Journal,
    names: Topology,
    subject: String,
    /// Makes the message ids of this handle its own: equal values written twice are two writings.
    writer: String,
}

impl Cell {
    /// The value at `subject` of STATE.
    pub fn new(journal: Journal, names: Topology, subject: String) -> Self {
        let writer = format!("{}:{}", journal.member(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { journal, names, subject, writer }
    }

    /// What waits to be stored over its connection.
    pub(crate) fn trouble(&self) -> &StorageTrouble {
        self.journal.trouble()
    }

    /// Its value and its sequence, which [`Cell::set`] expects; the default and 0 when it was never set.
    ///
    /// # Errors
    /// When the server does not answer, or the value was written by a newer build.
    pub async fn get<E: Event + Default>(&self) -> Result<(E, u64), JournalError> {
        match self.journal.last(&self.names, Stream::State, &self.subject).await? {
            Some(entry) => Ok((entry.event()?.body, entry.seq)),
            None => Ok((E::default(), 0)),
        }
    }

    /// Sets it, unless somebody else has since `expected`; returns its new sequence.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] when somebody has: read it and decide again.
    pub async fn set<E: Event>(&self, value: &E, expected: u64) -> Result<u64, JournalError> {
        let id = format!("{}:{}", self.writer, NEXT.fetch_add(1, Ordering::Relaxed));
        let record = Record::new(&self.subject, id, value)?.expecting(expected);
        self.journal.publish(&record).await.map(|stored| stored.seq)
    }

    /// Keeps the newest value and its sequence in a watch, until `stop`. What the caller sets itself it may put there with
    /// [`Seen::learn`] without waiting for it to come round.
    pub fn follow<E: Event + Default + Clone + Send + Sync + 'static>(
        &self,
        stop: CancellationToken,
    ) -> Seen<E> {
        let seen = Seen(watch::channel((E::default(), 0)).0);
        let (cell, known) = (self.clone(), seen.clone());
        let following = async move {
            loop {
                let read = cell.journal.follow(
                    &cell.names,
                    Stream::State,
                    Some(&cell.subject),
                    From::LastPerSubject,
                );
                if let Ok(mut log) = read.await {
                    while let Some(entry) = log.next().await {
                        if let Ok(entry) = entry
                            && let Ok(state) = entry.event::<E>()
                        {
                            known.learn(state.body, entry.seq);
                        }
                    }
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::spawn(async move { stop.run_until_cancelled(following).await });
        seen
    }
}

/// The newest value of a [`Cell`] that is known here, and its sequence; the default and 0 before any is.
#[derive(Debug, Clone)]
pub struct Seen<E>(watch::Sender<(E, u64)>);

impl<E: Clone> Seen<E> {
    /// The value and its sequence.
    pub fn now(&self) -> (E, u64) {
        self.0.borrow().clone()
    }

    /// Notes a value, unless a newer one is known.
    pub fn learn(&self, state: E, seq: u64) {
        self.0.send_if_modified(|known| {
            let newer = seq > known.1;
            if newer {
                *known = (state, seq);
            }
            newer
        });
    }

    /// Told of every change.
    pub fn changes(&self) -> watch::Receiver<(E, u64)> {
        self.0.subscribe()
    }
}
