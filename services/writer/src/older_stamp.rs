//! A state that was read later than the one the target holds, and that carries an older update time. The order of versions stays
//! as it is, so it is not sent; but it is recorded as what it is, and not as superseded.
//!
//! RAW's sequence is not the order of reading, for fetchers read in parallel. A reading is surely later when its window was opened
//! after the page of the other reading was stored. Both times are those of nats-server, so no fetcher's clock counts.

use events::{MappedOrder, OlderStampFound, Outcome, WindowId, WindowOpened};
use journal::{Delivery, JournalError, Label, Record, Stream};

use crate::ledger::Held;
use crate::order::Partition;

/// What an older version may mean, if it was read after the page with the sequence `since` in RAW was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suspicion {
    /// The source went on to other content without a newer update time.
    Differs { since: u64 },
    /// The source went back to what the target holds.
    Agrees { since: u64 },
}

/// What an older version came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OlderVersion {
    /// The target holds something newer.
    Superseded,
    /// It was read later, and differs: nothing is sent, and somebody has to decide.
    OlderStamp,
    /// It was read later than what differed, and is what the target holds: nobody has to decide any more.
    Settled,
}

impl OlderVersion {
    /// How it is recorded.
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::OlderStamp => Outcome::OlderStamp,
            Self::Superseded | Self::Settled => Outcome::Superseded,
        }
    }

    /// What it comes to, once it is known whether it was read later.
    fn of(suspicion: Suspicion, is_later: bool) -> Self {
        match suspicion {
            Suspicion::Differs { .. } if is_later => Self::OlderStamp,
            Suspicion::Agrees { .. } if is_later => Self::Settled,
            Suspicion::Differs { .. } | Suspicion::Agrees { .. } => Self::Superseded,
        }
    }
}

/// What is to be looked up about an order that is older than what the target holds; nearly always nothing. A page that was read
/// later was also stored later, so its sequence in RAW tells without a question where that cannot be.
fn suspect(held: &Held, order: &MappedOrder) -> Option<Suspicion> {
    if order.version.updated_at >= held.version.updated_at {
        return None;
    }
    if order.content != held.content {
        let since = held.version.raw_seq;
        return (order.version.raw_seq > since).then_some(Suspicion::Differs { since });
    }
    let since = held.older_stamp?.raw_seq;
    (order.version.raw_seq > since).then_some(Suspicion::Agrees { since })
}

/// Whether a message says again what another one said: a replay, a retry or an edit is no reading of the source.
fn is_repetition(message: &Delivery, order: &MappedOrder) -> bool {
    let again = [Label::Operation, Label::Copied, Label::Letter];
    order.version.generation > 0 || again.into_iter().any(|label| message.label(label).is_some())
}

impl Partition {
    /// Tells what an order comes to that is older than what the target holds. One that somebody has to decide about is listed
    /// before its receipt is stored.
    ///
    /// # Errors
    /// When SYNC or RAW cannot be read, or DEAD cannot be written.
    pub(crate) async fn judge_older_version(
        &self,
        message: &Delivery,
        order: &MappedOrder,
        held: &Held,
    ) -> Result<OlderVersion, JournalError> {
        let suspicion = suspect(held, order).filter(|_| !is_repetition(message, order));
        let Some(suspicion) = suspicion else { return Ok(OlderVersion::Superseded) };
        let (Suspicion::Differs { since } | Suspicion::Agrees { since }) = suspicion;
        let is_later = Box::pin(self.is_read_after(&order.origin.window, since)).await?;
        let older = OlderVersion::of(suspicion, is_later);
        if older == OlderVersion::OlderStamp {
            Box::pin(self.list_older_stamp(message.seq, order, held)).await?;
        }
        Ok(older)
    }

    /// Whether a window was opened after a page of RAW was stored. False also when that cannot be known.
    async fn is_read_after(&self, window: &WindowId, raw_seq: u64) -> Result<bool, JournalError> {
        let journal = &self.writer.journal;
        let names = &self.writer.topology;
        // What was put into MAPPED by hand names no page.
        if raw_seq == 0 {
            return Ok(false);
        }
        let Some(opened) = journal.next(names, Stream::Sync, &names.window(window), 1).await? else {
            return Ok(false);
        };
        let Some(stored) = journal.find(names, Stream::Raw, raw_seq).await? else { return Ok(false) };
        // Where the beginning of a window is gone, its first message is a page.
        Ok(opened.event::<WindowOpened>().is_ok() && opened.stored_at > stored.stored_at)
    }

