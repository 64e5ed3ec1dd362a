//! An order is found by the number that people know it by, from the index that MAPPED holds beside the orders.

use std::collections::HashSet;

use events::{
    ContentHash, Listing, Log, MappedOrder, NumbersMapped, OrderKey, Outcome, Payload, RawPage, Receipt,
    Version, WindowId, Work,
};
use futures::StreamExt;
use journal::{Entry, From, Label, Record, Stream};
use operations::{
    Account, Mask, Operation, Range, Reconciliation, Replayed, Selection, StageStatus, Story, runs,
};
use orderflow_tests::World;
use sandbox::Faults;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use transformer::{Again, How, Retried};

const TOP: &str = "key = \"order_id\"\nnumber = \"order_no\"\nversion = \"update_time\"\n";
const FIELDS: &str = "[[field]]\nto = \"orderId\"\nfrom = \"order_id\"\ntype = \"integer\"\n";

async fn story(world: &World, order: &str) -> Option<Story> {
    Story::of(&world.journal, &world.names(), &world.targets(), order, &Mask::default()).await.unwrap()
}

/// The key of the order that is found, and those of the others that had the number.
async fn found(world: &World, order: &str) -> Option<(String, Vec<String>)> {
    story(world, order).await.map(|story| (story.key, story.others))
}

fn only(key: &str) -> Option<(String, Vec<String>)> {
    Some((key.to_string(), Vec::new()))
}

async fn index(world: &World) -> Vec<Entry> {
    let (names, filter) = (world.names(), world.names().numbers());
    let log = world.journal.read(&names, Stream::Mapped, Some(&filter), From::Start, false).await.unwrap();
    log.map(Result::unwrap).collect().await
}

/// A world without writers and without pages, whose mapping reads key, number and version.
async fn empty() -> World {
    let world = World::new(1, Faults::default()).await;
    world.map_with(&format!("{TOP}{FIELDS}"));
    world.journal.ensure(&world.names()).await.unwrap();
    world
}

/// Stores a page as a fetcher would; returns where.
async fn page(world: &World, number: u32, orders: &[Value]) -> u64 {
    let body = json!({"code": 200, "data": {"count": orders.len(), "list": orders}}).to_string();
    let page = RawPage {
        window: WindowId::live(1),
        pass: 1,
        page: number,
        part: 0,
        parts: 1,
        request: "/v1/invoices/order/list".into(),
        status: 200,
        fetched_at: events::now(),
        rows: u32::try_from(orders.len()).unwrap(),
        body: Payload::pack(body.as_bytes()),
        listing: Listing::Orders,
        news: None,
        details: None,
    };
    let record = Record::new(world.names().raw(), format!("raw:{number}"), &page).unwrap();
    world.journal.publish(&record.labelled(Label::Rows, orders.len())).await.unwrap().seq
}

fn order(id: u64, number: &str) -> Value {
    json!({"order_id": id, "order_no": number, "update_time": "2025-01-01 00:00:00"})
}

/// Maps what lies in RAW. No writer takes it.
async fn map(world: &mut World) {
    let targets = std::mem::take(&mut world.config.targets);
    let stop = CancellationToken::new();
    let mut stages = world.start(1, &stop).await;
    world.drained(&mut stages).await;
    stop.cancel();
    stages.join_all().await;
    world.config.targets = targets;
}

