//! What the target holds, folded from its receipts; and what that means for an order that arrives (rules 7 and 8).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use events::{
    CodecError, ContentHash, MappedEvent, MappedOrder, OrderDeleted, OrderKey, Receipt, TargetName, Version,
};
use futures::StreamExt;
use journal::{Delivery, Entry, From, Journal, JournalError, Label, Pin, Stream, Topology};

mod held;

pub(crate) use held::Held;
use held::Holdings;

/// What is to be done with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send it.
    Send,
    /// The target holds the same content: record that, send nothing.
    Unchanged,
    /// The target holds a newer version: record that, send nothing.
    Superseded,
    /// This very message has its receipt: nothing is left to do.
    Settled,
}

/// Decides about an order that arrived as message `mapped_seq`. `open` says that the target may have taken something else
/// since what the ledger knows ([`Ledger::is_open`]).
pub(crate) fn decide(held: Option<&Held>, open: bool, order: &MappedOrder, mapped_seq: u64) -> Decision {
    match held {
        None => Decision::Send,
        Some(held) if held.mapped_seq == mapped_seq => Decision::Settled,
        Some(held) if order.version < held.version => Decision::Superseded,
        Some(held) if held.known && held.content == order.content && !open => Decision::Unchanged,
        Some(_) => Decision::Send,
    }
}

/// What the target holds of the orders of one partition.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    fold: Mutex<Fold>,
}

#[derive(Debug, Default)]
struct Fold {
    held: Holdings,
    /// The newest receipt that was read.
    through: u64,
    /// What former holders of the partition had not settled, by order, oldest first.
    open: HashMap<OrderKey, Vec<Open>>,
}

/// A message that somebody had in hand who has lost the partition.
#[derive(Debug, Clone, Copy)]
struct Open {
    mapped_seq: u64,
    version: Version,
    content: ContentHash,
}

/// So far behind what was delivered last, as nats-server remembers it, somebody may have got messages all the same: after
/// a crash it may know less than it did.
const BEYOND: u64 = 10_000;

