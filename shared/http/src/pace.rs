//! How often we may ask.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// At most so many requests in a period, with some in a burst. No limit when none is configured.
#[derive(Debug, Default)]
pub struct Pace {
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Pace {
    /// `requests` per `period`, of which `burst` may come at once. 0 requests means no limit.
    pub fn new(requests: f64, period: Duration, burst: u32) -> Self {
        if requests <= 0.0 || !requests.is_finite() {
            return Self { limiter: None };
        }
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let limiter = Quota::with_period(period.div_f64(requests)).map(|quota| {
            // One cell a period of one request, `burst` of them saved up.
            RateLimiter::direct(quota.allow_burst(burst))
        });
        Self { limiter }
    }

    /// Waits until the next request may be sent.
    pub async fn wait(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.until_ready().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_the_next_does_not() {
        let pace = Pace::new(60.0, Duration::from_secs(60), 3);
        let limiter = pace.limiter.as_ref().expect("limited");
        assert!((0..3).all(|_| limiter.check().is_ok()));
        assert!(limiter.check().is_err());
        assert!(Pace::new(0.0, Duration::from_secs(1), 1).limiter.is_none());
    }
}
