//! The one table that decides what a failure means.

use std::time::Duration;

/// What a failed request means for the work it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The request itself is wrong and will stay wrong: a dead letter.
    Permanent,
    /// Perhaps the request, perhaps the other side: try again later, and count.
    Retryable,
    /// The application itself answered no, in words we do not know: it is up, so try again later, and count.
    Refusing,
    /// It was sent and may have been done: try again under the same idempotency key, and count.
    Uncertain,
    /// The other side is down or misplaced: wait, and do not count.
    Outage,
    /// We ask too often: wait this long when told so, and do not count.
    Throttled(Option<Duration>),
    /// The other side does not accept who we are: wait for a person, and do not count.
    Credentials,
}

impl Class {
    /// What an HTTP status alone says; `None` for success. A body may say more.
    pub fn of_status(status: u16, retry_after: Option<Duration>) -> Option<Self> {
        match status {
            200..=299 => None,
            401 | 403 => Some(Self::Credentials),
            408 | 425 | 500 => Some(Self::Retryable),
            429 => Some(Self::Throttled(retry_after)),
            // The address is wrong, or a proxy answers instead of the application (407: it wants credentials of its own).
            300..=399 | 404 | 405 | 407 | 410 | 501..=599 => Some(Self::Outage),
            _ => Some(Self::Permanent),
        }
    }

    /// Whether an attempt of the work is spent.
    pub fn counts(self) -> bool {
        matches!(self, Self::Permanent | Self::Retryable | Self::Refusing | Self::Uncertain)
    }

    /// The word used in dead letters, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Permanent | Self::Refusing => "refused",
            Self::Retryable => "failed",
            Self::Uncertain => "uncertain",
            Self::Outage => "outage",
            Self::Throttled(_) => "throttled",
            Self::Credentials => "credentials",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let of = |status| Class::of_status(status, None);
        assert_eq!(of(200), None);
        assert_eq!(of(400), Some(Class::Permanent));
        assert_eq!(of(422), Some(Class::Permanent));
        assert_eq!(of(401), Some(Class::Credentials));
        assert_eq!(of(404), Some(Class::Outage));
        assert_eq!(of(302), Some(Class::Outage));
        assert_eq!(of(500), Some(Class::Retryable));
        assert_eq!(of(503), Some(Class::Outage));
        let wait = Some(Duration::from_secs(7));
        assert_eq!(Class::of_status(429, wait), Some(Class::Throttled(wait)));
        assert!((100..=599).filter_map(of).filter(|class| !class.counts()).count() > 0);
    }
}
