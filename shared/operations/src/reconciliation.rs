//! The reconciliation: whether a target holds the newest version of every order, told from the logs alone. It asks neither
//! the source nor the target, so it says what the pipeline has promised, not what somebody changed at the target by hand.

mod fold;
mod messages;
#[cfg(test)]
mod tests;

use events::{DeadResolved, MappedEvent, Receipt, TargetName, Version};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Label, Stream, Topology};
use serde::Serialize;

pub use messages::Messages;

use fold::Fold;

/// An order of which the target does not hold, or is not known to hold, the newest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The order.
    pub key: String,
    /// The message in MAPPED that holds its newest version.
    pub mapped_seq: u64,
    /// That version.
    pub newest: Version,
    /// The version its receipts say the target was given; `None` when they know of none.
    pub held: Option<Version>,
}

/// What MAPPED, RECEIPTS and DEAD say of one target. Every order is counted once: up to date, with nothing to be there,
/// or in one of the first five lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// The target.
    pub target: String,
    /// What became of every message of MAPPED.
    pub messages: Messages,
    /// Orders in MAPPED.
    pub orders: u64,
    /// Orders of which the target took the newest version, or one newer than what MAPPED held when it was read.
    pub up_to_date: u64,
    /// Orders of which nothing is to be there: all that was ever mapped is a deletion the target is not to hear of.
    pub nothing_to_hold: u64,
    /// Letters about this target that nobody has dealt with, also those of orders that are up to date since.
    pub open_letters: u64,
    /// Orders whose newest version has no outcome, and of which the target holds nothing.
    pub missing: Vec<Difference>,
    /// Orders of which the target holds something older than the newest version, or something else of the same version.
    pub stale: Vec<Difference>,
    /// Orders of which it is not known what the target holds.
    pub unknown: Vec<Difference>,
    /// Orders whose newest version is an open dead letter.
    pub dead: Vec<Difference>,
    /// Orders whose newest version became a dead letter that a person discarded.
    pub discarded: Vec<Difference>,
    /// Orders that were recorded as written in a version older than one written before: the target held the newer one for
    /// a while at most. Once for each time it happened; also when the order is up to date since.
    pub overwritten: Vec<String>,
    /// Orders whose content was written again, under another idempotency key, although the log knew that it is there. Once
    /// for each time it happened.
    pub sent_twice: Vec<String>,
}

impl Reconciliation {
    /// Reads the three logs from their beginning. MAPPED is read first and DEAD last, so that in a flow that goes on what is
    /// found missing was missing when it was mapped, and not because an outcome came while reading. It takes about 300 bytes
    /// for each order and 8 for each change of it, 60 for each letter of the target, and one for each message of MAPPED.
    ///
    /// # Errors
    /// When a stream cannot be read, or a receipt or a resolution in it cannot.
    pub async fn of(journal: &Journal, names: &Topology, target: &TargetName) -> Result<Self, JournalError> {
        let (mut fold, token) = (Fold::default(), target.token());
        let for_no_writer = [names.skipped(), names.numbers(), names.prepared()];
        let mut log = journal.read(names, Stream::Mapped, None, From::Start, false).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            if for_no_writer.contains(&entry.subject) {
                continue;
            }
            if entry.label(Label::Target).is_some_and(|other| other != token) {
                fold.elsewhere(entry.seq);
                continue;
            }
            if entry.label(Label::Force).is_some() {
                fold.forced(entry.seq);
            }
            match MappedEvent::decode(&entry.payload) {
                Ok(event) => fold.mapped(entry.seq, &event),
                // The writer makes a letter of it: it counts as a message, and there is no order to tell.
                Err(_) => fold.unreadable(entry.seq),
            }
        }
        let filter = names.receipts_of(target);
        let mut log = journal.read(names, Stream::Receipts, Some(&filter), From::Start, false).await?;
        while let Some(entry) = log.next().await {
            fold.receipt(&entry?.event::<Receipt>()?.body);
        }
        let mut log = journal.read(names, Stream::Dead, None, From::Start, true).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            let mapped = entry.label(Label::Mapped).and_then(|seq| seq.parse().ok());
            if let (Some(mapped), true) = (mapped, entry.label(Label::Target) == Some(&token)) {
                fold.letter(entry.seq, mapped);
            }
        }
        let filter = names.dead_resolved();
        let mut log = journal.read(names, Stream::Dead, Some(&filter), From::Start, false).await?;
        while let Some(entry) = log.next().await {
            fold.resolved(&entry?.event::<DeadResolved>()?.body);
        }
        Ok(fold.end(target))
    }

    /// Whether nothing is left to be done by the pipeline: every message has an outcome or a letter, and the newest version
    /// of every order is at the target, or not known to be, or waits for a person.
    pub fn is_settled(&self) -> bool {
        self.messages.in_flight == 0 && self.missing.is_empty() && self.stale.is_empty()
    }

    /// Everything that should not be, each with its name: what is missing, stale or unknown, overwritten or sent twice. Dead
    /// letters are none: they say themselves that they wait.
    pub fn faults(&self) -> Vec<(&'static str, &str)> {
        let orders = [("missing", &self.missing), ("stale", &self.stale), ("unknown", &self.unknown)];
        let orders = orders
            .into_iter()
            .flat_map(|(name, list)| list.iter().map(move |order| (name, order.key.as_str())));
        let history = [("overwritten", &self.overwritten), ("sent twice", &self.sent_twice)];
        let history =
            history.into_iter().flat_map(|(name, list)| list.iter().map(move |key| (name, key.as_str())));
        orders.chain(history).collect()
    }
}
