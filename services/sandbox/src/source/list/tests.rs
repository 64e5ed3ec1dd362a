#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::civil;
use crate::testing::{Bench, generated};

const ALL: &str = "list?start_time=2025-01-01&end_time=2025-06-30&count=500";

/// The data of one list call.
async fn data(bench: &Bench, path: &str) -> Value {
    bench.source(path).await.json()["data"].clone()
}

fn ids(data: &Value) -> Vec<u64> {
    data["list"].as_array().unwrap().iter().map(|order| order["order_id"].as_u64().unwrap()).collect()
}

fn seconds(text: &Value) -> i64 {
    civil::parse(text.as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn rows_enter_a_frozen_window_late() {
    let bench = generated(50, json!({"source": {"late_inserts": 3}})).await;
    let before = ids(&data(&bench, ALL).await).into_iter().collect::<HashSet<_>>();
    let after = data(&bench, ALL).await;
    assert_eq!(after["count"], 53);
    let late = after["list"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|order| !before.contains(&order["order_id"].as_u64().unwrap()));
    let late = late.collect::<Vec<_>>();
    assert_eq!(late.len(), 3);
    assert!(late.iter().all(|order| order["create_time"] == order["update_time"]));
}

#[tokio::test]
async fn a_window_may_change_while_its_total_stays() {
    let bench = generated(2000, json!({"source": {"moving_rows": 1, "late_inserts": 1}})).await;
    for page in 1..=4 {
        assert_eq!(data(&bench, &format!("{ALL}&start_index={page}")).await["count"], 2000);
    }
    // One order left the window for each that entered it.
    assert_eq!(bench.sandbox.report().source.orders, 2004);
    assert_eq!(bench.sandbox.report().source.edits, 4);
}

#[tokio::test]
async fn rows_are_removed_after_each_page() {
    let bench = generated(50, json!({"source": {"removing_rows": 5}})).await;
    assert_eq!(data(&bench, ALL).await["count"], 50);
    assert_eq!(data(&bench, ALL).await["count"], 45);
    assert_eq!(bench.sandbox.report().source.removed, 10);
}

#[tokio::test]
async fn deleted_orders_are_paged_whatever_happens_meanwhile() {
    let bench =
        generated(60, json!({"source": {"removing_rows": 2, "late_inserts": 2, "moving_rows": 2}})).await;
    bench.sandbox.remove(20);
    let mut seen = Vec::new();
    for page in 1..=3 {
        let data = data(&bench, &format!("list?removed=1&time_type=4&count=10&start_index={page}")).await;
        assert_eq!(data["count"], 18 + 2 * page);
        for order in data["list"].as_array().unwrap() {
            assert!(seconds(&order["delete_time"]) > seconds(&order["update_time"]) - 1, "{order}");
        }
        seen.extend(ids(&data));
    }
    let rows = seen.len();
    assert_eq!((rows, seen.into_iter().collect::<HashSet<_>>().len()), (24, 24));
}

#[tokio::test]
async fn deleted_orders_meet_the_faults_of_pages_too() {
    let bench = generated(30, json!({"source": {"shuffle": true, "past_end": "last"}})).await;
    bench.sandbox.remove(30);
    let path = "list?removed=1&time_type=4&count=30";
    let (one, two) = (data(&bench, path).await, data(&bench, path).await);
    assert_ne!(ids(&one), ids(&two));
    assert_eq!(ids(&one).into_iter().collect::<HashSet<_>>(), ids(&two).into_iter().collect());
    assert_eq!(data(&bench, &format!("{path}&start_index=9")).await["list"].as_array().unwrap().len(), 30);
    let old = format!("{path}&start_time=2025-01-01&end_time=2025-06-30");
    assert_eq!(data(&bench, &old).await["count"], 0);
    bench.patch(json!({"source": {"ignore_times": true}})).await;
    assert_eq!(data(&bench, &old).await["count"], 30);
}

#[tokio::test]
async fn a_shuffled_list_has_another_order_each_time() {
    let bench = generated(40, json!({"source": {"shuffle": true}})).await;
    let (one, two) = (ids(&data(&bench, ALL).await), ids(&data(&bench, ALL).await));
    assert_ne!(one, two);
    let again = generated(40, json!({"source": {"shuffle": true}})).await;
    assert_eq!(ids(&data(&again, ALL).await), one);
    assert_eq!(one.into_iter().collect::<HashSet<_>>(), two.into_iter().collect());
}

#[tokio::test]
async fn the_first_page_may_be_all_there_is() {
    let bench = generated(25, json!({"source": {"same_page": true}})).await;
    let first = ids(&data(&bench, "list?count=10").await);
    for page in [2, 3, 99] {
        let data = data(&bench, &format!("list?count=10&start_index={page}")).await;
        assert_eq!((ids(&data), &data["count"]), (first.clone(), &json!(25)));
    }
}

#[tokio::test]
async fn behind_the_last_page_there_is_nothing_or_the_last_or_an_error() {
    let bench = generated(25, json!({})).await;
    let past = "list?count=10&start_index=4";
    assert!(ids(&data(&bench, past).await).is_empty());
    bench.patch(json!({"source": {"past_end": "last"}})).await;
    let last = ids(&data(&bench, "list?count=10&start_index=3").await);
    assert_eq!((last.len(), ids(&data(&bench, past).await)), (5, last));
    bench.patch(json!({"source": {"past_end": "error"}})).await;
    let answer = bench.source(past).await;
    let (status, answer) = (answer.status, answer.json());
    assert_eq!(
        (status, &answer["code"], &answer["message"]),
        (200, &json!(400), &json!("page out of range"))
    );
    assert_eq!(ids(&data(&bench, "list?count=10&start_index=3").await).len(), 5);
    // An empty window has one page, which is empty.
    let empty = "list?start_time=2001-01-01&end_time=2001-01-02";
    assert_eq!(data(&bench, empty).await["count"], 0);
    assert_eq!(bench.source(&format!("{empty}&start_index=2")).await.json()["code"], 400);
}

#[tokio::test]
async fn times_may_count_by_days_or_not_at_all() {
    let bench = generated(500, json!({})).await;
    let day = "list?start_time=2025-03-03&end_time=2025-03-04";
    let noon = "list?start_time=2025-03-03%2012:00:00&end_time=2025-03-04%2012:00:00";
    let whole = data(&bench, day).await["count"].as_u64().unwrap();
    assert!(data(&bench, noon).await["count"].as_u64().unwrap() < whole);
    bench.patch(json!({"source": {"ignore_seconds": true}})).await;
    assert_eq!(data(&bench, noon).await["count"], whole);
    bench.patch(json!({"source": {"ignore_times": true}})).await;
    assert_eq!(data(&bench, noon).await["count"], 500);
}

#[tokio::test]
async fn the_total_may_never_settle() {
    let bench = generated(10, json!({"source": {"total_jitter": 1000}})).await;
    let mut totals = HashSet::new();
    for _ in 0..5 {
        totals.insert(data(&bench, ALL).await["count"].as_u64().unwrap());
    }
    assert!(totals.len() > 1 && totals.iter().all(|total| (10..=1010).contains(total)), "{totals:?}");
}

#[tokio::test]
async fn a_huge_body_never_becomes_json() {
    let bench = generated(1, json!({"source": {"huge_bytes": 300_000}})).await;
    let answer = bench.source(ALL).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("transfer-encoding: chunked"), "{}", answer.head);
    assert!(answer.body.len() > 300_000 && answer.body.contains(r#""data":{"list":["#));
    // The detail is as ever.
    assert_eq!(bench.source("info?order_id=5200000000").await.json()["code"], 200);
}