#[tokio::test]
async fn a_number_is_found_although_nothing_was_written_and_nothing_failed() {
    let mut world = empty().await;
    page(&world, 1, &[order(1, "2"), order(2, "B"), order(3, "3"), json!({"order_id": 4})]).await;
    page(&world, 2, &[order(5, "X"), order(6, "X")]).await;
    page(&world, 3, &[order(7, "7"), json!({"order_id": 8, "order_no": ""})]).await;
    map(&mut world).await;
    assert_eq!(world.journal.size(&world.names(), Stream::Receipts).await.unwrap().0, 0);
    assert_eq!(world.journal.size(&world.names(), Stream::Dead).await.unwrap().0, 0);

    assert_eq!(found(&world, "B").await, only("2"));
    assert_eq!(found(&world, "2").await, only("2"), "it is a key, whatever else it is");
    assert_eq!(found(&world, "X").await, Some(("5".into(), vec!["6".into()])));
    let told = story(&world, "B").await.unwrap();
    assert_eq!((told.number.as_deref(), told.under_way.len()), (Some("B"), 1));
    assert_eq!(found(&world, "C").await, None);
    // What needs no index has none: orders without a number, and those whose number is their key.
    let said: Vec<(u64, usize)> = index(&world)
        .await
        .iter()
        .map(|entry| entry.event::<NumbersMapped>().unwrap().body)
        .map(|said| (said.raw_seq, said.orders.len()))
        .collect();
    assert_eq!(said, [(1, 2), (2, 2)]);
}

#[tokio::test]
async fn of_two_orders_the_one_of_the_later_page_has_the_number_and_a_replay_changes_nothing_about_that() {
    let mut world = empty().await;
    let first = page(&world, 1, &[order(1, "SO-1"), order(9, "SO-9")]).await;
    page(&world, 2, &[order(2, "SO-1")]).await;
    map(&mut world).await;
    let both = Some(("2".to_string(), vec!["1".to_string()]));
    assert_eq!(found(&world, "SO-1").await, both);

    // The first page again, for a replay that dies once: the same fact is stored once.
    let again = Again::new(&world.config, &world.journal).await.unwrap();
    let how = How { key: None, generation: 7, run: "replay-1", labels: &[] };
    for _ in 0..2 {
        again.page(first, &how).await.unwrap().unwrap();
    }
    let messages = index(&world).await;
    assert_eq!(messages.len(), 3, "two pages, and one of them again");
    assert_eq!(messages[2].event::<NumbersMapped>().unwrap().body.raw_seq, first);
    assert_eq!(found(&world, "SO-1").await, both, "an old page is no news");

    // One order of it alone; and by another mapping, which reads the number from somewhere else.
    let key = OrderKey::new("9").unwrap();
    let how = How { key: Some(&key), run: "replay-2", ..how };
    again.page(first, &how).await.unwrap().unwrap();
    let alone = index(&world).await[3].event::<NumbersMapped>().unwrap().body.orders;
    assert_eq!(alone, [("SO-9".to_string(), key.clone())]);
    world.map_with(&format!("{}{FIELDS}", TOP.replace("order_no", "update_time")));
    let again = Again::new(&world.config, &world.journal).await.unwrap();
    again.page(first, &How { key: Some(&key), run: "replay-3", ..how }).await.unwrap().unwrap();
    assert_eq!(found(&world, "2025-01-01 00:00:00").await, only("9"));
    assert_eq!(found(&world, "SO-9").await, only("9"), "under its old number as well");
}

#[tokio::test]
async fn what_failed_and_is_mapped_by_another_mapping_is_in_the_index() {
    let mut world = empty().await;
    world.map_with(&format!("{TOP}{FIELDS}[[validate]]\nname = 'no'\nthat = 'order_no != \"SO-2\"'\n"));
    page(&world, 1, &[order(1, "SO-1"), order(2, "SO-2")]).await;
    map(&mut world).await;
    assert_eq!(index(&world).await.len(), 1);
    assert_eq!(found(&world, "SO-2").await, only("2"), "its letter knows it");
    world.map_with(&format!("{TOP}{FIELDS}"));
    let retried = transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    assert_eq!(retried, Retried { mapped: 1, ..Retried::default() });
    let again = index(&world).await[1].event::<NumbersMapped>().unwrap().body.orders;
    assert_eq!(again, [("SO-2".to_string(), OrderKey::new("2").unwrap())]);
}

