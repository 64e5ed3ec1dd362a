//! A reading that is later than what the target holds, and carries an older update time.

use events::{
    ContentHash, Encoding, Listing, MappedOrder, News, OrderKey, Origin, Outcome, Payload, RawPage, Receipt,
    Version, WindowId, WindowOpened, now,
};
use journal::{Record, Stream};
use operations::{Account, Reconciliation, Status};
use orderflow_tests::{Program, World};
use sandbox::Faults;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

const ALL: [&str; 3] = ["reconcile", "--from", "2009-01-01"];
/// Windows end right now, and look back over what was changed with an older update time.
const SCHEDULE: &str =
    "\n[schedule]\nevery = \"2s\"\nsince = \"2009-01-01 00:00:00\"\noverlap = \"10m\"\nsettle = \"0s\"\n";
const BECAUSE: [&str; 3] = ["--execute", "--reason", "tests"];

async fn tells(folder: &TempDir, status: i32, args: &[&str]) -> String {
    let secret = ("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret");
    let (found, text) = Program::new(PROGRAM, folder.path(), args).env(secret.0, secret.1).said().await;
    assert_eq!(found, status, "{args:?}: {text}");
    text
}

async fn older_stamps(world: &World) -> u64 {
    let found = Reconciliation::of(&world.journal, &world.names(), &world.targets()[0]).await.unwrap();
    found.messages.of(Outcome::OlderStamp)
}

async fn status(world: &World) -> Status {
    Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap()
}

#[tokio::test]
async fn an_order_whose_time_was_set_back_is_seen_told_and_repaired() {
    let mut world = World::new(5, Faults::default()).await;
    world.sandbox.edit(5);
    world.let_settle().await;
    world.sync().await;
    let older = world.sandbox.backdated_edit(2, 120);
    world.let_settle().await;
    let folder = world.folder_of_a_program(SCHEDULE);
    let text = tells(&folder, 4, &["up", "--once"]).await;
    assert!(text.contains("2 older stamp"), "{text}");
    assert!(text.contains("2 carry an older update time than what the target holds"), "{text}");
    let account = Account::of(&world.journal, &world.names(), &world.targets(), 1).await.unwrap();
    assert!(account.is_complete() && account.dead_letters() == 0, "{account:?}");
    assert_eq!(account.older_stamps(), 2);

    let text = tells(&folder, 4, &["status"]).await;
    assert!(text.contains("2 orders were read later"), "{text}");
    assert!(world.needs_person(&status(&world).await));
    let text = tells(&folder, 0, &["trace", &older[0]]).await;
    assert!(text.contains("older stamp") && text.contains("its update time is older"), "{text}");
    let text = tells(&folder, 4, &ALL).await;
    assert!(text.contains("2 with an older update time") && text.contains("3 up to date"), "{text}");
    world.let_settle().await;
    // The next run reads nothing new of them: nothing of its own is wrong, and it says what is left.
    let text = tells(&folder, 0, &["up", "--once"]).await;
    assert!(text.contains("2 orders in all, also of earlier runs"), "{text}");

    let text = tells(&folder, 0, &[&ALL[..], &["--repair"], &BECAUSE].concat()).await;
    assert!(text.contains("2 sent again"), "{text}");
    world.sync().await;
    let report = world.report();
    assert_eq!((report.target.stale_overwrites, world.sandbox.behind()), (0, vec![]), "{report}");
    let now = status(&world).await;
    assert_eq!((now.older_stamps, world.needs_person(&now)), (0, false));
    tells(&folder, 0, &ALL).await;

    // A replay says nothing new, and what the source says next wins.
    tells(
        &folder,
        0,
        &[&["replay", "--from", "mapped", "--all", "--force", "--detach"], &BECAUSE[..]].concat(),
    )
    .await;
    world.sync().await;
    assert_eq!((older_stamps(&world).await, status(&world).await.older_stamps), (2, 0));
    assert_eq!(world.sandbox.behind(), Vec::<String>::new(), "the repair is not undone");
    world.sandbox.edit(5);
    world.let_settle().await;
    world.sync().await;
    assert_eq!(world.sandbox.behind(), Vec::<String>::new());
    assert_eq!(status(&world).await.older_stamps, 0);
}

