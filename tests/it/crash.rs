//! Killed in the middle: the same command again ends in the same counts.

use std::path::Path;

use orderflow_tests::{Program, World, eventually};
use sandbox::{Faults, TargetFaults};
use tempfile::TempDir;

use crate::PROGRAM;

/// A folder with a configuration for the world's sandbox, and a server of the program's own.
fn folder(world: &World) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let url = world.sandbox.url();
    let demo =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/demo.toml"))
            .unwrap();
    let text = demo
        .replace("client_id = \"demo\"", &format!("client_id = \"demo\"\nbase_url = \"{url}\""))
        .replace("http://127.0.0.1/execute", &format!("{url}/execute"));
    std::fs::write(folder.path().join("orderflow.toml"), text).unwrap();
    std::fs::copy(&world.config.mapping.file, folder.path().join("mapping.toml")).unwrap();
    folder
}

fn up(folder: &TempDir) -> Program {
    Program::new(PROGRAM, folder.path(), &["up", "--once"])
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
}

/// Pages that were under way when the process died are read again, so more rows than orders may have been read; but each
/// of the 4,000 orders was written once, and nothing is open.
fn assert_complete(said: &str) {
    for expected in
        ["Every order read is accounted for: ", " read, none dead, none in flight.", "4,000 written"]
    {
        assert!(said.contains(expected), "no \"{expected}\" in\n{said}");
    }
}

/// The target answers slowly enough that there is a middle to be killed in.
fn slow() -> Faults {
    Faults { target: TargetFaults { latency_ms: 10, ..TargetFaults::default() }, ..Faults::default() }
}

/// So many requests may be under way when a process is killed, and arrive at the target afterwards.
const UNDER_WAY: u64 = 32;

/// Of how many orders the server that was left running holds a receipt.
async fn orders_with_receipt(world: &World, folder: &TempDir) -> u64 {
    let left = journal::local_address(&folder.path().join(".orderflow/nats")).unwrap().expect("its server");
    let (url, tls) = (left.url.into(), Some(left.identity.tls()));
    let connection = journal::Connection { url, tls, ..journal::Connection::default() };
    let journal = journal::Journal::connect(&connection).await.unwrap();
    journal.size(&world.names(), journal::Stream::Receipts).await.unwrap().2
}

#[tokio::test]
async fn a_killed_process_goes_on_where_it_was() {
    let world = World::new(4_000, slow()).await;
    let folder = folder(&world);
    let mut without_receipt = 0;
    for written in [1, 900, 2_100] {
        let child = up(&folder).start();
        eventually("orders arrive", || world.report().target.distinct_orders >= written).await;
        Program::kill(child).await;
        let receipts = orders_with_receipt(&world, &folder).await;
        without_receipt += world.report().target.distinct_orders.saturating_sub(receipts) + UNDER_WAY;
    }
    world.sandbox.set_faults(Faults::default());
    let (status, said) = up(&folder).said().await;
    assert_eq!(status, 0, "{said}");
    assert_complete(&said);
    world.assert_all_arrived_once();
    let report = world.report();
    let again = report.target.retried_same_key;
    assert!(again <= without_receipt, "{again} were sent again, {without_receipt} had no receipt: {report}");
    assert!(without_receipt < 2_000, "receipts lie far behind: {without_receipt}");
}

#[tokio::test]
async fn a_killed_server_that_comes_back_is_found_again_and_nothing_is_forgotten() {
    let mut world = World::new(4_000, slow()).await;
    let folder = folder(&world);
    let up = || up(&folder).env("ORDERFLOW_NATS__URL", &world.nats.url());
    let child = up().start();
    eventually("orders arrive", || world.report().target.distinct_orders >= 500).await;
    world.nats.kill().await;
    world.nats.restart().await;
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert_complete(&said);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn replicas_outlive_a_restart_of_the_server() {
    let mut world = World::new(3_000, slow()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let stages = world.start(2, &stop).await;
    let fetching = tokio::spawn({
        let (config, journal) = (world.config.clone(), world.nats.journal().await);
        async move {
            let (live, stop) = (fetcher::Live::default(), tokio_util::sync::CancellationToken::new());
            fetcher::run(&config, journal, fetcher::Mode::Once, live, stop).await.unwrap()
        }
    });
    eventually("orders arrive", || world.report().target.distinct_orders >= 300).await;
    world.nats.kill().await;
    world.nats.restart().await;
    assert!(fetching.await.unwrap().complete);
    eventually("every order arrives", || world.report().target.missing == 0).await;
    stop.cancel();
    stages.join_all().await;
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn our_own_server_that_dies_ends_the_program_with_a_reason() {
    let world = World::new(4_000, slow()).await;
    let folder = folder(&world);
    let child = up(&folder).start();
    eventually("orders arrive", || world.report().target.distinct_orders >= 300).await;
    let ports = std::fs::read_dir(folder.path().join(".orderflow/nats")).unwrap();
    let name = ports
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .find(|name| name.ends_with(".ports"));
    let pid = name.unwrap().trim_end_matches(".ports").rsplit_once('_').unwrap().1.to_string();
    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(
        said.contains("our nats-server") && said.contains("the same command goes on from there"),
        "{said}"
    );
    world.sandbox.set_faults(Faults::default());
    let (status, said) = up(&folder).said().await;
    assert_eq!(status, 0, "{said}");
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn an_interrupt_drains_and_says_how_to_go_on() {
    let world = World::new(4_000, slow()).await;
    let folder = folder(&world);
    let child = up(&folder).start();
    eventually("orders arrive", || world.report().target.distinct_orders >= 300).await;
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted; the same command goes on from here"), "{said}");
    let drained = world.report().target;
    assert_eq!(drained.retried_same_key, 0);
    world.sandbox.set_faults(Faults::default());
    let (status, said) = up(&folder).said().await;
    assert_eq!(status, 0, "{said}");
    world.assert_all_arrived_once();
    assert_eq!(world.report().target.retried_same_key, 0, "a clean end leaves nothing to be sent twice");
}
