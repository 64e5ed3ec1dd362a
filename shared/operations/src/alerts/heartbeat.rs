//! The heartbeat: for which looks a watchdog is called, and by whom.

use std::time::Duration;

use events::{AlertState, Heartbeat, Micros};

/// Whether the watchdog is to be called for the last look: nobody has, and the look is not of
/// another time. Somebody looks every `every`.
pub fn beat_due(state: &AlertState, now: Micros, every: Duration) -> bool {
    let fresh = Micros::try_from(every.as_micros()).unwrap_or(Micros::MAX).saturating_mul(2);
    state.looked_at > state.heartbeat.looked_at && now - state.looked_at < fresh
}

/// The state in which the caller is calling for the last look.
pub fn begin_beat(state: &AlertState) -> AlertState {
    let heartbeat = Heartbeat { looked_at: state.looked_at, ..state.heartbeat.clone() };
    AlertState { heartbeat, ..state.clone() }
}

/// The state in which the watchdog has taken its call.
pub fn beat_delivered(state: &AlertState, now: Micros) -> AlertState {
    let heartbeat =
        Heartbeat { looked_at: state.heartbeat.looked_at, told: Some(now), failures: 0, error: None };
    AlertState { heartbeat, ..state.clone() }
}

/// The state in which it has not.
pub fn beat_failed(state: &AlertState, why: &str) -> AlertState {
    let heartbeat = Heartbeat {
        failures: state.heartbeat.failures.saturating_add(1),
        error: Some(why.to_string()),
        ..state.heartbeat.clone()
    };
    AlertState { heartbeat, ..state.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);
    const SECOND: Micros = 1_000_000;

    #[test]
    fn a_watchdog_is_called_once_for_each_look_that_is_not_old() {
        let looked = AlertState { looked_at: 100 * SECOND, ..AlertState::default() };
        assert!(beat_due(&looked, 101 * SECOND, EVERY));
        assert!(!beat_due(&looked, 160 * SECOND, EVERY), "nobody has looked since");
        let calling = begin_beat(&looked);
        assert!(!beat_due(&calling, 101 * SECOND, EVERY), "another process calls");
        let again = AlertState { looked_at: 130 * SECOND, ..calling };
        assert!(beat_due(&again, 131 * SECOND, EVERY));
    }

    #[test]
    fn failures_are_counted_until_a_call_is_taken() {
        let state = beat_failed(&beat_failed(&AlertState::default(), "HTTP 500"), "HTTP 503");
        let Heartbeat { failures, error, told, .. } = &state.heartbeat;
        assert_eq!((*failures, error.as_deref(), *told), (2, Some("HTTP 503"), None));
        let state = beat_delivered(&state, 7);
        let Heartbeat { failures, error, told, .. } = state.heartbeat;
        assert_eq!((failures, error, told), (0, None, Some(7)));
    }
}
