//! Orders that go out together, and the way back of what became of each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;

use crate::target::{Row, Taken, TargetError};

/// What sending an order came to.
#[derive(Debug)]
pub(crate) enum Sent {
    /// The target answered; whether it did so while the order was ours for certain.
    Taken { taken: Taken, key: String, while_ours: bool },
    /// It failed in a way that counts; it was sent under this key, and a request before may have been done.
    Failed { error: TargetError, key: String, may_be_there: bool },
    /// It is not sent (any more): we are told to stop, or it may be in other hands by now. It may have been written under
    /// this key.
    Stopped { uncertain: Option<String> },
    /// It was not sent: receipts of its partition cannot be stored, and what became of it could not be recorded either.
    HeldBack,
}

/// An order on its way to the target.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) row: Row,
    reply: oneshot::Sender<Sent>,
    claimed: Arc<AtomicBool>,
}

/// Where the answer to a parcel arrives.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) answer: oneshot::Receiver<Sent>,
    claimed: Arc<AtomicBool>,
}

impl Parcel {
    pub(crate) fn new(row: Row) -> (Self, Waiting) {
        let ((reply, answer), claimed) = (oneshot::channel(), Arc::<AtomicBool>::default());
        (Self { row, reply, claimed: Arc::clone(&claimed) }, Waiting { answer, claimed })
    }

    /// Takes it up for sending; false when who handed it in has taken it back.
    pub(crate) fn claim(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }

    /// Whether nobody waits for the answer any more: its partition was given away when the grace period was over.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    pub(crate) fn answer(self, sent: Sent) {
        let _ = self.reply.send(sent); // nobody waits any more when the grace period is over
    }
}

impl Waiting {
    /// Takes the order back; false when it is being sent already.
    pub(crate) fn take_back(&self) -> bool {
        !self.claimed.swap(true, Ordering::AcqRel)
    }
}

/// What an order was answered. Whoever carried it panicked when there is no answer: so does its
/// handler, which is counted there. The order may have been sent, and comes again under the same
/// key.
pub(crate) fn answered(sent: Result<Sent, oneshot::error::RecvError>) -> Sent {
    sent.unwrap_or_else(|_| panic!("the task that sends a batch has ended without an answer"))
}

/// Orders of one request: a batch, or what is left of one that was split.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) parcels: Vec<Parcel>,
    /// The idempotency key it goes out under; made when it goes out first.
    pub(crate) key: Option<String>,
    /// Whether the key is that of a larger batch it was part of. A target that keeps keys by order knows then what it
    /// has taken already; one that keeps answers by request may give the old answer, so no order is refused for it.
    pub(crate) borrowed: bool,
    /// How often it failed as it is.
    pub(crate) failures: usize,
    /// It was sent: its orders may be there.
    pub(crate) begun: bool,
    /// An answer was lost, perhaps by whoever had these orders before.
    pub(crate) uncertain: bool,
    /// An answer was lost, or could not be understood, since we have had them.
    pub(crate) left_open: bool,
    /// How many requests had passed when it was refused in front of the target, or a larger batch that held it was.
    pub(crate) passes_at_first: Option<u64>,
    /// How often it was refused there as it is.
    pub(crate) refused: u32,
}

impl Part {
    pub(crate) fn new(parcels: Vec<Parcel>) -> Self {
        let uncertain = parcels.iter().any(|parcel| parcel.row.uncertain);
        let key = match parcels.as_slice() {
            [one] => one.row.under.clone(),
            _ => None,
        };
        let borrowed = key.is_some();
        Self {
            parcels,
            key,
            borrowed,
            failures: 0,
            begun: false,
            uncertain,
            left_open: false,
            passes_at_first: None,
            refused: 0,
        }
    }

    pub(crate) fn rows(&self) -> Vec<&Row> {
        self.parcels.iter().map(|parcel| &parcel.row).collect()
    }

    /// The key it goes out under.
    pub(crate) fn key(&mut self) -> String {
        if self.key.is_none() {
            self.key = Some(self.own_key());
        }
        self.key.clone().unwrap_or_default()
    }

    /// Gives it a key of its own instead of the one of the batch it was part of.
    pub(crate) fn leave_the_batch(&mut self) {
        (self.key, self.borrowed) = (Some(self.own_key()), false);
    }

    fn own_key(&self) -> String {
        if let [one] = self.parcels.as_slice() {
            return one.row.key.clone();
        }
        let mut hash = blake3::Hasher::new();
        for parcel in &self.parcels {
            hash.update(parcel.row.key.as_bytes()).update(b"\n");
        }
        format!("batch-{}", &hash.finalize().to_hex()[..32])
    }

    /// Cancelled as soon as the partition of any of its orders is to be handed over.
    pub(crate) async fn stopped(&self) {
        let stops = self.parcels.iter().map(|parcel| Box::pin(parcel.row.stop.cancelled()));
        match self.parcels.len() {
            0 => std::future::pending().await,
            1 => self.parcels[0].row.stop.cancelled().await,
            _ => drop(futures::future::select_all(stops).await),
        }
    }

    /// Whether what becomes of its orders can be recorded, as far as is known.
    pub(crate) fn is_recordable(&self) -> bool {
        self.parcels.iter().all(|parcel| parcel.row.storage.is_clear())
    }

    /// Waits until what becomes of its orders can be recorded.
    pub(crate) async fn recordable(&self) {
        for parcel in &self.parcels {
            parcel.row.storage.cleared().await;
        }
    }

    /// Gives back the orders of which it could not be recorded what became of them. Once it was sent, all of it stays together:
    /// its orders may be there.
    pub(crate) fn hold_back(&mut self) {
        if self.begun || self.is_recordable() {
            return;
        }
        for parcel in std::mem::take(&mut self.parcels) {
            if parcel.row.storage.is_clear() {
                self.parcels.push(parcel);
            } else {
                parcel.answer(Sent::HeldBack);
            }
        }
    }

    /// Two halves, to be sent one after the other. Where some of its orders were written, under the key of the whole: what
    /// the target has taken it then does not take again. Else each under its own, for a target that keeps answers by key
    /// would give the second half the answer of the first.
    pub(crate) fn halves(mut self, partly_written: bool) -> [Self; 2] {
        let key = partly_written.then(|| self.key());
        let second = self.parcels.split_off(self.parcels.len() / 2);
        let half = |parcels| Self {
            parcels,
            key: key.clone(),
            borrowed: partly_written,
            failures: 0,
            begun: true,
            uncertain: self.uncertain,
            left_open: self.left_open,
            passes_at_first: self.passes_at_first,
            refused: 0,
        };
        [half(self.parcels), half(second)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[should_panic(expected = "ended without an answer")]
    async fn an_order_whose_batch_panicked_is_no_order_that_was_given_back() {
        let (reply, answer) = oneshot::channel();
        drop::<oneshot::Sender<Sent>>(reply);
        answered(answer.await);
    }
}
