//! One order: decide, send, record. What is recorded is stored before the message is settled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::{
    Answer, Attempt, ContentHash, DeadLetter, LetterOrigin, Listing, MappedEvent, MappedOrder, OrderDeleted,
    Outcome, Payload, Receipt, Stage, Version, now,
};
use http::Class;
use journal::{Delivery, JournalError, Label, Moment, Record, Settlement, Stream, TraceParent};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::keys::Keys;
use crate::ledger::{Decision, Held, Ledger, decide};
use crate::part::Sent;
use crate::send::Writer;
use crate::target::{Row, Taken, TargetError};

/// The attempts of one message that failed.
#[derive(Debug, Default)]
struct Attempts {
    failed: Vec<Attempt>,
    /// The idempotency key of a request that may have been done all the same. The order goes out under it again, also
    /// when it was the key of a batch.
    uncertain: Option<String>,
}

/// How the ledger came to know what it knows.
#[derive(Debug, Default)]
struct CaughtUp {
    /// Whether all receipts have been read once.
    once: bool,
    /// The pin under which they were read last: another pin means that another writer may have written meanwhile.
    pin: Option<String>,
}

/// One partition while this writer holds it.
pub(crate) struct Partition {
    writer: Arc<Writer>,
    number: u16,
    ledger: Ledger,
    /// Caught up with the first message of each pin: only then are the receipts of its last holder complete.
    caught_up: tokio::sync::Mutex<CaughtUp>,
    keys: Arc<Keys>,
    /// Failed attempts of the messages in hand, by sequence.
    attempts: Mutex<HashMap<u64, Attempts>>,
    /// Cancelled when the partition is to be handed over.
    stop: CancellationToken,
}

