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
    let known = |finding| KnownAlert {
        since: Some(AT - 1),
        told: Some(AT),
        announced: true,
        finding,
        silenced: false,
    };
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
        silences: BTreeMap::new(),
        summed_up: 0,
        heartbeat: Heartbeat::default(),
    }
}

/// The fields that came later, all in use.
pub fn full() -> AlertState {
    let by = Actor { user: "li".into(), host: "erp-1".into() };
    let silence = Silence { by, reason: "the ERP is moved".into(), at: AT, until: AT + 7_200_000_000 };
    let target = TargetSummary {
        target: "qeasy".into(),
        written: 5,
        unchanged: 4,
        refused: 3,
        other: 2,
        waiting: Some(1),
    };
    let summary = Finding::Summary {
        since: AT - 86_400_000_000,
        until: AT,
        read: 15,
        targets: vec![target],
        dead_open: 3,
        watermark_age_seconds: Some(61),
        firing: vec!["dead".into()],
    };
    let limit = Finding::LimitNear { what: "disk".into(), used: 9, limit: 10, unit: "bytes".into() };
    let known = KnownAlert { since: Some(AT), told: None, announced: false, finding: limit, silenced: true };
    let notice = Notice {
        number: 4,
        event: Announcement::Summary,
        id: "summary".into(),
        at: AT,
        since: AT - 86_400_000_000,
        finding: summary,
        to: BTreeSet::from(["duty".into()]),
    };
    AlertState {
        known: BTreeMap::from([("limit:disk".into(), known)]),
        notices: vec![notice],
        last: 4,
        silences: BTreeMap::from([("*".into(), silence)]),
        summed_up: AT,
        heartbeat: Heartbeat {
            looked_at: AT,
            told: Some(AT - 1),
            failures: 2,
            error: Some("HTTP 503".into()),
        },
        ..state()
    }
}
