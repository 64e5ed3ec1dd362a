//! One order: decide, send, record. What is recorded is stored before the message is settled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::{
    Answer, Attempt, DeadLetter, LetterOrigin, MappedOrder, Outcome, Payload, Receipt, Stage, TargetName, now,
};
use http::{Class, Pace, RetryPolicy};
use journal::{
    Committer, Delivery, Journal, JournalError, Label, Record, Settlement, Stream, Topology, TraceParent,
};
use qeasy::{Qeasy, Verdict, WriteError};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::Counts;
use crate::circuit::Circuit;
use crate::keys::Keys;
use crate::ledger::{Decision, Held, Ledger, decide};

/// What the partitions of one writer share.
pub(crate) struct Writer {
    pub(crate) topology: Topology,
    pub(crate) target: TargetName,
    pub(crate) journal: Journal,
    pub(crate) qeasy: Qeasy,
    pub(crate) circuit: Circuit,
    pub(crate) slots: Semaphore,
    pub(crate) pace: Pace,
    pub(crate) committer: Committer,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_attempts: u32,
    pub(crate) counts: Arc<Counts>,
    pub(crate) shutdown: CancellationToken,
}

/// One partition while this writer holds it.
pub(crate) struct Partition {
    writer: Arc<Writer>,
    number: u16,
    /// Loaded with the first message: only then is the pin ours, and the receipts of its last holder are complete.
    ledger: OnceCell<Ledger>,
    keys: Arc<Keys>,
    /// Failed attempts of the messages in hand, by sequence.
    attempts: Mutex<HashMap<u64, Vec<Attempt>>>,
}

/// What sending came to.
enum Sent {
    Answered { outcome: Outcome, status: Option<u16> },
    Failed(WriteError),
    Shutdown,
}

