//! What became of an order is stored, also when another writer had a hand in it; and what was written over is written again.

use std::sync::Arc;
use std::time::Duration;

use events::{
    CodecError, ContentHash, MappedEvent, MappedOrder, OrderDeleted, OrderKey, Outcome, Receipt, Version, now,
};
use journal::{Entry, JournalError, Label, Record, Stream, TraceParent, store_patiently};

use crate::keys::InHand;
use crate::ledger::{Held, Ledger};
use crate::order::{Partition, key};
use crate::part::Sent;
use crate::seen_through::SeenThrough;
use crate::target::Row;

/// A receipt that meets another one which is gone when it is looked for is stored again after this long: a replica may answer late.
const AGAIN: Duration = Duration::from_millis(100);

/// What storing a receipt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It is there.
    Stored,
    /// It is not: nothing was sent, and what another writer recorded changes the decision.
    DecideAgain,
    /// It is there and says unknown: what we sent may stand where another writer had put something newer.
    Overwrote,
}

/// What writing a newer version again came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WrittenAgain {
    /// It was written, or cannot be.
    Decided,
    /// It was not sent: other receipts of the partition wait to be stored.
    HeldBack,
}

/// Whether what was read is the word of a newer build, and not damaged.
fn is_of_a_newer_build(error: &JournalError) -> bool {
    matches!(error, JournalError::Codec { source: CodecError::Newer { .. }, .. })
}

/// The state with an older update time that waits for somebody after this outcome; of several the one that was read last. What is
/// sent takes its place, and so does a newer state with the content that the target holds.
fn older_stamp_after(outcome: Outcome, version: Version, held: Option<&Held>) -> Option<Version> {
    let before = held.and_then(|held| held.older_stamp);
    match outcome {
        Outcome::OlderStamp => {
            before.into_iter().chain([version]).max_by_key(|version| (version.raw_seq, version.generation))
        }
        Outcome::Superseded | Outcome::Ignored => before,
        Outcome::Written | Outcome::Unchanged | Outcome::Repeat | Outcome::Unknown => None,
    }
}

impl Partition {
    pub(crate) fn receipt(
        &self,
        mapped_seq: u64,
        order: &MappedOrder,
        held: Option<Held>,
        outcome: Outcome,
        status: Option<u16>,
        sent_as: Option<(String, u64)>,
    ) -> Receipt {
        let failed =
            self.attempts.look(mapped_seq, |attempts| attempts.map_or(0, |attempts| attempts.failed.len()));
        let failed = u32::try_from(failed).unwrap_or(u32::MAX - 1);
        let attempts = match (&sent_as, outcome) {
            (None, _) => 0,
            (Some(_), Outcome::Unknown) => failed,
            (Some(_), _) => failed + 1,
        };
        let last_write = held.map_or(0, |held| held.last_write);
        let (idempotency_key, last_write) = sent_as.unwrap_or((String::new(), last_write));
        let newest = held.map_or(order.version, |held| held.version.max(order.version));
        let (version, content, known) = match (outcome, held) {
            // What was superseded changes nothing about what the target holds.
            (Outcome::Superseded | Outcome::OlderStamp, Some(held)) => (newest, held.content, held.known),
            // The target itself said that it holds something newer, which we have no receipt of: no content is like it.
            (Outcome::Superseded, None) => (newest, ContentHash::of(b""), true),
            // Nor does a deletion it is not to hear of: should the order come back as it was, it is no older for that.
            (Outcome::Ignored, Some(held)) => (held.version, held.content, held.known),
            (Outcome::Ignored, None) => (Version::OLDEST, order.content, false),
            _ => (newest, order.content, outcome != Outcome::Unknown),
        };
        Receipt {
            target: self.writer.name.clone(),
            key: order.key.clone(),
            number: order.number.clone(),
            outcome,
            mapped_seq,
            version: order.version,
            held: version,
            content,
            known,
            status,
            attempts,
            last_write,
            idempotency_key,
            at: now(),
            older_stamp: older_stamp_after(outcome, order.version, held.as_ref()),
        }
    }

