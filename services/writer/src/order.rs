//! One order: decide, send, record. What is recorded is stored before the message is settled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::{
    Answer, Attempt, DeadLetter, LetterOrigin, Listing, MappedEvent, MappedOrder, OrderDeleted, Outcome,
    Payload, Receipt, Stage, Version, now,
};
use http::Class;
use journal::{Delivery, JournalError, Label, Record, Settlement, Stream, TraceParent};
use qeasy::WriteError;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::keys::Keys;
use crate::ledger::{Decision, Held, Ledger, decide};
use crate::send::{Sent, Writer};

/// The attempts of one message that failed.
#[derive(Debug, Default)]
struct Attempts {
    failed: Vec<Attempt>,
    /// Whether any of them may have been done all the same.
    uncertain: bool,
}

/// One partition while this writer holds it.
pub(crate) struct Partition {
    writer: Arc<Writer>,
    number: u16,
    /// Loaded with the first message: only then is the pin ours, and the receipts of its last holder are complete.
    ledger: OnceCell<Ledger>,
    keys: Arc<Keys>,
    /// Failed attempts of the messages in hand, by sequence.
    attempts: Mutex<HashMap<u64, Attempts>>,
    /// Cancelled when the partition is to be handed over.
    stop: CancellationToken,
}

impl Partition {
    pub(crate) fn new(writer: Arc<Writer>, number: u16, stop: CancellationToken) -> Self {
        let (ledger, keys, attempts) = (OnceCell::new(), Arc::default(), Mutex::default());
        Self { writer, number, ledger, keys, attempts, stop }
    }

    pub(crate) async fn handle(self: Arc<Self>, message: Delivery) -> Settlement {
        let span = tracing::info_span!("write order", mapped_seq = message.seq, key = tracing::field::Empty);
        let parent = message.trace().map(|trace| (trace.trace_id, trace.span_id, trace.sampled));
        let (trace_id, span_id, sampled) = service::traced(&span, parent);
        let trace = TraceParent { trace_id, span_id, sampled };
        async {
            match self.settle(&message, trace).await {
                Ok(settlement) => settlement,
                Err(error) => {
                    tracing::warn!(%error, mapped_seq = message.seq, "an order waits");
                    Settlement::Retry(Duration::from_secs(1))
                }
            }
        }
        .instrument(span)
        .await
    }

    async fn settle(&self, message: &Delivery, trace: TraceParent) -> Result<Settlement, JournalError> {
        let (order, deleted) = match MappedEvent::decode(&message.payload) {
            Ok(MappedEvent::Order(order)) => (order, false),
            Ok(MappedEvent::Deleted(OrderDeleted(order))) => (order, true),
            Err(error) => {
                let letter = self.letter(message, None, "unreadable", error.to_string(), None, trace);
                return Ok(Settlement::Dead(Box::new(letter)));
            }
        };
        tracing::Span::current().record("key", order.key.as_str());
        let writer = &*self.writer;
        let load = || Ledger::load(&writer.journal, &writer.topology, &writer.target, self.number);
        let ledger = self.ledger.get_or_try_init(load).await?;
        let _in_hand = self.keys.take(&order.key).await;
        loop {
            let held = ledger.get(&order.key);
            let (outcome, status, sent_as) = match decide(held.as_ref(), &order, message.seq) {
                Decision::Settled => return Ok(Settlement::Done),
                Decision::Unchanged => (Outcome::Unchanged, None, None),
                Decision::Superseded => (Outcome::Superseded, None, None),
                Decision::Send if deleted && order.record.is_empty() => (Outcome::Ignored, None, None),
                Decision::Send => {
                    let basis = held.map_or(0, |held| held.basis(order.content));
                    let content = &order.content.to_string()[..16];
                    let key = format!("{}-{basis}-{content}", order.key.token());
                    match writer.send(message.seq, &order, &key, &self.stop).await {
                        Sent::Answered { outcome, status } => (outcome, Some(status), Some((key, basis))),
                        Sent::Failed(error) => match self.failed(message, &order, error, trace) {
                            Err(settlement) => return Ok(settlement),
                            Ok(()) => (Outcome::Unknown, None, Some((key, basis))),
                        },
                        Sent::Stopped => return Ok(Settlement::Release),
                    }
                }
            };
            let receipt = self.receipt(message.seq, &order, held, outcome, status, sent_as);
            let sent = receipt.attempts > 0;
            if self.record(ledger, receipt, held, sent, trace).await? {
                self.with_attempts(message.seq, std::mem::take);
                writer.counts.note(outcome);
                return Ok(Settlement::Done);
            }
            // Nothing was sent, and another writer has recorded something meanwhile: decide again, knowing that.
        }
    }

