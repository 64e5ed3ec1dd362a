//! Sending: one request when the circuit, the limits and a free slot allow, until every order of it has an answer. A batch
//! that is refused is halved until the bad orders stand alone.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use events::{Outcome, TargetName};
use http::{Class, RetryPolicy};
use journal::{Budget, Committer, Contact, Journal, Topology};
use service::config::Operators;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::Counts;
use crate::circuit::{Circuit, Pass};
use crate::concurrency::{Concurrency, Load, Slot};
use crate::error_budget::ErrorBudget;
use crate::front::{Blame, FrontRefusals, RefusedRequest, RequestSize};
use crate::part::{Parcel, Part, Sent, answered};
use crate::target::{Row, Taken, Target, TargetError};

/// A batch that fails for no reason of its own is tried so often as it is before it is halved: one of its orders may be
/// what the target stumbles over.
const TOGETHER: usize = 2;

/// Once an answer was lost it stays together for longer: only under its own key does the target know what it took.
const TOGETHER_UNCERTAIN: usize = 5;

/// How long after the word to stop a part that was begun goes on. What it begins then ends before the pin can pass on: that
/// lasts for the timeout and 3 s more after the last pull has ended.
const AFTERWARDS: Duration = Duration::from_secs(2);

/// A target that answers something else is asked so often what it holds.
const QUESTIONS: u32 = 3;

/// Nothing was sent.
const NOT_SENT: Sent = Sent::Stopped { uncertain: None };

/// What the partitions of one writer share.
pub(crate) struct Writer {
    pub(crate) topology: Topology,
    pub(crate) name: TargetName,
    pub(crate) journal: Journal,
    pub(crate) target: Target,
    pub(crate) circuit: Circuit,
    /// Refusals by something in front of the target.
    pub(crate) front: FrontRefusals,
    pub(crate) concurrency: Concurrency,
    /// Calls and pauses, shared by all writers of the target.
    pub(crate) limit: Arc<Budget>,
    /// The pause after "too many requests" that does not say how long.
    pub(crate) penalty: Duration,
    pub(crate) error_budget: Arc<ErrorBudget>,
    pub(crate) contact: Contact,
    pub(crate) committer: Committer,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_attempts: u32,
    pub(crate) counts: Arc<Counts>,
    /// What may be said outside of letters.
    pub(crate) operators: Operators,
    /// Where orders gather that go out in batches; `None` when each goes alone.
    pub(crate) gathering: Option<mpsc::Sender<Parcel>>,
}

/// Whether a request that failed may have been done all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certainty {
    NotDone,
    MayBeDone,
}

fn left_open(error: &TargetError) -> Certainty {
    if error.may_be_done() { Certainty::MayBeDone } else { Certainty::NotDone }
}

/// A hash of status and text of an answer, without what differs from one to the next.
fn hash_of_answer(error: &TargetError) -> u64 {
    let (status, excerpt) = error.answer().unwrap_or_default();
    let mut hasher = std::hash::DefaultHasher::new();
    (status, events::pattern(excerpt, &[])).hash(&mut hasher);
    hasher.finish()
}

/// What one request came to.
enum Attempted {
    Taken(Vec<Taken>),
    Failed(TargetError),
    /// Nothing was decided: the circuit has opened, or a pause has begun.
    Later(Class),
    /// It may be about what was sent: whatever else is in hand goes first.
    OthersFirst(Certainty),
    /// Nothing was sent: what becomes of some of the orders cannot be recorded now.
    HeldBack,
    Stopped,
}

