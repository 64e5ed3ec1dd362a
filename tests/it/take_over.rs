//! What becomes of orders whose writer dies, or loses their partition, before all is recorded.

use events::{ContentHash, MappedOrder, OrderKey, Origin, Outcome, Receipt, Version, WindowId, now};
use journal::{Record, Stream};
use operations::StageStatus;
use orderflow_tests::{Program, World, eventually, until};
use sandbox::{Faults, TargetFaults};
use serde_json::json;

use crate::PROGRAM;
use crate::writers::{lines, said, shared_by};

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
async fn what_comes_again_because_the_server_forgot_its_consumer_is_not_written_again() {
    let mut world = World::new(200, Faults::default()).await;
    assert!(world.sync().await.account.is_complete());
    let (names, target, requests) =
        (world.names(), world.targets().remove(0), world.report().target.requests);
    world.nats.kill().await;
    for partition in 0..names.partitions() {
        world.nats.forget_consumer(&names.stream(journal::Stream::Mapped), &names.writer(&target, partition));
    }
    world.nats.restart().await;
    let run = world.sync().await;
    assert!(run.account.is_complete(), "{:?}", run.account);
    world.assert_all_arrived_once();
    assert_eq!(world.report().target.requests, requests);
}

#[tokio::test]
async fn an_old_version_that_comes_again_does_not_go_over_what_a_dead_writer_sent() {
    let failing = TargetFaults { soft_error: 1.0, ..TargetFaults::default() };
    let world = World::new(1, Faults { target: failing, ..Faults::default() }).await;
    let folder = patient(&world, "12s").await;
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).unheard().start();
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
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).unheard().start();
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
async fn what_the_target_took_without_a_receipt_is_written_over_by_an_order_that_went_back() {
    let world = World::new(1, Faults::default()).await;
    let folder = patient(&world, "1s").await;
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).unheard().start();
    let first = write();
    publish(&world, mapped(1, 100)).await;
    eventually("the first arrives", || world.report().target.accepted_rows == 1).await;
    drained(&world).await;
    kill(first).await;
    // There is no room for its receipt.
    let stream = world.names().stream(Stream::Receipts);
    let info = world.nats.ask_jetstream(&format!("$JS.API.STREAM.INFO.{stream}"), &json!({})).await;
    let full = info["state"]["bytes"].as_u64().expect("a size") + 10;
    world
        .nats
        .update_stream(&stream, |config| {
            config["discard"] = "new".into();
            config["max_bytes"] = full.into();
        })
        .await;
    publish(&world, mapped(2, 200)).await;
    let second = write();
    eventually("the target takes the second", || world.report().target.accepted_rows == 2).await;
    publish(&world, mapped(3, 100)).await;
    kill(second).await;
    world.nats.update_stream(&stream, |config| config["max_bytes"] = (-1).into()).await;
    let third = write();
    drained(&world).await;
    let report = world.report();
    assert_eq!(report.target.accepted_rows, 3, "the target keeps what the second says: {report}");
    kill(third).await;
}

#[tokio::test]
async fn what_did_not_change_is_not_written_again_after_a_dead_writer() {
    let world = World::new(1, Faults::default()).await;
    let folder = patient(&world, "5s").await;
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).unheard().start();
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

#[tokio::test]
async fn what_the_target_took_is_recorded_also_when_its_partition_is_cut_off_meanwhile() {
    let slow = TargetFaults { latency_ms: 4_000, ..TargetFaults::default() };
    let mut world = World::new(1, Faults { target: slow, ..Faults::default() }).await;
    let folder = patient(&world, "1s").await;
    let path = folder.path().join("orderflow.toml");
    let text = std::fs::read_to_string(&path).unwrap().replace("timeout = \"1s\"", "timeout = \"6s\"");
    std::fs::write(&path, text).unwrap();
    let write = || Program::new(PROGRAM, folder.path(), &["write"]).start();
    let mut first = write();
    let mut says = lines(&mut first);
    shared_by(&world, 1).await;
    // One order of each partition: whichever are handed over, some are in hand.
    let all = world.names().partitions();
    let key_of = |partition| {
        let mut keys = (1..).map(|key| OrderKey::new(format!("{key}")).unwrap());
        keys.find(|key| key.partition(all) == partition).unwrap()
    };
    for partition in 0..all {
        let key = key_of(partition);
        publish(&world, MappedOrder { key, ..mapped(u64::from(partition) + 1, 100) }).await;
    }
    eventually("they are sent", || world.report().target.requests == u64::from(all)).await;
    // Of an older state of each a receipt comes late: from a writer that had the partition before, and was cut off.
    for partition in 0..all {
        late_receipt(&world, key_of(partition)).await;
    }
    let second = write();
    said(&mut says, "\"members\":2").await;
    kill(second).await;
    world.nats.kill().await;
    said(&mut says, "work in hand cut off").await;
    world.nats.restart().await;
    drained(&world).await;
    let report = world.report();
    assert_eq!(report.target.requests, u64::from(all), "there are receipts, nobody asks again: {report}");
    kill(first).await;
}

/// A receipt that comes late, as of a writer that had the partition before.
pub async fn late_receipt(world: &World, key: OrderKey) {
    let (names, target) = (world.names(), world.targets()[0].clone());
    let older = Version { updated_at: Some(0), raw_seq: 0, generation: 0 };
    let receipt = Receipt {
        target: target.clone(),
        key: key.clone(),
        number: None,
        outcome: Outcome::Written,
        mapped_seq: 1_000_000,
        version: older,
        held: older,
        content: ContentHash::of(b"older"),
        known: true,
        status: Some(200),
        attempts: 1,
        last_write: 0,
        idempotency_key: "older".into(),
        at: now(),
        older_stamp: None,
    };
    let record = Record::new(names.receipt(&target, &key), format!("late:{key}"), &receipt).unwrap();
    world.journal.publish(&record).await.unwrap();
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
