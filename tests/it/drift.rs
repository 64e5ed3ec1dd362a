//! The drift of the source: what is different in the orders since a moment, and whether the mapping reads it.

use events::{Listing, Micros, Payload, RawPage, WindowId};
use futures::StreamExt;
use journal::{Record, StoredPage};
use orderflow_tests::{Program, World};
use sandbox::Faults;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::PROGRAM;

/// 2025-03-06 00:00:00 in Asia/Shanghai.
const MIDNIGHT: Micros = 1_741_190_400_000_000;
/// 2099-01-02.
const IN_2099: Micros = 4_070_995_200_000_000;
const SINCE: &str = "2025-03-06 00:00:00";
const MAPPING: &str = "key = \"order_id\"\n[[field]]\nto = \"amount\"\nfrom = \"amount\"\ntype = \"decimal\"\n\
                       [[field]]\nto = \"customer\"\nfrom = \"company.name\"\n[[field]]\nto = \"remark\"\nfrom = \"remark\"\n";

/// A page of orders, stored as a fetcher stores it.
async fn publish(world: &World, number: u32, fetched_at: Micros, listing: Listing, orders: &[Value]) {
    let body = json!({"code": 200, "data": {"count": orders.len(), "list": orders}}).to_string();
    let page = RawPage {
        window: WindowId::live(1),
        pass: 1,
        page: number,
        part: 0,
        parts: 1,
        request: "/v1/invoices/order/list".into(),
        status: 200,
        fetched_at,
        rows: u32::try_from(orders.len()).unwrap(),
        body: Payload::pack(body.as_bytes()),
        listing,
        news: None,
        details: None,
    };
    let record = Record::new(world.names().raw(), format!("raw:{number}:{fetched_at}"), &page).unwrap();
    world.journal.publish(&record).await.unwrap();
}

fn orders(count: u64, of: impl Fn(u64) -> Value) -> Vec<Value> {
    (0..count).map(of).collect()
}

fn old(id: u64) -> Value {
    json!({
        "order_id": id, "amount": 12.5, "remark": if id.is_multiple_of(2) { "fragile" } else { "" }, "channel": if id.is_multiple_of(50) { "x" } else { "" },
        "company": {"name": "Acme", "fax": null}, "product_list": [{"count": 1, "price": 2}, {"count": 2, "price": 3}],
    })
}

/// The shape of an order since midnight.
fn new(id: u64) -> Value {
    let mut order = old(id);
    order["amount"] = if id.is_multiple_of(2) { json!("12.50") } else { json!(12) };
    order["company"] = json!([]);
    order["currency"] = json!("CNY");
    order["product_list"] = json!([{"count": {"of": 1}, "colour": "red"}, {"count": 2}]);
    order["channel"] = json!(null);
    order.as_object_mut().unwrap().remove("remark");
    order
}

