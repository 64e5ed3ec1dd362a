//! The straight road: source to target, in one piece and in many.

use std::collections::{HashMap, HashSet};

use events::{MappedOrder, Outcome, RawPage, Receipt, WindowEvent};
use futures::StreamExt;
use journal::{Entry, From, Stream, TraceParent};
use orderflow_tests::World;
use sandbox::{Faults, TargetFaults};

async fn all(world: &World, stream: Stream) -> Vec<Entry> {
    let log = world.journal.read(&world.names(), stream, None, From::Start, false).await.unwrap();
    log.map(Result::unwrap).collect().await
}

#[tokio::test]
async fn every_order_arrives_once_and_the_account_adds_up() {
    let world = World::new(1_234, Faults::default()).await;
    let run = world.sync().await;
    world.assert_all_arrived_once();
    assert!(run.ended.complete && run.ended.failed.is_none());
    let account = run.account;
    assert!(account.is_complete(), "{account:?}");
    assert_eq!((account.pages, account.read, account.mapped, account.dead), (13, 1_234, 1_234, 0));
    assert_eq!(account.targets[0].of(Outcome::Written), 1_234);
    let (_, proof) = &run.ended.closed[0];
    assert_eq!((proof.pass, proof.pages, proof.total, proof.distinct), (2, 13, 1_234, 1_234));
}

#[tokio::test]
async fn a_second_run_sends_only_what_changed_and_the_newest_wins() {
    let world = World::new(500, Faults::default()).await;
    world.sync().await;
    let before = world.report().target.requests;
    world.sync().await;
    assert_eq!(world.report().target.requests, before, "nothing changed, so nothing was sent");

    // Edits carry the wall clock's time; a window ends at least `settle` short of now.
    let edited = world.sandbox.edit(40);
    let inserted = world.sandbox.insert(10);
    let mut world = world;
    world.let_settle().await;
    let run = world.sync().await;
    world.assert_all_arrived_once();
    assert_eq!(run.account.targets[0].of(Outcome::Written), (edited.len() + inserted.len()) as u64);
}

#[tokio::test]
async fn orders_read_again_in_an_overlap_cost_nothing_downstream() {
    let mut world = World::new(300, Faults::default()).await;
    world.sync().await;
    let sizes = async |world: &World| {
        let mut sizes = Vec::new();
        for stream in [Stream::Raw, Stream::Mapped, Stream::Receipts] {
            sizes.push(world.journal.size(&world.names(), stream).await.unwrap().1);
        }
        sizes
    };
    let before = sizes(&world).await;
    // An overlap that reaches back over everything.
    world.config.schedule.overlap =
        service::config::Span::from(std::time::Duration::from_secs(20 * 365 * 86_400));
    world.let_settle().await;
    let run = world.sync().await;
    assert!(run.ended.complete && run.account.is_complete(), "{:?}", run.account);
    // Three pages, each of them looked at twice: several pages are proved by finding their orders again.
    assert_eq!((run.account.listed, run.account.read, run.account.pages), (600, 0, 0), "{:?}", run.account);
    assert_eq!(sizes(&world).await, before, "nothing was stored again");
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn raw_pages_are_kept_exactly_as_received_and_one_trace_spans_all_stages() {
    let world = World::new(250, Faults::default()).await;
    world.sync().await;
    let mut traces: HashMap<u64, TraceParent> = HashMap::new();
    for entry in all(&world, Stream::Raw).await {
        let page = entry.event::<RawPage>().unwrap().body;
        let body = page.body.unpack().unwrap();
        let parsed: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(parsed["data"]["count"], 250, "the source's own answer");
        assert!(page.request.starts_with("/v1/invoices/order/list?"), "{}", page.request);
        assert!(!page.request.contains("token"), "a token in {}", page.request);
        let trace = entry.trace().unwrap();
        assert!(!trace.sampled, "nobody exports it");
        traces.insert(entry.seq, trace);
    }
    let mut of_mapped: HashMap<u64, TraceParent> = HashMap::new();
    for entry in world.mapped().await {
        let order = entry.event::<MappedOrder>().unwrap().body;
        let (raw, own) = (traces[&order.version.raw_seq], entry.trace().unwrap());
        assert_eq!(own.trace_id, raw.trace_id, "fetch and transform are one trace");
        assert_ne!(own.span_id, raw.span_id, "in spans of their own");
        of_mapped.insert(entry.seq, own);
    }
    let receipts = all(&world, Stream::Receipts).await;
    assert_eq!(receipts.len(), 250);
    for entry in receipts {
        let receipt = entry.event::<Receipt>().unwrap().body;
        assert_eq!(entry.trace().unwrap().trace_id, of_mapped[&receipt.mapped_seq].trace_id);
    }
}

#[tokio::test]
async fn pages_of_five_hundred_arrive() {
    let mut world = World::new(3_000, Faults::default()).await;
    // The largest pages seen in use. They fit into one message; that larger ones are cut and joined without loss is held by
    // the unit tests of RawPage.
    world.config.source.request.insert("count".into(), toml::Value::Integer(500));
    let run = world.sync().await;
    assert_eq!(run.account.pages, 6);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn two_of_each_stage_share_the_work() {
    let faults =
        Faults { target: TargetFaults { latency_ms: 2, ..TargetFaults::default() }, ..Faults::default() };
    let world = World::new(3_000, faults).await;
    let run = world.sync_with(2).await;
    world.assert_all_arrived_once();
    assert!(run.account.is_complete(), "{:?}", run.account);
    // Two fetchers that try to open the same window: one wins. (They may need two windows when they start in different
    // seconds; no window is ever opened twice.)
    let opened: Vec<String> = all(&world, Stream::Sync)
        .await
        .into_iter()
        .filter(|entry| matches!(WindowEvent::decode(&entry.payload), Ok(WindowEvent::Opened(_))))
        .map(|entry| entry.subject)
        .collect();
    let distinct: HashSet<&String> = opened.iter().collect();
    assert_eq!(distinct.len(), opened.len(), "{opened:?}");
    assert!(run.account.windows.len() <= 2, "{:?}", run.account.windows);
}

#[tokio::test]
async fn real_orders_arrive_with_their_dirt() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data/online-retail-orders.ndjson.gz");
    if !file.exists() {
        println!("skipped: the real orders do not come with the project; put them at {}", file.display());
        return;
    }
    let world = World::of_file(&file).await;
    let run = world.sync().await;
    world.assert_all_arrived_once();
    assert_eq!((run.account.read, run.account.dead), (10_783, 0));
    let keys: HashSet<String> =
        all(&world, Stream::Receipts).await.iter().map(|entry| entry.subject.clone()).collect();
    assert_eq!(keys.len(), 10_783);
}

#[tokio::test]
async fn more_than_one_target_each_with_its_own_receipts() {
    let mut world = World::new(200, Faults::default()).await;
    let mut second = world.config.targets[0].clone();
    second.name = "archive".into();
    second.kind = service::config::TargetKind::Store;
    second.url = world.sandbox.url();
    (second.app_key, second.scheme_id) = ("demo".into(), "s1".into());
    second.app_secret = service::config::Secret::new("demo-secret");
    // By itself it would take 60 a minute.
    second.limit.requests_per_minute = Some(0.0);
    world.config.targets.push(second);
    let run = world.sync().await;
    assert!(run.account.is_complete(), "{:?}", run.account);
    let written: Vec<u64> = run.account.targets.iter().map(|target| target.of(Outcome::Written)).collect();
    assert_eq!(written, [200, 200]);
    assert_eq!(all(&world, Stream::Receipts).await.len(), 400);
}
