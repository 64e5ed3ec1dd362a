//! One order: decide, send, record. What is recorded is stored before the message is settled.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use events::{
    Answer, Attempt, CodecError, ContentHash, DeadLetter, MappedEvent, MappedOrder, OrderDeleted, Outcome,
    now,
};
use http::Class;
use journal::{
    Delivery, JournalError, Label, LetterToStore, Moment, Settlement, StorageTrouble, Stream, TraceParent,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::attempts::AllAttempts;
use crate::keys::Keys;
use crate::ledger::{Decision, Ledger, decide};
use crate::older_stamp::OlderVersion;
use crate::part::Sent;
use crate::receipt::Recorded;
use crate::send::Writer;
use crate::target::{Row, Taken, TargetError};
use crate::unrecordable::why_unrecordable;

/// How the ledger came to know what it knows.
#[derive(Debug, Default)]
pub(crate) struct CaughtUp {
    /// Whether all receipts have been read once.
    pub(crate) once: bool,
    /// The pin under which they were read last, and when: after another pin, or a silence, another writer may have
    /// written meanwhile.
    pub(crate) under: Option<(Option<String>, Moment)>,
    /// Whether receipts that waited may have been stored since.
    behind: bool,
}

/// One partition while this writer holds it.
pub(crate) struct Partition {
    pub(crate) writer: Arc<Writer>,
    number: u16,
    pub(crate) ledger: Ledger,
    /// Caught up with the first message of each pin: only then are the receipts of its last holder complete.
    pub(crate) caught_up: tokio::sync::Mutex<CaughtUp>,
    keys: Arc<Keys>,
    pub(crate) attempts: AllAttempts,
    /// Cancelled when the partition is to be handed over.
    pub(crate) stop: CancellationToken,
    /// The receipts that cannot be stored: nothing is sent meanwhile.
    pub(crate) storage: StorageTrouble,
}

impl Partition {
    pub(crate) fn new(
        writer: Arc<Writer>,
        number: u16,
        stop: CancellationToken,
        storage: StorageTrouble,
    ) -> Self {
        Self {
            writer,
            number,
            ledger: Ledger::default(),
            caught_up: tokio::sync::Mutex::default(),
            keys: Arc::default(),
            attempts: AllAttempts::default(),
            stop,
            storage,
        }
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) async fn catch_up(&self) -> Result<(), JournalError> {
        let writer = &*self.writer;
        self.ledger.catch_up(&writer.journal, &writer.topology, &writer.name, self.number).await
    }

    /// The ledger, as complete as it has to be for this message. `None` when the partition is another writer's by now: a
    /// message may have waited on the way to us for any time.
    async fn ledger(&self, message: &Delivery) -> Result<Option<&Ledger>, JournalError> {
        let (writer, mut caught_up) = (&*self.writer, self.caught_up.lock().await);
        let (pin, moment) = (message.pin(), writer.contact.moment());
        let (same_pin, same_moment) = match &caught_up.under {
            Some((under, at)) => (under.as_deref() == pin, *at == moment),
            None => (false, false),
        };
        if caught_up.once && same_pin && same_moment && !caught_up.behind {
            return Ok(Some(&self.ledger));
        }
        let durable = writer.topology.writer(&writer.name, self.number);
        let hold = Box::pin(writer.journal.pin(&writer.topology, Stream::Mapped, &durable)).await?;
        if hold.pin.as_deref() != pin {
            tracing::info!(
                partition = self.number,
                "a message of a partition that is another writer's by now is given back"
            );
            return Ok(None);
        }
        Box::pin(self.catch_up()).await?;
        // Also after a pin of our own: it may have been another writer's in between.
        if !same_pin {
            let of = (&writer.name, self.number);
            Box::pin(self.ledger.look_for_open(&writer.journal, &writer.topology, of, message, hold)).await?;
        }
        *caught_up = CaughtUp { once: true, under: Some((pin.map(str::to_string), moment)), behind: false };
        Ok(Some(&self.ledger))
    }

    /// What is rare is boxed here and below: this future is made, moved and freed for every order.
    pub(crate) async fn handle(self: Arc<Self>, mut message: Delivery) -> Settlement {
        let since = self.writer.contact.moment();
        let decoded = MappedEvent::decode(&message.payload);
        if decoded.is_ok() {
            // It would keep all of what was read from NATS at once, for as long as the order is in hand.
            message.payload = Bytes::new();
        }
        let key = match &decoded {
            Ok(MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order))) => {
                Some(order.key.as_str())
            }
            Err(_) => None,
        };
        // For exporters, and logs of this level: lines about an order name it or its message, and a span of each costs a tenth of
        // the writer.
        let span = tracing::debug_span!("write order", stage = "write", mapped_seq = message.seq, key);
        let parent = message.trace().map(|trace| (trace.trace_id, trace.span_id, trace.sampled));
        let (trace_id, span_id, sampled) = service::traced(&span, parent);
        let trace = TraceParent { trace_id, span_id, sampled };
        async {
            match self.settle(&message, decoded, since, trace).await {
                Ok(settlement) => settlement,
                Err(error) => {
                    tracing::warn!(
                        error = service::chain(&error),
                        mapped_seq = message.seq,
                        "an order waits"
                    );
                    Settlement::Retry(Duration::from_secs(message.delivered.clamp(1, 30)))
                }
            }
        }
        .instrument(span)
        .await
    }

    async fn settle(
        self: &Arc<Self>,
        message: &Delivery,
        decoded: Result<MappedEvent, CodecError>,
        since: Moment,
        trace: TraceParent,
    ) -> Result<Settlement, JournalError> {
        let (order, deleted) = match decoded {
            Ok(MappedEvent::Order(order)) => (order, false),
            Ok(MappedEvent::Deleted(OrderDeleted(order))) => (order, true),
            Err(error) => {
                let said = error.to_string();
                let letter = self.letter(message, None, "unreadable", said.clone(), None, trace);
                return Ok(Settlement::Dead(Box::new(LetterToStore { letter, said })));
            }
        };
        let (writer, order) = (&*self.writer, Arc::new(order));
        let Some(ledger) = self.ledger(message).await? else {
            return Ok(Settlement::Release);
        };
        let mut in_hand = self.keys.take(&order.key).await;
        // A replay may be for another target.
        let elsewhere = message.label(Label::Target).is_some_and(|target| target != writer.name.token());
        let ignored = elsewhere || (deleted && order.record.is_empty());
        let forced = message.label(Label::Force).is_some();
        if let Some(letter) = self.unrecordable(ledger, message, &order, trace) {
            let said = letter.message.clone(); // in our words
            return Ok(Settlement::Dead(Box::new(LetterToStore { letter, said })));
        }
        if !ignored {
            self.supersede_waiting(ledger, &order, trace).await?;
        }
        loop {
            // What becomes of it could not be recorded: it is not sent.
            if !self.storage.is_clear() {
                // What is stored meanwhile may be of the time before a hand-over: the ledger is to learn of it.
                self.caught_up.lock().await.behind = true;
                if !self.is_recordable().await || self.ledger(message).await?.is_none() {
                    return Ok(Settlement::Release);
                }
            }
            let held = ledger.get(&order.key);
            let mut certain = true;
            let mut older = OlderVersion::Superseded;
            // Once: what has had its receipt since comes again without effect.
            let forced = forced && held.is_none_or(|held| held.mapped_seq < message.seq);
            let decision = decide(held.as_ref(), ledger.is_open(&order, message.seq), &order, message.seq);
            let sends = decision == Decision::Send || (decision == Decision::Unchanged && forced);
            // One that is not sent anyway cannot go over a newer one; and called open, what the target holds would be sent
            // once more, under another key.
            if sends
                && !ignored
                && let Some(newer) = self.newer(ledger, &order)
            {
                if Box::pin(self.supersede(ledger, message.seq, &order, newer, trace)).await? {
                    writer.counts.note(Outcome::Superseded);
                    return Ok(Settlement::Done);
                }
                if ledger.get(&order.key) != held {
                    continue;
                }
            }
            let (outcome, status, sent_as) = match decision {
                Decision::Settled => return Ok(Settlement::Done),
                Decision::Unchanged if !forced => (Outcome::Unchanged, None, None),
                Decision::Superseded => {
                    if let Some(held) = held.filter(|_| !ignored) {
                        older = self.judge_older_version(message, &order, &held).await?;
                    }
                    (older.outcome(), None, None)
                }
                Decision::Send | Decision::Unchanged if ignored => (Outcome::Ignored, None, None),
                Decision::Send | Decision::Unchanged => {
                    let basis = held.map_or(0, |held| held.basis(order.content));
                    match writer.send(self.row(message, &order, basis, since)).await {
                        Sent::Taken { taken: Taken { outcome, status }, key, while_ours } => {
                            writer.error_budget.taken();
                            certain = while_ours;
                            (outcome, status, Some((key, basis)))
                        }
                        Sent::Failed { error, key, may_be_there } => {
                            if may_be_there {
                                self.may_be_there(message.seq, &order, key.clone());
                            }
                            match Box::pin(self.failed(message, &order, error, &key, trace)).await {
                                Err(settlement) => return Ok(settlement),
                                Ok(()) => (Outcome::Unknown, None, Some((key, basis))),
                            }
                        }
                        Sent::HeldBack => continue,
                        Sent::Stopped { uncertain } => {
                            if let Some(key) = uncertain {
                                self.may_be_there(message.seq, &order, key);
                            }
                            return Ok(Settlement::Release);
                        }
                    }
                }
            };
            let mut receipt = self.receipt(message.seq, &order, held, outcome, status, sent_as);
            // An order that is gone at the source has no state that could be written.
            let gone = deleted && ignored && !elsewhere;
            let read_since =
                receipt.older_stamp.is_some_and(|differs| differs.raw_seq < order.version.raw_seq);
            if older == OlderVersion::Settled || (gone && read_since) {
                receipt.older_stamp = None;
            }
            let recorded;
            (recorded, in_hand) = self.keep(&order, receipt, held, certain, in_hand, trace).await?;
            // Nothing was sent, and another writer has recorded something meanwhile: decide again, knowing that.
            if recorded == Recorded::DecideAgain {
                continue;
            }
            writer.counts.note(if recorded == Recorded::Overwrote { Outcome::Unknown } else { outcome });
            return Ok(Settlement::Done);
        }
    }

    /// Waits until receipts of this partition can be stored; false when it is to be handed over before that.
    pub(crate) async fn is_recordable(&self) -> bool {
        if self.storage.is_clear() {
            return true;
        }
        self.stop.run_until_cancelled(self.storage.cleared()).await.is_some()
    }

    /// The letter of an order that can have no receipt, whatever becomes of it: its key is too long for a subject, or the receipt
    /// for a message. Nothing is sent then. The transformer lets none through; those that older ones stored may come.
    fn unrecordable(
        &self,
        ledger: &Ledger,
        message: &Delivery,
        order: &Arc<MappedOrder>,
        trace: TraceParent,
    ) -> Option<DeadLetter> {
        let (kind, why) = why_unrecordable(order, self.writer.journal.max_payload())?;
        if ledger.get(&order.key).is_some_and(|held| held.mapped_seq == message.seq) {
            return None; // it was written, and has its receipt
        }
        self.writer.counts.dead.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Some(self.letter(message, Some(order), kind, why, None, trace))
    }

    /// Notes that the target may have taken this order, under this key, and that no receipt says so yet: whatever comes meanwhile
    /// is not unchanged.
    pub(crate) fn may_be_there(&self, mapped_seq: u64, order: &Arc<MappedOrder>, key: String) {
        self.attempts.with(mapped_seq, |attempts| {
            attempts.order = Some(Arc::clone(order));
            attempts.uncertain = Some(key);
        });
    }

    /// The content of the newest version that was sent and waits for its answer, or to be sent again, or that a lost writer had in
    /// hand, when that is newer than this one, which must not go over it.
    fn newer(&self, ledger: &Ledger, order: &MappedOrder) -> Option<ContentHash> {
        let waiting = self.attempts.waiting(&order.key, |other| other.version > order.version);
        let waiting = waiting.into_iter().map(|(_, newer, _)| newer).max_by_key(|newer| newer.version);
        waiting.map(|newer| newer.content).or_else(|| ledger.newer_open(order))
    }

    fn row(&self, message: &Delivery, order: &Arc<MappedOrder>, basis: u64, since: Moment) -> Row {
        let (alone, uncertain) = self.attempts.look(message.seq, |attempts| match attempts {
            Some(attempts) => (!attempts.failed.is_empty(), attempts.uncertain.clone()),
            None => (false, None),
        });
        let own = key(order, basis);
        Row {
            seq: message.seq,
            order: Arc::clone(order),
            // Delivered before: whoever had it may have sent it.
            uncertain: uncertain.is_some() || message.delivered > 1,
            under: uncertain.filter(|under| *under != own),
            key: own,
            // One that makes us panic would take the others of its batch along, each time.
            alone: alone || message.panics > 0,
            since,
            stop: self.stop.clone(),
            storage: self.storage.clone(),
        }
    }

    /// What a failure that counts means: `Err` is how the message is settled, `Ok` that its outcome stays unknown.
    async fn failed(
        &self,
        message: &Delivery,
        order: &Arc<MappedOrder>,
        error: TargetError,
        key: &str,
        trace: TraceParent,
    ) -> Result<(), Settlement> {
        let writer = &*self.writer;
        let (class, why) = (error.class(), writer.said(&error));
        let (attempts, uncertain) = self.attempts.with(message.seq, |attempts| {
            // For the letter, where whoever shows it knows what to hide.
            attempts.failed.push(Attempt { at: now(), message: service::chain(&error) });
            attempts.order = Some(Arc::clone(order));
            if class == Class::Uncertain {
                attempts.uncertain = Some(key.to_string());
            }
            (attempts.failed.len(), attempts.uncertain.is_some())
        });
        // One that is told apart from the others will be told the same again.
        let spent = attempts as u64 >= u64::from(writer.max_attempts) || error.is_of_the_order();
        if class != Class::Permanent && !spent {
            let after = writer.retry.delay(attempts.min(20));
            tracing::warn!(key = %order.key, error = why, attempt = attempts, ?after, "an order is tried again");
            return Err(Settlement::Retry(after));
        }
        // A proxy's no to a repetition says nothing about the request whose answer was lost.
        if uncertain && (class != Class::Permanent || error.is_of_the_order()) {
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
        writer.counts.dead.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Err(Settlement::Dead(Box::new(LetterToStore { letter, said: why })))
    }
}

/// The idempotency key of a request with this order alone: the same over every retry, another one for other content and
/// as soon as the target took something.
pub(crate) fn key(order: &MappedOrder, basis: u64) -> String {
    format!("{}-{basis}-{}", order.key.token(), &order.content.to_string()[..16])
}
