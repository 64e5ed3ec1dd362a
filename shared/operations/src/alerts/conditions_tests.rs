use events::{AlertState, Instance, Stage};

use super::*;
use crate::quiet_flow::{self, config, instance, stage};
use crate::{Stopped, Watermark};

/// A flow with which all is well, and whose newest window is proved.
fn status() -> Status {
    let proved = WindowState::Closed { total: 1, distinct: 1, passes: 1, slices: 1, pages_read: 1 };
    Status { window: Some(window("live-000001", proved)), ..quiet_flow::status() }
}

fn window(window: &str, state: WindowState) -> WindowLine {
    WindowLine { window: window.into(), since: 1, until: 2, state }
}

/// These writers, and one of each other stage.
fn with(writers: &[Instance]) -> Vec<Instance> {
    [&[instance(Stage::Fetch), instance(Stage::Transform)], writers].concat()
}

fn look_of(status: &Status, groups: &[DeadGroup], config: &Config) -> Look {
    Look::of(status, groups, &AlertState::default(), config)
}

fn writer(trouble: Option<&str>) -> Instance {
    let mut writer = instance(Stage::Write);
    if let Some(writing) = &mut writer.writing {
        writing.trouble = trouble.map(str::to_string);
    }
    writer
}

fn group(fingerprint: &str, open: u64) -> DeadGroup {
    DeadGroup {
        fingerprint: fingerprint.into(),
        stage: Stage::Write,
        kind: "refused".into(),
        pattern: "客户不存在".into(),
        targets: BTreeSet::from(["qeasy".into()]),
        open,
        resolved: 1,
        first_seen: 5,
        last_seen: 9,
        mappings: BTreeSet::new(),
    }
}

fn names(look: &Look) -> Vec<&str> {
    look.holding.iter().map(|condition| condition.id.as_str()).collect()
}

fn undecided(look: &Look) -> Vec<&str> {
    look.undecided.iter().map(String::as_str).collect()
}

#[test]
fn a_flow_that_is_well_has_nothing_to_say() {
    let well = Look { proved: BTreeSet::from(["window:live".into()]), ..Look::default() };
    assert_eq!(look_of(&status(), &[group("a", 0)], &config("")), well);
}

#[test]
fn everything_that_is_wrong_is_named_and_can_be_turned_off() {
    let status = Status {
        watermark: Some(Watermark { to: 0, age_seconds: 3_601 }),
        window: Some(window("live-000002", WindowState::Failed { reason: "HTTP 500: order 4711".into() })),
        lanes: vec![window("sweep-2d-000007", WindowState::Failed { reason: "rows moved".into() })],
        stages: vec![stage("fetch background", None, Some(9)), stage("write", Some("qeasy"), Some(8))],
        instances: with(&[
            writer(None),
            writer(Some("5 orders in a row failed; the last: customer '李明' 4711")),
        ]),
        dead_open: 7,
        ..status()
    };
    let groups = [group("e6b118f3", 6), group("ffffffff", 0)];
    let look = look_of(&status, &groups, &config("dead_letters = 6\nbacklog = 8\n"));
    let expected = [
        "target:qeasy",
        "window:live",
        "window:sweep-2d",
        "watermark",
        "backlog:fetch-background",
        "dead",
        "dead-group:e6b118f3",
    ];
    assert_eq!(names(&look), expected);
    assert!(look.undecided.is_empty());
    let finding = |id: &str| look.holding.iter().find(|one| one.id == id).expect("found");
    let reason = match &finding("target:qeasy").finding {
        Finding::TargetLeftAlone { reason, .. } => reason.as_str(),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason, "5 orders in a row failed", "what was said of one order stays in the house");
    assert_eq!((finding("target:qeasy").after, finding("target:qeasy").since), (600_000_000, None));
    assert_eq!(finding("watermark").since, Some(3_600_000_000));
    assert_eq!(
        (finding("dead-group:e6b118f3").repeats, finding("dead-group:e6b118f3").since),
        (false, Some(5))
    );
    let off = "failed_windows = false\nwatermark_age = \"0s\"\ndead_letters = 0\ndead_groups = false\n\
               target_down = \"0s\"\ntarget_stopped = \"0s\"\nbacklog = 0\n\
               source_down = \"0s\"\nno_process = \"0s\"\nproblems = false\n";
    let stop = Stopped { target: "qeasy".into(), reason: "r".into(), since: 3 };
    let stopped = Status { stopped: vec![stop], ..status };
    assert_eq!(look_of(&stopped, &groups, &config(off)), Look::default());
}

#[test]
fn what_is_not_known_is_neither_well_nor_wrong() {
    let status = Status {
        watermark: None,
        window: None,
        lanes: vec![window("deleted-000001", WindowState::Open)],
        stages: vec![stage("write", Some("qeasy"), None)],
        instances: Vec::new(),
        ..status()
    };
    let look = look_of(&status, &[], &config(""));
    let expected = [
        "backlog:write:qeasy",
        "mapping",
        "mappings",
        "source",
        "storage:fetch",
        "storage:transform",
        "storage:write",
        "target:qeasy",
        "unknown:qeasy",
        "watermark",
        "window:deleted",
        "window:live",
    ];
    assert_eq!((names(&look), undecided(&look)), (vec![], expected.to_vec()));
}

#[test]
fn a_target_that_was_stopped_is_another_matter_than_one_that_is_down() {
    let reason =
        "100 of the last 200 orders were refused; the last: HTTP 200, code 40002: 客户李明不存在".to_string();
    let stopped = vec![Stopped { target: "qeasy".into(), reason: reason.clone(), since: 3 }];
    let instances = with(&[writer(Some(&format!("stopped: {reason}")))]);
    let look = look_of(&Status { stopped, instances, ..status() }, &[], &config(""));
    assert_eq!((names(&look), undecided(&look)), (vec!["stopped:qeasy"], vec!["target:qeasy"]));
    assert_eq!((look.holding[0].since, look.holding[0].after), (Some(3), 1_000_000));
    let Finding::TargetStopped { reason, .. } = &look.holding[0].finding else { panic!("{look:?}") };
    assert_eq!(reason, "100 of the last 200 orders were refused; the last: HTTP 200, code 40002");
}

#[test]
fn of_a_reason_only_our_own_numbers_and_the_status_stay() {
    let said = |reason: &str| without_particulars(reason);
    assert_eq!(said("HTTP 503: order 5203550000"), "HTTP 503: order #");
    assert_eq!(said("5 orders in a row failed; the last: order 77"), "5 orders in a row failed");
    let refused = "the target answered HTTP 200, code 40002: 客户不存在: 5200000637";
    assert_eq!(said(refused), "the target answered HTTP 200, code 40002: 客户不存在: #");
    assert_eq!(said("HTTP 5203550000"), "HTTP #", "no status is that long");
    assert_eq!(said("HTTP 500, then HTTP 200"), "HTTP #, then HTTP #");
    assert_eq!(without_particulars("没有客户“李明”"), without_particulars("没有客户“王芳”"));
}
