//! A range of the past is read again while the live flow goes on: asked for as an event, carried out by whoever fetches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use events::{
    BackfillEnded, LIVE, MappedOrder, Micros, OperationFinished, OperationStarted, Outcome, Receipt, Slice,
    WatermarkMoved, WindowEvent, WindowOpened, now,
};
use fetcher::Mode;
use futures::StreamExt;
use journal::{Entry, From, Stream};
use operations::backfill::{BackfillPlan, BackfillProgress, request, watch};
use operations::{Status, WindowState};
use orderflow_tests::{Program, World, eventually};
use sandbox::{Faults, SourceFaults, TargetFaults};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

const SECOND: Micros = 1_000_000;
const DAY: Micros = 86_400 * SECOND;
/// February 2025 in Asia/Shanghai.
const FEBRUARY: Slice = Slice { since: 1_738_339_200 * SECOND, until: 1_740_758_400 * SECOND };
/// The first half of 2025, in which all generated orders lie.
const ALL: Slice = Slice { since: 1_735_660_800 * SECOND, until: 1_751_299_200 * SECOND };

async fn all(world: &World, stream: Stream, filter: Option<&str>) -> Vec<Entry> {
    let log = world.journal.read(&world.names(), stream, filter, From::Start, false).await.unwrap();
    log.map(Result::unwrap).collect().await
}

async fn within<T>(what: &str, doing: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(120);
    tokio::time::timeout(limit, doing).await.unwrap_or_else(|_| panic!("{what}: not within 120 s"))
}

/// A fetcher that runs until it is told to stop.
async fn fetching(world: &World, stop: &CancellationToken) -> JoinHandle<()> {
    let (config, journal, stop) = (world.config.clone(), world.nats.journal().await, stop.clone());
    tokio::spawn(async move {
        let live = fetcher::Live::default();
        fetcher::run(&config, journal, Mode::Forever, live, stop)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    })
}

/// Asks for a backfill; returns its plan and the sequence of the request.
async fn ask(world: &World, range: Slice, step: Micros) -> (BackfillPlan, u64) {
    let plan = BackfillPlan::new(range, step, now()).unwrap();
    let seq = request(&world.journal, &world.names(), &plan, "a test").await.unwrap();
    (plan, seq)
}

/// A backfill with one of each stage, and everything it read at the target; `meanwhile` is done when it has begun.
async fn backfill(
    world: &World,
    range: Slice,
    step: Micros,
    meanwhile: impl FnOnce(),
) -> (BackfillPlan, BackfillProgress) {
    let (names, stop) = (world.names(), CancellationToken::new());
    let mut stages = world.start(1, &stop).await;
    let fetcher = fetching(world, &stop).await;
    let (plan, seq) = ask(world, range, step).await;
    let mut meanwhile = Some(meanwhile);
    let seen = |_: &BackfillProgress| meanwhile.take().into_iter().for_each(|meanwhile| meanwhile());
    let progress =
        within("the backfill ends", watch(&world.journal, &names, &plan.id, seq, seen)).await.unwrap();
    // Whatever the live flow has to bring arrives beside it.
    eventually("live orders arrive", || world.report().target.missing == 0).await;
    world.drained(&mut stages).await;
    stop.cancel();
    fetcher.await.unwrap();
    stages.join_all().await;
    (plan, progress)
}

/// What MAPPED holds that a lane has read.
async fn mapped(world: &World, lane: &str) -> Vec<(u64, MappedOrder)> {
    let orders = world.mapped().await.into_iter();
    let orders = orders.map(|entry| (entry.seq, entry.event::<MappedOrder>().unwrap().body));
    orders.filter(|(_, order)| order.origin.window.lane() == lane).collect()
}

/// What became of what a lane has read.
async fn outcomes(world: &World, lane: &str) -> BTreeMap<&'static str, usize> {
    let read: BTreeSet<u64> = mapped(world, lane).await.into_iter().map(|(seq, _)| seq).collect();
    let mut outcomes = BTreeMap::new();
    for entry in all(world, Stream::Receipts, None).await {
        let receipt = entry.event::<Receipt>().unwrap().body;
        if read.contains(&receipt.mapped_seq) {
            *outcomes.entry(receipt.outcome.name()).or_default() += 1;
        }
    }
    outcomes
}

/// The keys of the orders that were changed last in a range, as the first reading of everything had them.
async fn changed_in(world: &World, range: Slice) -> BTreeSet<String> {
    let within = |at: Option<Micros>| at.is_some_and(|at| (range.since..=range.until).contains(&at));
    let orders = mapped(world, LIVE).await.into_iter().filter(|(_, order)| within(order.version.updated_at));
    orders.map(|(_, order)| order.key.to_string()).collect()
}