impl Partition {
    pub(crate) fn new(writer: Arc<Writer>, number: u16, stop: CancellationToken) -> Self {
        let (ledger, caught_up) = (Ledger::default(), tokio::sync::Mutex::default());
        Self { writer, number, ledger, caught_up, keys: Arc::default(), attempts: Mutex::default(), stop }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Orders with a receipt, and orders of which it is not known what the target holds; `None` while that is being read.
    pub(crate) fn counts(&self) -> Option<(u64, u64)> {
        let caught_up = self.caught_up.try_lock().ok()?;
        caught_up.once.then(|| self.ledger.counts())
    }

    /// Reads the receipts ahead of the first message: less to read then, and `status` knows what is open.
    pub(crate) async fn read_ahead(&self) {
        let mut caught_up = self.caught_up.lock().await;
        if !caught_up.once {
            match self.catch_up().await {
                Ok(()) => caught_up.once = true,
                Err(error) => tracing::debug!(%error, partition = self.number, "receipts are read later"),
            }
        }
    }

    async fn catch_up(&self) -> Result<(), JournalError> {
        let writer = &*self.writer;
        self.ledger.catch_up(&writer.journal, &writer.topology, &writer.name, self.number).await
    }

    /// The ledger as complete as it has to be for a message that was delivered under `pin`.
    async fn ledger(&self, pin: Option<&str>) -> Result<&Ledger, JournalError> {
        let mut caught_up = self.caught_up.lock().await;
        // Without a pin (which only a test does) it is read once.
        let current = caught_up.once && caught_up.pin.as_deref() == pin;
        if !current {
            self.catch_up().await?;
            *caught_up = CaughtUp { once: true, pin: pin.map(str::to_string) };
        }
        Ok(&self.ledger)
    }

    pub(crate) async fn handle(self: Arc<Self>, message: Delivery) -> Settlement {
        let span = tracing::info_span!("write order", mapped_seq = message.seq, key = tracing::field::Empty);
        let parent = message.trace().map(|trace| (trace.trace_id, trace.span_id, trace.sampled));
        let (trace_id, span_id, sampled) = service::traced(&span, parent);
        let trace = TraceParent { trace_id, span_id, sampled };
        let since = self.writer.contact.moment();
        async {
            match self.settle(&message, since, trace).await {
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

    async fn settle(
        &self,
        message: &Delivery,
        since: Moment,
        trace: TraceParent,
    ) -> Result<Settlement, JournalError> {
        let (order, deleted) = match MappedEvent::decode(&message.payload) {
            Ok(MappedEvent::Order(order)) => (order, false),
            Ok(MappedEvent::Deleted(OrderDeleted(order))) => (order, true),
            Err(error) => {
                let letter = self.letter(message, None, "unreadable", error.to_string(), None, trace);
                return Ok(Settlement::Dead(Box::new(letter)));
            }
        };
        tracing::Span::current().record("key", order.key.as_str());
        let (writer, order) = (&*self.writer, Arc::new(order));
        let ledger = self.ledger(message.pin()).await?;
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
                    match writer.send(self.row(message, &order, basis, since)).await {
                        Sent::Taken { taken: Taken { outcome, status }, key } => {
                            writer.error_budget.taken();
                            (outcome, status, Some((key, basis)))
                        }
                        Sent::Failed { error, key } => {
                            match self.failed(message, &order, error, &key, trace).await {
                                Err(settlement) => return Ok(settlement),
                                Ok(()) => (Outcome::Unknown, None, Some((key, basis))),
                            }
                        }
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

    fn row(&self, message: &Delivery, order: &Arc<MappedOrder>, basis: u64, since: Moment) -> Row {
        let (alone, uncertain) = self
            .with_attempts(message.seq, |attempts| (!attempts.failed.is_empty(), attempts.uncertain.clone()));
        let own = || format!("{}-{basis}-{}", order.key.token(), &order.content.to_string()[..16]);
        Row {
            seq: message.seq,
            order: Arc::clone(order),
            // Delivered before: whoever had it may have sent it.
            uncertain: uncertain.is_some() || message.delivered > 1,
            key: uncertain.unwrap_or_else(own),
            alone,
            since,
            stop: self.stop.clone(),
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
        }
    }

    /// What a failure that counts means: `Err` is how the message is settled, `Ok` that its outcome stays unknown.
    async fn failed(
        &self,
        message: &Delivery,
        order: &MappedOrder,
        error: TargetError,
        key: &str,
        trace: TraceParent,
    ) -> Result<(), Settlement> {
        let writer = &*self.writer;
        let (class, why) = (error.class(), service::chain(&error));
        let (attempts, uncertain) = self.with_attempts(message.seq, |attempts| {
            attempts.failed.push(Attempt { at: now(), message: why.clone() });
            if class == Class::Uncertain {
                attempts.uncertain = Some(key.to_string());
            }
            (attempts.failed.len(), attempts.uncertain.is_some())
        });
        let spent = attempts as u64 >= u64::from(writer.max_attempts);
        if class != Class::Permanent && !spent {
            let after = writer.retry.delay(attempts.min(20));
            tracing::warn!(key = %order.key, error = why, attempt = attempts, ?after, "an order is tried again");
            return Err(Settlement::Retry(after));
        }
        if uncertain && class != Class::Permanent {
            tracing::error!(key = %order.key, error = why, "it is not known whether the target took this order");
            return Ok(());
        }
        if !writer.error_budget.refused(&why, &writer.journal.member()).await {
            // It waits with all others until somebody says to go on.
            return Err(Settlement::Retry(writer.retry.initial));
        }
        let answer = error.answer().map(|(status, excerpt)| Answer { status, excerpt: excerpt.to_string() });
        let mut letter = self.letter(message, Some(order), class.name(), error.to_string(), answer, trace);
        letter.causes = service::causes(&error);
        tracing::warn!(key = %order.key, error = why, "an order became a dead letter");
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
        let subject = writer.topology.receipt(&writer.name, &receipt.key);
        let mut expected = held.map_or(0, |held| held.receipt_seq);
        loop {
            let record =
                Record::new(&subject, format!("receipt:{}:{}", writer.name, receipt.mapped_seq), &receipt)?
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
            target: Some(self.writer.name.clone()),
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
