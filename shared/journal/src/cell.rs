//! One small value that replicas share and change by compare-and-set: the last message of a subject of STATE.

use std::sync::atomic::{AtomicU64, Ordering};

use events::Event;

use crate::{Journal, JournalError, Record, Stream, Topology};

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

    pub(crate) fn parts(&self) -> (&Journal, &Topology, &str) {
        (&self.journal, &self.names, &self.subject)
    }
}
