use events::KnownAlert;

use super::*;
use crate::quiet_flow::{self, stage};
use crate::{DeadLetters, EmptyField, ExpectedService, MappingWatch, OverdueRun, Paused, Stopped, Watermark};

fn config() -> Config {
    quiet_flow::config("backlog = 100\n")
}

/// A flow with which all is well, and `waiting` orders on their way to the target.
fn status(waiting: u64) -> Status {
    let mut status = quiet_flow::status();
    status.stages[2] = stage("write", Some("qeasy"), Some(waiting));
    status
}

fn verdict(status: &Status) -> Verdict {
    Verdict::of(status, &AlertState::default(), &config())
}

/// The concerns by name, with whether a person has to act.
fn concerns(status: &Status) -> Vec<(String, Level, bool)> {
    let concerns = verdict(status).concerns.into_iter();
    concerns.map(|concern| (concern.id, concern.level, concern.needs_person)).collect()
}

fn expected(stage: Stage, target: Option<&str>) -> ExpectedService {
    ExpectedService {
        stage,
        target: target.map(str::to_string),
        host: "erp-2".into(),
        seen_at: 7,
        processes: Vec::new(),
    }
}

#[test]
fn orders_on_their_way_are_no_concern() {
    let well = Verdict { level: Level::Ok, needs_person: false, concerns: Vec::new() };
    assert_eq!(verdict(&status(0)), well);
    assert_eq!(verdict(&status(100)), well);
}

#[test]
fn what_is_expected_and_does_not_run_needs_a_person_and_so_does_what_waits_for_nobody() {
    let nothing = Status { instances: Vec::new(), ..status(0) };
    assert_eq!(concerns(&nothing), [], "nobody expects anything, and nothing waits");
    let waits = Status { instances: Vec::new(), ..status(90) };
    let found = verdict(&waits);
    assert_eq!(concerns(&waits), [("nobody:write:qeasy".to_string(), Level::Fault, true)]);
    assert_eq!((found.concerns[0].waiting, found.concerns[0].since), (Some(90), None));
    assert_eq!(found.concerns[0].command, "orderflow write --target qeasy");
    let mut with_own_server = config();
    with_own_server.nats.own_folder = Some(".orderflow/nats".into());
    let found_there = Verdict::of(&waits, &AlertState::default(), &with_own_server);
    assert_eq!(found_there.concerns[0].command, "orderflow up");
    assert!(found.needs_person);
    let expected = vec![expected(Stage::Fetch, None), expected(Stage::Write, Some("qeasy"))];
    let gone = Status { expected: expected.clone(), ..nothing };
    let ids: Vec<_> = concerns(&gone).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(ids, ["nobody:fetch", "nobody:write:qeasy"]);
    assert_eq!(verdict(&gone).concerns[0].since, Some(7));
    let runs = Status { expected, ..status(0) };
    assert_eq!(concerns(&runs), []);
    let paused = Paused {
        stage: Stage::Fetch,
        target: None,
        by: "li@erp-1".into(),
        reason: "stocktaking".into(),
        since: 9,
    };
    let ids: Vec<_> =
        concerns(&Status { paused: vec![paused], ..gone }).into_iter().map(|one| one.0).collect();
    assert_eq!(ids, ["nobody:write:qeasy", "paused:fetch"], "a pause is said instead");
}

#[test]
fn a_target_that_is_left_alone_is_a_fault_with_all_that_waits_for_it() {
    let mut down = status(90);
    let writing = down.instances[2].writing.as_mut().expect("a writer");
    writing.trouble = Some("HTTP 503".into());
    (writing.trouble_since, writing.next_attempt) = (Some(5), Some(8));
    let found = verdict(&down);
    let concern = &found.concerns[0];
    assert_eq!((concern.id.as_str(), found.level, found.needs_person), ("target:qeasy", Level::Fault, true));
    assert_eq!((concern.waiting, concern.since, concern.next_attempt), (Some(90), Some(5), Some(8)));
    // Who has stopped does not find out how the target does.
    let reason = "100 of the last 200 orders were refused".to_string();
    down.stopped = vec![Stopped { target: "qeasy".into(), reason, since: 3 }];
    assert_eq!(concerns(&down), [("stopped:qeasy".to_string(), Level::Fault, true)]);
}

#[test]
fn a_source_may_have_a_bad_moment_and_then_needs_a_person() {
    let mut down = status(0);
    down.instances[0].trouble = Some("HTTP 401".into());
    down.instances[0].trouble_since = Some(now());
    assert_eq!(concerns(&down), [("source".to_string(), Level::Attention, false)]);
    down.instances[0].trouble_since = Some(now() - BAD_MOMENT);
    assert_eq!(concerns(&down), [("source".to_string(), Level::Fault, true)]);
}

#[test]
fn a_backlog_that_falls_mends_itself_and_one_that_does_not_needs_a_person() {
    let backlog = |needs_person| {
        let level = if needs_person { Level::Fault } else { Level::Attention };
        [("backlog:write:qeasy".to_string(), level, needs_person)]
    };
    assert_eq!(concerns(&status(101)), backlog(true), "in hand, and not settled, is waiting");
    let settled = Status { last_minute: [("RECEIPTS", 9), ("MAPPED", 8)].into(), ..status(101) };
    assert_eq!(concerns(&settled), backlog(false));
    let before = |lag| {
        let finding =
            Finding::Backlog { stage: "write".into(), target: Some("qeasy".into()), lag, limit: 100 };
        let known = KnownAlert { since: Some(4), told: None, announced: false, finding, silenced: false };
        AlertState { known: [("backlog:write:qeasy".to_string(), known)].into(), ..AlertState::default() }
    };
    let found = Verdict::of(&status(101), &before(102), &config());
    assert_eq!((found.needs_person, found.concerns[0].since), (false, Some(4)));
    assert!(Verdict::of(&settled, &before(101), &config()).needs_person, "what was seen counts");
}

#[test]
fn a_field_that_has_gone_empty_is_asked_about() {
    let field = EmptyField {
        path: "company.name".into(),
        mapping: "0123456789abcdef".into(),
        had: 990,
        of: 1_000,
        since: 5,
        orders: 30,
    };
    let mapping = MappingWatch { empty: vec![field], held: None };
    let asked = Status { mapping, ..status(0) };
    assert_eq!(concerns(&asked), [("field:company.name".to_string(), Level::Attention, true)]);
    let concern = &verdict(&asked).concerns[0];
    assert_eq!((concern.since, concern.command.as_str()), (Some(5), "orderflow map drift"));
}

#[test]
fn what_is_worst_stands_first() {
    let letters = DeadLetters { stage: "write".into(), kind: "refused".into(), letters: 3 };
    let failed = WindowState::Failed { reason: "page 3".into() };
    let line = WindowLine { window: "live-000002".into(), since: 1, until: 2, state: failed };
    let run = OverdueRun { command: "up --once".into(), last: 3, usual_seconds: 600 };
    let all = Status {
        dead: vec![letters],
        dead_open: 2,
        older_stamps: 1,
        window: Some(line),
        overdue: vec![run],
        watermark: Some(Watermark { to: 0, age_seconds: 1_000_000 }),
        ..status(0)
    };
    let ids = |status: &Status| concerns(status).into_iter().map(|one| one.0).collect::<Vec<_>>();
    assert_eq!(ids(&all), ["window:live", "watermark", "dead", "older"]);
    let nobody = Status { instances: Vec::new(), ..all };
    assert_eq!(ids(&nobody)[0], "run:up-once", "a fetcher that runs does the same work");
}
