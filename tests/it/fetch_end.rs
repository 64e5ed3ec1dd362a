//! A fetcher that is told to end: soon, and with all that it was answered stored.

use std::time::{Duration, Instant};

use orderflow_tests::{Program, World, next_second, until};
use sandbox::{Faults, Options, Orders, SourceFaults};
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

/// Orders whose list rows lack what their details have, from a source that takes its time.
async fn slow_details(count: u64, source: SourceFaults) -> World {
    let options = Options {
        orders: Orders::Generated { count },
        faults: Faults { source, ..Faults::default() },
        brief_rows: true,
        ..Options::default()
    };
    let mut world = World::with(options).await;
    world.config.source.detail = Some(toml::from_str("concurrency = 4").unwrap());
    world
}

#[tokio::test]
async fn details_that_were_answered_before_the_end_are_not_asked_for_again() {
    let world = slow_details(80, SourceFaults { latency_ms: 800, ..SourceFaults::default() }).await;
    let (config, journal, stop) =
        (world.config.clone(), world.nats.journal().await, CancellationToken::new());
    let token = stop.clone();
    let fetcher = tokio::spawn(async move {
        let live = fetcher::Live::default();
        fetcher::run(&config, journal, fetcher::Mode::Forever, live, token).await.unwrap()
    });
    until("some details are asked for", async || world.report().source.info_requests >= 9).await;
    let told = Instant::now();
    stop.cancel();
    fetcher.await.unwrap();
    assert!(told.elapsed() < Duration::from_secs(15), "{:?}", told.elapsed());
    let asked = world.report().source.info_requests;
    assert!((9..80).contains(&asked), "{asked} of 80 were asked for");

    world.sandbox.set_faults(Faults::default());
    let run = world.sync().await;
    assert!(run.ended.complete && run.account.is_complete(), "{:?}", run.account);
    assert_eq!(run.account.read, 80, "{:?}", run.account);
    assert_eq!(world.report().source.info_requests, 80, "each was paid for once");
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn a_source_that_does_not_answer_holds_the_end_up_for_less_than_25_seconds() {
    let world = slow_details(40, SourceFaults { hang: 1.0, ..SourceFaults::default() }).await;
    let folder = world.folder_of_a_program("");
    let mut child = Program::new(PROGRAM, folder.path(), &["fetch"])
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
        .unheard()
        .start();
    until("it asks", async || {
        let source = world.report().source;
        source.token_requests + source.list_requests > 0
    })
    .await;
    let told = Instant::now();
    Program::end(child.id().unwrap()).await;
    let ended = child.wait().await.unwrap();
    assert!(ended.success(), "{ended}");
    assert!(told.elapsed() < Duration::from_secs(25), "{:?}", told.elapsed());
}

#[tokio::test]
async fn what_was_split_before_a_restart_is_not_logged_as_if_it_were_new() {
    let world = World::new(400, Faults::default()).await;
    let source = SourceFaults { most_rows: 100, deep_status: 422, ..SourceFaults::default() };
    world.sandbox.set_faults(Faults { source, ..Faults::default() });
    let folder = world.folder_of_a_program("");
    let fetched = async || {
        let program = Program::new(PROGRAM, folder.path(), &["fetch", "--once"]);
        let (status, log) = program.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").said().await;
        assert_eq!(status, 0, "{log}");
        log
    };
    let split = "a slice does not settle; its halves are read";
    let first = fetched().await;
    assert!(first.contains(split), "{first}");
    next_second().await;
    // Nothing has changed since: the next window holds little, and what was split lies in the
    // history that is read.
    let second = fetched().await;
    assert!(second.contains("window closed with proof"), "{second}");
    assert!(!second.contains(split), "{second}");
}
