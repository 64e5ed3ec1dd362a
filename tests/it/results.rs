//! Results are what happened: a retry says what the targets made of it, an edit refuses what nothing could read, and what programs
//! read is never less than there is. The real program against stages that run.

use events::Stage;
use journal::Stream;
use operations::Selection;
use orderflow_tests::{Program, World, until};
use sandbox::{Faults, TargetFaults};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;
use crate::dead::refused;

const BECAUSE: [&str; 3] = ["--execute", "--reason", "the customers were created"];

async fn said(folder: &TempDir, language: &str, args: &[&str]) -> (i32, String, String) {
    let program = Program::new(PROGRAM, folder.path(), args)
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "x")
        .env("ORDERFLOW_LANG", language);
    let output = program.output().await;
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

/// Runs the command and expects this exit status; what it says to people.
async fn tells(folder: &TempDir, status: i32, args: &[&str]) -> String {
    let (found, stdout, stderr) = said(folder, "en", args).await;
    assert_eq!(found, status, "{args:?}: {stdout}{stderr}");
    format!("{stdout}{stderr}")
}

/// Runs the command with `-o json` and expects this exit status; the one document it prints.
async fn document(folder: &TempDir, status: i32, args: &[&str]) -> Value {
    // Programs are told the same in every language.
    let (found, stdout, stderr) = said(folder, "zh", &[args, &["-o", "json"]].concat()).await;
    assert_eq!(found, status, "{args:?}: {stdout}{stderr}");
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {stdout}"))
}

async fn open(world: &World) -> Vec<u64> {
    let lines = Selection::default().read(&world.journal, &world.names()).await.unwrap();
    lines.into_iter().map(|line| line.letter).collect()
}

/// The stages of a world, and that a writer answers.
async fn running(world: &World, stop: &CancellationToken) -> JoinSet<()> {
    let stages = world.start(1, stop).await;
    until("a writer answers", async || {
        !operations::instances(&world.journal, &world.names(), Stage::Write).await.is_empty()
    })
    .await;
    stages
}

fn refuse_all(world: &World) {
    let target = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
    world.sandbox.set_faults(Faults { target, ..Faults::default() });
}

