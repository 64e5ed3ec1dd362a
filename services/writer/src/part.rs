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
    /// It failed in a way that counts; it was sent under this key.
    Failed { error: TargetError, key: String },
    /// It is not sent (any more): we are told to stop, or it may be in other hands by now. It may have been written under
    /// this key.
    Stopped { uncertain: Option<String> },
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
    /// An answer was lost.
    pub(crate) uncertain: bool,
}

impl Part {
    pub(crate) fn new(parcels: Vec<Parcel>) -> Self {
        let uncertain = parcels.iter().any(|parcel| parcel.row.uncertain);
        let key = match parcels.as_slice() {
            [one] => one.row.under.clone(),
            _ => None,
        };
        let borrowed = key.is_some();
        Self { parcels, key, borrowed, failures: 0, begun: false, uncertain }
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
        };
        [half(self.parcels), half(second)]
    }
}
