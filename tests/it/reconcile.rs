//! The source against the receipts, order by order, and the repair of exactly what differs.

use std::collections::BTreeSet;
use std::time::Duration;

use events::Outcome;
use orderflow_tests::{Program, World};
use sandbox::{Faults, SourceFaults, TargetFaults};
use service::config::Span;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

const ALL: [&str; 3] = ["reconcile", "--from", "2009-01-01"];

async fn tells(folder: &TempDir, status: i32, args: &[&str]) -> String {
    let secret = ("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret");
    let (found, text) = Program::new(PROGRAM, folder.path(), args).env(secret.0, secret.1).said().await;
    assert_eq!(found, status, "{args:?}: {text}");
    text
}

/// As numbers: the source, up to date, missing, stale, unknown, dead, discarded, extra.
async fn counts(folder: &TempDir, status: i32) -> [usize; 8] {
    let found = compared(folder, status).await;
    let number = |name: &str| found[name].as_u64().unwrap() as usize;
    let list = |name: &str| found[name].as_array().unwrap().len();
    let counts = [
        number("source"),
        number("up_to_date"),
        list("missing"),
        list("stale"),
        list("unknown"),
        list("dead"),
        list("discarded"),
        list("extra"),
    ];
    let counted: usize = ["newer", "repeat", "skipped"].into_iter().map(number).sum();
    let listed: usize = ["edited", "other_content", "older_stamp", "unmappable"].into_iter().map(list).sum();
    assert_eq!(counts[0], counts[1..7].iter().sum::<usize>() + counted + listed, "the sum: {found}");
    counts
}

/// The comparison with the only target.
async fn compared(folder: &TempDir, status: i32) -> serde_json::Value {
    let text = tells(folder, status, &[&ALL[..], &["-o", "json"]].concat()).await;
    let found: serde_json::Value = serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap();
    found[0].clone()
}

/// The orders of one list, and the causes that are named.
fn listed(found: &serde_json::Value, list: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("none").to_string();
    let lines = found[list].as_array().unwrap();
    (
        lines.iter().map(|line| text(&line["order"])).collect(),
        lines.iter().map(|line| text(&line["cause"])).collect(),
    )
}

fn set<T: ToString>(of: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    of.into_iter().map(|one| one.to_string()).collect()
}

const REPAIR: [&str; 4] = ["--repair", "--execute", "--reason", "tests"];

