//! The retry policy, as data. The only file that knows the `backoff` crate (unmaintained, RUSTSEC-2025-0012: asked for by
//! name, and kept behind this type so that it can be replaced here and nowhere else).

use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};

/// Exponential delays with jitter: `initial`, twice that, and so on up to `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// The first delay.
    pub initial: Duration,
    /// The longest delay.
    pub max: Duration,
    /// How much a delay may differ from its middle, 0 to 1: 0.5 means from half to one and a half.
    pub jitter: f64,
}

impl RetryPolicy {
    /// The delays, endless.
    pub fn delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let mut state = self.state();
        std::iter::from_fn(move || state.next_backoff())
    }

    /// The delay after the `attempt`-th failure, from 1.
    pub fn delay(&self, attempt: usize) -> Duration {
        self.delays().nth(attempt.saturating_sub(1)).unwrap_or(self.max)
    }

    fn state(&self) -> ExponentialBackoff {
        ExponentialBackoffBuilder::new()
            .with_initial_interval(self.initial)
            .with_max_interval(self.max)
            .with_multiplier(2.0)
            .with_randomization_factor(self.jitter.clamp(0.0, 1.0))
            .with_max_elapsed_time(None)
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let policy =
            RetryPolicy { initial: Duration::from_millis(100), max: Duration::from_secs(1), jitter: 0.0 };
        let millis: Vec<u128> = policy.delays().take(6).map(|delay| delay.as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1_000, 1_000]);
        assert_eq!(policy.delay(3), Duration::from_millis(400));
    }

    #[test]
    fn jitter_spreads_them_within_bounds() {
        let policy =
            RetryPolicy { initial: Duration::from_millis(100), max: Duration::from_secs(9), jitter: 0.5 };
        let firsts: Vec<Duration> = (0..200).map(|_| policy.delay(1)).collect();
        assert!(firsts.iter().all(|delay| (50..=150).contains(&delay.as_millis())));
        assert!(firsts.iter().any(|delay| *delay != firsts[0]));
    }
}
