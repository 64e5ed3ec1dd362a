//! What STATE keeps of alerts, with every kind of finding.

use std::collections::{BTreeMap, BTreeSet};

use orderflow_events::*;

use crate::AT;

fn findings() -> Vec<Finding> {
    let (window, reason) = ("live-000001".to_string(), "rows moved".to_string());
    let targets = BTreeSet::from(["qeasy".to_string()]);
    let (fingerprint, failure, pattern) = ("e6b118f300000000".into(), "refused".into(), "客户不存在".into());
    let (target, http) = ("qeasy".to_string(), "HTTP 503".to_string());
    vec![
        Finding::WindowFailed { window, from: AT - 60_000_000, until: AT, reason },
        Finding::WatermarkOld { watermark: AT, age_seconds: 7_200, limit_seconds: 3_600 },
        Finding::DeadLetters { open: 101, limit: 100 },
        Finding::DeadGroup { fingerprint, stage: Stage::Write, failure, pattern, targets, open: 3 },
        Finding::TargetLeftAlone { target: target.clone(), reason: http },
        Finding::TargetStopped { target: target.clone(), reason: "100 of the last 200 orders".into() },
        Finding::Backlog { stage: "write".into(), target: Some(target), lag: 7, limit: 5 },
    ]
}

pub fn state() -> AlertState {
    let known = |finding| KnownAlert { since: Some(AT - 1), told: Some(AT), announced: true, finding };
    let known = findings().into_iter().enumerate().map(|(at, finding)| (format!("c{at}"), known(finding)));
    let event = |number, event| Notice {
        number,
        event,
        id: "dead".into(),
        at: AT,
        since: AT - 1,
        finding: Finding::DeadLetters { open: 101, limit: 100 },
        to: BTreeSet::from(["duty".into()]),
    };
    let delivery = Delivery { not_before: AT + 1, failures: 2, error: Some("HTTP 502".into()) };
    AlertState {
        looked_at: AT,
        known: known.collect(),
        notices: vec![
            event(1, Announcement::Firing),
            event(2, Announcement::Again),
            event(3, Announcement::Resolved),
        ],
        last: 3,
        deliveries: BTreeMap::from([("duty".into(), delivery)]),
    }
}
