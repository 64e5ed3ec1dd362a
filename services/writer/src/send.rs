//! Sending one order: when the circuit, the pace and a free slot allow, and again when an outage is over.

use std::sync::Arc;

use events::{MappedOrder, Outcome, TargetName};
use http::{Class, Pace, RetryPolicy};
use journal::{Committer, Journal, Topology};
use qeasy::{Qeasy, Verdict, WriteError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use crate::Counts;
use crate::circuit::{Circuit, Pass};

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
}

/// What sending came to.
pub(crate) enum Sent {
    /// The target answered.
    Answered { outcome: Outcome, status: u16 },
    /// It failed in a way that counts.
    Failed(WriteError),
    /// Nothing was sent: we are told to stop.
    Stopped,
}

impl Writer {
    /// Sends the order, waiting out every outage, until `stop`.
    pub(crate) async fn send(
        &self,
        seq: u64,
        order: &MappedOrder,
        idempotency_key: &str,
        stop: &CancellationToken,
    ) -> Sent {
        loop {
            let _slot = tokio::select! {
                biased;
                () = stop.cancelled() => return Sent::Stopped,
                slot = self.turn() => slot,
            };
            let error = match self.qeasy.write(&order.record, idempotency_key).await {
                Ok(written) => {
                    self.circuit.works();
                    let outcome = match written.verdict {
                        Verdict::Written => Outcome::Written,
                        Verdict::Repeat => Outcome::Repeat,
                    };
                    return Sent::Answered { outcome, status: written.status };
                }
                Err(error) => error,
            };
            let why = error.to_string();
            match error.class() {
                Class::Outage | Class::Credentials => self.circuit.down(None, &why),
                Class::Throttled(wait) => self.circuit.down(wait, &why),
                Class::Permanent | Class::Refusing => {
                    self.circuit.works();
                    return Sent::Failed(error);
                }
                Class::Retryable | Class::Uncertain => {
                    if !self.circuit.doubtful(seq, &why) {
                        return Sent::Failed(error);
                    }
                }
            }
        }
    }

    /// Waits for a turn. A slot is not held while the circuit is open, or a few waiting orders would hold all of them.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        loop {
            let pass = self.circuit.pass().await;
            let slot = self.slots.acquire().await.ok();
            if pass == Pass::Free && !self.circuit.is_closed() {
                continue;
            }
            self.pace.wait().await;
            return slot;
        }
    }
}
