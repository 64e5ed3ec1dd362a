//! Fields that go empty: at the source, or by a changed mapping.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use events::{Listing, MappedOrder, MappingState, Payload, RawPage, Stage, WindowId};
use journal::{Cell, Record};
use operations::{MappingWatch, instances, mapping_watch};
use orderflow_tests::{Nats, Program, Reply, Scripted, World, next_second, until};
use sandbox::Faults;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

const TOP: &str = "key = \"order_id\"\nnumber = \"order_no\"\n";

/// A mapping that reads the customer's name here.
pub(crate) fn mapping(name: &str) -> String {
    format!(
        "{TOP}[[field]]\nto = \"orderId\"\nfrom = \"order_id\"\ntype = \"integer\"\n\
         [[field]]\nto = \"orderNumber\"\nfrom = \"order_no\"\n\
         [[field]]\nto = \"customerName\"\nfrom = \"{name}\"\ndefault = \"unknown\"\n"
    )
}

pub(crate) async fn version(world: &World, name: &str) -> String {
    let plan = mapping::Plan::compile("mapping.toml", &mapping(name), &world.config.zone()).unwrap();
    plan.version().to_string()
}

fn order(id: u64) -> Value {
    json!({"order_id": id, "order_no": format!("A{id}"), "company": {"name": format!("Customer {id}")}})
}

