//! What processes share beside the logs, and what they say of themselves.

use orderflow_events::*;

use crate::{AT, key};

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

pub fn skipped() -> OrdersSkipped {
    let (key, number) = (Some("5203550000".to_string()), Some("SO-1".to_string()));
    let orders = vec![SkippedOrder { row: 0, key, number, reason: "not approved".into() }];
    let mapping = "0123456789abcdef".into();
    OrdersSkipped { window: WindowId::live(1), page: 2, raw_seq: 7, mapping, orders }
}

pub fn numbers() -> NumbersMapped {
    NumbersMapped { raw_seq: 7, orders: vec![("SO-1".into(), key())] }
}
