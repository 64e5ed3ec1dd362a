//! What cannot be recorded is not sent again, and is recorded when it can be.

use std::time::Duration;

use base64::Engine as _;
use events::{DeadLetter, MappedOrder, Outcome, PageJob, Receipt, Stage, TargetName, WindowId};
use futures::StreamExt;
use journal::{From, Partitions, Record, Stream};
use operations::{Account, Status};
use orderflow_tests::{World, until};
use sandbox::Faults;
use tokio_util::sync::CancellationToken;

/// Orders in the tests here.
const ORDERS: u64 = 300;

/// A limit that no test reaches.
const PLENTY: &str = "1GB";

/// Everything fetched and mapped, and nothing written yet.
async fn mapped(count: u64) -> World {
    let mut world = World::new(count, Faults::default()).await;
    world.nats.limit_account(PLENTY).await;
    world.journal = world.nats.journal().await;
    world.config.targets[0].concurrency = 4;
    let names = world.names();
    world.journal.ensure(&names).await.expect("streams");
    let stop = CancellationToken::new();
    let (config, journal, token) = (world.config.clone(), world.nats.journal().await, stop.clone());
    let mapping = tokio::spawn(async move { transformer::run(&config, journal, token).await });
    assert!(world.fetch().await.complete);
    until("all is mapped", async || world.mapped().await.len() as u64 == count).await;
    stop.cancel();
    mapping.await.expect("no panic").expect("it ran");
    world
}

/// Starts a writer; the result ends it.
fn write(world: &World, live: &writer::Live, stop: &CancellationToken) -> tokio::task::JoinHandle<()> {
    let (config, live, stop, url) = (world.config.clone(), live.clone(), stop.clone(), world.nats.url());
    tokio::spawn(async move {
        let connection = journal::Connection { url: url.into(), name: "w".into(), ..Default::default() };
        let journal = journal::Journal::connect(&connection).await.expect("connected");
        let target = config.targets[0].clone();
        writer::run(&config, &target, journal, live, stop).await.expect("it ran");
    })
}

/// Receipts that say that an order was taken.
async fn written(world: &World) -> u64 {
    let names = world.names();
    let log = world.journal.read(&names, Stream::Receipts, None, From::Start, false).await.expect("read");
    log.filter(|entry| {
        let receipt = entry.as_ref().expect("read").event::<Receipt>();
        std::future::ready(receipt.is_ok_and(|receipt| receipt.body.outcome == Outcome::Written))
    })
    .count()
    .await as u64
}

async fn status(world: &World) -> Status {
    Status::read(&world.journal, &world.names(), &world.targets()).await.expect("a status")
}

/// Holds that nothing leaves while receipts cannot be stored, but what was under way when each partition met its first such
/// receipt; returns how many requests that were.
async fn sent_in_trouble(world: &World, live: &writer::Live) -> u64 {
    let requests = || {
        assert!(live.storage().is_some(), "the trouble is over too early");
        world.report().target.requests
    };
    let (mut sent, mut since) = (requests(), tokio::time::Instant::now());
    while since.elapsed() < Duration::from_secs(3) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if requests() != sent {
            assert!(
                since.elapsed() < Duration::from_secs(1),
                "a request after {:?} of rest",
                since.elapsed()
            );
            (sent, since) = (requests(), tokio::time::Instant::now());
        }
    }
    sent
}

/// All is written once and accounted for, and the writer ends.
async fn assert_all_recorded(
    world: &World,
    live: &writer::Live,
    stop: CancellationToken,
    writing: tokio::task::JoinHandle<()>,
) {
    until("every order has its receipt", async || written(world).await == ORDERS).await;
    until("no trouble is left", async || live.trouble().is_none()).await;
    stop.cancel();
    writing.await.expect("no panic");
    world.assert_all_arrived_once();
    let report = world.report();
    assert_eq!(report.target.requests, ORDERS, "each order went out once");
    let account = Account::of(&world.journal, &world.names(), &world.targets(), 0).await.expect("an account");
    assert!(account.is_complete(), "{account:?}");
}

#[tokio::test]
async fn a_used_up_quota_sends_nothing_again() {
    let world = mapped(ORDERS).await;
    world.nats.limit_account("1KB").await;
    let (live, stop) = (writer::Live::default(), CancellationToken::new());
    let writing = write(&world, &live, &stop);
    until("receipts cannot be stored", async || live.storage().is_some()).await;
    let why = live.trouble().expect("the writer shows it");
    assert!(why.contains("resource limits exceeded for account") && !why.contains("away"), "{why}");
    // Of 16 partitions each has some on their way when its first receipt is refused.
    let sent = sent_in_trouble(&world, &live).await;
    assert!(sent <= 100, "{sent} of {ORDERS} requests");
    let status = status(&world).await;
    assert!(world.needs_person(&status), "{status:?}");
    world.nats.limit_account(PLENTY).await;
    assert_all_recorded(&world, &live, stop, writing).await;
}

