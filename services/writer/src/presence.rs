//! What a writer says of itself when it is asked: which partitions it holds, and how the target does.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use events::{HeldPartition, Instance, Stage, Writing};
use journal::JournalError;
use tokio_util::sync::DropGuard;

use crate::Live;
use crate::order::Partition;
use crate::send::Writer;

/// The partitions that are held now.
#[derive(Default)]
pub(crate) struct Holdings(Mutex<BTreeMap<u16, Weak<Partition>>>);

impl Holdings {
    /// Notes that a partition is held, as long as it is.
    pub(crate) fn note(&self, partition: &Arc<Partition>) {
        self.held().insert(partition.number(), Arc::downgrade(partition));
    }

    fn now(&self) -> Vec<HeldPartition> {
        let mut held = self.held();
        held.retain(|_, partition| partition.strong_count() > 0);
        let partitions = held.iter().filter_map(|(number, partition)| Some((*number, partition.upgrade()?)));
        partitions
            .map(|(partition, held)| {
                let counts = held.counts();
                let (orders, unknown) = (counts.map(|counts| counts.0), counts.map(|counts| counts.1));
                HeldPartition { partition, orders, unknown }
            })
            .collect()
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u16, Weak<Partition>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers for this writer until the guard goes.
pub(crate) async fn answer(
    writer: &Arc<Writer>,
    holdings: Arc<Holdings>,
    live: Live,
) -> Result<DropGuard, JournalError> {
    let shared = Arc::clone(writer);
    let with = move |plain| {
        let outage = live.outage();
        let next_attempt = outage.as_ref().and_then(|outage| outage.next_attempt);
        let writing = Writing {
            target: shared.name.clone(),
            partitions: holdings.now(),
            trouble: live.trouble(),
            concurrency: shared.concurrency.limit() as u64,
            trouble_since: outage.as_ref().map(|outage| outage.since),
            next_attempt: live.paused_until().max(next_attempt),
        };
        Instance { writing: Some(writing), storage: live.storage(), ..plain }
    };
    writer.journal.here(&writer.topology, Stage::Write, service::host(), with).await
}