#[tokio::test]
async fn a_proper_later_state_takes_the_place_of_one_with_an_older_time() {
    let mut world = World::new(4, Faults::default()).await;
    world.sandbox.edit(4);
    world.let_settle().await;
    world.sync().await;
    world.sandbox.backdated_edit(4, 120);
    world.let_settle().await;
    world.sync().await;
    assert_eq!(status(&world).await.older_stamps, 4);
    world.sandbox.edit(4);
    world.let_settle().await;
    let run = world.sync().await;
    assert_eq!(run.account.targets[0].of(Outcome::Written), 4, "{:?}", run.account);
    assert_eq!((status(&world).await.older_stamps, world.sandbox.behind()), (0, vec![]));
}

/// One order of MAPPED, read on a page of its own.
fn mapped(window: u64, raw_seq: u64, updated_at: i64, amount: u64) -> MappedOrder {
    let record = format!(r#"{{"orderId":"1","amount":{amount}}}"#).into_bytes();
    MappedOrder {
        key: OrderKey::new("1").unwrap(),
        number: None,
        version: Version { updated_at: Some(updated_at), raw_seq, generation: 0 },
        origin: Origin { window: WindowId::live(window), page: 1, row: 0, raw_seq },
        mapping: "m".into(),
        content: ContentHash::of(&record),
        record,
        marks: Vec::new(),
    }
}

async fn open_window(world: &World, window: u64) {
    let names = world.names();
    let id = WindowId::live(window);
    let opened = WindowOpened {
        window: id.clone(),
        since: 0,
        until: now(),
        page_size: 100,
        max_passes: 5,
        listing: Listing::Orders,
        news: News::Changed,
    };
    let record = Record::new(names.window(&id), format!("opened:{id}"), &opened).unwrap();
    world.journal.publish(&record).await.unwrap();
}

/// Stores a page of a window; its sequence in RAW.
async fn store_page(world: &World, window: u64) -> u64 {
    let page = RawPage {
        window: WindowId::live(window),
        pass: 1,
        page: 1,
        part: 0,
        parts: 1,
        request: "/list".into(),
        status: 200,
        fetched_at: now(),
        rows: 1,
        body: Payload { encoding: Encoding::Plain, size: 2, bytes: b"{}".to_vec() },
        listing: Listing::Orders,
        news: Some(Vec::new()),
        details: None,
    };
    let id = format!("raw:{window}:{}", now());
    let record = Record::new(world.names().raw(), id, &page).unwrap();
    world.journal.publish(&record).await.unwrap().seq
}

/// Hands an order to the writer, and waits for what became of it.
async fn receive(world: &World, order: &MappedOrder) -> Receipt {
    let names = world.names();
    let target = world.targets()[0].clone();
    let id = format!("m:{}:{}", order.version.raw_seq, order.content);
    let record = Record::new(names.mapped_of(&order.key), id, order).unwrap();
    let stored = world.journal.publish(&record).await.unwrap();
    let subject = names.receipt(&target, &order.key);
    let mut last = None;
    orderflow_tests::until("its receipt is stored", async || {
        let entry = world.journal.last(&names, Stream::Receipts, &subject).await.unwrap();
        last = entry.map(|entry| entry.event::<Receipt>().unwrap().body);
        last.as_ref().is_some_and(|receipt| receipt.mapped_seq == stored.seq)
    })
    .await;
    last.unwrap()
}

struct Writing {
    world: World,
    stages: tokio::task::JoinSet<()>,
    stop: CancellationToken,
}

impl Writing {
    async fn start() -> Self {
        let world = World::new(1, Faults::default()).await;
        let stop = CancellationToken::new();
        world.journal.ensure(&world.names()).await.unwrap();
        let stages = world.start(1, &stop).await;
        Self { world, stages, stop }
    }

    async fn end(self) {
        self.stop.cancel();
        self.stages.join_all().await;
    }
}

#[tokio::test]
async fn what_may_have_been_read_earlier_stays_superseded() {
    let writing = Writing::start().await;
    let world = &writing.world;
    // Two fetchers: both windows were open before either page was stored.
    open_window(world, 1).await;
    open_window(world, 2).await;
    let first = store_page(world, 1).await;
    let second = store_page(world, 2).await;
    let held = receive(world, &mapped(1, first, 60, 100)).await;
    assert_eq!(held.outcome, Outcome::Written);
    let receipt = receive(world, &mapped(2, second, 20, 200)).await;
    assert_eq!((receipt.outcome, receipt.older_stamp), (Outcome::Superseded, None), "another window");
    let third = store_page(world, 1).await;
    let receipt = receive(world, &mapped(1, third, 20, 300)).await;
    assert_eq!(receipt.outcome, Outcome::Superseded, "the same window");
    let receipt = receive(world, &mapped(9, third + 9, 20, 400)).await;
    assert_eq!(receipt.outcome, Outcome::Superseded, "a window that SYNC does not know");
    open_window(world, 3).await;
    let fourth = store_page(world, 3).await;
    let receipt = receive(world, &mapped(3, fourth, 20, 100)).await;
    assert_eq!(receipt.outcome, Outcome::Superseded, "the same content");
    assert_eq!(status(world).await.older_stamps, 0);
    assert_eq!(world.report().target.requests, 1);
    writing.end().await;
}

#[tokio::test]
async fn what_was_surely_read_later_is_an_older_stamp_until_the_source_goes_back() {
    let writing = Writing::start().await;
    let world = &writing.world;
    open_window(world, 1).await;
    let first = store_page(world, 1).await;
    let held = receive(world, &mapped(1, first, 60, 100)).await;
    open_window(world, 2).await;
    let second = store_page(world, 2).await;
    let older = receive(world, &mapped(2, second, 20, 200)).await;
    assert_eq!((older.outcome, older.attempts), (Outcome::OlderStamp, 0));
    assert_eq!((older.held, older.content, older.known), (held.held, held.content, true), "nothing was sent");
    assert_eq!(older.older_stamp.unwrap().raw_seq, second);
    assert_eq!(status(world).await.older_stamps, 1);
    // Read in the same window as what differs, so perhaps before it: it still waits.
    let unsure = store_page(world, 2).await;
    let receipt = receive(world, &mapped(2, unsure, 10, 100)).await;
    assert_eq!((receipt.outcome, receipt.older_stamp), (Outcome::Superseded, older.older_stamp));
    assert_eq!(status(world).await.older_stamps, 1);
    open_window(world, 3).await;
    let back = store_page(world, 3).await;
    let receipt = receive(world, &mapped(3, back, 20, 100)).await;
    assert_eq!((receipt.outcome, receipt.older_stamp), (Outcome::Superseded, None));
    assert_eq!(status(world).await.older_stamps, 0, "the source has what the target holds");
    assert_eq!(world.report().target.requests, 1);
    writing.end().await;
}

#[tokio::test]
async fn what_agrees_again_is_noted_and_not_sent() {
    let world = World::new(3, Faults::default()).await;
    world.sync().await;
    let stop = CancellationToken::new();
    let stages = world.start(1, &stop).await;
    let requests = world.report().target.requests;
    let names = world.names();
    let known = world.mapped().await.remove(0).event::<MappedOrder>().unwrap().body;
    // By hand: the source said something else for a moment, and says now what the target holds.
    open_window(&world, 500).await;
    let raw_seq = store_page(&world, 500).await;
    let updated_at = known.version.updated_at.map(|at| at - 60_000_000);
    let other = MappedOrder { key: known.key.clone(), ..mapped(500, raw_seq, 0, 7) };
    let other = MappedOrder { version: Version { updated_at, ..other.version }, ..other };
    assert_eq!(receive(&world, &other).await.outcome, Outcome::OlderStamp);
    assert_eq!(status(&world).await.older_stamps, 1);

    let folder = world.folder_of_a_program("");
    let text = tells(&folder, 0, &ALL).await;
    assert!(text.contains("3 up to date"), "{text}");
    let text = tells(&folder, 4, &[&ALL[..], &["--repair"]].concat()).await;
    assert!(text.contains("would note of 1 that they agree again"), "{text}");
    tells(&folder, 0, &[&ALL[..], &["--repair"], &BECAUSE].concat()).await;
    orderflow_tests::until("its receipt says so", async || status(&world).await.older_stamps == 0).await;
    let subject = names.receipt(&world.targets()[0], &known.key);
    let last = world.journal.last(&names, Stream::Receipts, &subject).await;
    let last = last.unwrap().unwrap().event::<Receipt>().unwrap().body;
    assert_eq!((last.outcome, last.attempts), (Outcome::Unchanged, 0));
    assert_eq!(world.report().target.requests, requests);
    Writing { world, stages, stop }.end().await;
}
