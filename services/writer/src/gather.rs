//! Orders gather for a batch while the one before them is on its way: the turn is waited for first, so that batches are full
//! when the target is slow or limited, and leave after a short linger when there is little to do.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::part::Parcel;
use crate::send::Writer;

/// How orders gather.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gathering {
    /// Orders a request, at most.
    pub(crate) batch: usize,
    /// How long the first order waits for others, at least.
    pub(crate) linger: Duration,
}

/// Sends what gathers until `queue` ends, which it does when the writer has gone.
pub(crate) async fn run(
    gathering: Gathering,
    mut queue: mpsc::Receiver<Parcel>,
    writer: std::sync::Weak<Writer>,
) {
    while let Some(first) = queue.recv().await {
        let until = Instant::now() + gathering.linger;
        let Some(writer) = writer.upgrade() else { return };
        // The turn is taken in the task that carries, which it lives in; here it is only waited for.
        let (has_turn, turn) = oneshot::channel();
        let (leaves, batch) = oneshot::channel::<Vec<Parcel>>();
        tokio::spawn(carry(writer, has_turn, batch));
        if turn.await.is_err() {
            // It panicked before it had a turn. The order is told by being dropped; others go on.
            continue;
        }
        let mut parcels = Vec::with_capacity(gathering.batch);
        parcels.extend(first.claim().then_some(first));
        while parcels.len() < gathering.batch {
            match tokio::time::timeout_at(until, queue.recv()).await {
                Ok(Some(parcel)) => parcels.extend(parcel.claim().then_some(parcel)),
                Ok(None) | Err(_) => break,
            }
        }
        let _ = leaves.send(parcels);
    }
}

async fn carry(writer: Arc<Writer>, has_turn: oneshot::Sender<()>, batch: oneshot::Receiver<Vec<Parcel>>) {
    let slot = writer.slot(0).await;
    if has_turn.send(()).is_err() {
        return;
    }
    let parcels = batch.await.unwrap_or_default();
    match parcels.is_empty() {
        true => writer.circuit.unused(),
        false => writer.carry(parcels, Some(slot)).await,
    }
}
