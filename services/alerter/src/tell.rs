//! Telling one webhook what waits for it. Each has a task of its own: one that is down holds nobody up.

use std::time::Duration;

use events::{AlertState, Micros, now};
use http::RetryPolicy;
use journal::{Cell, JournalError, Seen};
use operations::alerts::{claim, delivered, failed, waiting, wants};
use tokio_util::sync::CancellationToken;

use crate::message::Message;
use crate::webhook::{Channel, Untold};

/// When a webhook does not take what it is told.
const AGAIN: RetryPolicy =
    RetryPolicy { initial: Duration::from_secs(1), max: Duration::from_secs(300), jitter: 0.5 };

/// How much longer than a call may take nobody else calls: for noting how it went.
const NOTING: Duration = Duration::from_secs(10);

/// After a failure to read or write the state.
const RETRY: Duration = Duration::from_millis(500);

/// How much time a call that is under way is given when the process ends; what is not noted by then is told once more.
const LAST: Duration = Duration::from_secs(2);

pub(crate) struct Teller {
    channel: Channel,
    cell: Cell,
    seen: Seen<AlertState>,
}

impl Teller {
    pub(crate) fn new(channel: Channel, cell: Cell, seen: Seen<AlertState>) -> Self {
        Self { channel, cell, seen }
    }

    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut changes = self.seen.changes();
        loop {
            let (state, seq) = changes.borrow_and_update().clone();
            let wait = wants(&state, self.channel.name()).map(|from| from.saturating_sub(now()));
            match wait {
                Some(..=0) => {
                    if !self.claimed_and_told(state, seq, &stop).await {
                        return;
                    }
                }
                wait => {
                    let due = async {
                        match wait {
                            Some(wait) => {
                                tokio::time::sleep(Duration::from_micros(wait.unsigned_abs())).await
                            }
                            None => std::future::pending().await,
                        }
                    };
                    tokio::select! {
                        () = stop.cancelled() => return,
                        _ = changes.changed() => {}
                        () = due => {}
                    }
                }
            }
        }
    }

    /// False when the process is to end.
    async fn claimed_and_told(&self, state: AlertState, seq: u64, stop: &CancellationToken) -> bool {
        let until = now().saturating_add(micros(self.channel.timeout() + NOTING));
        let claimed = claim(&state, self.channel.name(), until);
        match self.cell.set(&claimed, seq).await {
            Ok(seq) => {
                self.seen.learn(claimed.clone(), seq);
                tokio::select! {
                    () = self.tell(&claimed) => true,
                    () = async { stop.cancelled().await; tokio::time::sleep(LAST).await } => false,
                }
            }
            // Another process has it, or a look brought something new.
            Err(JournalError::Conflict { .. }) => self.refreshed(stop).await,
            Err(error) => {
                tracing::debug!(why = service::chain(&error), "cannot note who tells a webhook");
                stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_some()
                    && self.refreshed(stop).await
            }
        }
    }

    async fn refreshed(&self, stop: &CancellationToken) -> bool {
        match stop.run_until_cancelled(self.cell.get::<AlertState>()).await {
            None => false,
            Some(Ok((state, seq))) => {
                self.seen.learn(state, seq);
                true
            }
            Some(Err(_)) => stop.run_until_cancelled(tokio::time::sleep(RETRY)).await.is_some(),
        }
    }

    async fn tell(&self, state: &AlertState) {
        let name = self.channel.name();
        let notices: Vec<_> = waiting(state, name).cloned().collect();
        let numbers: Vec<u64> = notices.iter().map(|notice| notice.number).collect();
        let message = Message::new(self.channel.flow(), notices);
        let told = self.channel.send(&message).await;
        let failures = state.deliveries.get(name).map_or(0, |delivery| delivery.failures) as usize + 1;
        if let Err(Untold { why, .. }) = &told {
            tracing::warn!(
                webhook = name,
                why,
                failures,
                "a webhook does not take what it is told; trying again"
            );
        }
        self.note(|state| match &told {
            Ok(()) => delivered(state, name, &numbers),
            Err(Untold { why, wait }) => {
                let wait = AGAIN.delay(failures).max(wait.unwrap_or_default());
                failed(state, name, why, now().saturating_add(micros(wait)))
            }
        })
        .await;
    }

    /// Changes the state, however often somebody else does at the same time.
    async fn note(&self, change: impl Fn(&AlertState) -> AlertState) {
        loop {
            let noted = async {
                let (state, seq) = self.cell.get::<AlertState>().await?;
                let next = change(&state);
                let seq = self.cell.set(&next, seq).await?;
                self.seen.learn(next, seq);
                Ok(())
            };
            match noted.await {
                Ok(()) => return,
                Err(JournalError::Conflict { .. }) => {}
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }
}

fn micros(length: Duration) -> Micros {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
