//! The source against the receipts, order by order, and the repair of exactly what differs.

use std::time::Duration;

use events::Outcome;
use orderflow_tests::{Program, World};
use sandbox::{Faults, TargetFaults};
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
    let text = tells(folder, status, &[&ALL[..], &["-o", "json"]].concat()).await;
    let json = &text[text.find('[').unwrap()..];
    let found: serde_json::Value = serde_json::from_str(json).unwrap();
    let found = &found[0];
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
    assert_eq!(counts[0], counts[1..7].iter().sum::<usize>() + number("skipped"), "the sum: {found}");
    counts
}

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
    assert!(text.contains("all 3 done"), "{text}");
    world.sync().await;
    assert_eq!(counts(&folder, 0).await, [3, 3, 0, 0, 0, 0, 0, 0]);
    let found =
        operations::Reconciliation::of(&world.journal, &world.names(), &world.targets()[0]).await.unwrap();
    assert_eq!((found.messages.of(Outcome::Written), found.faults()), (3, vec![]));
}
