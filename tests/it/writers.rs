//! Writers beside one another: who holds what, what they share, and how they stop.

use std::time::Duration;

use events::{OrderKey, Outcome, Stage, Writing};
use journal::Stream;
use operations::{Account, Status, instances};
use orderflow_tests::{Program, World, eventually, until};
use sandbox::{Faults, RetryAfter, TargetFaults};
use service::config::{Span, StopAfter};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::ChildStderr;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;
use crate::take_over::late_receipt;

async fn writer(world: &World, stages: &mut JoinSet<()>) -> CancellationToken {
    let (config, journal, stop) =
        (world.config.clone(), world.nats.journal().await, CancellationToken::new());
    let token = stop.clone();
    stages.spawn(async move {
        let (target, live) = (config.targets[0].clone(), writer::Live::default());
        writer::run(&config, &target, journal, live, token).await.unwrap_or_else(|error| panic!("{error}"));
    });
    stop
}

async fn writing(world: &World) -> Vec<Writing> {
    let here = instances(&world.journal, &world.names(), Stage::Write).await;
    here.into_iter().filter_map(|instance| instance.writing).collect()
}

/// Waits until so many writers hold all partitions between them, none more than its share.
pub async fn shared_by(world: &World, writers: usize) {
    let all = usize::from(world.config.writer.partitions);
    until(&format!("{writers} writers share the partitions"), async || {
        let writing = writing(world).await;
        let mut held: Vec<u16> =
            writing.iter().flat_map(|writing| writing.partitions.iter().map(|held| held.partition)).collect();
        held.sort_unstable();
        held.len() == all
            && held.iter().zip(0..).all(|(held, partition)| *held == partition)
            && writing.len() == writers
            && writing.iter().all(|writing| writing.partitions.len() <= all.div_ceil(writers))
    })
    .await;
}

#[tokio::test]
async fn partitions_are_shared_and_status_shows_who_holds_them() {
    let slow = TargetFaults { latency_ms: 5, ..TargetFaults::default() };
    let world = World::new(3_000, Faults { target: slow, ..Faults::default() }).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let stop = CancellationToken::new();
    let (mut writers, mut transformers) = (JoinSet::new(), JoinSet::new());
    let (config, journal, token) = (world.config.clone(), world.nats.journal().await, stop.clone());
    transformers.spawn(async move { transformer::run(&config, journal, token).await.unwrap() });
    let first = writer(&world, &mut writers).await;
    shared_by(&world, 1).await;
    assert!(world.fetch().await.complete);
    let second = writer(&world, &mut writers).await;
    shared_by(&world, 2).await;
    let others = [writer(&world, &mut writers).await, writer(&world, &mut writers).await];
    shared_by(&world, 4).await;
    let status = Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap();
    assert_eq!(status.instances.iter().filter(|instance| instance.writing.is_some()).count(), 4);
    // Two leave in the middle of it: the others take over.
    first.cancel();
    others[0].cancel();
    shared_by(&world, 2).await;
    operations::drained(&world.journal, &world.names(), &world.targets()).await.unwrap();
    world.assert_all_arrived_once();
    assert_eq!(world.report().target.retried_same_key, 0, "a hand-over leaves nothing to be sent twice");
    counted(&world, 3_000).await;
    for token in [second, others[1].clone(), stop] {
        token.cancel();
    }
    writers.join_all().await;
    transformers.join_all().await;
}

/// Waits until the writers say so many receipts between them.
async fn counted(world: &World, receipts: u64) {
    until(&format!("{receipts} receipts are counted"), async || {
        let writing = writing(world).await;
        let held = writing.iter().flat_map(|writing| &writing.partitions);
        held.map(|held| held.orders).sum::<Option<u64>>() == Some(receipts)
    })
    .await;
}