/// The windows of a lane in the order in which they were opened.
async fn opened(world: &World, lane: &str) -> Vec<WindowOpened> {
    let windows = all(world, Stream::Sync, Some(&world.names().windows())).await.into_iter();
    let opened = windows.filter_map(|entry| match WindowEvent::decode(&entry.payload).unwrap() {
        WindowEvent::Opened(opened) => Some(opened),
        _ => None,
    });
    opened.filter(|opened| opened.window.lane() == lane).collect()
}

/// Asserts that the windows follow one another without a gap, cover the range, and are each opened once.
async fn assert_covered(world: &World, plan: &BackfillPlan) {
    let opened = opened(world, &plan.id).await;
    let numbers: Vec<u64> = opened.iter().map(|window| window.window.number()).collect();
    assert_eq!(numbers, (1..=plan.windows).collect::<Vec<_>>(), "each is opened once, one after another");
    let mut since = plan.range.since;
    for window in opened {
        assert_eq!(window.since, since, "{window:?}");
        since = window.until;
    }
    assert_eq!(since, plan.range.until);
}

#[tokio::test]
async fn a_range_is_read_again_beside_the_live_flow_and_nothing_is_written_twice() {
    let mut world = World::new(1_200, Faults::default()).await;
    world.config.source.request.insert("count".into(), toml::Value::Integer(20));
    world.sync().await;
    let (names, expected) = (world.names(), changed_in(&world, FEBRUARY).await);
    assert!(expected.len() > 150, "{} orders in February", expected.len());
    let before = world.journal.last(&names, Stream::Sync, &names.watermark()).await.unwrap().unwrap();
    let requests = world.report().target.requests;

    let live = || assert_eq!(world.sandbox.insert(30).len(), 30);
    let (plan, progress) = backfill(&world, FEBRUARY, 7 * DAY, live).await;

    assert!(progress.is_complete(), "{progress:?}");
    assert_eq!((plan.windows, progress.closed, progress.failed), (4, 4, 0));
    assert_eq!(progress.watermark, Some(FEBRUARY.until));
    assert_covered(&world, &plan).await;
    let read = mapped(&world, &plan.id).await;
    assert_eq!(read.iter().map(|(_, order)| order.key.to_string()).collect::<BTreeSet<_>>(), expected);
    assert_eq!(outcomes(&world, &plan.id).await, BTreeMap::from([(Outcome::Unchanged.name(), read.len())]));
    world.assert_all_arrived_once();
    assert_eq!(world.report().target.requests, requests + 30, "only the new orders were sent");

    // The live watermark is moved by live windows alone, and forwards.
    let mut to = before.event::<WatermarkMoved>().unwrap().body.to;
    for entry in all(&world, Stream::Sync, Some(&names.watermark()))
        .await
        .iter()
        .filter(|entry| entry.seq > before.seq)
    {
        let moved = entry.event::<WatermarkMoved>().unwrap().body;
        assert_eq!(moved.window.lane(), LIVE);
        assert!(moved.to >= to, "{moved:?} after {to}");
        to = moved.to;
    }
    // Who asked for what and why, and what came of it, in OPS.
    let operation = all(&world, Stream::Ops, Some(&names.operation(&plan.id))).await;
    let started = operation[0].event::<OperationStarted>().unwrap().body;
    assert_eq!((started.verb.as_str(), started.id.as_str()), ("backfill", plan.id.as_str()));
    assert!(started.plan.ends_with("again, in 4 windows of 7d: a test"), "{}", started.plan);
    let finished = operation[1].event::<OperationFinished>().unwrap().body;
    assert!(finished.complete && operation.len() == 2, "{finished:?}");

    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    let lane = status.lanes.iter().find(|line| line.window.starts_with(&plan.id)).unwrap();
    assert!(matches!(lane.state, WindowState::Closed { .. }), "{lane:?}");
    let stages: Vec<&str> = status.stages.iter().map(|stage| stage.stage).collect();
    assert_eq!(stages, ["fetch", "fetch background", "transform", "write"]);
    assert!(status.stages.iter().all(|stage| stage.lag == Some(0)), "{status:?}");
}