impl Ledger {
    /// Folds in the receipts of one partition that were stored since the last time; all of them at first.
    ///
    /// # Errors
    /// When RECEIPTS cannot be read; what was read is kept.
    pub(crate) async fn catch_up(
        &self,
        journal: &Journal,
        names: &Topology,
        target: &TargetName,
        partition: u16,
    ) -> Result<(), JournalError> {
        let filter = names.receipts(target, partition);
        let from = match self.fold().through {
            0 => From::LastPerSubject,
            through => From::Seq(through + 1),
        };
        let mut log = journal.read(names, Stream::Receipts, Some(&filter), from, false).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            match self.learn(&entry) {
                // It holds one order up, not its whole partition; a newer build's word is another matter.
                Err(JournalError::Codec { source, .. }) if !matches!(source, CodecError::Newer { .. }) => {
                    let (subject, error) = (&entry.subject, service::chain(&source));
                    tracing::error!(
                        subject,
                        seq = entry.seq,
                        error,
                        "a receipt cannot be read and is passed over"
                    );
                }
                learnt => _ = learnt?,
            }
            // Only what was read counts: between our own receipts there may be another writer's.
            self.fold().through = entry.seq;
        }
        tracing::debug!(partition, orders = self.fold().held.len(), "ledger caught up");
        Ok(())
    }

    /// Notes which orders former holders of the partition had not settled when it came to us: they may have sent them, and
    /// died before the receipt. `first` is the first message under our pin.
    ///
    /// # Errors
    /// When MAPPED cannot be read.
    pub(crate) async fn look_for_open(
        &self,
        journal: &Journal,
        names: &Topology,
        (target, partition): (&TargetName, u16),
        first: &Delivery,
        hold: Pin,
    ) -> Result<(), JournalError> {
        let (filter, begin) = (names.mapped(partition), hold.ack_floor + 1);
        // A new message with nothing open before it: all that is open came to us.
        let new = first.delivered == 1;
        if new
            && let Some(next) = journal.next(names, Stream::Mapped, &filter, begin).await?
            && next.seq == first.seq
        {
            self.fold().open.clear();
            return Ok(());
        }
        let mut open = HashMap::<OrderKey, Vec<Open>>::new();
        let mut log = journal.read(names, Stream::Mapped, Some(&filter), From::Seq(begin), false).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            if entry.seq > hold.delivered + BEYOND {
                break;
            }
            // A replay may be for another target.
            if entry.label(Label::Target).is_some_and(|other| other != target.token()) {
                continue;
            }
            // One that cannot be read was never sent, nor was a deletion that the target is not to hear of.
            let order = match MappedEvent::decode(&entry.payload) {
                Ok(MappedEvent::Order(order)) => order,
                Ok(MappedEvent::Deleted(OrderDeleted(order))) if !order.record.is_empty() => order,
                Ok(MappedEvent::Deleted(_)) | Err(_) => continue,
            };
            let MappedOrder { key, version, content, .. } = order;
            open.entry(key).or_default().push(Open { mapped_seq: entry.seq, version, content });
        }
        tracing::debug!(partition, orders = open.len(), "of these the last holder may have sent something");
        self.fold().open = open;
        Ok(())
    }

    /// Whether a former holder of the partition had something else of the order in hand that is newer than what the target is
    /// known to hold, and older than this message: the target may have taken it.
    pub(crate) fn is_open(&self, order: &MappedOrder, mapped_seq: u64) -> bool {
        let fold = self.fold();
        let Some(held) = fold.held.get(&order.key) else { return false };
        fold.open.get(&order.key).into_iter().flatten().any(|open| {
            let between = held.version < open.version && open.version <= order.version;
            between && open.mapped_seq != mapped_seq && open.content != held.content
        })
    }

    /// The content of the newest that a former holder of the partition had of the order in hand, when that is newer: the
    /// target may have taken it, and it comes again. An older version that comes first must not go over it.
    pub(crate) fn newer_open(&self, order: &MappedOrder) -> Option<ContentHash> {
        let fold = self.fold();
        let newer = fold.open.get(&order.key)?.iter().filter(|open| open.version > order.version);
        newer.max_by_key(|open| open.version).map(|open| open.content)
    }

    pub(crate) fn get(&self, key: &OrderKey) -> Option<Held> {
        self.fold().held.get(key)
    }

    pub(crate) fn set(&self, key: &OrderKey, held: Held) {
        self.fold().held.set(key, held);
    }

    /// As [`Ledger::set`], also when the receipt has a lower sequence than the one that is known: that one was removed.
    pub(crate) fn replace(&self, key: &OrderKey, held: Held) {
        self.fold().held.replace(key, held);
    }

    /// Takes over what another writer recorded.
    pub(crate) fn learn(&self, entry: &Entry) -> Result<Held, JournalError> {
        let receipt = entry.event::<Receipt>()?.body;
        let held = Held::after(&receipt, entry.seq);
        self.set(&receipt.key, held);
        Ok(held)
    }

    /// How many orders have a receipt, and of how many the target's state is not known.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let fold = self.fold();
        (fold.held.len() as u64, fold.held.unknown())
    }

    fn fold(&self) -> std::sync::MutexGuard<'_, Fold> {
        self.fold.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{Origin, WindowId};

    fn order(updated_at: i64, raw_seq: u64, content: &str) -> MappedOrder {
        MappedOrder {
            key: OrderKey::new("1").expect("not empty"),
            number: None,
            version: Version { updated_at: Some(updated_at), raw_seq, generation: 0 },
            origin: Origin { window: WindowId::live(1), page: 1, row: 0, raw_seq },
            mapping: "m".into(),
            content: ContentHash::of(content.as_bytes()),
            record: content.as_bytes().to_vec(),
            marks: Vec::new(),
        }
    }

    fn held(of: &MappedOrder, mapped_seq: u64, known: bool) -> Held {
        Held {
            version: of.version,
            content: of.content,
            known,
            mapped_seq,
            receipt_seq: 9,
            last_write: 1,
            older_stamp: None,
        }
    }

    #[test]
    fn newer_wins_and_the_same_is_not_sent_twice() {
        let (first, second) = (order(10, 1, "a"), order(20, 2, "b"));
        assert_eq!(decide(None, false, &first, 5), Decision::Send);
        assert_eq!(decide(Some(&held(&first, 5, true)), false, &first, 5), Decision::Settled);
        assert_eq!(decide(Some(&held(&first, 5, true)), false, &second, 6), Decision::Send);
        assert_eq!(decide(Some(&held(&second, 6, true)), false, &first, 7), Decision::Superseded);
        assert_eq!(decide(Some(&held(&first, 5, true)), false, &order(30, 3, "a"), 8), Decision::Unchanged);
        // Read again in an overlap, not touched at the source.
        assert_eq!(decide(Some(&held(&first, 5, true)), false, &order(10, 9, "a"), 8), Decision::Unchanged);
    }

    #[test]
    fn what_somebody_may_have_sent_in_between_makes_the_same_a_change() {
        let (first, back) = (order(10, 1, "a"), order(30, 3, "a"));
        let ledger = Ledger::default();
        ledger.set(&first.key, held(&first, 5, true));
        let decided = |open: &MappedOrder| {
            let open = Open { mapped_seq: 6, version: open.version, content: open.content };
            ledger.fold().open.insert(first.key.clone(), vec![open]);
            decide(ledger.get(&first.key).as_ref(), ledger.is_open(&back, 7), &back, 7)
        };
        let between = order(20, 2, "b");
        assert_eq!(decided(&between), Decision::Send);
        assert_eq!(decided(&order(20, 2, "a")), Decision::Unchanged, "the same again");
        assert_eq!(decided(&order(5, 0, "b")), Decision::Unchanged, "older than what is held");
        assert_eq!(
            decided(&order(40, 4, "b")),
            Decision::Unchanged,
            "newer than this one: it comes by itself"
        );
        assert_eq!(
            (ledger.newer_open(&first), ledger.newer_open(&order(50, 5, "a"))),
            (Some(between.content), None)
        );
        let settled = Held { receipt_seq: 10, ..held(&between, 6, true) };
        ledger.set(&first.key, settled);
        decided(&between);
        assert!(!ledger.is_open(&back, 7), "it has come again, and is settled");
    }

    #[test]
    fn what_was_superseded_and_comes_again_after_an_older_one_is_not_settled_by_that() {
        let (older, order, newer) = (order(5, 1, "a"), order(10, 2, "b"), order(20, 3, "c"));
        // Its receipt said that the newer one is on its way; then that of the older one came, as message 7.
        let superseded = Held { content: newer.content, ..held(&order, 6, false) };
        assert!(superseded.settles(&order, 6) && superseded.settles(&older, 7));
        let after = Held { mapped_seq: 7, receipt_seq: 10, ..superseded };
        assert_eq!(
            decide(Some(&after), false, &order, 6),
            Decision::Send,
            "so it has to be held back once more"
        );
        assert!(!after.settles(&order, 6) && !after.settles(&newer, 8));
    }

    #[test]
    fn what_is_unknown_is_sent_again() {
        let first = order(10, 1, "a");
        assert_eq!(decide(Some(&held(&first, 5, false)), false, &order(10, 2, "a"), 6), Decision::Send);
    }

    #[test]
    fn a_key_is_kept_over_retries_and_never_used_for_something_else() {
        let (a, b) = (order(10, 1, "a").content, order(20, 2, "b").content);
        assert_eq!(held(&order(10, 1, "a"), 5, true).basis(b), 1);
        assert_eq!(held(&order(10, 1, "a"), 5, false).basis(a), 1, "the same content again: the same key");
        assert_eq!(held(&order(10, 1, "a"), 5, false).basis(b), 9, "a may be there: a key of its own");
    }
}
