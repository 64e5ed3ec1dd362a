//! Sharing partitions out over replicas: each holds at most its share, and hands over when the share changes.

use std::collections::BTreeMap;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::membership;
use crate::{Journal, JournalError, Topology};

/// The partitions of one target, shared by all replicas that name the same role.
#[derive(Debug, Clone)]
pub struct Partitions {
    journal: Journal,
    topology: Topology,
    role: String,
    member: String,
}

impl Partitions {
    /// A share of the partitions for `member` among all that work in `role`.
    pub fn new(
        journal: Journal,
        topology: Topology,
        role: impl Into<String>,
        member: impl Into<String>,
    ) -> Self {
        Self { journal, topology, role: role.into(), member: member.into() }
    }

    /// Runs `hold` for every partition of our share until `shutdown`. When a partition leaves our share its token is
    /// cancelled, `hold` finishes what it has in hand and lets go of the pin, and another replica takes over.
    ///
    /// # Errors
    /// The first error that a `hold` returns; the others are shut down first.
    pub async fn run<H, F>(&self, shutdown: &CancellationToken, hold: H) -> Result<(), JournalError>
    where
        H: Fn(u16, CancellationToken) -> F,
        F: Future<Output = Result<(), JournalError>> + Send + 'static,
    {
        let leaving = shutdown.child_token();
        let _leave = leaving.clone().drop_guard();
        let subject = format!("{}.presence.{}", self.topology.flow(), self.role);
        let mut rank = membership::join(&self.journal, subject, self.member.clone(), leaving.clone()).await?;
        let mut held: BTreeMap<u16, CancellationToken> = BTreeMap::new();
        let mut work = JoinSet::new();
        let (mut result, mut logged) = (Ok(()), None);
        while !leaving.is_cancelled() {
            let share = *rank.borrow_and_update();
            for partition in 0..self.topology.partitions() {
                match (share.has(partition), held.contains_key(&partition)) {
                    (true, false) => {
                        let token = leaving.child_token();
                        let holding = hold(partition, token.clone());
                        work.spawn(async move { (partition, holding.await) });
                        held.insert(partition, token);
                    }
                    // The token stays in `held` until the work has ended: never twice in one replica.
                    (false, true) => held[&partition].cancel(),
                    _ => {}
                }
            }
            if logged.replace(share) != Some(share) {
                tracing::info!(
                    role = self.role,
                    members = share.members,
                    partitions = held.len(),
                    "share of partitions"
                );
            }
            tokio::select! {
                () = leaving.cancelled() => {}
                _ = rank.changed() => {}
                Some(ended) = work.join_next() => {
                    if let Some(error) = note(&mut held, ended) {
                        result = Err(error);
                        leaving.cancel();
                    }
                }
            }
        }
        while let Some(ended) = work.join_next().await {
            if let Some(error) = note(&mut held, ended) {
                result = Err(error);
            }
        }
        result
    }
}

type Ended = Result<(u16, Result<(), JournalError>), tokio::task::JoinError>;

fn note(held: &mut BTreeMap<u16, CancellationToken>, ended: Ended) -> Option<JournalError> {
    match ended {
        Ok((partition, outcome)) => {
            held.remove(&partition);
            outcome.err()
        }
        Err(panicked) => Some(JournalError::unavailable("hold a partition", panicked)),
    }
}
