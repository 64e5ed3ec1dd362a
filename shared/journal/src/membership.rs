//! Who else works on the same thing right now: heartbeats over core NATS, nothing stored. Only a hint for sharing work
//! out; that one order has one writer is held by the pin of the consumer and by the receipts, not by this.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::connection::State;
use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Journal, JournalError};

const HEARTBEAT: Duration = Duration::from_millis(500);
const GONE_AFTER: Duration = Duration::from_millis(2_500);

/// A newcomer listens this long before it takes its share: the others answer its first beat at once.
const LISTEN: Duration = Duration::from_millis(150);

/// Which of how many members we are; 0 members while we are still listening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rank {
    pub(crate) own: usize,
    pub(crate) members: usize,
}

impl Rank {
    /// Whether `partition` is in this member's share: shares differ by at most one.
    pub(crate) fn has(self, partition: u16) -> bool {
        self.members > 0 && usize::from(partition) % self.members == self.own
    }
}

/// Joins the members that beat on `subject` and keeps `rank` up to date until `shutdown`.
pub(crate) async fn join(
    journal: &Journal,
    subject: String,
    member: String,
    shutdown: CancellationToken,
) -> Result<watch::Receiver<Rank>, JournalError> {
    let client = journal.client().clone();
    let mut beats = client
        .subscribe(subject.clone())
        .await
        .map_err(|error| journal.unavailable("join the other replicas", error))?;
    let (rank, watched) = watch::channel(Rank { own: 0, members: 0 });
    tokio::spawn(async move {
        let mut seen: BTreeMap<String, Instant> = BTreeMap::new();
        let mut tick = tokio::time::interval(HEARTBEAT);
        let began = Instant::now();
        let listening = tokio::time::sleep(LISTEN);
        tokio::pin!(listening);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = tick.tick() => {
                    let _ = client.publish(subject.clone(), format!("+{member}").into()).await;
                }
                Some(beat) = beats.next() => {
                    let text = String::from_utf8_lossy(&beat.payload);
                    match text.strip_prefix('-') {
                        Some(left) => { seen.remove(left); }
                        None => {
                            let name = text.trim_start_matches('+').to_string();
                            if seen.insert(name, Instant::now()).is_none() {
                                let _ = client.publish(subject.clone(), format!("+{member}").into()).await;
                            }
                        }
                    }
                }
                () = &mut listening, if began.elapsed() < LISTEN * 2 && rank.borrow().members == 0 => {}
            }
            if client.connection_state() != State::Connected {
                // Silence says nothing about the others while we hear nobody: keep the shares as they were.
                seen.values_mut().for_each(|at| *at = Instant::now());
            }
            seen.insert(member.clone(), Instant::now());
            seen.retain(|_, at| at.elapsed() < GONE_AFTER);
            let own = seen.keys().position(|name| *name == member).unwrap_or(0);
            let members = if began.elapsed() < LISTEN { 0 } else { seen.len() };
            let now = Rank { own, members };
            rank.send_if_modified(|rank| std::mem::replace(rank, now) != now);
        }
        let _ = client.publish(subject, format!("-{member}").into()).await;
    });
    Ok(watched)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_partition_has_one_owner_and_shares_are_even(members in 1_usize..20, partitions in 1_u16..64) {
            let share = |own| (0..partitions).filter(|p| Rank { own, members }.has(*p)).count();
            let shares: Vec<usize> = (0..members).map(share).collect();
            prop_assert_eq!(shares.iter().sum::<usize>(), usize::from(partitions));
            let (least, most) = (shares.iter().min().copied(), shares.iter().max().copied());
            prop_assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1);
        }
    }
}
