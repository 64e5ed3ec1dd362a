//! One call budget over all replicas: a leaky bucket in a shared value, spent by compare-and-set.
//!
//! Calls are given moments at which they may be made, so that any number of replicas keeps one rate. A moment is by the
//! clock of the replica that takes it; clocks that differ make some calls early and others late, and leave the rate as it
//! is.

use std::collections::VecDeque;
use std::time::Duration;

use events::{BudgetState, Micros, now};
use tokio::sync::Mutex;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::JournalError;
use crate::cell::{Cell, Seen};
use crate::storage_trouble::WaitingRecord;

/// So much time's worth of calls is taken at once: each taking costs a round trip and a write to disk.
const CHUNK: Duration = Duration::from_millis(20);

/// A moment further away than this is no queue but a clock that was wrong: it is not waited for.
const LONGEST_QUEUE: Micros = 600_000_000;

/// Nobody is left alone for longer, whatever they ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// Two calls are no further apart, however low the rate: a moment has to be one that clocks can
/// show.
const LONGEST_INTERVAL: Micros = 366 * 86_400_000_000;

/// After a failure to reach the server.
const RETRY: Duration = Duration::from_millis(250);

/// How often calls may be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Calls a second; 0 is no limit.
    pub per_second: f64,
    /// Calls that may come at once after a pause, at least 1.
    pub burst: u32,
}

impl Rate {
    /// Microseconds between two calls; `None` without a limit.
    fn interval(self) -> Option<Micros> {
        let limited = self.per_second > 0.0 && self.per_second.is_finite();
        limited.then(|| ((1e6 / self.per_second) as Micros).clamp(1, LONGEST_INTERVAL))
    }
}

/// A call budget that all replicas share.
#[derive(Debug)]
pub struct Budget {
    cell: Cell,
    rate: Rate,
    /// The newest value this replica has seen, and its sequence.
    seen: Seen<BudgetState>,
    /// Moments that were taken and not used yet. The lock is the queue of the callers.
    taken: Mutex<VecDeque<Micros>>,
    _following: DropGuard,
}

impl Budget {
    /// A budget at one place of STATE; replicas that name the same place share it.
    pub fn start(cell: Cell, rate: Rate) -> Self {
        let stop = CancellationToken::new();
        // Also a replica that makes no calls, or has no limit, is to know of pauses.
        let seen = cell.follow(stop.clone());
        Self { cell, rate, seen, taken: Mutex::default(), _following: stop.drop_guard() }
    }

    /// Waits until the next call may be made. While NATS is away this waits.
    pub async fn wait(&self) {
        loop {
            let moment = match self.rate.interval() {
                None => now(),
                Some(interval) => {
                    let mut taken = self.taken.lock().await;
                    match taken.pop_front() {
                        Some(moment) => moment,
                        None => {
                            *taken = self.take(interval).await;
                            continue;
                        }
                    }
                }
            };
            sleep_until(moment).await;
            let Some(until) = self.paused_until() else { return };
            // What was taken before the pause began is lost: after it, all of them at once would be a new breach.
            self.taken.lock().await.clear();
            sleep_until(until).await;
        }
    }

    async fn take(&self, interval: Micros) -> VecDeque<Micros> {
        let calls = (micros(CHUNK) / interval).max(1);
        let mut known = self.seen.now();
        let mut waiting = None;
        loop {
            let (state, moments) = taken(known.0, now(), calls, interval, self.rate.burst);
            match self.cell.set(&state, known.1).await {
                Ok(seq) => {
                    self.seen.learn(state, seq);
                    return moments;
                }
                Err(error) => known = self.after(error, known, &mut waiting).await,
            }
        }
    }

    /// Has every replica make no call for this long (at most an hour).
    pub async fn pause(&self, wait: Duration) {
        let until = now().saturating_add(micros(wait.min(LONGEST_PAUSE)));
        let mut known = self.seen.now();
        let mut waiting = None;
        // A pause that could not be told to the others before it was over is no pause any more.
        while now() < until && paused(known.0, now()).is_none_or(|known| known < until) {
            let state = BudgetState { paused_until: until, ..known.0 };
            match self.cell.set(&state, known.1).await {
                Ok(seq) => return self.seen.learn(state, seq),
                Err(error) => known = self.after(error, known, &mut waiting).await,
            }
        }
    }

    /// When the pause that is on ends; `None` when there is none.
    pub fn paused_until(&self) -> Option<Micros> {
        paused(self.seen.now().0, now())
    }