impl Writer {
    /// Sends the order, waiting out every outage, until it has an answer or its partition is handed over.
    pub(crate) async fn send(&self, row: Row) -> Sent {
        let stop = row.stop.clone();
        let alone = row.alone;
        let (parcel, mut waiting) = Parcel::new(row);
        match &self.gathering {
            Some(gathering) if !alone => {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return NOT_SENT,
                    handed = gathering.send(parcel) => if handed.is_err() { return NOT_SENT },
                }
                tokio::select! {
                    biased;
                    sent = &mut waiting.answer => return answered(sent),
                    () = stop.cancelled() => if waiting.take_back() { return NOT_SENT },
                }
            }
            _ => self.carry(vec![parcel], None).await,
        }
        answered(waiting.answer.await)
    }

    /// Sends orders together until each has an answer. `slot` is the turn of the first request, when it has come already.
    pub(crate) async fn carry(&self, parcels: Vec<Parcel>, mut slot: Option<Slot<'_>>) {
        let mut parts = vec![Part::new(parcels)];
        while let Some(mut part) = parts.pop() {
            if part.uncertain && self.target.can_be_asked() {
                drop(slot.take()); // each question takes a turn of its own
                Box::pin(self.ask(&mut part)).await;
            }
            // Who gave up waiting has given the order away with its partition.
            part.parcels.retain(|parcel| !parcel.is_abandoned());
            part.hold_back();
            if part.parcels.is_empty() {
                self.return_turn(slot.take());
                continue;
            }
            match self.attempt(&mut part, slot.take()).await {
                Attempted::Taken(taken) => {
                    let key = part.key();
                    for (parcel, taken) in part.parcels.into_iter().zip(taken) {
                        let while_ours = self.is_ours(&parcel.row);
                        parcel.answer(Sent::Taken { taken, key: key.clone(), while_ours });
                    }
                }
                Attempted::Stopped => {
                    let uncertain = part.uncertain.then(|| part.key.clone()).flatten();
                    for parcel in part.parcels {
                        parcel.answer(Sent::Stopped { uncertain: uncertain.clone() });
                    }
                }
                Attempted::OthersFirst(certainty) => {
                    part.refused = part.refused.saturating_add(1);
                    part.left_open |= certainty == Certainty::MayBeDone;
                    part.uncertain |= part.left_open;
                    parts.insert(0, part);
                }
                Attempted::Later(class) => {
                    part.left_open |= class == Class::Uncertain;
                    part.uncertain |= part.left_open;
                    parts.push(part);
                }
                Attempted::HeldBack => parts.push(part),
                Attempted::Failed(error) => parts.extend(Box::pin(self.after(part, error)).await),
            }
        }
    }

    /// What is to be sent after a request failed in a way that counts; last comes first.
    async fn after(&self, mut part: Part, error: TargetError) -> Vec<Part> {
        let (class, partly_written) = (error.class(), error.is_of_a_part() || part.borrowed);
        part.left_open |= class == Class::Uncertain;
        part.uncertain |= part.left_open;
        // What a proxy says of a repetition says nothing about the request before it, whose answer was lost.
        let is_open = part.uncertain && error.is_of_the_order();
        let blames_orders = matches!(class, Class::Permanent | Class::Refusing) && !is_open;
        let alone = part.parcels.len() == 1;
        if part.borrowed && (error.is_of_another_request() || (alone && blames_orders)) {
            // Under a borrowed key the answer may be that of the whole batch: only one of its own condemns an order.
            part.leave_the_batch();
            return vec![part];
        }
        if alone {
            let key = part.key();
            if let Some(one) = part.parcels.pop() {
                one.answer(Sent::Failed { error, key, may_be_there: part.left_open });
            }
            return Vec::new();
        }
        part.failures += 1;
        let together = if part.uncertain { TOGETHER_UNCERTAIN } else { TOGETHER };
        if !blames_orders && part.failures < together {
            tokio::time::sleep(self.retry.delay(part.failures)).await;
            return vec![part];
        }
        tracing::info!(orders = part.parcels.len(), error = self.said(&error), "a batch is halved");
        let [first, second] = part.halves(partly_written);
        vec![second, first]
    }

    /// Answers the orders of an uncertain part that the target is found to hold. Stops at the first that it does not: the
    /// request was not done, or not to its end, and goes out again under the same key.
    async fn ask(&self, part: &mut Part) {
        let key = part.key();
        let mut unanswered = 0;
        while let Some(parcel) = part.parcels.first() {
            let Some(slot) = self.turn(part).await else { return };
            let held = self.target.holds(&parcel.row).await;
            match held {
                Ok(Some(true)) => {
                    self.works(&slot);
                    tracing::info!(key = %parcel.row.order.key, "the target holds this order: the lost answer was a yes");
                    let taken = Taken { outcome: Outcome::Written, status: None };
                    let parcel = part.parcels.remove(0);
                    let while_ours = self.is_ours(&parcel.row);
                    parcel.answer(Sent::Taken { taken, key: key.clone(), while_ours });
                }
                Ok(_) => return self.works(&slot),
                Err(error) => {
                    // An answer that tells nothing will tell nothing the next time: the order goes out under its key.
                    unanswered += u32::from(error.answer().is_some_and(|(status, _)| status < 500));
                    let asked_enough = unanswered >= QUESTIONS;
                    if self.judged(&error, parcel.row.seq, &slot).await.is_none() || asked_enough {
                        let key = &parcel.row.order.key;
                        tracing::warn!(%key, error = self.said(&error), "the target cannot be asked what it holds");
                        return;
                    }
                }
            }
        }
    }

    async fn attempt(&self, part: &mut Part, slot: Option<Slot<'_>>) -> Attempted {
        let slot = match slot {
            Some(slot) => slot,
            None => match self.turn(part).await {
                Some(slot) => slot,
                None => return Attempted::Stopped,
            },
        };
        // All of them came into our hands before the silence, if there was one.
        let now = self.contact.fresh().await;
        if part.rows().iter().any(|row| Some(row.since) != now) {
            self.circuit.unused();
            tracing::warn!(
                "we were out of touch with NATS for long: what was in hand is given back, others may have it"
            );
            return Attempted::Stopped;
        }
        if !part.is_recordable() {
            self.return_turn(Some(slot));
            return Attempted::HeldBack;
        }
        let key = part.key();
        part.begun = true;
        let rows = part.rows();
        match self.target.write(&rows, &key).await {
            Ok(taken) => {
                self.front.note_pass(rows[0].seq, Instant::now());
                self.works(&slot);
                Attempted::Taken(taken)
            }
            Err(error) => {
                drop(rows);
                self.failed_attempt(part, error, &slot).await
            }
        }
    }

    /// Decides whom a failed request is about. A refusal that looks like an outage is about what was sent if other requests
    /// pass.
    async fn failed_attempt(&self, part: &mut Part, error: TargetError, slot: &Slot<'_>) -> Attempted {
        let seq = part.parcels.first().map_or(0, |parcel| parcel.row.seq);
        let others_first = error.may_be_about_an_order();
        if others_first {
            let passes_at_first = *part.passes_at_first.get_or_insert_with(|| self.front.passes());
            let size = if part.parcels.len() == 1 { RequestSize::One } else { RequestSize::Several };
            let answer = hash_of_answer(&error);
            let request = RefusedRequest { seq, size, answer, passes_at_first: Some(passes_at_first) };
            match self.front.note_refusal(request, Instant::now()) {
                Blame::Order => {
                    slot.report(Load::Fine);
                    self.circuit.unused();
                    return Attempted::Failed(TargetError::OfTheOrder(Box::new(error)));
                }
                Blame::OneOfTheBatch => {
                    let why = self.operators.hidden(&error, error.theirs());
                    self.circuit.down(None, &why.unwrap_or_else(|| error.to_string()));
                    return Attempted::Failed(TargetError::OfTheOrder(Box::new(error)));
                }
                Blame::Target(Some(again)) => {
                    slot.report(Load::Fine);
                    let why = self.operators.hidden(&error, error.theirs());
                    self.circuit.down(Some(again), &why.unwrap_or_else(|| error.to_string()));
                    return Attempted::OthersFirst(left_open(&error));
                }
                Blame::Target(None) => {}
            }
        }
        match self.judged(&error, seq, slot).await {
            // Another part of the batch is the next probe: one that is refused for ever would hold up its own rest.
            Some(class) if others_first && class != Class::Uncertain => {
                Attempted::OthersFirst(left_open(&error))
            }
            // It was sent, and nobody said what became of it.
            Some(_) if error.may_be_done() => Attempted::Later(Class::Uncertain),
            Some(class) => Attempted::Later(class),
            None => Attempted::Failed(error),
        }
    }

    /// Whether the order cannot have come into other hands since it came into ours.
    fn is_ours(&self, row: &Row) -> bool {
        self.contact.is_safe() && self.contact.moment() == row.since
    }

    /// An error with its causes, as everybody may see it.
    pub(crate) fn said(&self, error: &TargetError) -> String {
        self.operators.said(error, error.theirs())
    }

    fn works(&self, slot: &Slot<'_>) {
        slot.report(Load::Fine);
        self.circuit.works();
    }

    /// Does what a failure means for the requests to come. `Some` when it is not the fault of what was sent.
    async fn judged(&self, error: &TargetError, seq: u64, slot: &Slot<'_>) -> Option<Class> {
        let class = error.class();
        let why = self.operators.hidden(error, error.theirs()).unwrap_or_else(|| error.to_string());
        slot.report(match class {
            Class::Permanent | Class::Refusing | Class::Credentials => Load::Fine,
            Class::Retryable | Class::Uncertain => Load::Doubtful,
            Class::Outage | Class::Throttled(_) => Load::TooMuch,
        });
        match class {
            Class::Outage | Class::Credentials => self.circuit.down(None, &why),
            Class::Throttled(wait) => {
                // Ignore `Retry-After: 0` on a 429.
                let wait = wait.filter(|wait| !wait.is_zero()).unwrap_or(self.penalty);
                self.circuit.down(Some(wait), &why);
                self.limit.pause(wait).await;
            }
            Class::Permanent | Class::Refusing => {
                self.circuit.works();
                return None;
            }
            Class::Retryable | Class::Uncertain => {
                return self.circuit.doubtful(seq, &why).then_some(class);
            }
        }
        Some(class)
    }

    /// Gives a turn back that is not used: if it was the probe, another request may probe at once.
    fn return_turn(&self, slot: Option<Slot<'_>>) {
        if slot.is_some() {
            self.circuit.unused();
        }
    }

    /// Waits for a turn; `None` when the orders' partition is to be handed over meanwhile. What has been sent already is
    /// seen through as long as the target works.
    async fn turn(&self, part: &Part) -> Option<Slot<'_>> {
        let stopped = async {
            part.stopped().await;
            if part.begun {
                let _ = tokio::time::timeout(AFTERWARDS, self.circuit.opened()).await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => {
                self.circuit.unused(); // it may have been our turn to probe, and we were waiting for the rest
                None
            }
            slot = async {
                part.recordable().await;
                self.slot(part.refused).await
            } => Some(slot),
        }
    }

    /// Waits until a request may be sent. A slot is not held while the circuit is open, or a few waiting orders would
    /// hold all of them. Those that were `refused` less often probe first.
    pub(crate) async fn slot(&self, refused: u32) -> Slot<'_> {
        loop {
            self.error_budget.open().await;
            let pass = self.circuit.pass(refused).await;
            let slot = self.concurrency.take().await;
            let shut = self.error_budget.stopped().is_some() || !self.circuit.is_closed();
            if pass == Pass::Free && shut {
                continue;
            }
            self.limit.wait().await;
            return slot;
        }
    }
}