#[tokio::test]
async fn streams_without_an_index_are_searched() {
    let world = empty().await;
    // As a build without the index left it behind: of an order that it mapped, its receipts know the number.
    let (target, key) = (world.targets().remove(0), OrderKey::new("1").unwrap());
    let version = Version { updated_at: Some(1), raw_seq: 1, generation: 0 };
    let receipt = Receipt {
        target: target.clone(),
        key: key.clone(),
        number: Some("SO-1".into()),
        outcome: Outcome::Written,
        mapped_seq: 1,
        version,
        held: version,
        content: ContentHash::of(b"{}"),
        known: true,
        status: Some(200),
        attempts: 1,
        last_write: 0,
        idempotency_key: "k".into(),
        at: events::now(),
        older_stamp: None,
    };
    let record = Record::new(world.names().receipt(&target, &key), "receipt:1", &receipt).unwrap();
    world.journal.publish(&record).await.unwrap();
    assert_eq!(found(&world, "SO-1").await, only("1"));
    assert_eq!(found(&world, "SO-").await, None);
}

#[tokio::test]
async fn the_index_is_no_order_to_anybody() {
    let world = World::new(250, Faults::default()).await;
    let run = world.sync().await;
    let (journal, names, target) = (&world.journal, world.names(), world.targets().remove(0));
    assert_eq!(index(&world).await.len(), 3, "one a page");
    world.assert_all_arrived_once();
    let account = run.account;
    assert!(account.is_complete() && account.dead_letters() == 0, "{account:?}");
    assert_eq!((account.read, account.mapped, account.records, account.in_flight), (250, 250, 250, 0));
    let found = Reconciliation::of(journal, &names, &target).await.unwrap();
    assert!(found.is_settled() && found.faults().is_empty(), "{found:?}");
    assert_eq!((found.messages.mapped, found.orders, found.up_to_date), (250, 250, 250));
    assert_eq!(operations::mapped(journal, &names).await.unwrap(), 250);
    let stage = StageStatus::write(journal, &names, &target).await.unwrap();
    assert_eq!((stage.lag, stage.ack_pending), (Some(0), Some(0)));

    // A replay of everything is a replay of the orders.
    let replayed = Replayed::plan(journal, &names, Log::Mapped, &Range::default()).await.unwrap();
    let orders: HashSet<u64> = world.mapped().await.iter().map(|entry| entry.seq).collect();
    assert_eq!(replayed.messages.keys().copied().collect::<HashSet<u64>>(), orders);
    let work = Work::Replay {
        log: Log::Mapped,
        messages: runs(replayed.messages.keys().copied()),
        orders: replayed.orders(),
        key: None,
        target: None,
        force: false,
        mapping: None,
        per_second: 10_000,
    };
    let id = operations::begin(journal, &names, "replay", "250".into(), "r", work).await.unwrap();
    let mut operation = Operation::named(journal, &names, &id).await.unwrap().unwrap();
    let never = CancellationToken::new();
    operations::carry(journal, &names, &mut operation, None, &never, |_| {}).await.unwrap();
    assert_eq!((operation.done, operation.failures.len()), (250, 0));
    let account = world.sync().await.account;
    assert!(account.is_complete() && account.dead_letters() == 0, "{account:?}");
    let account = Account::of(journal, &names, &world.targets(), 1).await.unwrap();
    assert_eq!((account.mapped, account.records, account.in_flight), (250, 250, 0));
    assert_eq!(Selection::default().read(journal, &names).await.unwrap(), []);
    assert_eq!((index(&world).await.len(), operations::mapped(journal, &names).await.unwrap()), (3, 500));

    // And each of them is found by its number.
    for entry in world.mapped().await.iter().step_by(50) {
        let order = entry.event::<MappedOrder>().unwrap().body;
        let found = story(&world, order.number.as_deref().unwrap()).await.unwrap();
        assert_eq!((found.key, found.number), (order.key.to_string(), order.number));
    }
}