    fn receipt(
        &self,
        mapped_seq: u64,
        order: &MappedOrder,
        held: Option<Held>,
        outcome: Outcome,
        status: Option<u16>,
        sent_as: Option<(String, u64)>,
    ) -> Receipt {
        let failed = self.with_attempts(mapped_seq, |attempts| attempts.failed.len());
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
            (Outcome::Superseded, Some(held)) => (newest, held.content, held.known),
            // Nor does a deletion it is not to hear of: should the order come back as it was, it is no older for that.
            (Outcome::Ignored, Some(held)) => (held.version, held.content, held.known),
            (Outcome::Ignored, None) => (Version::OLDEST, order.content, false),
            _ => (newest, order.content, outcome != Outcome::Unknown),
        };
        Receipt {
            target: self.writer.target.clone(),
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
        }
    }

    /// What a failure that counts means: `Err` is how the message is settled, `Ok` that its outcome stays unknown.
    fn failed(
        &self,
        message: &Delivery,
        order: &MappedOrder,
        error: WriteError,
        trace: TraceParent,
    ) -> Result<(), Settlement> {
        let writer = &*self.writer;
        let class = error.class();
        let (attempts, uncertain) = self.with_attempts(message.seq, |attempts| {
            attempts.failed.push(Attempt { at: now(), message: service::chain(&error) });
            attempts.uncertain |= class == Class::Uncertain;
            (attempts.failed.len(), attempts.uncertain)
        });
        let spent = attempts as u64 >= u64::from(writer.max_attempts);
        if class != Class::Permanent && !spent {
            let after = writer.retry.delay(attempts.min(20));
            tracing::warn!(key = %order.key, error = service::chain(&error), attempt = attempts, ?after, "an order is tried again");
            return Err(Settlement::Retry(after));
        }
        if uncertain && class != Class::Permanent {
            tracing::error!(key = %order.key, error = service::chain(&error), "it is not known whether the target took this order");
            return Ok(());
        }
        let answer = error.answer().map(|(status, excerpt)| Answer { status, excerpt: excerpt.to_string() });
        let letter = self.letter(message, Some(order), class.name(), service::chain(&error), answer, trace);
        tracing::warn!(key = %order.key, error = letter.message, "an order became a dead letter");
        writer.counts.dead.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Err(Settlement::Dead(Box::new(letter)))
    }

    /// Stores the receipt; when another writer has recorded something of this order meanwhile, after that. `false` when
    /// that changes the decision: nothing was sent, and nothing is stored.
    async fn record(
        &self,
        ledger: &Ledger,
        mut receipt: Receipt,
        held: Option<Held>,
        sent: bool,
        trace: TraceParent,
    ) -> Result<bool, JournalError> {
        let writer = &*self.writer;
        let subject = writer.topology.receipt(&writer.target, &receipt.key);
        let mut expected = held.map_or(0, |held| held.receipt_seq);
        loop {
            let record =
                Record::new(&subject, format!("receipt:{}:{}", writer.target, receipt.mapped_seq), &receipt)?
                    .expecting(expected)
                    .traced(Some(trace))
                    .labelled(Label::Outcome, receipt.outcome)
                    .labelled(Label::Mapped, receipt.mapped_seq);
            match writer.committer.store(vec![record]).await {
                Ok(stored) => {
                    let seq = stored.first().map_or(0, |stored| stored.seq);
                    ledger.set(receipt.key.clone(), Held::after(&receipt, seq));
                    return Ok(true);
                }
                Err(JournalError::Conflict { .. }) => {
                    let Some(entry) =
                        writer.journal.last(&writer.topology, Stream::Receipts, &subject).await?
                    else {
                        return Err(JournalError::Conflict { subject });
                    };
                    let newest = ledger.learn(&entry)?;
                    if newest.mapped_seq == receipt.mapped_seq {
                        return Ok(true);
                    }
                    tracing::warn!(key = %receipt.key, "another writer recorded this order meanwhile");
                    if !sent {
                        return Ok(false);
                    }
                    if newest.version > receipt.version && receipt.outcome == Outcome::Written {
                        // We may have written over something newer. Say so; do not guess.
                        (receipt.outcome, receipt.known) = (Outcome::Unknown, false);
                    }
                    receipt.held = newest.version.max(receipt.version);
                    receipt.last_write = newest.last_write;
                    expected = newest.receipt_seq;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn letter(
        &self,
        message: &Delivery,
        order: Option<&MappedOrder>,
        kind: &str,
        text: String,
        answer: Option<Answer>,
        trace: TraceParent,
    ) -> DeadLetter {
        let origin = order.map(|order| &order.origin);
        DeadLetter {
            stage: Stage::Write,
            kind: kind.to_string(),
            message: text,
            causes: Vec::new(),
            origin: LetterOrigin {
                stream: message.stream.clone(),
                sequence: message.seq,
                window: origin.map(|origin| origin.window.clone()),
                page: origin.map(|origin| origin.page),
                row: origin.map(|origin| origin.row),
                raw_seq: origin.map(|origin| origin.raw_seq),
                listing: Listing::Orders,
            },
            target: Some(self.writer.target.clone()),
            key: order.map(|order| order.key.to_string()),
            number: order.and_then(|order| order.number.clone()),
            payload: Payload::pack(order.map_or(&message.payload[..], |order| &order.record)),
            answer,
            attempts: self.with_attempts(message.seq, std::mem::take).failed,
            mapping: order.map(|order| order.mapping.clone()),
            trace_id: Some(trace.trace_id()),
        }
    }

    fn with_attempts<T>(&self, seq: u64, change: impl FnOnce(&mut Attempts) -> T) -> T {
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = all.entry(seq).or_default();
        let result = change(attempts);
        if attempts.failed.is_empty() {
            all.remove(&seq);
        }
        result
    }
}