#[tokio::test]
async fn orders_whose_outcome_was_lost_arrive_and_all_others_stay_as_they_are() {
    let refusing = TargetFaults { refuse_share: 0.3, ..TargetFaults::default() };
    let world = World::new(600, Faults { target: refusing, ..Faults::default() }).await;
    let lost = world.sync().await.account.targets[0].dead;
    let report = world.report().target;
    assert!(lost > 100 && report.missing == lost, "{lost} died: {report:?}");

    world.sandbox.set_faults(Faults::default());
    let (plan, progress) = backfill(&world, ALL, 30 * DAY, || ()).await;
    assert!(progress.is_complete(), "{progress:?}");
    world.assert_all_arrived_once();
    assert_eq!(world.report().target.requests, report.requests + lost, "only what was missing was sent");
    let outcomes = outcomes(&world, &plan.id).await;
    let of = |outcome: Outcome| outcomes.get(outcome.name()).copied().unwrap_or_default() as u64;
    assert_eq!((of(Outcome::Written), outcomes.len()), (lost, 2), "{outcomes:?}");
    // An order on the second that two windows share is read twice.
    assert!(of(Outcome::Unchanged) >= 600 - lost, "{outcomes:?}");
}

#[tokio::test]
async fn a_fetcher_that_stops_in_the_middle_is_followed_by_another_that_goes_on() {
    let source = SourceFaults { latency_ms: 20, ..SourceFaults::default() };
    let mut world = World::new(600, Faults { source, ..Faults::default() }).await;
    world.config.source.request.insert("count".into(), toml::Value::Integer(10));
    world.sync().await;
    let (names, stop) = (world.names(), CancellationToken::new());
    let mut stages = world.start(1, &stop).await;
    let (plan, seq) = ask(&world, ALL, 30 * DAY).await;

    let first = CancellationToken::new();
    let fetcher = fetching(&world, &first).await;
    // Two windows are closed, and of the third a page is read.
    let mut before = None;
    let seen = |progress: &BackfillProgress| {
        if progress.opened == 3 && progress.pages > *before.get_or_insert(progress.pages) {
            first.cancel();
        }
    };
    tokio::select! {
        ended = watch(&world.journal, &names, &plan.id, seq, seen) => panic!("not stopped in the middle: {ended:?}"),
        stopped = within("the fetcher stops", fetcher) => stopped.unwrap(),
    }
    let last = world.journal.last(&names, Stream::Sync, &names.backfill(&plan.id)).await.unwrap().unwrap();
    assert!(last.event::<BackfillEnded>().is_err(), "it has not ended");
    assert!((3..7).contains(&opened(&world, &plan.id).await.len()));

    let fetcher = fetching(&world, &stop).await;
    let progress =
        within("the backfill ends", watch(&world.journal, &names, &plan.id, seq, |_| ())).await.unwrap();
    world.drained(&mut stages).await;
    stop.cancel();
    fetcher.await.unwrap();
    stages.join_all().await;

    assert!(progress.is_complete(), "{progress:?}");
    assert_eq!((progress.opened, progress.closed, progress.failed), (plan.windows, plan.windows, 0));
    assert_covered(&world, &plan).await;
    let read = mapped(&world, &plan.id).await;
    assert_eq!(read.iter().map(|(_, order)| order.key.as_str()).collect::<BTreeSet<_>>().len(), 600);
    assert_eq!(outcomes(&world, &plan.id).await, BTreeMap::from([(Outcome::Unchanged.name(), read.len())]));
    world.assert_all_arrived_once();
}

/// A folder with the configuration of the world's sandbox and server.
fn folder(world: &World) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (url, nats) = (world.sandbox.url(), world.nats.url());
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/demo.toml");
    let text = std::fs::read_to_string(demo)
        .unwrap()
        .replace("[source]\n", &format!("[nats]\nurl = \"{nats}\"\n[source]\nbase_url = \"{url}\"\n"))
        .replace("http://127.0.0.1/execute", &format!("{url}/execute"));
    std::fs::write(folder.path().join("orderflow.toml"), text).unwrap();
    std::fs::copy(&world.config.mapping.file, folder.path().join("mapping.toml")).unwrap();
    folder
}

