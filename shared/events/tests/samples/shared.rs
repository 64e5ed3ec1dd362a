//! What processes share beside the logs, and what they say of themselves.

use orderflow_events::*;

use crate::AT;

pub fn troubled() -> Instance {
    let (trouble_since, next_attempt) = (Some(AT - 1), Some(AT + 1));
    let trouble = Some("HTTP 503".to_string());
    let writing =
        crate::full::instance().writing.map(|writing| Writing { trouble_since, next_attempt, ..writing });
    Instance { trouble, trouble_since, next_attempt, writing, ..crate::instance() }
}

pub fn service() -> ServiceState {
    let member = ServiceMember { host: "erp-1".into(), pid: 4_711, seen_at: AT };
    ServiceState { members: [("aBcD".to_string(), member)].into() }
}

pub fn pause() -> PauseState {
    PauseState { paused: true, reason: "stocktaking".into(), by: "li@erp-1".into(), at: AT }
}