#[tokio::test]
async fn a_retry_says_what_the_target_made_of_it() {
    let (world, folder) = refused(6).await;
    let letters = open(&world).await;
    let stop = CancellationToken::new();
    let stages = running(&world, &stop).await;

    // The target refuses them again: how many, why, and which letters they are now.
    refuse_all(&world);
    let two = [letters[0].to_string(), letters[1].to_string()];
    let retry = ["dead", "retry", &two[0], &two[1]];
    let text = tells(&folder, 4, &[&retry[..], &BECAUSE].concat()).await;
    let new: Vec<u64> = open(&world).await.into_iter().filter(|letter| !letters.contains(letter)).collect();
    assert_eq!(new.len(), 2, "each has a new letter: {text}");
    assert!(text.contains("2 sent again: 0 succeeded, 2 refused again"), "{text}");
    assert!(text.contains("2 refused by qeasy (group ") && text.contains("客户不存在"), "{text}");
    for letter in &new {
        assert!(text.contains(&letter.to_string()), "{letter}: {text}");
    }

    // Programs are told the same, and what was left alone.
    let again = [new[0].to_string(), letters[2].to_string()];
    let only_new = ["dead", "retry", &again[0], &again[1], "--max-replays", "1"];
    let report = document(&folder, 4, &[&only_new[..], &BECAUSE].concat()).await;
    assert_eq!(report["letters"], serde_json::json!([letters[2]]), "{report}");
    assert_eq!(report["left_alone"][0]["letter"], new[0], "{report}");
    let outcome = &report["result"]["outcome"];
    assert_eq!((&outcome["sent"], &outcome["failed"]), (&1.into(), &1.into()), "{report}");
    assert_eq!(outcome["failures"][0]["of_letter"], letters[2], "{report}");
    assert_eq!(report["result"]["waited"], "settled", "{report}");

    // The target is well again.
    world.sandbox.set_faults(Faults::default());
    let (status, stdout, stderr) =
        said(&folder, "zh", &[&["dead", "retry", "--all"], &BECAUSE[..]].concat()).await;
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert!(stdout.contains("已重新送出 6 条：成功 6，再次被拒 0"), "{stdout}");
    assert_eq!((open(&world).await.len(), world.report().target.distinct_orders), (0, 6));

    // What came of it can be asked for later.
    let all = document(&folder, 0, &["ops", "list", "--verb", "retry"]).await;
    let last = all.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_string();
    let shown = tells(&folder, 0, &["ops", "show", &last]).await;
    assert!(shown.contains("6 sent: 6 succeeded, 0 refused again"), "{shown}");
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn what_nobody_writes_is_under_way_and_said_to_be() {
    let (world, folder) = refused(3).await;
    let began = std::time::Instant::now();
    let text = tells(&folder, 4, &[&["dead", "retry", "--all"], &BECAUSE[..]].concat()).await;
    assert!(text.contains("3 sent again: 0 succeeded, 0 refused again, 3 still under way"), "{text}");
    assert!(text.contains("no writer of qeasy answers"), "{text}");
    assert!(began.elapsed().as_secs() < 20, "nobody waits for what cannot come");
    assert_eq!(open(&world).await, Vec::<u64>::new(), "they are sent all the same");

    // It arrives with the next run, and the operation knows.
    world.sync().await;
    let all = document(&folder, 0, &["ops", "list", "--verb", "retry"]).await;
    let shown = document(&folder, 0, &["ops", "show", all[0]["id"].as_str().unwrap()]).await;
    assert_eq!(
        (&shown["outcome"]["succeeded"], &shown["outcome"]["under_way"]),
        (&3.into(), &0.into()),
        "{shown}"
    );
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_waited_for_no_longer_than_asked() {
    let (world, folder) = refused(2).await;
    let stop = CancellationToken::new();
    let stages = running(&world, &stop).await;
    world.sandbox.set_faults(Faults {
        target: TargetFaults { outage: true, ..TargetFaults::default() },
        ..Faults::default()
    });
    let retry = ["dead", "retry", "--all", "--wait", "2s"];
    let report = document(&folder, 4, &[&retry[..], &BECAUSE].concat()).await;
    assert_eq!(report["result"]["waited"], "timed_out", "{report}");
    assert_eq!(report["result"]["outcome"]["under_way"], 2, "{report}");
    // Longer than that, for somebody who has the time.
    world.sandbox.set_faults(Faults::default());
    let all = document(&folder, 0, &["ops", "list", "--verb", "retry"]).await;
    let id = all[0]["id"].as_str().unwrap().to_string();
    until("they arrive", async || {
        document(&folder, 0, &["ops", "show", &id]).await["outcome"]["succeeded"] == 2
    })
    .await;
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn a_replay_says_what_the_target_made_of_it() {
    let world = World::new(12, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    let stop = CancellationToken::new();
    let stages = running(&world, &stop).await;
    let mapped = ["replay", "--from", "mapped", "--all"];
    let text = tells(&folder, 0, &[&mapped[..], &BECAUSE].concat()).await;
    assert!(text.contains("12 sent again: 12 succeeded (12 unchanged), 0 refused again"), "{text}");
    let raw = ["replay", "--from", "raw", "--all", "--force"];
    let report = document(&folder, 0, &[&raw[..], &BECAUSE].concat()).await;
    let outcome = &report["result"]["outcome"];
    assert_eq!((&outcome["sent"], &outcome["outcomes"]["written"]), (&12.into(), &12.into()), "{report}");
    // A trial says how many there are, and shows the first.
    let text = std::fs::read_to_string(folder.path().join("mapping.toml")).unwrap();
    let changed = text.replace("to = \"customerName\"", "to = \"buyer\"");
    std::fs::write(folder.path().join("mapping.toml"), changed).unwrap();
    let trial = document(&folder, 0, &["replay", "--from", "raw", "--all", "--target", "none"]).await;
    assert_eq!(trial["trial"]["changed"], 12, "{trial}");
    assert_eq!((&trial["executed"], &trial["result"]), (&false.into(), &Value::Null));
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn an_edit_refuses_an_unknown_path_and_a_wrong_type_before_anything_is_stored() {
    let (world, folder) = refused(2).await;
    let letter = open(&world).await[0].to_string();
    let size = async || {
        let mut sizes = Vec::new();
        for stream in [Stream::Mapped, Stream::Dead, Stream::Ops] {
            sizes.push(world.journal.size(&world.names(), stream).await.unwrap().0);
        }
        sizes
    };
    let before = size().await;
    for (set, expected) in [
        (
            "custmerName=Li",
            "--set: custmerName: neither what failed nor the mapping has such a field; did you mean customerName?",
        ),
        (
            "buyer.address.street=x",
            "buyer.address.street: neither what failed nor the mapping has such a field; expected one of ",
        ),
        ("totalAmount=many", "--set: totalAmount: found \"many\", expected a number"),
        ("totalAmount={}", "--set: totalAmount: found {}, expected a number"),
        ("customerName=[1]", "--set: customerName: found [1], expected a text"),
        ("orderNumber=null", "--set: orderNumber: found null, expected a text"),
    ] {
        let edit = ["dead", "edit", &letter, "--set", set];
        let text = tells(&folder, 2, &[&edit[..], &BECAUSE].concat()).await;
        assert!(text.contains(expected), "{text}");
    }
    assert_eq!(size().await, before, "nothing was stored");

    // What is right is sent, and what came of it is said.
    let stop = CancellationToken::new();
    let stages = running(&world, &stop).await;
    let edit = ["dead", "edit", &letter, "--set", "customerName=4711"];
    let plan = document(&folder, 0, &edit).await;
    assert_eq!((&plan["executed"], &plan["about"]), (&false.into(), &"record".into()), "{plan}");
    assert!(plan["after"].as_str().unwrap().contains(r#""customerName":"4711""#), "a text stays one: {plan}");
    let done = document(&folder, 0, &[&edit[..], &BECAUSE].concat()).await;
    assert_eq!(done["result"]["outcome"]["succeeded"], 1, "{done}");
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn what_programs_read_is_never_cut_without_a_word() {
    let (_world, folder) = refused(60).await;
    let all = document(&folder, 0, &["dead", "list"]).await;
    assert_eq!(all.as_array().unwrap().len(), 60, "people see fifty of them");
    let some = document(&folder, 0, &["dead", "list", "--limit", "10"]).await;
    assert_eq!((some.as_array().unwrap().len(), &some[0]["total"]), (10, &60.into()));
    let text = tells(&folder, 0, &["dead", "list"]).await;
    assert!(text.contains("50 of 60, the newest; --limit 0 shows all"), "{text}");
    let windows = document(&folder, 0, &["windows"]).await;
    assert_eq!(windows[0]["earlier"], false, "{windows}");
    let shorter = document(&folder, 3, &["windows", "--last", "0s"]).await;
    assert_eq!(shorter.as_array().unwrap().len(), 0, "{shorter}");
}
