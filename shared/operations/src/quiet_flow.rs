//! For tests: a flow with which all is well.

use std::collections::BTreeMap;
use std::path::Path;

use events::{Instance, Stage, TargetName, Writing};
use service::Config;

use crate::{MappingWatch, StageStatus, Status, Watermark};

const TARGET: &str = "[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"http://h/execute\"\n";

/// A configuration with one target, and these lines of `[alerts]`.
pub(crate) fn config(alerts: &str) -> Config {
    let text = format!("{TARGET}[alerts]\n{alerts}");
    Config::parse(Path::new("orderflow.toml"), &text, std::iter::empty())
        .unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn status() -> Status {
    Status {
        flow: "test".into(),
        watermark: Some(Watermark { to: 1_000, age_seconds: 90 }),
        window: None,
        lanes: Vec::new(),
        stages: vec![
            stage("fetch", None, Some(0)),
            stage("transform", None, Some(0)),
            stage("write", Some("qeasy"), Some(0)),
        ],
        instances: [Stage::Fetch, Stage::Transform, Stage::Write].map(instance).into(),
        expected: Vec::new(),
        overdue: Vec::new(),
        paused: Vec::new(),
        mapping: MappingWatch::default(),
        limits: Vec::new(),
        stopped: Vec::new(),
        dead: Vec::new(),
        dead_open: 0,
        older_stamps: 0,
        orders: 0,
        positions: BTreeMap::new(),
        last_minute: BTreeMap::new(),
    }
}

pub(crate) fn stage(stage: &'static str, target: Option<&str>, waiting: Option<u64>) -> StageStatus {
    StageStatus {
        stage,
        target: target.map(str::to_string),
        lag: waiting.map(|_| 0),
        ack_pending: waiting,
        waiting,
        redelivered: Some(0),
        oldest_seconds: None,
    }
}

pub(crate) fn instance(stage: Stage) -> Instance {
    let writing = Writing {
        target: TargetName::new("qeasy"),
        partitions: Vec::new(),
        trouble: None,
        concurrency: 1,
        trouble_since: None,
        next_attempt: None,
    };
    Instance {
        stage,
        member: "m".into(),
        host: "erp-1".into(),
        pid: 1,
        started_at: 0,
        mapping: None,
        mapping_rejected: None,
        writing: (stage == Stage::Write).then_some(writing),
        trouble: None,
        storage: None,
        trouble_since: None,
        next_attempt: None,
    }
}