/// A page of orders, stored as a fetcher stores it.
async fn publish(world: &World, orders: impl IntoIterator<Item = Value>) {
    static PAGE: AtomicU64 = AtomicU64::new(1);
    let number = PAGE.fetch_add(1, Ordering::Relaxed);
    let orders: Vec<Value> = orders.into_iter().collect();
    let body = json!({"code": 200, "data": {"count": orders.len(), "list": orders}}).to_string();
    let page = RawPage {
        window: WindowId::live(number),
        pass: 1,
        page: 1,
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
    world.journal.publish(&record).await.unwrap();
}

/// A world with a mapping, whose streams are there.
pub(crate) async fn world() -> World {
    let world = World::new(1, Faults::default()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    world.map_with(&mapping("company.name"));
    world
}

/// The records that were mapped, in the order of MAPPED.
async fn records(world: &World) -> Vec<Value> {
    let orders = world.mapped().await.into_iter().map(|entry| entry.event::<MappedOrder>().unwrap().body);
    orders.map(|order| serde_json::from_slice(&order.record).unwrap()).collect()
}

async fn count(world: &World) -> u64 {
    operations::mapped(&world.journal, &world.names()).await.unwrap()
}

/// How many records lack a customer.
async fn unknown(world: &World) -> usize {
    records(world).await.iter().filter(|record| record["customerName"] == "unknown").count()
}

async fn watch(world: &World) -> MappingWatch {
    mapping_watch(&world.journal, &world.names()).await.unwrap()
}

pub(crate) async fn in_use(world: &World) -> Vec<String> {
    let there = instances(&world.journal, &world.names(), Stage::Transform).await;
    there.into_iter().filter_map(|instance| instance.mapping).collect()
}

pub(crate) async fn run(folder: &Path, args: &[&str]) -> (i32, String) {
    Program::new(PROGRAM, folder, args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").said().await
}

/// A source of our own: the token, and one page of orders as they are now; a target that takes everything.
async fn source(renamed: Arc<AtomicBool>, round: Arc<AtomicU64>) -> Scripted {
    Scripted::start(move |asked| {
        if asked.path.ends_with("access_token") {
            return Reply::json(r#"{"token_type":"Bearer","access_token":"abc","expires_in":28800}"#);
        }
        if asked.path.contains("execute") {
            return Reply::json(
                r#"{"success":true,"code":0,"message":"success","content":{"inserted":1,"failed":0}}"#,
            );
        }
        let round = round.load(Ordering::SeqCst);
        let name = if renamed.load(Ordering::SeqCst) { "nm" } else { "name" };
        let updated = asked.query.get("start_time").cloned().unwrap_or_default();
        let order = |at: u64| {
            let id = round * 30 + at;
            json!({"order_id": id, "order_no": format!("A{id}"), "update_time": updated,
                   "company": {name: format!("Customer {id}")}})
        };
        let list: Vec<Value> =
            if asked.number("start_index") == 1 { (0..30).map(order).collect() } else { Vec::new() };
        Reply::json(json!({"code": 200, "data": {"count": 30, "list": list}}).to_string())
    })
    .await
}

#[tokio::test]
async fn a_field_that_the_source_renames_is_told_by_map_drift() {
    let renamed = Arc::new(AtomicBool::new(false));
    let round = Arc::new(AtomicU64::new(0));
    let source = source(Arc::clone(&renamed), Arc::clone(&round)).await;
    let nats = Nats::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "flow = \"okki-orders\"\n[source]\nbase_url = \"{url}\"\nclient_id = \"demo\"\n\
         [schedule]\nsince = \"2025-01-01 00:00:00\"\nsettle = \"0s\"\n[nats]\nurl = \"{nats}\"\n\
         [[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"{url}/execute\"\nidCheck = false\n",
        url = source.url(),
        nats = nats.url()
    );
    std::fs::write(folder.path().join("orderflow.toml"), config).unwrap();
    std::fs::write(folder.path().join("mapping.toml"), mapping("company.name")).unwrap();
    let once = async || run(folder.path(), &["up", "--once"]).await;
    let (status, said) = once().await;
    assert_eq!(status, 0, "{said}");
    let (status, said) = run(folder.path(), &["map", "drift"]).await;
    assert!(status == 0 && !said.contains("gone empty"), "{said}");

    // The source has another name for it: thirty orders lose their customer, and all else goes well.
    renamed.store(true, Ordering::SeqCst);
    round.store(1, Ordering::SeqCst);
    next_second().await;
    let (_, said) = once().await;
    assert!(said.contains("30"), "{said}");
    let (status, said) = run(folder.path(), &["map", "drift"]).await;
    assert_eq!(status, 4, "{said}");
    assert!(
        said.contains("company.name has gone empty: 30 of 30 orders had it, none of the 30 since"),
        "{said}"
    );
    let (status, said) = run(folder.path(), &["map", "drift", "-o", "json"]).await;
    let read: Value = serde_json::from_str(&said).unwrap();
    let empty = &read["empty"][0];
    let told = [&empty["path"], &empty["had"], &empty["of"], &empty["orders"]];
    assert_eq!((status, told), (4, [&json!("company.name"), &json!(30), &json!(30), &json!(30)]), "{said}");
    assert_eq!(read["held"], Value::Null);

    // The mapping follows, and nothing is missing any more.
    std::fs::write(folder.path().join("mapping.toml"), mapping("company.nm")).unwrap();
    round.store(2, Ordering::SeqCst);
    next_second().await;
    let (_, said) = once().await;
    let (status, drift) = run(folder.path(), &["map", "drift", "-o", "json"]).await;
    let read: Value = serde_json::from_str(&drift).unwrap();
    assert_eq!((&read["empty"], &read["held"]), (&json!([]), &Value::Null), "{status} {drift}\n{said}");
}

#[tokio::test]
async fn a_reload_that_empties_a_field_is_held_until_a_person_accepts_it() {
    let world = world().await;
    let stop = CancellationToken::new();
    let stages = world.start(2, &stop).await;
    publish(&world, (0..30).map(order)).await;
    until("the first orders are mapped", async || count(&world).await == 30).await;
    let (old, new) = (version(&world, "company.name").await, version(&world, "company.nmae").await);

    world.map_with(&mapping("company.nmae"));
    until("both transformers say that it is held", async || {
        let there = instances(&world.journal, &world.names(), Stage::Transform).await;
        let waits = |why: &Option<String>| why.as_ref().is_some_and(|why| why.contains("is held"));
        there.len() == 2
            && there.iter().all(|one| waits(&one.mapping_rejected) && one.mapping.as_ref() == Some(&old))
    })
    .await;
    let held = watch(&world).await.held.expect("it is held");
    assert_eq!((held.version.as_str(), held.instead.as_str(), held.orders), (new.as_str(), old.as_str(), 30));
    assert_eq!((held.fields[0].field.as_str(), held.fields[0].had), ("customerName", 30));
    publish(&world, (100..130).map(order)).await;
    until("the next orders are mapped", async || count(&world).await == 60).await;
    assert_eq!(unknown(&world).await, 0, "the mapping before goes on");

    let folder = world.folder_of_a_program("");
    let (status, said) = run(folder.path(), &["map", "drift"]).await;
    assert!(status == 4 && said.contains("customerName (30 orders have it now)"), "{said}");
    let accept = async |args: &[&str]| run(folder.path(), &[&["map", "accept"], args].concat()).await;
    let (status, said) = accept(&["0123456789abcdef"]).await;
    assert!(
        status == 3 && said.contains(&format!("no mapping 0123456789abcdef is held; {new} is")),
        "{said}"
    );
    let (status, said) = accept(&[&new]).await;
    assert!(status == 0 && said.contains("nothing was changed"), "{said}");
    let (status, said) = accept(&[&new, "--execute"]).await;
    assert!(status == 2 && said.contains("--reason"), "{said}");
    assert!(watch(&world).await.held.is_some());
    let (status, said) = accept(&[&new, "--execute", "--reason", "the name is not wanted"]).await;
    assert_eq!(status, 0, "{said}");
    until("both use it", async || in_use(&world).await == [new.clone(), new.clone()]).await;
    assert_eq!(watch(&world).await.held, None);
    let (status, said) = accept(&[&new, "--execute", "--reason", "again"]).await;
    assert!(status == 5 && said.contains("accepted already"), "{said}");
    let (_, said) = run(folder.path(), &["ops", "list"]).await;
    assert!(said.contains("accept"), "{said}");
    let (_, said) = run(folder.path(), &["ops", "list", "-o", "json"]).await;
    let operations: Value = serde_json::from_str(&said).unwrap();
    let kept = operations.as_array().unwrap().iter().find(|one| one["verb"] == "accept").unwrap();
    assert_eq!(kept["reason"], "the name is not wanted");

    publish(&world, (200..205).map(order)).await;
    until("the orders after it are mapped", async || count(&world).await == 65).await;
    assert_eq!(unknown(&world).await, 5);
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn a_mapping_that_was_changed_while_nothing_ran_is_held_too() {
    let world = world().await;
    let run_once = async || {
        let stop = CancellationToken::new();
        let mut stages = world.start(1, &stop).await;
        world.drained(&mut stages).await;
        let mut version = Vec::new();
        until("it says what it uses", async || {
            version = in_use(&world).await;
            !version.is_empty()
        })
        .await;
        stop.cancel();
        stages.join_all().await;
        version
    };
    publish(&world, (0..30).map(order)).await;
    let old = version(&world, "company.name").await;
    assert_eq!(run_once().await, std::slice::from_ref(&old));
    world.map_with(&mapping("company.nmae"));
    publish(&world, (100..110).map(order)).await;
    assert_eq!(run_once().await, std::slice::from_ref(&old));
    assert_eq!(unknown(&world).await, 0);
    assert!(watch(&world).await.held.is_some());
    // Orders are not read again by it either.
    let again = transformer::Again::new(&world.config, &world.journal).await.unwrap();
    assert_eq!(again.mapping(), old);
    // Who puts the file back as it was has nothing to accept.
    world.map_with(&mapping("company.name"));
    assert_eq!(run_once().await, [old]);
    assert_eq!(watch(&world).await, MappingWatch::default());
}

#[tokio::test]
async fn a_held_mapping_is_used_when_an_order_comes_that_it_reads() {
    let world = world().await;
    let stop = CancellationToken::new();
    let stages = world.start(1, &stop).await;
    publish(&world, (0..30).map(order)).await;
    until("the first orders are mapped", async || count(&world).await == 30).await;
    let new = version(&world, "company.full_name").await;
    // Made ready before the source changes.
    world.map_with(&mapping("company.full_name"));
    until("it is held", async || watch(&world).await.held.is_some()).await;
    publish(&world, [json!({"order_id": 900, "order_no": "A900", "company": {"full_name": "x"}})]).await;
    until("it is used without a word of anybody", async || in_use(&world).await == [new.clone()]).await;
    assert_eq!(watch(&world).await.held, None);
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn a_flow_with_a_handful_of_orders_is_not_held() {
    let world = world().await;
    let stop = CancellationToken::new();
    let stages = world.start(1, &stop).await;
    publish(&world, (0..4).map(order)).await;
    until("they are mapped", async || count(&world).await == 4).await;
    let new = version(&world, "company.nmae").await;
    world.map_with(&mapping("company.nmae"));
    until("it is used", async || in_use(&world).await == [new.clone()]).await;
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn what_transformers_count_survives_a_restart_and_adds_up() {
    let world = world().await;
    for round in 0..3 {
        let stop = CancellationToken::new();
        let mut stages = world.start(2, &stop).await;
        publish(&world, (0..20).map(|at| order(round * 100 + at))).await;
        world.drained(&mut stages).await;
        stop.cancel();
        stages.join_all().await;
    }
    let cell = Cell::new(world.journal.clone(), world.names(), world.names().fields());
    let (seen, _) = cell.get::<events::FieldsSeen>().await.unwrap();
    let cell = Cell::new(world.journal.clone(), world.names(), world.names().mapping());
    let (state, _) = cell.get::<MappingState>().await.unwrap();
    let fields = &seen.of(&state.current.unwrap().version).unwrap().fields;
    let name = fields.iter().find(|field| field.path == "company.name").unwrap();
    assert_eq!((name.had(), name.of, name.empty), (60, 60, 0));
}
