//! One verdict, as an operator meets it: the first line and the exit status of `status`, with the real program.

use orderflow_tests::{Program, World, until};
use sandbox::{Faults, SourceFaults, TargetFaults};
use tempfile::TempDir;
use tokio::process::Child;

use crate::PROGRAM;

const SECRET: (&str, &str) = ("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret");

fn up(folder: &TempDir) -> Child {
    program(folder, &["up"]).env(SECRET.0, SECRET.1).writing_to(&folder.path().join("log")).start()
}

fn program(folder: &TempDir, args: &[&str]) -> Program {
    Program::new(PROGRAM, folder.path(), args)
}

async fn status(folder: &TempDir) -> (i32, String) {
    let (exit, text) = program(folder, &["status"]).said().await;
    (exit, text.lines().next().unwrap_or_default().to_string())
}

/// Waits until the first line of `status` holds all of this, and checks the exit status.
async fn says(folder: &TempDir, exit: i32, parts: &[&str]) -> String {
    let line = std::cell::RefCell::new(String::new());
    until(&format!("status says {parts:?}"), async || {
        let (code, first) = status(folder).await;
        let holds = code == exit && parts.iter().all(|part| first.contains(part));
        *line.borrow_mut() = format!("{code}: {first}");
        holds
    })
    .await;
    line.into_inner()
}

#[tokio::test]
async fn what_a_person_must_act_on_is_in_the_first_line_and_in_the_exit_status() {
    let world = World::new(60, Faults::default()).await;
    let folder = world.folder_of_a_program("");
    let mut running = up(&folder);
    says(&folder, 0, &["OK", "nobody has to do anything"]).await;
    until("all is written", async || world.report().target.distinct_orders == 60).await;
    // The target is down, and everything waits.
    world.sandbox.set_faults(Faults {
        target: TargetFaults { outage: true, ..TargetFaults::default() },
        ..Faults::default()
    });
    world.sandbox.edit(40);
    let parts =
        ["FAULT", "target qeasy cannot be written to", "40 orders wait", "since ", "more: orderflow status"];
    says(&folder, 4, &parts).await;
    world.sandbox.set_faults(Faults::default());
    says(&folder, 0, &["OK"]).await;
    // So is the source.
    world.sandbox.set_faults(Faults {
        source: SourceFaults { outage: true, ..SourceFaults::default() },
        ..Faults::default()
    });
    says(&folder, 4, &["FAULT", "the source cannot be read", "next attempt", "more: orderflow check --live"])
        .await;
    world.sandbox.set_faults(Faults::default());
    says(&folder, 0, &["OK"]).await;
    // Who is killed is missed by the others, and by whoever looks.
    Program::kill(running).await;
    says(&folder, 4, &["FAULT", "no process runs fetch", "since ", "more: orderflow fetch"]).await;
    // Who ends by request is not.
    running = up(&folder);
    says(&folder, 0, &["OK"]).await;
    Program::end(running.id().unwrap()).await;
    assert!(running.wait().await.unwrap().success());
    let (exit, line) = status(&folder).await;
    assert_eq!((exit, line.contains("OK")), (0, true), "{line}");
}

#[tokio::test]
async fn a_wrong_secret_is_told_with_the_words_of_the_source() {
    let world = World::new(10, Faults::default()).await;
    let folder = world.folder_of_a_program("");
    let mut running =
        program(&folder, &["up"]).env(SECRET.0, "wrong").writing_to(&folder.path().join("log")).start();
    says(&folder, 4, &["FAULT", "the source cannot be read"]).await;
    let (_, text) = program(&folder, &["status", "-o", "json"]).said().await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["verdict"]["level"], "fault", "{text}");
    assert_eq!(json["verdict"]["concerns"][0]["kind"], "source_trouble", "{text}");
    Program::end(running.id().unwrap()).await;
    running.wait().await.unwrap();
}

#[tokio::test]
async fn a_pause_holds_orders_back_and_is_shown_until_somebody_ends_it() {
    let mut world = World::new(30, Faults::default()).await;
    let folder = world.folder_of_a_program("");
    let mut running = up(&folder);
    until("all is written", async || world.report().target.distinct_orders == 30).await;
    let because = ["--reason", "stocktaking"];
    let (exit, text) =
        program(&folder, &[&["pause", "--target", "qeasy"][..], &because].concat()).said().await;
    assert_eq!(exit, 0, "{text}");
    says(&folder, 4, &["ATTENTION", "write to qeasy is paused by "]).await;
    world.let_settle().await;
    world.sandbox.edit(20);
    says(
        &folder,
        4,
        &["ATTENTION", "write to qeasy is paused by ", "20 orders wait", "orderflow resume --target qeasy"],
    )
    .await;
    assert_eq!(world.report().target.requests, 30, "nothing is written meanwhile");
    let (exit, text) =
        program(&folder, &[&["pause", "--target", "qeasy"][..], &because].concat()).said().await;
    assert_eq!(exit, 5, "{text}");
    assert!(text.contains("was paused by") && text.contains("stocktaking"), "{text}");
    let resume = ["resume", "--target", "qeasy"];
    let (exit, text) = program(&folder, &resume).said().await;
    assert!(exit == 0 && text.contains("nothing was changed"), "{text}");
    let (exit, text) =
        program(&folder, &[&resume[..], &["--execute", "--reason", "done"]].concat()).said().await;
    assert_eq!(exit, 0, "{text}");
    says(&folder, 0, &["OK"]).await;
    world.assert_all_arrived_once();
    assert_eq!(program(&folder, &resume).said().await.0, 3, "there is nothing to resume");
    let (_, text) = program(&folder, &["ops", "list"]).said().await;
    assert!(text.contains("pause") && text.contains("resume"), "{text}");
    Program::end(running.id().unwrap()).await;
    assert!(running.wait().await.unwrap().success());
}

#[tokio::test]
async fn what_is_to_run_once_does_not_wait_for_a_pause() {
    let world = World::new(10, Faults::default()).await;
    let folder = world.folder_of_a_program("");
    world.journal.ensure(&world.names()).await.unwrap();
    for stage in ["fetch", "transform", "write"] {
        let (exit, text) = program(&folder, &["pause", "--stage", stage, "--reason", "x"]).said().await;
        assert_eq!(exit, 0, "{text}");
        let (exit, text) = program(&folder, &["up", "--once"]).env(SECRET.0, SECRET.1).said().await;
        assert!(exit == 5 && text.contains("was paused by"), "{exit}: {text}");
        let resume = ["resume", "--stage", stage, "--execute", "--reason", "y"];
        let (exit, text) = program(&folder, &resume).said().await;
        assert_eq!(exit, 0, "{text}");
    }
    for (args, found) in [
        (&["pause", "--target", "nowhere", "--reason", "x"][..], "there is no target \"nowhere\""),
        (&["pause", "--target", "qeasy", "--reason", " "], "--reason"),
        (&["pause", "--reason", "x"], "--target"),
        (&["pause", "--stage", "map", "--reason", "x"], "transform"),
    ] {
        let (exit, text) = program(&folder, args).said().await;
        assert!(exit == 2 && text.contains(found), "{args:?}: {exit}: {text}");
    }
    let (exit, text) = program(&folder, &["up", "--once"]).env(SECRET.0, SECRET.1).said().await;
    assert_eq!(exit, 0, "{text}");
    world.assert_all_arrived_once();
}
