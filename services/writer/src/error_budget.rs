//! A bad release must not drain the stream into DEAD: when too many of the last orders were refused, every writer of the
//! target stops until a person says to go on.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use events::{StopState, now};
use journal::{Cell, JournalError, Seen};
use service::config::StopAfter;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How much may be refused, and whether it has been.
#[derive(Debug)]
pub(crate) struct ErrorBudget {
    stop: StopAfter,
    /// Whether each of the last orders was refused.
    recent: Mutex<Recent>,
    cell: Cell,
    seen: Seen<StopState>,
    _following: DropGuard,
}

/// The last orders, since the writers went on the last time.
#[derive(Debug, Default)]
struct Recent {
    refused: VecDeque<bool>,
    /// The sequence of the last word to stop or to go on.
    since: u64,
    /// That it is too much has been said since then: those that are under way need not say it again.
    said: bool,
}

impl ErrorBudget {
    /// A budget of this writer; that it is used up is shared by all that name the same cell.
    ///
    /// # Errors
    /// When it cannot be read whether the writers have stopped.
    pub(crate) async fn start(stop: StopAfter, cell: Cell) -> Result<Self, JournalError> {
        let (state, seq) = cell.get::<StopState>().await?;
        let following = CancellationToken::new();
        let seen = cell.follow(following.clone());
        seen.learn(state, seq);
        Ok(Self { stop, recent: Mutex::default(), cell, seen, _following: following.drop_guard() })
    }

    /// Waits until orders may be written.
    pub(crate) async fn open(&self) {
        let mut changes = self.seen.changes();
        // The sender is ours: it does not end before we do.
        let _ = changes.wait_for(|(state, _)| !state.stopped).await;
    }

    /// Why nothing is written, when that is so.
    pub(crate) fn stopped(&self) -> Option<String> {
        let (state, _) = self.seen.now();
        state.stopped.then_some(state.reason)
    }

    /// Notes that an order was taken.
    pub(crate) fn taken(&self) {
        self.note(false);
    }

    /// Notes that an order was refused. False when that is one too many: it is not to be given up, everything stops.
    pub(crate) async fn refused(&self, why: &str, by: &str) -> bool {
        if self.stopped().is_some() {
            return false;
        }
        let Some((refused, of)) = self.note(true) else { return true };
        let reason = format!("{refused} of the last {of} orders were refused; the last: {why}");
        if !std::mem::replace(&mut self.recent().said, true) {
            tracing::error!(reason, "every writer of this target stops; `orderflow resume` lets them go on");
        }
        let state = StopState { stopped: true, reason, by: by.to_string(), at: now() };
        self.set(state).await;
        false
    }

    async fn set(&self, state: StopState) {
        let (mut known, mut seq) = self.seen.now();
        while !known.stopped {
            match self.cell.set(&state, seq).await {
                Ok(seq) => return self.seen.learn(state, seq),
                Err(JournalError::Conflict { .. }) => match self.cell.get::<StopState>().await {
                    Ok((now, at)) => {
                        self.seen.learn(now.clone(), at);
                        (known, seq) = (now, at);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the stop of this target cannot be read; trying again")
                    }
                },
                Err(error) => {
                    tracing::warn!(%error, "the stop of this target cannot be stored; trying again");
                    tokio::time::sleep(std::time::Duration::from_millis(250)).await;
                }
            }
        }
    }

    /// Notes one order; how many of how many were refused when that is too much.
    fn note(&self, refused: bool) -> Option<(usize, usize)> {
        if self.stop.after == 0 {
            return None;
        }
        let (mut recent, since) = (self.recent(), self.seen.now().1);
        if recent.since != since {
            *recent = Recent { since, ..Recent::default() };
        }
        let recent = &mut recent.refused;
        recent.push_back(refused);
        if recent.len() > self.stop.of {
            recent.pop_front();
        }
        if !refused {
            return None;
        }
        let count = recent.iter().filter(|refused| **refused).count();
        (count >= self.stop.after).then_some((count, recent.len()))
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