/// Two pages of 60 orders before midnight.
async fn with_history() -> (World, TempDir) {
    let world = World::new(1, Faults::default()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    world.map_with(MAPPING);
    let folder = world.folder_of_a_program("");
    publish(&world, 1, MIDNIGHT - 7_200_000_000, Listing::Orders, &orders(60, old)).await;
    publish(&world, 2, MIDNIGHT - 1, Listing::Orders, &orders(60, old)).await;
    (world, folder)
}

/// And one of 30 since, with another shape; and one of deletions, which have a shape of their own.
async fn drifting() -> (World, TempDir) {
    let (world, folder) = with_history().await;
    let deleted = |id| json!({"order_id": id, "removed": true});
    publish(&world, 3, MIDNIGHT, Listing::Deleted, &orders(9, deleted)).await;
    publish(&world, 4, MIDNIGHT, Listing::Orders, &orders(30, new)).await;
    (world, folder)
}

async fn drift(folder: &TempDir, args: &[&str]) -> (i32, String) {
    let args = [&["map", "drift"], args].concat();
    let (status, said) = Program::new(PROGRAM, folder.path(), &args)
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
        .said()
        .await;
    (status, said.replace(&folder.path().display().to_string(), "FOLDER"))
}

#[tokio::test]
async fn what_is_different_since_a_moment_is_listed() {
    let (world, folder) = drifting().await;
    let (status, text) = drift(&folder, &["--since", SINCE]).await;
    assert_eq!(status, 4, "the mapping reads amount, company and remark");
    insta::assert_snapshot!(text);
    let (status, text) = drift(&folder, &["--since", SINCE, "-o", "json"]).await;
    assert_eq!(status, 4);
    insta::assert_snapshot!(text);
    // A mapping that reads nothing of it; and one that nobody can read, which might read all of it.
    let mapping = folder.path().join("mapping.toml");
    std::fs::write(&mapping, "key = \"order_id\"\n[[field]]\nto = \"id\"\nfrom = \"order_id\"\n").unwrap();
    let (status, text) = drift(&folder, &["--since", SINCE]).await;
    assert!(status == 0 && text.contains("company") && !text.contains("reads it"), "{status} {text}");
    std::fs::write(&mapping, "key = ").unwrap();
    let (status, text) = drift(&folder, &["--since", SINCE]).await;
    assert_eq!(status, 4);
    insta::assert_snapshot!(text);
    drop(world);
}

#[tokio::test]
async fn orders_that_look_as_they_did_are_no_drift() {
    let (world, folder) = with_history().await;
    let (status, text) = drift(&folder, &["--since", "2025-03-05 23:00:00"]).await;
    assert!(status == 0 && text.contains("the orders look the same as before"), "{text}");
    // All of it is older than a day, which is the default; and with an early moment all of it is since.
    let (status, text) = drift(&folder, &[]).await;
    assert!(status == 0 && text.contains("no orders were fetched since"), "{text}");
    let (status, text) = drift(&folder, &["--since", "2025-01-01"]).await;
    assert_eq!(status, 0);
    insta::assert_snapshot!(text);
    // Pages that cannot be read do not keep anyone from looking at the others.
    let job = events::PageJob { window: WindowId::live(1), pass: 1, page: 1, slice: None };
    world.journal.publish(&Record::new(world.names().raw(), "no page", &job).unwrap()).await.unwrap();
    let (status, text) = drift(&folder, &["--since", "2099-01-01", "--limit", "2"]).await;
    assert!(
        status == 0 && text.contains("60 orders on 1 page (older ones are left out, see --limit: 1)"),
        "{text}"
    );
    assert!(text.contains("pages that cannot be read and are not counted: 3"), "{text}");
    let (status, text) = drift(&folder, &["--since", "yesterday"]).await;
    assert!(status == 2 && text.contains("--since: found \"yesterday\""), "{text}");
}

#[tokio::test]
async fn drift_is_seen_in_what_a_flow_has_read() {
    let world = World::new(120, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    let (status, text) = drift(&folder, &["--since", "2025-01-01", "-o", "json"]).await;
    let read: Value = serde_json::from_str(&text).unwrap();
    assert!(status == 0 && read["changes"].is_null(), "{text}");
    assert_eq!((&read["before"]["orders"], &read["since"]["orders"]), (&json!(0), &json!(120)));

    // The source answers the same orders again, and has another name for a field that the mapping reads.
    let plan = transformer::load_mapping(&world.config).unwrap();
    let field = plan.source_fields().last().unwrap();
    let mut pages = world.journal.pages(&world.names(), ..).await.unwrap();
    let StoredPage { page, .. } = pages.next().await.unwrap().unwrap();
    let body: Value = serde_json::from_slice(&page.body.unpack().unwrap()).unwrap();
    let mut renamed = body["data"]["list"].as_array().unwrap().clone();
    for order in &mut renamed {
        let value = order.as_object_mut().unwrap().remove(field).unwrap();
        order["renamed"] = value;
    }
    publish(&world, 9, IN_2099, Listing::Orders, &renamed).await;
    let (status, text) = drift(&folder, &["--since", "2099-01-01", "-o", "json"]).await;
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 4, "{text}");
    let changes: Vec<[&Value; 3]> = read["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| [&change["change"], &change["path"], &change["mapping_reads"]])
        .collect();
    assert_eq!(
        changes,
        [[&json!("gone"), &json!(field), &json!(true)], [&json!("new"), &json!("renamed"), &json!(false)],]
    );
}