    /// Adds the order to those that somebody has to decide about. Without a receipt that says the same it counts for nothing.
    async fn list_older_stamp(
        &self,
        mapped_seq: u64,
        order: &MappedOrder,
        held: &Held,
    ) -> Result<(), JournalError> {
        let name = &self.writer.name;
        let names = &self.writer.topology;
        let found = OlderStampFound {
            target: name.clone(),
            key: order.key.clone(),
            mapped_seq,
            version: order.version,
            held: held.version,
        };
        let id = format!("older_stamp:{name}:{mapped_seq}");
        self.writer.journal.publish(&Record::new(names.older_stamp(name, &order.key), id, &found)?).await?;
        tracing::warn!(
            key = %order.key,
            "an order was read later than what the target holds, and carries an older update time"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{ContentHash, Micros, OrderKey, Origin, Version};
    use proptest::prelude::*;

    fn order(updated_at: Option<Micros>, raw_seq: u64, content: u8) -> MappedOrder {
        let window = WindowId::live(raw_seq);
        MappedOrder {
            key: OrderKey::new("1").expect("not empty"),
            number: None,
            version: Version { updated_at, raw_seq, generation: 0 },
            origin: Origin { window, page: 1, row: 0, raw_seq },
            mapping: "m".into(),
            content: ContentHash::of(&[content]),
            record: vec![content],
            marks: Vec::new(),
        }
    }

    fn held(of: &MappedOrder, older_stamp: Option<Version>) -> Held {
        Held {
            version: of.version,
            content: of.content,
            known: true,
            mapped_seq: 5,
            receipt_seq: 9,
            last_write: 1,
            older_stamp,
        }
    }

    #[test]
    fn a_later_reading_with_an_older_time_is_looked_into() {
        let first = held(&order(Some(60), 3, b'a'), None);
        let suspect = |order: MappedOrder| suspect(&first, &order);
        assert_eq!(suspect(order(Some(20), 9, b'b')), Some(Suspicion::Differs { since: 3 }));
        assert_eq!(suspect(order(None, 9, b'b')), Some(Suspicion::Differs { since: 3 }), "its time is gone");
        assert_eq!(suspect(order(Some(20), 9, b'a')), None, "the content is at the target");
        assert_eq!(suspect(order(Some(20), 2, b'b')), None, "stored before what is held");
        assert_eq!(suspect(order(Some(60), 2, b'b')), None, "the same time: the reading decides");
    }

    #[test]
    fn what_went_back_to_what_is_held_settles_what_differed() {
        let differed = order(Some(20), 9, b'b');
        let open = held(&order(Some(60), 3, b'a'), Some(differed.version));
        assert_eq!(suspect(&open, &order(Some(20), 12, b'a')), Some(Suspicion::Agrees { since: 9 }));
        assert_eq!(suspect(&open, &order(Some(20), 8, b'a')), None, "read before it differed");
        assert_eq!(suspect(&open, &order(Some(20), 12, b'c')), Some(Suspicion::Differs { since: 3 }));
    }

    proptest! {
        #[test]
        fn nothing_is_suspected_of_what_the_versions_already_order(
            times in (0_i64..4, 0_i64..4), places in (1_u64..9, 1_u64..9), contents in (0_u8..3, 0_u8..3),
        ) {
            let (first, second) = (
                order(Some(times.0), places.0, contents.0),
                order(Some(times.1), places.1, contents.1),
            );
            let suspicion = suspect(&held(&first, None), &second);
            let backdated = times.1 < times.0 && places.1 > places.0 && contents.0 != contents.1;
            prop_assert_eq!(suspicion.is_some(), backdated);
            // Where it cannot be known, it is what it always was.
            if let Some(suspicion) = suspicion {
                prop_assert_eq!(OlderVersion::of(suspicion, false), OlderVersion::Superseded);
                prop_assert_eq!(OlderVersion::of(suspicion, true).outcome(), Outcome::OlderStamp);
            }
        }
    }
}