impl Partition {
    pub(crate) fn new(writer: Arc<Writer>, number: u16) -> Self {
        let (ledger, keys, attempts) = (OnceCell::new(), Arc::default(), Mutex::default());
        Self { writer, number, ledger, keys, attempts }
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
        let order = match message.event::<MappedOrder>() {
            Ok(decoded) => decoded.body,
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
        let held = ledger.get(&order.key);
        let (outcome, status, idempotency_key) = match decide(held.as_ref(), &order, message.seq) {
            Decision::Settled => return Ok(Settlement::Done),
            Decision::Unchanged => (Outcome::Unchanged, None, String::new()),
            Decision::Superseded => (Outcome::Superseded, None, String::new()),
            Decision::Send => {
                // The same over every retry, also by another process; another one as soon as the target took something.
                let last_write = held.map_or(0, |held| held.last_write);
                let content = &order.content.to_string()[..16];
                let key = format!("{}-{last_write}-{content}", order.key.token());
                match self.send(message.seq, &order, &key).await {
                    Sent::Answered { outcome, status } => (outcome, status, key),
                    Sent::Failed(error) => match self.failed(message, &order, error, trace) {
                        Err(settlement) => return Ok(settlement),
                        Ok(()) => (Outcome::Unknown, None, key),
                    },
                    Sent::Shutdown => return Ok(Settlement::Release),
                }
            }
        };
        let attempts = self.with_attempts(message.seq, std::mem::take).len();
        let sent = u32::from(!idempotency_key.is_empty());
        let receipt = Receipt {
            target: writer.target.clone(),
            key: order.key.clone(),
            number: order.number.clone(),
            outcome,
            mapped_seq: message.seq,
            version: order.version,
            held: held.map_or(order.version, |held| held.version.max(order.version)),
            content: match (outcome, held.and_then(|held| held.content)) {
                (Outcome::Superseded, Some(content)) => content,
                _ => order.content,
            },
            status,
            attempts: sent * (1 + u32::try_from(attempts).unwrap_or(u32::MAX - 1)),
            last_write: held.map_or(0, |held| held.last_write),
            idempotency_key,
            at: now(),
        };
        self.record(ledger, receipt, held, trace).await?;
        writer.counts.note(outcome);
        Ok(Settlement::Done)
    }

    /// Sends the order as soon as the circuit, the pace and a free slot allow, and waits out every outage.
    async fn send(&self, seq: u64, order: &MappedOrder, idempotency_key: &str) -> Sent {
        let writer = &*self.writer;
        loop {
            let ready = async {
                let slot = writer.slots.acquire().await;
                writer.circuit.pass().await;
                writer.pace.wait().await;
                slot
            };
            let _slot = tokio::select! {
                biased;
                () = writer.shutdown.cancelled() => return Sent::Shutdown,
                slot = ready => slot,
            };
            let error = match writer.qeasy.write(&order.record, idempotency_key).await {
                Ok(written) => {
                    writer.circuit.works();
                    let outcome = match written.verdict {
                        Verdict::Written => Outcome::Written,
                        Verdict::Repeat => Outcome::Repeat,
                    };
                    return Sent::Answered { outcome, status: Some(written.status) };
                }
                Err(error) => error,
            };
            let why = error.to_string();
            match error.class() {
                Class::Outage | Class::Credentials => writer.circuit.down(None, &why),
                Class::Throttled(wait) => writer.circuit.down(wait, &why),
                Class::Permanent => {
                    writer.circuit.works();
                    return Sent::Failed(error);
                }
                Class::Retryable | Class::Uncertain => {
                    if !writer.circuit.doubtful(seq, &why) {
                        return Sent::Failed(error);
                    }
                }
            }
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
        let attempts = self.with_attempts(message.seq, |attempts| {
            attempts.push(Attempt { at: now(), message: service::chain(&error) });
            attempts.len()
        });
        let spent = attempts as u64 >= u64::from(writer.max_attempts);
        if class != Class::Permanent && !spent {
            let after = writer.retry.delay(attempts.min(20));
            tracing::warn!(key = %order.key, error = service::chain(&error), attempt = attempts, ?after, "an order is tried again");
            return Err(Settlement::Retry(after));
        }
        if class == Class::Uncertain {
            tracing::error!(key = %order.key, error = service::chain(&error), "it is not known whether the target took this order");
            return Ok(());
        }
        let answer = error.answer().map(|(status, excerpt)| Answer { status, excerpt: excerpt.to_string() });
        let letter = self.letter(message, Some(order), class.name(), service::chain(&error), answer, trace);
        tracing::warn!(key = %order.key, error = letter.message, "an order became a dead letter");
        writer.counts.dead.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Err(Settlement::Dead(Box::new(letter)))
    }

    /// Stores the receipt; when another writer has recorded something of this order meanwhile, after that.
    async fn record(
        &self,
        ledger: &Ledger,
        mut receipt: Receipt,
        held: Option<Held>,
        trace: TraceParent,
    ) -> Result<(), JournalError> {
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
                    return Ok(());
                }
                Err(JournalError::Conflict { .. }) => {
                    let Some(entry) =
                        writer.journal.last(&writer.topology, Stream::Receipts, &subject).await?
                    else {
                        return Err(JournalError::Conflict { subject });
                    };
                    let newest = ledger.learn(&entry)?;
                    if newest.mapped_seq == receipt.mapped_seq {
                        return Ok(());
                    }
                    tracing::warn!(key = %receipt.key, "another writer recorded this order meanwhile");
                    if newest.version > receipt.version && receipt.outcome == Outcome::Written {
                        // We may have written over something newer. Say so; do not guess.
                        receipt.outcome = Outcome::Unknown;
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
            },
            target: Some(self.writer.target.clone()),
            key: order.map(|order| order.key.to_string()),
            number: order.and_then(|order| order.number.clone()),
            payload: Payload::pack(order.map_or(&message.payload[..], |order| &order.record)),
            answer,
            attempts: self.with_attempts(message.seq, std::mem::take),
            mapping: order.map(|order| order.mapping.clone()),
            trace_id: Some(trace.trace_id()),
        }
    }

    fn with_attempts<T>(&self, seq: u64, change: impl FnOnce(&mut Vec<Attempt>) -> T) -> T {
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = all.entry(seq).or_default();
        let result = change(attempts);
        if attempts.is_empty() {
            all.remove(&seq);
        }
        result
    }
}