    /// Stores the receipt, and writes again what may have been written over. What the target has taken is recorded also when the
    /// partition is cut off meanwhile, because NATS is away for long: else the next holder, knowing less than we do, would
    /// send it again under another key. Until then nobody else here works on the order.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        order: &Arc<MappedOrder>,
        mut receipt: Receipt,
        held: Option<Held>,
        certain: bool,
        in_hand: InHand,
        trace: TraceParent,
    ) -> Result<(Recorded, InHand), JournalError> {
        let (partition, order, sent) = (Arc::clone(self), Arc::clone(order), receipt.attempts > 0);
        let keeping = async move {
            let ledger = &partition.ledger;
            let mut kept = partition.record(ledger, &mut receipt, held, certain, trace).await;
            if let Ok(Recorded::Overwrote) = kept {
                kept = Box::pin(partition.restore(ledger, &order.key, trace))
                    .await
                    .map(|()| Recorded::Overwrote);
            }
            match &kept {
                Ok(Recorded::DecideAgain) => {}
                Ok(_) => partition.attempts.forget(receipt.mapped_seq),
                // The target may have taken it, and no receipt says so yet.
                Err(_) if sent => {
                    partition.may_be_there(receipt.mapped_seq, &order, receipt.idempotency_key);
                }
                Err(_) => {}
            }
            Ok((kept?, in_hand))
        };
        if sent { SeenThrough::new(keeping).await } else { Box::pin(keeping).await }
    }

    /// Stores the receipt; when another writer has recorded something of this order meanwhile, after that. `certain` says
    /// that the target answered before the order can have been another writer's.
    pub(crate) async fn record(
        &self,
        ledger: &Ledger,
        receipt: &mut Receipt,
        held: Option<Held>,
        certain: bool,
        trace: TraceParent,
    ) -> Result<Recorded, JournalError> {
        let writer = &*self.writer;
        let (sent, took) = (receipt.attempts > 0, receipt.outcome == Outcome::Written);
        let mut recorded = Recorded::Stored;
        let subject = writer.topology.receipt(&writer.name, &receipt.key);
        let mut expected = held.map_or(0, |held| held.receipt_seq);
        // Whether receipts that we know of have been removed: then ours counts, whatever its sequence is.
        let mut removed = false;
        loop {
            // With the receipt it follows: a message may have a second one, when what it wrote is written again.
            let id = format!("receipt:{}:{}:{expected}", writer.name, receipt.mapped_seq);
            let record = Record::new(&subject, id, &*receipt)?
                .expecting(expected)
                .traced(Some(trace))
                .labelled(Label::Outcome, receipt.outcome)
                .labelled(Label::Mapped, receipt.mapped_seq);
            // Whatever else stands in the way: what was done is kept until it is recorded, and nothing more is sent meanwhile.
            let waits = |error: &JournalError| !matches!(error, JournalError::Conflict { .. });
            let store = || writer.committer.store(vec![record.clone()]);
            match store_patiently(&self.storage, waits, store).await {
                Ok(stored) => {
                    let (seq, after) = (stored.first().map_or(0, |stored| stored.seq), &receipt.key);
                    if removed {
                        ledger.replace(after, Held::after(receipt, seq));
                    } else {
                        ledger.set(after, Held::after(receipt, seq));
                    }
                    return Ok(recorded);
                }
                Err(JournalError::Conflict { .. }) => {
                    let last = Box::pin(self.last_receipt(&subject)).await?;
                    let Some(entry) = last.filter(|entry| entry.seq > expected) else {
                        expected = self.after_removal(receipt, expected, &subject).await?;
                        removed = true;
                        continue;
                    };
                    if let Err(error) = entry.event::<Receipt>() {
                        // What a newer build recorded decides about what is not sent yet; what was sent is recorded all the same.
                        if !sent && is_of_a_newer_build(&error) {
                            return Err(error);
                        }
                        tracing::error!(
                            error = service::chain(&error),
                            "a receipt cannot be read; ours follows it"
                        );
                        expected = entry.seq;
                        continue;
                    }
                    let (newest, theirs) = (ledger.learn(&entry)?, entry.event::<Receipt>()?.body);
                    let same = newest.mapped_seq == receipt.mapped_seq;
                    // Ours was there before theirs, or theirs says that the target had nothing newer.
                    let harmless = certain || theirs.outcome != Outcome::Superseded;
                    if same && (!sent || harmless) {
                        return Ok(Recorded::Stored);
                    }
                    tracing::warn!(key = %receipt.key, "another writer recorded this order meanwhile");
                    if !sent {
                        return Ok(Recorded::DecideAgain);
                    }
                    if took && newest.version > receipt.version && recorded == Recorded::Stored {
                        (receipt.content, receipt.known) = match certain {
                            // It was taken, and something newer has taken its place since.
                            true => {
                                receipt.outcome = Outcome::Superseded;
                                receipt.older_stamp = newest.older_stamp;
                                (newest.content, newest.known)
                            }
                            // We may have written over something newer. Say so, do not guess; then write that again.
                            false => {
                                (receipt.outcome, recorded) = (Outcome::Unknown, Recorded::Overwrote);
                                (receipt.content, false)
                            }
                        };
                    }
                    receipt.held = newest.version.max(receipt.version);
                    receipt.last_write = newest.last_write;
                    expected = newest.receipt_seq;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where the receipt goes when those it was to follow are not there any more: somebody has purged its subject, or deleted
    /// messages. What the target holds is the same for that, so the ledger stays as it is, and the receipt is stored behind what
    /// is left.
    async fn after_removal(
        &self,
        receipt: &Receipt,
        expected: u64,
        subject: &str,
    ) -> Result<u64, JournalError> {
        tokio::time::sleep(AGAIN).await;
        let left = Box::pin(self.last_receipt(subject)).await?.map_or(0, |entry| entry.seq);
        if left != expected {
            tracing::warn!(
                key = %receipt.key,
                known = expected,
                left,
                "receipts of this order have been removed; what the target holds is known all the same"
            );
        }
        Ok(left)
    }

    /// Asked until NATS answers: a receipt that is to be stored must not be lost because it has gone away once more.
    async fn last_receipt(&self, subject: &str) -> Result<Option<Entry>, JournalError> {
        let (journal, names) = (&self.writer.journal, &self.writer.topology);
        let read = || journal.last(names, Stream::Receipts, subject);
        store_patiently(&self.storage, JournalError::is_retryable, read).await
    }

    /// Older versions that failed and wait are superseded by the order that has come, before that is sent: should we die
    /// after it was taken and before its receipt, nobody sends the older one over it. Whether the target took one of
    /// them, in an answer that was lost, is not known.
    pub(crate) async fn supersede_waiting(
        &self,
        ledger: &Ledger,
        order: &MappedOrder,
        trace: TraceParent,
    ) -> Result<(), JournalError> {
        let older = |other: &MappedOrder| other.version < order.version;
        for (seq, older, failed) in self.attempts.waiting(&order.key, older) {
            if Box::pin(self.supersede(ledger, seq, &older, order.content, trace)).await? {
                tracing::info!(key = %older.key, failed, "an order that waited is superseded by a newer version");
                self.attempts.forget(seq);
            }
        }
        Ok(())
    }

    /// Records that a newer version is on its way, so that this one is never sent. Whether the target took this one, or the
    /// newer, is not known; the newer goes out again, and under the key it had. False when the ledger will say so anyway.
    pub(crate) async fn supersede(
        &self,
        ledger: &Ledger,
        seq: u64,
        older: &MappedOrder,
        newer: ContentHash,
        trace: TraceParent,
    ) -> Result<bool, JournalError> {
        let held = ledger.get(&older.key);
        if held.is_some_and(|held| held.settles(older, seq)) {
            return Ok(false);
        }
        let mut receipt = Receipt {
            content: newer,
            known: false,
            held: older.version,
            attempts: 0, // under this version nothing is known to have been taken
            ..self.receipt(seq, older, held, Outcome::Superseded, None, None)
        };
        Ok(self.record(ledger, &mut receipt, held, true, trace).await? == Recorded::Stored)
    }

    /// Writes the newest version again, after an older one may have been written over it; waits while other receipts of the
    /// partition cannot be stored. It stays unknown when the target refuses it, or the partition is to be handed over.
    pub(crate) async fn restore(
        &self,
        ledger: &Ledger,
        order: &OrderKey,
        trace: TraceParent,
    ) -> Result<(), JournalError> {
        while self.is_recordable().await {
            if self.write_again(ledger, order, trace).await? == WrittenAgain::Decided {
                return Ok(());
            }
        }
        tracing::warn!(key = %order, "the partition is handed over before the newer version is written again");
        Ok(())
    }

    async fn write_again(
        &self,
        ledger: &Ledger,
        order: &OrderKey,
        trace: TraceParent,
    ) -> Result<WrittenAgain, JournalError> {
        let writer = &*self.writer;
        let Some(held) = ledger.get(order).filter(|held| held.last_write > 0) else {
            return Ok(WrittenAgain::Decided);
        };
        let Some((seq, newest)) = self.written_last(held.last_write).await? else {
            tracing::error!(key = %order, "what was written over is not in the log any more; the order stays unknown");
            return Ok(WrittenAgain::Decided);
        };
        if newest.version != held.version {
            tracing::error!(key = %order, "what was written over is not known any more; the order stays unknown");
            return Ok(WrittenAgain::Decided);
        }
        let basis = held.basis(newest.content);
        let row = Row {
            seq,
            key: key(&newest, basis),
            under: None,
            uncertain: false,
            alone: true,
            // What is to be written again was learnt just now.
            since: writer.contact.moment(),
            stop: self.stop.clone(),
            storage: self.storage.clone(),
            order: Arc::clone(&newest),
        };
        match writer.send(row).await {
            Sent::Taken { taken, key, while_ours } => {
                tracing::warn!(key = %order, "an older version was written over a newer one, which was written again");
                let sent_as = Some((key, basis));
                let mut receipt =
                    self.receipt(seq, &newest, Some(held), taken.outcome, taken.status, sent_as);
                self.record(ledger, &mut receipt, Some(held), while_ours, trace).await?;
            }
            Sent::Failed { error, .. } => {
                tracing::error!(key = %order, error = service::chain(&error), "the newer version could not be written again");
            }
            Sent::HeldBack => return Ok(WrittenAgain::HeldBack),
            // Only at a hand-over, or after a silence: others may have the order by now.
            Sent::Stopped { .. } => {}
        }
        Ok(WrittenAgain::Decided)
    }

    /// The order that the receipt of this sequence says was written, with its sequence in MAPPED; `None` when either is not in the log any more.
    async fn written_last(&self, receipt: u64) -> Result<Option<(u64, Arc<MappedOrder>)>, JournalError> {
        let (journal, names) = (&self.writer.journal, &self.writer.topology);
        // Asked until NATS answers, as in `last_receipt`.
        let read = || journal.find(names, Stream::Receipts, receipt);
        let written = store_patiently(&self.storage, JournalError::is_retryable, read).await?;
        let Some(written) = written else { return Ok(None) };
        let seq = written.event::<Receipt>()?.body.mapped_seq;
        let read = || journal.find(names, Stream::Mapped, seq);
        let entry = store_patiently(&self.storage, JournalError::is_retryable, read).await?;
        let Some(entry) = entry else { return Ok(None) };
        let decoded = MappedEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))?;
        let (MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order))) = decoded;
        Ok(Some((seq, Arc::new(order))))
    }
}