#[tokio::test]
async fn what_a_former_holder_records_late_is_counted_without_a_message() {
    let world = World::new(0, Faults::default()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let mut writers = JoinSet::new();
    let stop = writer(&world, &mut writers).await;
    shared_by(&world, 1).await;
    counted(&world, 0).await;
    for order in ["1", "2"] {
        late_receipt(&world, OrderKey::new(order).unwrap()).await;
    }
    counted(&world, 2).await;
    stop.cancel();
    writers.join_all().await;
}

#[tokio::test]
async fn too_many_refusals_stop_every_writer_until_a_person_says_to_go_on() {
    let refusing = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
    let mut world = World::new(600, Faults { target: refusing, ..Faults::default() }).await;
    world.config.targets[0].stop = StopAfter { after: 20, of: 40 };
    let names = world.names();
    world.journal.ensure(&names).await.unwrap();
    let stop = CancellationToken::new();
    let mut stages = world.start(2, &stop).await;
    assert!(world.fetch().await.complete);
    until("the writers have stopped", async || {
        let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
        !status.stopped.is_empty()
    })
    .await;
    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    assert!(
        world.needs_person(&status) && status.stopped[0].reason.contains("客户不存在"),
        "{:?}",
        status.stopped
    );
    // Each of the two may have come close to the limit by itself.
    let (dead, _, _) = world.journal.size(&names, Stream::Dead).await.unwrap();
    assert!(dead < 40, "{dead} dead letters");

    let folder = world.folder_of_a_program("");
    let run = |args: &[&str]| {
        Program::new(PROGRAM, folder.path(), args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "x")
    };
    let (status, said) = run(&["resume", "--target", "qeasy"]).said().await;
    assert!(
        status == 0 && said.contains("nothing was changed") && said.contains("客户不存在"),
        "{status} {said}"
    );
    let (status, said) = run(&["resume", "--target", "qeasy", "--execute"]).said().await;
    assert!(status == 2 && said.contains("--execute needs a reason"), "{status} {said}");
    assert_eq!(world.journal.size(&names, Stream::Dead).await.unwrap().0, dead, "nothing died meanwhile");

    world.sandbox.set_faults(Faults::default());
    let resume = ["resume", "--target", "qeasy", "--execute", "--reason", "customers were added"];
    let (status, said) = run(&resume).said().await;
    assert!(status == 0 && said.contains("they go on now"), "{status} {said}");
    world.drained(&mut stages).await;
    let report = world.report();
    assert_eq!(report.target.distinct_orders + dead, 600, "{report}");
    let account = Account::of(&world.journal, &names, &world.targets(), 1).await.unwrap();
    assert!(account.is_complete(), "{account:?}");
    let (status, said) = run(&resume).said().await;
    assert!(status == 3 && said.contains("has not stopped"), "{status} {said}");
    stop.cancel();
    stages.join_all().await;
}

/// What the target says of an order may name a person: letters have it, and whoever shows those knows what to hide.
#[tokio::test]
async fn what_the_target_says_of_an_order_is_in_no_log_and_no_status_when_fields_are_personal() {
    for (personal, says) in [("[]", "code 40002: 客户不存在"), ("[\"customerName\"]", "code 40002: ***")]
    {
        let refusing = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
        let world = World::new(300, Faults { target: refusing, ..Faults::default() }).await;
        let folder = world.folder_of_a_program("");
        let path = folder.path().join("orderflow.toml");
        let config = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{config}\n[operators]\npersonal = {personal}\n")).unwrap();
        let run = async |args: &[&str]| {
            let program = Program::new(PROGRAM, folder.path(), args);
            program.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").said().await
        };
        let resume = ["resume", "--target", "qeasy", "--execute", "--reason", "customers were added"];
        for (args, expected) in [
            (&["up", "--once", "--log", "text"][..], 1),
            (&["status"], 4),
            (&["status", "-o", "json"], 4),
            (&resume, 0),
            (&["ops", "list", "-o", "json"], 0),
        ] {
            let (status, said) = run(args).await;
            assert_eq!(status, expected, "{args:?}: {said}");
            let stops = said.matches("every writer of this target stops").count();
            assert_eq!(stops, usize::from(args[0] == "up"), "said once, not by each order: {said}");
            assert!(said.contains(says) && said.contains("客户") == (personal == "[]"), "{args:?}: {said}");
        }
        let (_, letters) = run(&["dead", "groups"]).await;
        assert!(letters.contains("客户不存在"), "what happened is not lost: {letters}");
    }
}

#[tokio::test]
async fn what_stays_open_is_unknown_in_the_receipts_and_in_the_status() {
    let mut world = World::new(
        3,
        Faults { target: TargetFaults { hang: 1.0, ..TargetFaults::default() }, ..Faults::default() },
    )
    .await;
    world.config.targets[0].timeout = Span::from(Duration::from_millis(200));
    world.config.writer.max_attempts = 2;
    world.config.writer.backoff.initial = Span::from(Duration::from_millis(10));
    let names = world.names();
    world.journal.ensure(&names).await.unwrap();
    let stop = CancellationToken::new();
    let mut stages = world.start(1, &stop).await;
    assert!(world.fetch().await.complete);
    world.drained(&mut stages).await;
    let account = Account::of(&world.journal, &names, &world.targets(), 1).await.unwrap();
    assert_eq!((account.targets[0].of(Outcome::Unknown), account.dead_letters()), (3, 0), "{account:?}");
    let unknown = async |world: &World| {
        let held = writing(world).await.into_iter().flat_map(|writing| writing.partitions);
        held.map(|held| held.unknown).sum::<Option<u64>>()
    };
    assert_eq!(unknown(&world).await, Some(3));
    stop.cancel();
    stages.join_all().await;
    // Also after a restart, before any order has come.
    let mut writers = JoinSet::new();
    let stop = writer(&world, &mut writers).await;
    shared_by(&world, 1).await;
    until("the receipts are read", async || unknown(&world).await == Some(3)).await;
    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    assert!(world.needs_person(&status));
    stop.cancel();
    writers.join_all().await;
}

#[tokio::test]
async fn all_writers_of_a_target_keep_one_limit() {
    let mut world = World::new(45, Faults::default()).await;
    world.config.targets[0].limit.requests_per_minute = Some(600.0);
    let began = Instant::now();
    let run = world.sync_with(3).await;
    world.assert_all_arrived_once();
    assert!(run.account.is_complete());
    // 45 requests at 10 a second: the last is due 4.4 s after the first, however many writers there are.
    assert!(began.elapsed() >= Duration::from_millis(4_400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_breach_that_does_not_say_how_long_costs_the_configured_wait_once_for_all() {
    let limited = TargetFaults {
        rate_limit_per_minute: 10,
        retry_after: RetryAfter::None,
        penalty_seconds: 1,
        ..TargetFaults::default()
    };
    let mut world = World::new(60, Faults { target: limited, ..Faults::default() }).await;
    world.config.targets[0].limit.penalty = Span::from(Duration::from_secs(2));
    world.config.targets[0].concurrency = 4;
    let relenting = async {
        eventually("the limit was met", || world.report().target.rate_limited > 0).await;
        world.sandbox.set_faults(Faults::default());
        let limited = world.report().target.rate_limited;
        assert!(limited <= 8, "no more than what two writers of four had under way: {limited}");
        // The other writer goes on until it has heard of it. The longest time in which nothing came:
        let quiet = std::cell::Cell::new((0, Instant::now(), Duration::ZERO));
        eventually("all arrive", || {
            let (rows, since, longest) = quiet.get();
            let (now, accepted) = (Instant::now(), world.report().target.accepted_rows);
            if accepted != rows {
                quiet.set((accepted, now, longest.max(now - since)));
            }
            accepted >= 60
        })
        .await;
        let (_, _, longest) = quiet.get();
        assert!(longest >= Duration::from_millis(1_500), "{longest:?}");
    };
    let (_, ()) = futures::future::join(world.sync_with(2), relenting).await;
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn a_terminated_writer_finishes_what_it_has_in_hand_and_a_second_signal_ends_it() {
    let slow = TargetFaults { latency_ms: 100, ..TargetFaults::default() };
    let world = World::new(2_000, Faults { target: slow, ..Faults::default() }).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let stop = CancellationToken::new();
    let (config, journal, token) = (world.config.clone(), world.nats.journal().await, stop.clone());
    let transforming = tokio::spawn(async move { transformer::run(&config, journal, token).await.unwrap() });
    let folder = world.folder_of_a_program("");
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).start();
    let term = |child: &tokio::process::Child| {
        let pid = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    };
    let mut first = write();
    assert!(world.fetch().await.complete);
    eventually("orders arrive", || world.report().target.distinct_orders >= 200).await;
    term(&first);
    assert!(first.wait().await.unwrap().success());
    let at_the_end = world.report().target.requests;

    let mut second = write();
    eventually("orders arrive", || world.report().target.requests >= at_the_end + 200).await;
    assert_eq!(world.report().target.retried_same_key, 0, "a clean end leaves nothing to be sent twice");
    let hanging = TargetFaults { hang: 1.0, ..TargetFaults::default() };
    world.sandbox.set_faults(Faults { target: hanging, ..Faults::default() });
    let asked = world.report().target.requests;
    eventually("requests hang", || world.report().target.requests > asked).await;
    term(&second);
    // The first signal has been taken when the process says so.
    term_again(&mut second, term).await;
    world.sandbox.set_faults(Faults::default());
    let third = write();
    operations::drained(&world.journal, &world.names(), &world.targets()).await.unwrap();
    world.assert_all_arrived_once();
    drop(third);
    stop.cancel();
    transforming.await.unwrap();
}

/// Waits for the word that it is shutting down, then signals once more: it ends at once, with status 130.
async fn term_again(child: &mut tokio::process::Child, term: impl Fn(&tokio::process::Child)) {
    said(&mut lines(child), "shutting down").await;
    term(child);
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
}

/// What a process says, line by line.
pub fn lines(child: &mut tokio::process::Child) -> Lines<BufReader<ChildStderr>> {
    BufReader::new(child.stderr.take().unwrap()).lines()
}

/// Waits until the process says so.
pub async fn said(lines: &mut Lines<BufReader<ChildStderr>>, what: &str) {
    let waiting = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(what) {
                return;
            }
        }
        panic!("it ended without saying {what}");
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect(what);
}
