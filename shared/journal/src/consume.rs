//! The one consume-handle-settle loop. A handler returns a [`Settlement`]; only this file acks, naks or terminates.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, Consumer, PriorityPolicy, pull};
use async_nats::jetstream::context::ConsumerInfoErrorKind;
use async_nats::jetstream::message::Acker;
use async_nats::jetstream::{AckKind, Message};
use events::TargetName;
use futures::{FutureExt, StreamExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::log::micros;
use crate::panics::{Panics, letter_of, panic_message};
use crate::pin::GROUP;
use crate::{Delivery, Journal, JournalError, LetterToStore, Stream, Topology};

/// How long letting go of a pin may take.
const UNPIN: Duration = Duration::from_secs(2);

/// A message that is to become a letter and cannot be read now is tried again after this long.
const UNREAD: Duration = Duration::from_secs(5);

/// What a handler decided about a message.
#[derive(Debug)]
pub enum Settlement {
    /// The work is done and stored: ack.
    Done,
    /// Try again after this long: nak with delay.
    Retry(Duration),
    /// It will never work: store the letter, then terminate.
    Dead(Box<LetterToStore>),
    /// Not begun (shutdown): somebody else may have it at once.
    Release,
}

/// What is consumed, and how.
#[derive(Debug, Clone)]
pub struct Consumption {
    /// The stream.
    pub stream: Stream,
    /// The durable consumer's name; replicas that share it share the work.
    pub durable: String,
    /// Only this subject, when given.
    pub filter: Option<String>,
    /// Messages in hand at the same time.
    pub in_flight: usize,
    /// How long a message may stay unsettled before it is delivered again. Work that takes longer is kept alive.
    pub ack_wait: Duration,
    /// Pinned to one replica at a time; the pin passes on after this long without a pull.
    pub pinned: Option<Duration>,
    /// How long work in hand may take after the shutdown signal.
    pub grace: Duration,
    /// A message over which the handler panics so often becomes a dead letter.
    pub max_attempts: u32,
    /// The target that such a letter is about.
    pub target: Option<TargetName>,
}

impl Consumption {
    pub(crate) fn config(&self) -> pull::Config {
        pull::Config {
            durable_name: Some(self.durable.clone()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.ack_wait,
            max_deliver: -1,
            // Enough for many replicas; what one replica holds is bounded by `in_flight`.
            max_ack_pending: 20_000,
            filter_subject: self.filter.clone().unwrap_or_default(),
            priority_policy: match self.pinned {
                Some(_) => PriorityPolicy::PinnedClient,
                None => PriorityPolicy::None,
            },
            priority_groups: self.pinned.iter().map(|_| GROUP.to_string()).collect(),
            priority_timeout: self.pinned.unwrap_or_default(),
            ..pull::Config::default()
        }
    }
}

impl Journal {
    /// Consumes until `shutdown`, then finishes what is in hand within the grace period and gives back the rest.
    ///
    /// # Errors
    /// When the consumer cannot be set up. Trouble after that is waited out; a consumer that the server has forgotten is set up
    /// again and delivers everything once more, which whoever handles it has to recognise anyway.
    pub async fn consume<H, F>(
        &self,
        topology: &Topology,
        consumption: &Consumption,
        shutdown: &CancellationToken,
        handler: H,
    ) -> Result<(), JournalError>
    where
        H: Fn(Delivery) -> F + Send + Sync + 'static,
        F: Future<Output = Settlement> + Send + 'static,
    {
        let worker = Arc::new(Worker {
            journal: self.clone(),
            topology: topology.clone(),
            consumption: consumption.clone(),
            panics: Panics::default(),
            handler,
        });
        let permits = Arc::new(Semaphore::new(consumption.in_flight.max(1)));
        let (mut in_hand, pinned) = (JoinSet::new(), watch::Sender::new(None::<String>));
        let _held = consumption.pinned.map(|lasts| {
            let (journal, pin) = (self.clone(), pinned.subscribe());
            let stream = topology.stream(consumption.stream);
            let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", consumption.durable);
            AbortOnDropHandle::new(tokio::spawn(async move { journal.hold_pin(next, lasts, pin).await }))
        });
        'connected: while !shutdown.is_cancelled() {
            // Each time: it is set up once, and there ever after, unless the server has forgotten it.
            let Some(consumer) = self.consumer_when_possible(topology, consumption, shutdown).await? else {
                break;
            };
            let Some(mut messages) = self.pull(&consumer, consumption, shutdown).await else {
                break;
            };
            loop {
                let permit = tokio::select! {
                    () = shutdown.cancelled() => break 'connected,
                    permit = Arc::clone(&permits).acquire_owned() => permit,
                };
                let message = tokio::select! {
                    () = shutdown.cancelled() => break 'connected,
                    message = messages.next() => message,
                };
                match message {
                    Some(Ok(message)) => {
                        let pin = crate::delivery::pin_of(message.headers.as_ref());
                        if pin.is_some() && pin != pinned.borrow().as_deref() {
                            pinned.send_replace(pin.map(str::to_string));
                        }
                        let worker = Arc::clone(&worker);
                        // Boxed: a task is copied several times until it runs and when it ends, and this one holds a handler.
                        in_hand.spawn(Box::pin(async move {
                            worker.settle(message).await;
                            drop(permit);
                        }));
                    }
                    // The stream recovers by itself from a restarting server.
                    Some(Err(error)) => {
                        tracing::debug!(%error, consumer = consumption.durable, "pull interrupted");
                        if error.kind() == pull::MessagesErrorKind::NoResponders && is_gone(&consumer).await {
                            tracing::warn!(
                                consumer = consumption.durable,
                                "nats-server has forgotten a consumer; it begins anew"
                            );
                            pinned.send_replace(None);
                            break;
                        }
                    }
                    // The next pulls do not know of the pin, so it must be free to come to them.
                    None => {
                        pinned.send_replace(None);
                        break;
                    }
                }
                while in_hand.try_join_next().is_some() {}
            }
        }
        drain(in_hand, consumption).await;
        let pin = pinned.borrow().clone();
        if let Some(pin) = pin {
            // Without NATS this would wait for it; the pin then times out by itself.
            let _ = tokio::time::timeout(UNPIN, self.unpin(topology, consumption, &pin)).await;
        }
        Ok(())
    }

    async fn pull(
        &self,
        consumer: &Consumer<pull::Config>,
        consumption: &Consumption,
        shutdown: &CancellationToken,
    ) -> Option<pull::Stream> {
        loop {
            let builder = consumer
                .stream()
                // Little is buffered here: what waits in a buffer is not kept alive.
                .max_messages_per_batch(consumption.in_flight.clamp(1, 500))
                .heartbeat(Duration::from_secs(1))
                .expires(Duration::from_secs(3));
            let builder = if consumption.pinned.is_some() { builder.group(GROUP) } else { builder };
            match builder.messages().await {
                Ok(messages) => return Some(messages),
                Err(error) => {
                    tracing::warn!(%error, consumer = consumption.durable, "cannot pull; trying again")
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(Duration::from_millis(250)) => {}
            }
        }
    }

    /// Sets the consumer up, waiting while NATS is away; `None` when told to stop meanwhile.
    async fn consumer_when_possible(
        &self,
        topology: &Topology,
        consumption: &Consumption,
        shutdown: &CancellationToken,
    ) -> Result<Option<Consumer<pull::Config>>, JournalError> {
        loop {
            let tried = tokio::select! {
                () = shutdown.cancelled() => return Ok(None),
                tried = self.consumer(topology, consumption) => tried,
            };
            match tried {
                Err(error) if error.is_retryable() => {
                    let error = error.with_causes();
                    tracing::warn!(
                        error,
                        consumer = consumption.durable,
                        "cannot set up a consumer; trying again"
                    );
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                other => return other.map(Some),
            }
        }
    }

    async fn consumer(
        &self,
        topology: &Topology,
        consumption: &Consumption,
    ) -> Result<Consumer<pull::Config>, JournalError> {
        let (stream, what) =
            (topology.stream(consumption.stream), format!("set up consumer {}", consumption.durable));
        self.jetstream()
            .create_consumer_on_stream(consumption.config(), stream)
            .await
            .map_err(|error| self.unavailable(what, error))
    }
}

/// Whether the server knows nothing of this consumer. One that is killed while it writes a consumer down (its checksum is missing
/// then) does not find it when it starts again; whoever pulled would go on pulling, and nothing would come.
async fn is_gone(consumer: &Consumer<pull::Config>) -> bool {
    consumer.get_info().await.is_err_and(|error| error.kind() == ConsumerInfoErrorKind::NotFound)
}

/// Lets the work in hand end, but not for ever: what is cut off is delivered again after its ack wait.
async fn drain(mut in_hand: JoinSet<()>, consumption: &Consumption) {
    let ended =
        tokio::time::timeout(consumption.grace, async { while in_hand.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(
            left = in_hand.len(),
            consumer = consumption.durable,
            "grace period over, work in hand cut off"
        );
    }
}

struct Worker<H> {
    journal: Journal,
    topology: Topology,
    consumption: Consumption,
    panics: Panics,
    handler: H,
}

impl<H, F> Worker<H>
where
    H: Fn(Delivery) -> F + Send + Sync + 'static,
    F: Future<Output = Settlement> + Send + 'static,
{
    async fn settle(&self, message: Message) {
        let Ok(info) = message.info() else {
            tracing::error!(subject = %message.subject, "a delivery without JetStream's reply subject was ignored");
            return;
        };
        let (stream, seq) = (info.stream.to_string(), info.stream_sequence);
        let delivered = u64::try_from(info.delivered).unwrap_or(1);
        let stored_at = micros(info.published);
        let (message, acker) = message.split();
        let async_nats::Message { subject, payload, headers, .. } = message;
        let trace = crate::delivery::trace_of(headers.as_ref());
        let subject = subject.into_string();
        let panics = self.panics.count(seq);
        let delivery = Delivery { stream, seq, stored_at, panics, delivered, subject, payload, headers };
        // Also what the handler does before it returns its future.
        let handling = AssertUnwindSafe(async { (self.handler)(delivery).await }).catch_unwind();
        let settlement = match self.alive(&acker, handling).await {
            Ok(settlement) => {
                self.panics.forget(seq);
                settlement
            }
            Err(panic) => {
                let said = panic_message(&*panic);
                drop(panic);
                Box::pin(self.after_panic(seq, said)).await
            }
        };
        let ack = match settlement {
            Settlement::Done => AckKind::Ack,
            Settlement::Retry(after) => AckKind::Nak(Some(after.max(Duration::from_millis(1)))),
            Settlement::Release => AckKind::Nak(Some(Duration::from_millis(1))),
            Settlement::Dead(letter) => {
                let burying = self.journal.store_letter_patiently(&self.topology, &letter, trace);
                Box::pin(self.alive(&acker, burying)).await;
                self.panics.forget(seq);
                AckKind::Term
            }
        };
        // An ack is not durable, not even a confirmed one; when it is lost the message comes again, and what it did
        // before is recognised (design note in ARCHITECTURE.md). So it is not waited for.
        if let Err(error) = acker.ack_with(ack).await {
            tracing::debug!(%error, seq, "ack not sent; the message will come again");
        }
    }

    /// Has the message tried again, or made a dead letter when its handler has panicked too often.
    async fn after_panic(&self, seq: u64, said: String) -> Settlement {
        let Consumption { stream, durable, max_attempts, target, .. } = &self.consumption;
        let attempts = match self.panics.note(seq, &said, *max_attempts) {
            Ok(pause) => {
                tracing::error!(consumer = durable, seq, said, again_in = ?pause, "a handler panicked");
                return Settlement::Retry(pause);
            }
            Err(attempts) => attempts,
        };
        let count = attempts.len();
        tracing::error!(consumer = durable, seq, said, attempts = count, "a handler panicked; a dead letter");
        match self.journal.find(&self.topology, *stream, seq).await {
            Ok(Some(entry)) => {
                letter_of(*stream, self.topology.stream(*stream), &entry, target.as_ref(), attempts)
            }
            Ok(None) => Settlement::Done, // it is gone, and nobody can handle it any more
            Err(error) => {
                tracing::warn!(error = error.with_causes(), seq, "a message that is to be a letter waits");
                Settlement::Retry(UNREAD)
            }
        }
    }

    /// Runs `work`, telling the server every third of the ack wait that it is still in hand. Stops when `work` ends.
    async fn alive<T>(&self, acker: &Acker, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(self.consumption.ack_wait / 3) => {
                    if let Err(error) = acker.ack_with(AckKind::Progress).await {
                        tracing::debug!(%error, "keep-alive not sent");
                    }
                }
            }
        }
    }
}