#[tokio::test]
async fn what_the_target_lacks_is_counted_and_named_and_read_again_at_the_source() {
    let mut world = World::new(60, Faults::default()).await;
    world.sandbox.set_faults(Faults {
        target: TargetFaults { refuse_share: 0.05, ..TargetFaults::default() },
        ..Faults::default()
    });
    world.sync().await;
    world.sandbox.set_faults(Faults::default());
    let folder = world.folder_of_a_program(
        "\n[schedule]\nevery = \"1h\"\nsince = \"2009-01-01 00:00:00\"\nsettle = \"0s\"\n",
    );
    let dead = counts(&folder, 4).await;
    assert!(dead[5] > 0 && dead[1] + dead[5] == 60, "{dead:?}");
    tells(&folder, 0, &["dead", "discard", "--all", "--execute", "--reason", "tests"]).await;
    assert_eq!(counts(&folder, 0).await, [60, 60 - dead[5], 0, 0, 0, 0, dead[5], 0]);

    world.sandbox.edit(4);
    world.sandbox.insert(3);
    world.sandbox.remove(2);
    world.let_settle().await;
    let found = counts(&folder, 4).await;
    assert_eq!((found[0], found[2]), (61, 3), "{found:?}");
    assert!(found[3] > 0 && found[7] > 0, "edited ones are stale, removed ones extra: {found:?}");
    let text = tells(&folder, 4, &[&ALL[..], &["--repair"]].concat()).await;
    assert!(text.contains("  missing  ") && text.contains("--execute"), "{text}");
    let repair = ["--repair", "--execute", "--reason", "tests"];
    // What the source does not list any more is not for it to mend.
    let text = tells(&folder, 4, &[&ALL[..], &repair].concat()).await;
    assert!(text.contains("are read again at the source"), "{text}");
    let stop = CancellationToken::new();
    let mut stages = world.start(1, &stop).await;
    let fetching = tokio::spawn({
        let (config, journal, stop) = (world.config.clone(), world.nats.journal().await, stop.clone());
        async move { fetcher::run(&config, journal, fetcher::Mode::Forever, fetcher::Live::default(), stop).await }
    });
    let id = text.lines().last().unwrap().split(':').next().unwrap();
    let ended = operations::backfill::watch(&world.journal, &world.names(), id, 1, |_| {}).await.unwrap();
    assert!(ended.is_complete(), "{ended:?}");
    world.drained(&mut stages).await;
    let found = counts(&folder, 4).await;
    assert_eq!((found[2], found[3]), (0, 0), "{found:?}");
    stop.cancel();
    stages.join_all().await;
    fetching.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_source_that_refuses_deep_pages_is_compared_in_slices() {
    let world = World::new(600, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program(
        "\n[schedule]\nevery = \"1h\"\nsince = \"2009-01-01 00:00:00\"\nsettle = \"0s\"\n",
    );
    for deep_status in [200, 422] {
        let source = SourceFaults { most_rows: 200, deep_status, ..SourceFaults::default() };
        world.sandbox.set_faults(Faults { source, ..Faults::default() });
        assert_eq!(counts(&folder, 0).await[..2], [600, 600], "{deep_status}");
    }
}

#[tokio::test]
async fn what_is_unknown_is_written_again_from_mapped_and_nothing_else_is() {
    let hanging = TargetFaults { hang: 1.0, ..TargetFaults::default() };
    let mut world = World::new(3, Faults { target: hanging, ..Faults::default() }).await;
    world.config.targets[0].timeout = Span::from(Duration::from_millis(200));
    world.config.writer.max_attempts = 2;
    world.config.writer.backoff.initial = Span::from(Duration::from_millis(10));
    world.sync().await;
    world.sandbox.set_faults(Faults::default());
    let folder = world.folder_of_a_program("");
    assert_eq!(counts(&folder, 4).await, [3, 0, 0, 0, 3, 0, 0, 0]);
    let repair = ["--repair", "--execute", "--reason", "tests"];
    let text = tells(&folder, 0, &[&ALL[..], &repair].concat()).await;
    assert!(text.contains("3 sent again"), "{text}");
    world.sync().await;
    assert_eq!(counts(&folder, 0).await, [3, 3, 0, 0, 0, 0, 0, 0]);
    let found =
        operations::Reconciliation::of(&world.journal, &world.names(), &world.targets()[0]).await.unwrap();
    assert_eq!((found.messages.of(Outcome::Written), found.faults()), (3, vec![]));
}

#[tokio::test]
async fn an_order_that_changed_without_a_new_time_is_found_and_written() {
    let world = World::new(20, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    assert_eq!(counts(&folder, 0).await, [20, 20, 0, 0, 0, 0, 0, 0]);
    let silent = set(world.sandbox.silent_edit(2));
    let found = compared(&folder, 4).await;
    assert_eq!(listed(&found, "other_content"), (silent.clone(), set(["source"])), "{found}");
    assert_eq!((&found["up_to_date"], &found["source"]), (&18.into(), &20.into()), "{found}");
    let text = tells(&folder, 4, &ALL).await;
    assert!(text.contains("18 up to date") && text.contains("2 with other content"), "{text}");
    assert!(text.contains("changed at the source"), "{text}");
    let text = tells(&folder, 4, &[&ALL[..], &["--repair"]].concat()).await;
    assert!(text.contains("would have 2 written"), "{text}");

    let requests = world.report().target.requests;
    let text = tells(&folder, 0, &[&ALL[..], &REPAIR].concat()).await;
    assert!(text.contains("2 sent again"), "{text}");
    world.sync().await;
    let report = world.report();
    assert_eq!((report.target.requests, report.target.stale_overwrites), (requests + 2, 0), "{report}");
    assert_eq!(world.sandbox.behind(), Vec::<String>::new());
    assert_eq!(counts(&folder, 0).await, [20, 20, 0, 0, 0, 0, 0, 0]);
    let text = tells(&folder, 0, &[&ALL[..], &REPAIR].concat()).await;
    assert!(!text.contains("sent again"), "nothing is left to do: {text}");
    let by_the_logs =
        operations::Reconciliation::of(&world.journal, &world.names(), &world.targets()[0]).await.unwrap();
    assert_eq!(by_the_logs.faults(), vec![]);
    // It changes once more, without a time again: what was repaired is no exception.
    let again = set(world.sandbox.silent_edit(20));
    assert_eq!(listed(&compared(&folder, 4).await, "other_content").0, again);
}

#[tokio::test]
async fn a_changed_mapping_is_told_from_a_changed_order() {
    let world = World::new(20, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    let file = folder.path().join("mapping.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let renamed = text.replace("to = \"customerName\"", "to = \"buyer\"");
    assert_ne!(renamed, text);
    std::fs::write(&file, &renamed).unwrap();
    let silent = set(world.sandbox.silent_edit(1));
    let found = compared(&folder, 4).await;
    assert_eq!(found["other_content"].as_array().unwrap().len(), 20, "{found}");
    let lines = found["other_content"].as_array().unwrap().iter();
    let changed = lines.filter(|line| line["cause"] == "source").map(|line| line["order"].as_str().unwrap());
    assert_eq!(set(changed), silent, "the others are what they were: {found}");
    assert_eq!(listed(&found, "other_content").1, set(["mapping", "source"]));
    let text = tells(&folder, 4, &ALL).await;
    assert!(text.contains("1 have changed at the source, 19 were written by another mapping"), "{text}");
}

#[tokio::test]
async fn a_row_that_cannot_be_mapped_today_is_not_called_the_same() {
    let world = World::new(6, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    let file = folder.path().join("mapping.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let strict = "[[field]]\nto = \"approvedBy\"\nfrom = \"approver\"\nrequired = true\n\n[[field]]\n";
    std::fs::write(&file, text.replacen("[[field]]\n", strict, 1)).unwrap();
    let found = compared(&folder, 4).await;
    assert_eq!((&found["up_to_date"], &found["source"]), (&0.into(), &6.into()), "{found}");
    let lines = found["unmappable"].as_array().unwrap();
    assert_eq!(lines.len(), 6, "{found}");
    assert!(lines[0]["error"].as_str().unwrap().contains("approvedBy"), "{found}");
    // No repair can write it.
    let text = tells(&folder, 4, &[&ALL[..], &REPAIR].concat()).await;
    assert!(!text.contains("sent again"), "{text}");
}

#[tokio::test]
async fn a_repeat_is_not_taken_for_the_content_that_was_sent() {
    let mut world = World::new(8, Faults::default()).await;
    world.config.targets[0].id_check = true;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    assert_eq!(counts(&folder, 0).await[1], 8);
    let edited = set(world.sandbox.edit(3));
    world.let_settle().await;
    let run = world.sync().await;
    assert_eq!(run.account.targets[0].of(Outcome::Repeat), 3);
    let found = compared(&folder, 4).await;
    assert_eq!(listed(&found, "other_content"), (edited, set(["repeat"])), "{found}");
    assert_eq!(found["up_to_date"], 5, "{found}");
}

#[tokio::test]
async fn a_rewrite_is_carried_on_by_any_process() {
    let world = World::new(10, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    world.sandbox.silent_edit(3);
    tells(&folder, 0, &[&ALL[..], &REPAIR].concat()).await;
    // As if its process had died before the first step: the same work under another name.
    let journal = &world.journal;
    let names = world.names();
    let done = operations::Operation::all(journal, &names).await.unwrap();
    let repair = done.iter().find(|operation| operation.verb == "repair").unwrap();
    assert_eq!((repair.count, repair.reason.as_str()), (Some(3), "tests"));
    assert!(repair.plan.contains("write 3 orders over what qeasy holds"), "{}", repair.plan);
    let work = repair.work.clone().unwrap();
    let id = operations::begin(journal, &names, "repair", "3".into(), "r", work).await.unwrap();
    let text = tells(&folder, 0, &["ops", "resume", &id, "--detach"]).await;
    assert!(text.contains("3 sent again"), "{text}");
    let requests = world.report().target.requests;
    world.sync().await;
    assert_eq!(world.report().target.requests, requests + 3, "each of them once");
    assert_eq!((counts(&folder, 0).await[1], world.sandbox.behind()), (10, vec![]));
}