fn program(folder: &TempDir, args: &[&str]) -> Program {
    let args = [&["backfill", "--from", "2025-01-01", "--to", "2025-07-01", "--step", "30d"], args].concat();
    Program::new(PROGRAM, folder.path(), &args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
}

/// The text without its log lines, and without the number in the name of the backfill.
fn without_id(text: &str) -> String {
    let mut parts = text.split("backfill-");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        out.push_str("backfill-ID");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out.lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_plan_is_said_and_nothing_is_done() {
    let world = World::new(1, Faults::default()).await;
    let folder = folder(&world);
    let (status, text) = program(&folder, &[]).said().await;
    assert_eq!(status, 0, "{text}");
    insta::assert_snapshot!(text);
    // Neither is anything done when the form is another, and not even a server is needed.
    let (status, text) =
        program(&folder, &["-o", "json"]).env("ORDERFLOW_NATS__URL", "nats://127.0.0.1:9").said().await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (status, json["executed"].as_bool(), json["progress"].is_null()),
        (0, Some(false), true),
        "{text}"
    );
    assert_eq!(
        (json["plan"]["windows"].as_u64(), json["plan"]["range"]["since"].as_i64()),
        (Some(7), Some(ALL.since))
    );
    assert!(world.journal.size(&world.names(), Stream::Sync).await.is_err(), "no stream was made");
}

#[tokio::test]
async fn what_is_wrong_with_the_flags_is_said_by_flag_and_nothing_is_done() {
    let world = World::new(1, Faults::default()).await;
    let folder = folder(&world);
    let mut all = String::new();
    for args in [
        &["--from", "2025-01-01", "--to", "2025-02-01", "--execute"][..],
        &["--from", "2025-01-01", "--to", "2025-02-01", "--execute", "--reason", ""],
        &["--from", "2025-03-01", "--to", "2025-02-01"],
        &["--from", "last week"],
        &["--from", "2025-01-01", "--to", "2025-02-30"],
        &["--from", "1969-12-31"],
        &["--from", "2025-01-01", "--to", "2025-02-01", "--step", "1w"],
        &["--from", "2025-01-01", "--to", "2025-02-01", "--step", "500ms"],
    ] {
        let args = [&["backfill"], args].concat();
        let (status, text) = Program::new(PROGRAM, folder.path(), &args).said().await;
        assert_eq!(status, 2, "{args:?}: {text}");
        all.push_str(&format!("{}\n{text}\n", args.join(" ")));
    }
    insta::assert_snapshot!(all);
    assert!(world.journal.size(&world.names(), Stream::Sync).await.is_err(), "no stream was made");
}

#[tokio::test]
async fn a_run_is_watched_to_its_end() {
    let world = World::new(400, Faults::default()).await;
    world.sync().await;
    let (folder, stop) = (folder(&world), CancellationToken::new());
    let fetcher = fetching(&world, &stop).await;
    let (status, text) = program(&folder, &["--execute", "--reason", "lost orders"]).said().await;
    assert_eq!(status, 0, "{text}");
    assert_eq!(text.lines().filter(|line| line.contains("window closed with proof")).count(), 7, "{text}");
    insta::assert_snapshot!(without_id(&text));

    // Every window fails, three times: that is an end as well, but not a good one.
    let lying = SourceFaults { total_lies: 3, ..SourceFaults::default() };
    world.sandbox.set_faults(Faults { source: lying, ..Faults::default() });
    let (status, text) = program(&folder, &["--execute", "--reason", "again", "--log", "text"]).said().await;
    assert_eq!(status, 4, "{text}");
    let ended =
        text.lines().find(|line| line.contains(" is INCOMPLETE: 3 windows in a row failed")).is_some();
    let failed =
        text.lines().any(|line| line.starts_with("window backfill-") && line.contains("-000003 FAILED: "));
    assert!(ended && failed && text.contains("0 of 7 windows closed with proof"), "{text}");
    let args = ["status"];
    let (status, text) = Program::new(PROGRAM, folder.path(), &args).said().await;
    assert!(
        status == 4 && text.contains("           backfill-") && text.contains("-000003 FAILED: "),
        "{text}"
    );
    stop.cancel();
    fetcher.await.unwrap();
}

#[tokio::test]
async fn who_has_seen_enough_detaches_and_the_backfill_goes_on() {
    let world = World::new(400, Faults::default()).await;
    world.sync().await;
    let (folder, names) = (folder(&world), world.names());
    // Nobody fetches yet, so it cannot have ended.
    let child = program(&folder, &["--execute", "--reason", "lost orders"]).start();
    let mut log =
        world.journal.follow(&names, Stream::Sync, Some(&names.backfills()), From::Start).await.unwrap();
    let asked = within("it is asked for", log.next()).await.unwrap().unwrap();
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = within("it detaches", child.wait_with_output()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).to_string();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("goes on without us; `orderflow status` shows how far it is"), "{text}");

    let (status, text) = program(&folder, &["--execute", "--reason", "too", "--detach"]).said().await;
    assert_eq!(status, 0, "{text}");
    insta::assert_snapshot!(without_id(&text));
    let second = within("it is asked for", log.next()).await.unwrap().unwrap();

    let stop = CancellationToken::new();
    let fetcher = fetching(&world, &stop).await;
    for entry in [asked, second] {
        let id = entry.subject.rsplit('.').next().unwrap();
        let ended = within("it ends", watch(&world.journal, &names, id, entry.seq, |_| ())).await.unwrap();
        assert!(ended.is_complete() && ended.orders >= 400, "{ended:?}");
    }
    stop.cancel();
    fetcher.await.unwrap();
}