    /// The newest value after an attempt to set it failed.
    async fn after(
        &self,
        error: JournalError,
        known: (BudgetState, u64),
        waiting: &mut Option<WaitingRecord>,
    ) -> (BudgetState, u64) {
        if !matches!(error, JournalError::Conflict { .. }) {
            waiting.get_or_insert_with(|| self.cell.trouble().begin()).explain(&error);
            tokio::time::sleep(RETRY).await;
        }
        match self.cell.get().await {
            Ok((state, seq)) => {
                self.seen.learn(state, seq);
                (state, seq)
            }
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                known
            }
        }
    }
}

/// When the pause ends that is on at `now`. One that is much longer than any we make was written by a clock that was wrong,
/// and must not stop everybody until that clock's time has come.
fn paused(state: BudgetState, now: Micros) -> Option<Micros> {
    let until = state.paused_until;
    (now < until && until <= now.saturating_add(2 * micros(LONGEST_PAUSE))).then_some(until)
}

/// Takes `calls` moments from a budget.
fn taken(
    state: BudgetState,
    now: Micros,
    calls: Micros,
    interval: Micros,
    burst: u32,
) -> (BudgetState, VecDeque<Micros>) {
    let ahead = interval.saturating_mul(Micros::from(burst.max(1)) - 1);
    let longest = LONGEST_QUEUE.max(interval.saturating_mul(1_000));
    let mut next = if state.next > now.saturating_add(longest) { now } else { state.next };
    let mut moments = VecDeque::new();
    for _ in 0..calls {
        let moment = now.max(next.saturating_sub(ahead)).max(paused(state, now).unwrap_or(now));
        next = next.max(moment).saturating_add(interval);
        moments.push_back(moment);
    }
    (BudgetState { next, ..state }, moments)
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

async fn sleep_until(moment: Micros) {
    if let Ok(wait) = u64::try_from(moment.saturating_sub(now()))
        && wait > 0
    {
        tokio::time::sleep(Duration::from_micros(wait)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT: Micros = 1_741_251_325_000_000;

    #[test]
    fn after_a_rest_a_burst_comes_at_once_and_then_the_rate_holds() {
        let (state, moments) = taken(BudgetState::default(), AT, 5, 200_000, 3);
        let after: Vec<Micros> = moments.iter().map(|moment| moment - AT).collect();
        assert_eq!(after, [0, 0, 0, 200_000, 400_000]);
        let (_, moments) = taken(state, AT + 400_000, 1, 200_000, 3);
        assert_eq!(moments[0] - AT, 600_000);
    }

    #[test]
    fn a_pause_moves_everything_behind_it_and_a_wrong_clock_does_not_stop_us() {
        let paused = BudgetState { next: 0, paused_until: AT + 9_000_000 };
        let (_, moments) = taken(paused, AT, 2, 100_000, 1);
        assert_eq!(moments, [AT + 9_000_000, AT + 9_100_000]);
        let tomorrow = BudgetState { next: AT + 86_400_000_000, paused_until: AT + 86_400_000_000 };
        let (state, moments) = taken(tomorrow, AT, 1, 100_000, 1);
        assert_eq!((moments[0], state.next), (AT, AT + 100_000));
    }

    #[test]
    fn no_number_that_was_stored_or_configured_overflows_the_clock() {
        let wild = [Micros::MIN, -1, 0, AT, Micros::MAX];
        let rates = [f64::MIN_POSITIVE, 1e-300, 0.001, 5.0, f64::MAX];
        for (next, paused_until) in wild.iter().flat_map(|next| wild.map(|until| (*next, until))) {
            for (per_second, burst) in rates.iter().flat_map(|rate| [(*rate, 1), (*rate, u32::MAX)]) {
                let interval = Rate { per_second, burst }.interval().expect("a limit");
                let (_, moments) = taken(BudgetState { next, paused_until }, AT, 3, interval, burst);
                assert!(moments.iter().all(|moment| *moment >= AT), "{next} {paused_until} {per_second}");
            }
        }
    }

    proptest! {
        /// However many replicas take, in whatever chunks and at whatever times: no stretch of time holds more calls than
        /// the rate and one burst allow.
        #[test]
        fn no_stretch_of_time_holds_more_calls_than_allowed(
            takes in proptest::collection::vec((0..3_000_000_i64, 1..8_i64), 1..60),
            interval in 1_000..500_000_i64,
            burst in 1_u32..6,
        ) {
            let (mut state, mut at, mut all) = (BudgetState::default(), AT, Vec::new());
            for (later, calls) in takes {
                at += later / 10;
                let (next, moments) = taken(state, at, calls, interval, burst);
                state = next;
                all.extend(moments);
            }
            all.sort_unstable();
            for (first, from) in all.iter().enumerate() {
                for (last, to) in all.iter().enumerate().skip(first) {
                    let allowed = (to - from) / interval + i64::from(burst);
                    prop_assert!((last - first + 1) as i64 <= allowed);
                }
            }
        }
    }
}
