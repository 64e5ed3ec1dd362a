//! How many requests the target bears at the same time: one more after as many good answers as there are requests under
//! way, half as many when it says that it is too much (additive increase, multiplicative decrease).

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Answers are looked at in rounds of at least so many before single failures count as a sign of overload.
const ROUND: usize = 20;

/// One failure in so many answers of a round is one too many.
const SHARE: usize = 5;

/// What an answer says of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// It was answered in time.
    Fine,
    /// It failed: by itself no sign of overload, in numbers it is.
    Doubtful,
    /// The target is throttling, or not there.
    TooMuch,
}

#[derive(Debug)]
struct State {
    limit: usize,
    under_way: usize,
    /// Good answers since the limit was changed.
    fine: usize,
    /// Answers of this round, and failures among them.
    answers: usize,
    doubtful: usize,
    /// Counts decreases: an answer to a request from before the last one says nothing new.
    round: u64,
}

/// The right to have requests under way.
#[derive(Debug)]
pub(crate) struct Concurrency {
    state: Mutex<State>,
    freed: Notify,
    least: usize,
    most: usize,
}

/// One request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    of: &'a Concurrency,
    round: u64,
}

impl Concurrency {
    /// Between `least` and `most` requests; the most to begin with.
    pub(crate) fn new(least: usize, most: usize) -> Self {
        let (least, most) = (least.max(1), most.max(least).max(1));
        let state = State { limit: most, under_way: 0, fine: 0, answers: 0, doubtful: 0, round: 0 };
        Self { state: Mutex::new(state), freed: Notify::new(), least, most }
    }

    /// Waits until one more request may be under way.
    pub(crate) async fn take(&self) -> Slot<'_> {
        loop {
            let freed = self.freed.notified();
            {
                let mut state = self.state();
                if state.under_way < state.limit {
                    state.under_way += 1;
                    let more = state.under_way < state.limit;
                    let round = state.round;
                    drop(state);
                    if more {
                        self.freed.notify_one(); // a limit that has risen lets in more than one
                    }
                    return Slot { of: self, round };
                }
            }
            freed.await;
        }
    }

    /// How many requests may be under way now.
    pub(crate) fn limit(&self) -> usize {
        self.state().limit
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot<'_> {
    /// Notes what the answer says of the load.
    pub(crate) fn report(&self, load: Load) {
        let mut state = self.of.state();
        if state.round != self.round {
            return;
        }
        state.answers += 1;
        state.doubtful += usize::from(load == Load::Doubtful);
        state.fine += usize::from(load == Load::Fine);
        let over = state.answers >= ROUND.max(state.limit);
        let overload = load == Load::TooMuch || (over && state.doubtful * SHARE >= state.answers);
        if overload {
            let limit = (state.limit / 2).max(self.of.least);
            if limit != state.limit {
                tracing::info!(from = state.limit, to = limit, "fewer requests at the same time");
            }
            *state = State { limit, fine: 0, answers: 0, doubtful: 0, round: state.round + 1, ..*state };
        } else if state.fine >= state.limit && state.limit < self.of.most {
            *state = State { limit: state.limit + 1, fine: 0, ..*state };
            self.of.freed.notify_one();
        }
        if over && !overload {
            (state.answers, state.doubtful) = (0, 0);
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.of.state().under_way -= 1;
        self.of.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(concurrency: &Concurrency, count: usize, load: Load) {
        for _ in 0..count {
            concurrency.take().await.report(load);
        }
    }

    #[tokio::test]
    async fn it_halves_once_for_all_that_was_under_way_and_rises_one_by_one() {
        let concurrency = Concurrency::new(2, 16);
        let mut slots = Vec::new();
        for _ in 0..16 {
            slots.push(concurrency.take().await);
        }
        assert!(futures::poll!(std::pin::pin!(concurrency.take())).is_pending());
        for slot in &slots {
            slot.report(Load::TooMuch);
        }
        assert_eq!(concurrency.limit(), 8, "sixteen answers of one moment are one sign");
        drop(slots);
        answered(&concurrency, 8, Load::Fine).await;
        assert_eq!(concurrency.limit(), 9);
        answered(&concurrency, 200, Load::Fine).await;
        assert_eq!(concurrency.limit(), 16, "never more than the most");
        answered(&concurrency, 10, Load::TooMuch).await;
        assert_eq!(concurrency.limit(), 2, "never less than the least");
    }

    #[tokio::test]
    async fn a_failure_now_and_then_is_no_overload_and_many_are() {
        let concurrency = Concurrency::new(1, 32);
        for _ in 0..100 {
            answered(&concurrency, 19, Load::Fine).await;
            answered(&concurrency, 1, Load::Doubtful).await;
        }
        assert_eq!(concurrency.limit(), 32);
        answered(&concurrency, 64, Load::Doubtful).await;
        assert!(concurrency.limit() <= 16);
    }

    #[tokio::test]
    async fn who_waits_is_let_in_when_a_slot_is_freed() {
        let concurrency = Concurrency::new(1, 1);
        let slot = concurrency.take().await;
        let (first, second) = (concurrency.take(), concurrency.take());
        tokio::pin!(first, second);
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        drop(slot);
        drop(first.await);
        drop(second.await);
    }
}
