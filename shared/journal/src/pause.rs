//! A stage that a person has paused takes nothing new until they let it go on.

use events::{PauseState, Stage, TargetName};
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::{Cell, Journal, JournalError, Seen, Topology};

/// Whether a stage is paused, as it is known here.
#[derive(Debug, Clone)]
pub struct Pause {
    seen: Seen<PauseState>,
}

impl Pause {
    /// Follows whether a stage, for `write` of one target, is paused, until `stop`.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn follow(
        journal: &Journal,
        names: &Topology,
        (stage, target): (Stage, Option<&TargetName>),
        stop: CancellationToken,
    ) -> Result<Self, JournalError> {
        let cell = Cell::new(journal.clone(), names.clone(), names.pause(stage, target));
        let (state, seq) = cell.get::<PauseState>().await?;
        let seen = cell.follow(stop);
        seen.learn(state, seq);
        Ok(Self { seen })
    }

    /// Does `work` whenever the stage is not paused, until it ends by itself or `shutdown` comes; `None` when that came
    /// during a pause. `work` gets a token: it ends soon after that is cancelled, with nothing in hand.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn work_between<'a, T, E>(
        &self,
        shutdown: &CancellationToken,
        mut work: impl FnMut(CancellationToken) -> BoxFuture<'a, Result<T, E>>,
    ) -> Result<Option<T>, E> {
        loop {
            if shutdown.run_until_cancelled(self.until(false)).await.is_none() {
                return Ok(None);
            }
            let token = shutdown.child_token();
            let paused = async {
                self.until(true).await;
                tracing::warn!("paused by a person; what is in hand is finished");
                token.cancel();
                std::future::pending::<std::convert::Infallible>().await
            };
            let ended = tokio::select! {
                ended = work(token.clone()) => ended?,
                never = paused => match never {},
            };
            if shutdown.is_cancelled() || !token.is_cancelled() {
                return Ok(Some(ended));
            }
        }
    }

    async fn until(&self, paused: bool) {
        let mut changes = self.seen.changes();
        // The sender is ours: it does not end before we do.
        let _ = changes.wait_for(|(state, _)| state.paused == paused).await;
    }
}
