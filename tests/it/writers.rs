//! Writers beside one another: who holds what, what they share, and how they stop.

use std::time::Duration;

use events::{ContentHash, MappedOrder, OrderKey, Origin, Outcome, Stage, Version, WindowId, Writing};
use journal::{Record, Stream};
use operations::{Account, StageStatus, Status, instances};
use orderflow_tests::{Program, World, eventually, until};
use sandbox::{Faults, RetryAfter, TargetFaults};
use service::config::{Span, StopAfter};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

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
async fn shared_by(world: &World, writers: usize) {
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
    until("all receipts are counted", async || {
        let writing = writing(&world).await;
        let held = writing.iter().flat_map(|writing| &writing.partitions);
        held.map(|held| held.orders).sum::<Option<u64>>() == Some(3_000)
    })
    .await;
    for token in [second, others[1].clone(), stop] {
        token.cancel();
    }
    writers.join_all().await;
    transformers.join_all().await;
}

#[tokio::test]
async fn too_many_refusals_stop_every_writer_until_a_person_says_to_go_on() {
    let refusing = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
    let mut world = World::new(600, Faults { target: refusing, ..Faults::default() }).await;
    world.config.targets[0].stop = StopAfter { after: 20, of: 40 };
    let names = world.names();
    world.journal.ensure(&names).await.unwrap();
    let stop = CancellationToken::new();
    let stages = world.start(2, &stop).await;
    assert!(world.fetch().await.complete);
    until("the writers have stopped", async || {
        let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
        !status.stopped.is_empty()
    })
    .await;
    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    assert!(
        status.needs_attention() && status.stopped[0].reason.contains("客户不存在"),
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
    operations::drained(&world.journal, &names, &world.targets()).await.unwrap();
    let report = world.report();
    assert_eq!(report.target.distinct_orders + dead, 600, "{report}");
    let account = Account::of(&world.journal, &names, &world.targets(), 1).await.unwrap();
    assert!(account.is_complete(), "{account:?}");
    let (status, said) = run(&resume).said().await;
    assert!(status == 3 && said.contains("have not stopped"), "{status} {said}");
    stop.cancel();
    stages.join_all().await;
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
    let stages = world.start(1, &stop).await;
    assert!(world.fetch().await.complete);
    operations::drained(&world.journal, &names, &world.targets()).await.unwrap();
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
    assert!(status.needs_attention());
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
        let breached = Instant::now();
        world.sandbox.set_faults(Faults::default());
        let (before, limited) = (world.report().target.accepted_rows, world.report().target.rate_limited);
        eventually("they go on", || world.report().target.accepted_rows > before + 8).await;
        assert!(breached.elapsed() >= Duration::from_millis(1_500), "{:?}", breached.elapsed());
        assert!(limited <= 8, "no more than what two writers of four had under way: {limited}");
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

/// An order of MAPPED with one field, as of a moment.
fn mapped(at: u64, amount: u64) -> MappedOrder {
    let record = format!(r#"{{"orderId":"1","amount":{amount}}}"#).into_bytes();
    MappedOrder {
        key: OrderKey::new("1").unwrap(),
        number: None,
        version: Version { updated_at: Some(at as i64), raw_seq: at, generation: 0 },
        origin: Origin { window: WindowId::live(1), page: 1, row: 0, raw_seq: at },
        mapping: "m".into(),
        content: ContentHash::of(&record),
        record,
        marks: Vec::new(),
    }
}

async fn publish(world: &World, order: MappedOrder) {
    let (names, id) = (world.names(), format!("m:{}", order.version.raw_seq));
    world.journal.publish(&Record::new(names.mapped_of(&order.key), id, &order).unwrap()).await.unwrap();
}

/// The folder of writers that lose a pin soon, and try what failed again only after a while.
async fn patient(world: &World, initial: &str) -> tempfile::TempDir {
    world.journal.ensure(&world.names()).await.unwrap();
    let folder = world.folder_of_a_program("");
    let path = folder.path().join("orderflow.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("timeout = \"5s\"", "timeout = \"1s\"");
    std::fs::write(&path, format!("{text}\n[writer.backoff]\ninitial = \"{initial}\"\n")).unwrap();
    folder
}

#[tokio::test]
async fn an_old_version_that_comes_again_does_not_go_over_what_a_dead_writer_sent() {
    let failing = TargetFaults { soft_error: 1.0, ..TargetFaults::default() };
    let world = World::new(1, Faults { target: failing, ..Faults::default() }).await;
    let folder = patient(&world, "12s").await;
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).start();
    let first = write();
    publish(&world, mapped(1, 100)).await;
    eventually("the old one has failed", || world.report().target.requests == 1).await;
    kill(first).await;
    let lost = TargetFaults { lost_answer: 1.0, ..TargetFaults::default() };
    world.sandbox.set_faults(Faults { target: lost, ..Faults::default() });
    let second = write();
    publish(&world, mapped(2, 200)).await;
    eventually("the target took the new one and did not say so", || world.report().target.lost_answers > 0)
        .await;
    kill(second).await;
    world.sandbox.set_faults(Faults::default());
    let third = write();
    drained(&world).await;
    let report = world.report();
    assert_eq!((report.target.accepted_rows, report.target.retried_same_key), (1, 1), "{report}");
    kill(third).await;
}

#[tokio::test]
async fn an_order_that_went_back_to_what_it_was_is_written_over_what_a_dead_writer_sent_meanwhile() {
    let world = World::new(1, Faults::default()).await;
    let folder = patient(&world, "20s").await;
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).start();
    let first = write();
    publish(&world, mapped(1, 100)).await;
    eventually("the first arrives", || world.report().target.accepted_rows == 1).await;
    let lost = TargetFaults { lost_answer: 1.0, ..TargetFaults::default() };
    world.sandbox.set_faults(Faults { target: lost, ..Faults::default() });
    publish(&world, mapped(2, 200)).await;
    eventually("the target took it and did not say so", || world.report().target.lost_answers > 0).await;
    world.sandbox.set_faults(Faults::default());
    kill(first).await;
    publish(&world, mapped(3, 100)).await;
    let second = write();
    // Without it, the target would keep what the second says.
    eventually("the third arrives", || world.report().target.accepted_rows == 3).await;
    kill(second).await;
}

#[tokio::test]
async fn what_did_not_change_is_not_written_again_after_a_dead_writer() {
    let world = World::new(1, Faults::default()).await;
    let folder = patient(&world, "5s").await;
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).start();
    let first = write();
    publish(&world, mapped(1, 100)).await;
    eventually("it arrives", || world.report().target.accepted_rows == 1).await;
    let failing = TargetFaults { soft_error: 1.0, ..TargetFaults::default() };
    world.sandbox.set_faults(Faults { target: failing, ..Faults::default() });
    let (one, all) = (OrderKey::new("1").unwrap(), world.names().partitions());
    let mut others = (2..).map(|key| OrderKey::new(format!("{key}")).unwrap());
    let other = others.find(|key| key.partition(all) == one.partition(all)).unwrap();
    publish(&world, MappedOrder { key: other.clone(), ..mapped(2, 200) }).await;
    eventually("another one is open", || world.report().target.requests == 2).await;
    kill(first).await;
    // Read again and again, as in the overlap of windows: each is newer, all say what the target holds.
    for again in 3..23 {
        publish(&world, mapped(again, 100)).await;
    }
    publish(&world, MappedOrder { key: other, ..mapped(23, 300) }).await; // what comes last may be taken up first
    world.sandbox.set_faults(Faults::default());
    let second = write();
    drained(&world).await;
    let report = world.report();
    assert_eq!((report.target.accepted_rows, report.target.duplicates), (2, 0), "{report}");
    kill(second).await;
}

async fn drained(world: &World) {
    until("all is settled", async || {
        StageStatus::write(&world.journal, &world.names(), &world.targets()[0]).await.unwrap().is_drained()
    })
    .await;
}

async fn kill(mut child: tokio::process::Child) {
    child.kill().await.unwrap();
}

/// Waits for the word that it is shutting down, then signals once more: it ends at once, with status 130.
async fn term_again(child: &mut tokio::process::Child, term: impl Fn(&tokio::process::Child)) {
    use tokio::io::AsyncBufReadExt;
    let mut lines = tokio::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let waiting = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("shutting down") {
                return;
            }
        }
        panic!("it ended at the first signal");
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it takes the signal");
    term(child);
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
}