/// How many of the 16 partitions a writer holds.
async fn pinned(world: &World) -> usize {
    let (names, target) = (world.names(), TargetName::new("qeasy"));
    assert_eq!(names.partitions(), 16);
    let mut pinned = 0;
    for partition in 0..names.partitions() {
        let durable = names.writer(&target, partition);
        let hold = world.journal.pin(&names, Stream::Mapped, &durable).await.expect("there is one");
        pinned += usize::from(hold.pin.is_some());
    }
    pinned
}

#[tokio::test]
async fn a_partition_that_comes_back_sends_nothing_while_its_receipts_wait() {
    let world = mapped(ORDERS).await;
    world.nats.limit_account("1KB").await;
    let (live, stop) = (writer::Live::default(), CancellationToken::new());
    let writing = write(&world, &live, &stop);
    until("receipts cannot be stored", async || live.storage().is_some()).await;
    let sent = sent_in_trouble(&world, &live).await;
    // Somebody who takes half of the partitions, and does nothing.
    let (role, names) = (format!("write.{}", TargetName::new("qeasy").token()), world.names());
    let journal = world.nats.journal().await;
    let idle = Partitions::new(journal, names, role, "idle");
    let leaves = CancellationToken::new();
    let idling = tokio::spawn({
        let leaves = leaves.clone();
        async move {
            let hold = |_, token: CancellationToken| async move {
                token.cancelled().await;
                Ok(())
            };
            idle.run(&leaves, hold).await
        }
    });
    until("half of the partitions are handed over", async || pinned(&world).await <= 8).await;
    leaves.cancel();
    idling.await.expect("no panic").expect("it ran");
    until("they are back", async || pinned(&world).await == 16).await;
    assert_eq!(sent_in_trouble(&world, &live).await, sent, "what came again was not sent again");
    world.nats.limit_account(PLENTY).await;
    assert_all_recorded(&world, &live, stop, writing).await;
}

#[tokio::test]
async fn a_full_stream_sends_nothing_again() {
    let world = mapped(ORDERS).await;
    let stream = world.names().stream(Stream::Receipts);
    world
        .nats
        .update_stream(&stream, |config| {
            config["discard"] = "new".into();
            config["max_bytes"] = 10_000.into();
        })
        .await;
    let (live, stop) = (writer::Live::default(), CancellationToken::new());
    let writing = write(&world, &live, &stop);
    until("receipts cannot be stored", async || live.storage().is_some()).await;
    let why = live.trouble().expect("the writer shows it");
    assert!(why.contains("maximum bytes exceeded") && !why.contains("away"), "{why}");
    let sent = sent_in_trouble(&world, &live).await;
    assert!(sent < ORDERS, "{sent} of {ORDERS} requests");
    assert!(world.needs_person(&status(&world).await));
    world.nats.update_stream(&stream, |config| config["max_bytes"] = (-1).into()).await;
    assert_all_recorded(&world, &live, stop, writing).await;
}

#[tokio::test]
async fn a_purged_receipt_subject_takes_one_receipt_more_and_no_request() {
    let mut world = mapped(ORDERS).await;
    let (live, stop) = (writer::Live::default(), CancellationToken::new());
    let writing = write(&world, &live, &stop);
    until("every order has its receipt", async || written(&world).await == ORDERS).await;
    let names = world.names();
    let stream = names.stream(Stream::Receipts);
    world.nats.purge(&stream, &names.receipts_of(&TargetName::new("qeasy"))).await;
    assert_eq!(written(&world).await, 0);
    let before = world.report().target.requests;
    // The same again, and something newer: both meet receipts that are gone.
    let changed = world.sandbox.edit(40).len() as u64;
    world.let_settle().await;
    let stop_mapping = CancellationToken::new();
    let (config, journal, token) = (world.config.clone(), world.nats.journal().await, stop_mapping.clone());
    let mapping = tokio::spawn(async move { transformer::run(&config, journal, token).await });
    assert!(world.fetch().await.complete);
    until("what changed is written", async || written(&world).await >= changed).await;
    tokio::time::timeout(
        Duration::from_secs(30),
        operations::drained(&world.journal, &names, &world.targets()),
    )
    .await
    .expect("drained in time")
    .expect("readable");
    assert_eq!(world.report().target.requests - before, changed, "one request for each change");
    world.assert_all_arrived_once();
    stop_mapping.cancel();
    stop.cancel();
    mapping.await.expect("no panic").expect("it ran");
    writing.await.expect("no panic");
}

