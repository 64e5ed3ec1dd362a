//! Rate limits: so many calls in a period, then refusals until it is over, or for a penalty.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lock::lock;

/// Counts the calls of one side.
#[derive(Default)]
pub(crate) struct Gate(Mutex<Counted>);

#[derive(Default)]
struct Counted {
    period_start: Option<Instant>,
    used: u32,
    refused_until: Option<Instant>,
}

impl Gate {
    /// Lets a call through and says how many more the period has, or says how long to stay away. A limit of 0 lets
    /// everything through; a penalty of zero lasts to the end of the period.
    pub(crate) fn pass(
        &self,
        now: Instant,
        limit: u32,
        period: Duration,
        penalty: Duration,
    ) -> Result<u32, Duration> {
        if limit == 0 {
            return Ok(u32::MAX);
        }
        let mut counted = lock(&self.0);
        if let Some(until) = counted.refused_until {
            if now < until {
                return Err(until - now);
            }
            *counted = Counted::default();
        }
        match counted.period_start {
            Some(start) if now < start + period => {
                if counted.used >= limit {
                    let until = if penalty.is_zero() { start + period } else { now + penalty };
                    counted.refused_until = Some(until);
                    return Err(until - now);
                }
                counted.used += 1;
            }
            _ => {
                counted.period_start = Some(now);
                counted.used = 1;
            }
        }
        Ok(limit.saturating_sub(counted.used))
    }

    /// Forgets everything, as when the limit itself is changed.
    pub(crate) fn reset(&self) {
        *lock(&self.0) = Counted::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_period_lets_its_limit_through() {
        let (gate, start) = (Gate::default(), Instant::now());
        let call = |at: u64| gate.pass(start + Duration::from_secs(at), 2, MINUTE, Duration::ZERO);
        assert_eq!(
            [call(0), call(1), call(2), call(59)],
            [Ok(1), Ok(0), Err(Duration::from_secs(58)), Err(Duration::from_secs(1))]
        );
        assert_eq!(call(60), Ok(1));
    }

    #[test]
    fn a_penalty_outlasts_the_period() {
        let (gate, start) = (Gate::default(), Instant::now());
        let call = |at: u64| gate.pass(start + Duration::from_secs(at), 1, MINUTE, 5 * MINUTE);
        assert_eq!([call(0), call(10), call(70)], [Ok(0), Err(5 * MINUTE), Err(4 * MINUTE)]);
        assert_eq!(call(310), Ok(0));
    }

    #[test]
    fn no_limit_lets_everything_through() {
        let (gate, now) = (Gate::default(), Instant::now());
        assert!((0..1000).all(|_| gate.pass(now, 0, MINUTE, MINUTE).is_ok()));
    }
}