#[tokio::test]
async fn a_receipt_that_cannot_be_read_costs_no_request_and_holds_nobody_up() {
    let world = mapped(ORDERS).await;
    let names = world.names();
    for entry in world.mapped().await.iter().take(30) {
        let order = entry.event::<MappedOrder>().expect("an order").body;
        let job = PageJob { window: WindowId::live(1), pass: 1, page: 1, slice: None };
        let subject = names.receipt(&TargetName::new("qeasy"), &order.key);
        let garbage = Record::new(subject, format!("garbage:{}", entry.seq), &job).expect("encodes");
        world.journal.publish(&garbage).await.expect("stored");
    }
    let (live, stop) = (writer::Live::default(), CancellationToken::new());
    let writing = write(&world, &live, &stop);
    until("every order has its receipt", async || written(&world).await == ORDERS).await;
    stop.cancel();
    writing.await.expect("no panic");
    assert_eq!(world.report().target.requests, ORDERS, "each order went out once");
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn the_source_is_left_alone_while_pages_cannot_be_stored() {
    let world = World::new(2_000, Faults::default()).await;
    let names = world.names();
    world.journal.ensure(&names).await.expect("streams");
    let stream = names.stream(Stream::Raw);
    world
        .nats
        .update_stream(&stream, |config| {
            config["discard"] = "new".into();
            config["max_bytes"] = 1_000.into();
        })
        .await;
    let (live, stop) = (fetcher::Live::default(), CancellationToken::new());
    let (config, journal) = (world.config.clone(), world.nats.journal().await);
    let fetching = tokio::spawn({
        let (live, stop) = (live.clone(), stop.clone());
        async move { fetcher::run(&config, journal, fetcher::Mode::Once, live, stop).await }
    });
    until("pages cannot be stored", async || live.storage().is_some()).await;
    assert!(live.trouble().is_some_and(|why| why.contains("maximum bytes exceeded")));
    // What was asked for at that moment is answered; then nothing more is asked.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let asked = world.report().source.list_requests;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(world.report().source.list_requests, asked);
    assert!(world.needs_person(&status(&world).await));
    world.nats.update_stream(&stream, |config| config["max_bytes"] = (-1).into()).await;
    let ended = fetching.await.expect("no panic").expect("it ran");
    assert!(ended.complete, "{ended:?}");
}

#[tokio::test]
async fn mapped_orders_that_have_no_room_wait_and_arrive() {
    let world = World::new(200, Faults::default()).await;
    let names = world.names();
    world.journal.ensure(&names).await.expect("streams");
    let stream = names.stream(Stream::Mapped);
    world
        .nats
        .update_stream(&stream, |config| {
            config["discard"] = "new".into();
            config["max_bytes"] = 1_000.into();
        })
        .await;
    let stop = CancellationToken::new();
    let mut stages = world.start(1, &stop).await;
    assert!(world.fetch().await.complete);
    until("the status says so", async || {
        let storage = status(&world).await.instances.into_iter().filter_map(|instance| instance.storage);
        storage.into_iter().any(|why| why.contains("maximum bytes exceeded"))
    })
    .await;
    world.nats.update_stream(&stream, |config| config["max_bytes"] = (-1).into()).await;
    world.drained(&mut stages).await;
    stop.cancel();
    stages.join_all().await;
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn a_message_that_nats_never_takes_does_not_hold_up_the_others() {
    let world = World::new(200, Faults::default()).await;
    let names = world.names();
    world.journal.ensure(&names).await.expect("streams");
    // Some orders are larger than others.
    let sizes = sizes_of_mapped(&world).await;
    let limit = sizes[sizes.len() / 2];
    let stream = names.stream(Stream::Mapped);
    let world = World::new(200, Faults::default()).await;
    world.journal.ensure(&names).await.expect("streams");
    world.nats.update_stream(&stream, |config| config["max_msg_size"] = limit.into()).await;
    world.sync().await;
    let letters: Vec<DeadLetter> = letters(&world).await;
    assert!(!letters.is_empty() && letters.iter().all(|letter| letter.kind == "unstorable"), "{letters:?}");
    assert!(letters.len() < 190, "{} of 200", letters.len());
    assert_eq!(world.report().target.distinct_orders + letters.len() as u64, 200);
}

/// Sizes of the messages that some orders of such a world become, with their headers and stored singly, ascending.
async fn sizes_of_mapped(world: &World) -> Vec<usize> {
    world.sync().await;
    let get = format!("$JS.API.STREAM.MSG.GET.{}", world.names().stream(Stream::Mapped));
    let mut sizes = Vec::new();
    for entry in world.mapped().await.into_iter().take(60) {
        let message = world.nats.ask_jetstream(&get, &serde_json::json!({ "seq": entry.seq })).await;
        let headers = message["message"]["hdrs"].as_str().expect("headers in base64");
        let headers = base64::engine::general_purpose::STANDARD.decode(headers).expect("base64");
        let headers = String::from_utf8(headers).expect("headers are text");
        // A message that is stored alone has no headers of a batch.
        let own = headers.split_inclusive("\r\n").filter(|line| !line.starts_with("Nats-Batch"));
        sizes.push(entry.payload.len() + own.map(str::len).sum::<usize>());
    }
    sizes.sort_unstable();
    sizes
}

async fn letters(world: &World) -> Vec<DeadLetter> {
    let names = world.names();
    let filter = names.dead(Stage::Transform, "*");
    let log =
        world.journal.read(&names, Stream::Dead, Some(&filter), From::Start, false).await.expect("read");
    log.map(|entry| entry.expect("readable").event::<DeadLetter>().expect("a letter").body).collect().await
}
