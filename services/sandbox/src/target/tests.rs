#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::testing::{Bench, bench, generated, record_of};
use crate::{Options, Orders};

fn content(inserted: u64, failed: u64) -> Value {
    json!({"inserted": inserted, "failed": failed})
}

fn id_of(order: &Value) -> String {
    order["order_id"].to_string()
}

async fn execute(bench: &Bench, data: Value) -> Value {
    bench.execute(data, false, None).await.unwrap().json()
}

#[tokio::test]
async fn what_is_written_is_compared_with_the_source() {
    let bench = generated(5, json!({})).await;
    let orders = bench.source("list").await.json()["data"]["list"].clone();
    for order in orders.as_array().unwrap() {
        let answer = execute(&bench, record_of(order)).await;
        assert_eq!(
            answer,
            json!({"success": true, "code": 0, "message": "success", "content": content(1, 0)})
        );
    }
    let report = bench.sandbox.report().target;
    assert_eq!((report.requests, report.accepted_rows, report.distinct_orders), (5, 5, 5));
    assert_eq!(
        (report.missing, report.extra, report.outdated, report.wrong_totals, report.duplicates),
        (0, 0, 0, 0, 0)
    );

    let edited = bench.sandbox.edit(2);
    bench.sandbox.insert(1);
    let report = bench.sandbox.report().target;
    assert_eq!((report.missing, report.outdated), (1, 2));
    for id in edited {
        let order = bench.source(&format!("info?order_id={id}")).await.json()["data"].clone();
        execute(&bench, record_of(&order)).await;
    }
    // A deleted order is no longer missing, nor is it extra where it was written.
    bench.sandbox.remove(6);
    let report = bench.sandbox.report();
    assert_eq!((report.target.missing, report.target.extra, report.target.outdated), (0, 0, 0));
    assert_eq!((report.source.orders, report.source.live, report.source.removed), (6, 0, 6));
}

#[tokio::test]
async fn wrong_missing_stale_and_unknown_are_counted() {
    let bench = generated(2, json!({})).await;
    let order = bench.source("list").await.json()["data"]["list"][0].clone();
    let good = record_of(&order);
    let mut wrong = good.clone();
    wrong["totalAmount"] = json!("0.01");
    let mut stale = good.clone();
    stale["updateTime"] = json!("2024-01-01 00:00:00");
    for record in [&good, &wrong, &stale, &json!({"orderId": good["orderId"]}), &json!({"orderId": 1})] {
        execute(&bench, record.clone()).await;
    }
    let report = bench.sandbox.report().target;
    assert_eq!((report.wrong_totals, report.missing_totals), (1, 2));
    assert_eq!((report.stale_overwrites, report.extra, report.missing), (1, 1, 1));
}

#[tokio::test]
async fn an_edit_reached_by_its_old_total_is_wrong_and_outdated() {
    let bench = generated(1, json!({})).await;
    let before = record_of(&bench.source("list").await.json()["data"]["list"][0]);
    bench.sandbox.edit(1);
    let after = bench.source("list").await.json()["data"]["list"][0].clone();
    let mut mixed = record_of(&after);
    mixed["totalAmount"] = before["totalAmount"].clone();
    execute(&bench, mixed).await;
    assert_eq!(bench.sandbox.report().target.wrong_totals, 1);
    execute(&bench, before).await;
    execute(&bench, record_of(&after)).await;
    let report = bench.sandbox.report().target;
    assert_eq!((report.wrong_totals, report.stale_overwrites, report.outdated), (1, 1, 0));
}

#[tokio::test]
async fn an_idempotency_key_applies_once_unless_ignored() {
    let bench = generated(1, json!({})).await;
    let record = json!({"orderId": "5200000000"});
    for _ in 0..3 {
        let answer = bench.execute(record.clone(), true, Some("k1")).await.unwrap().json();
        assert_eq!(answer["content"], content(1, 0));
    }
    let report = bench.sandbox.report().target;
    assert_eq!((report.accepted_rows, report.retried_same_key, report.repeats_refused), (1, 2, 0));

    let repeat = bench.execute(record.clone(), true, Some("k2")).await.unwrap();
    let expected = json!({"success": false, "code": 40901, "message": "REPEAT", "content": content(0, 1)});
    assert_eq!((repeat.status, repeat.json()), (200, expected));
    assert_eq!(bench.sandbox.report().target.repeats_refused, 1);

    bench.execute(record.clone(), false, Some("k3")).await;
    bench.patch(json!({"target": {"ignore_idempotency": true}})).await;
    bench.execute(record, false, Some("k1")).await;
    let report = bench.sandbox.report().target;
    assert_eq!((report.accepted_rows, report.duplicates, report.retried_same_key), (3, 2, 2));
}

#[tokio::test]
async fn refused_orders_fail_alone_and_in_batches() {
    let bench = generated(9, json!({"target": {"refuse": ["5200000007"]}})).await;
    let answer = execute(&bench, json!({"orderId": 5_200_000_007_u64})).await;
    assert_eq!((&answer["code"], &answer["message"]), (&json!(40002), &json!("客户不存在: 5200000007")));
    let missing_id = execute(&bench, json!({"totalAmount": 1})).await;
    assert_eq!(missing_id["code"], 40001);
    let three =
        json!([{"orderId": 5_200_000_000_u64}, {"orderId": "5200000007"}, {"orderId": 5_200_000_014_u64}]);
    let store = bench.scheme("store").await;
    let body = json!({ "content": three }).to_string();
    let answer = bench.call("POST", &store, "", &body).await.unwrap().json();
    assert_eq!((&answer["success"], &answer["content"]), (&json!(true), &content(2, 1)));
    let answer = execute(&bench, three).await;
    assert_eq!((&answer["success"], &answer["content"]), (&json!(true), &content(2, 1)));
    let report = bench.sandbox.report().target;
    assert_eq!((report.refused_rows, report.accepted_rows, report.duplicates), (4, 4, 2));
}

#[tokio::test]
async fn a_share_is_refused_always_the_same() {
    let bench = generated(1, json!({"target": {"refuse_share": 0.5}})).await;
    let batch: Value = (0..100).map(|id| json!({ "orderId": id })).collect();
    let first = execute(&bench, batch.clone()).await["content"].clone();
    let failed = first["failed"].as_u64().unwrap();
    assert!((30..70).contains(&failed), "{failed}");
    assert_eq!(execute(&bench, batch).await["content"], first);
}

#[tokio::test]
async fn a_lost_answer_has_done_its_work() {
    let bench = generated(1, json!({"target": {"lost_answer": 1.0}})).await;
    assert!(bench.execute(json!({"orderId": 1}), false, Some("k")).await.is_none());
    bench.patch(json!({"target": {"lost_answer": 0.0}})).await;
    assert_eq!(bench.execute(json!({"orderId": 1}), false, Some("k")).await.unwrap().json()["success"], true);
    let report = bench.sandbox.report().target;
    assert_eq!((report.lost_answers, report.accepted_rows, report.retried_same_key), (1, 1, 1));
}

#[tokio::test]
async fn errors_do_no_work() {
    let bench = generated(1, json!({})).await;
    for (part, status, code) in [
        (json!({"outage": true}), 503, None),
        (json!({"outage": false, "error_5xx": 1.0}), 500, Some(50001)),
        (json!({"error_5xx": 0.0, "soft_error": 1.0}), 200, Some(50001)),
        (json!({"soft_error": 0.0, "html": 1.0}), 200, None),
    ] {
        bench.patch(json!({ "target": part })).await;
        let answer = bench.execute(json!({"orderId": 1}), false, None).await.unwrap();
        assert_eq!(answer.status, status);
        match code {
            Some(code) => assert_eq!(answer.json()["code"], code),
            None => assert!(answer.body.starts_with("<html>")),
        }
    }
    let report = bench.sandbox.report().target;
    assert_eq!((report.requests, report.accepted_rows), (4, 0));
}

#[tokio::test]
async fn the_limit_is_counted_and_told() {
    let bench = generated(
        1,
        json!({"target": {"rate_limit_per_minute": 2, "penalty_seconds": 300, "retry_after": "date"}}),
    )
    .await;
    let mut statuses = Vec::new();
    for id in 0..4 {
        let answer = bench.execute(json!({"orderId": id}), false, None).await.unwrap();
        statuses.push(answer.status);
        if answer.status == 429 {
            assert_eq!(answer.json()["code"], 42901);
            assert!(answer.head.contains("retry-after: ") && answer.head.contains("x-ratelimit-limit: 2"));
        }
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    assert_eq!(bench.sandbox.report().target.rate_limited, 2);
    // Lifting the limit lifts its penalty.
    bench.patch(json!({"target": {"rate_limit_per_minute": 0}})).await;
    assert_eq!(bench.execute(json!({"orderId": 9}), false, None).await.unwrap().status, 200);
}

#[tokio::test]
async fn store_needs_a_living_token_and_query_reads_back() {
    let bench = generated(1, json!({"target": {"token_requests": 1}})).await;
    let wrong = bench.call("POST", "/v2/oauth", "", r#"{"app_key":"x"}"#).await.unwrap();
    assert_eq!((wrong.status, &wrong.json()["code"]), (401, &json!(40101)));
    let body = json!({"content": [{"orderId": 2, "a": 1.50}, {"orderId": "1"}]}).to_string();
    let store = bench.scheme("store").await;
    assert_eq!(bench.call("POST", &store, "", &body).await.unwrap().json()["content"], content(2, 0));
    let dead = bench.call("POST", &store, "", &body).await.unwrap().json();
    assert_eq!(dead["code"], 40102);

    let query = async |search: Value| {
        let path = bench.scheme("query").await;
        bench.call("POST", &path, "", &search.to_string()).await.unwrap().json()["content"].clone()
    };
    let one = query(json!({"page": 1, "pageSize": 10, "CONTENT_orderId": "2"})).await;
    assert_eq!((&one["list"], &one["total"]), (&json!([{"orderId": 2, "a": 1.5}]), &json!(1)));
    let second = query(json!({"page": 2, "pageSize": 1})).await;
    assert_eq!((&second["list"][0]["orderId"], &second["total"]), (&json!(2), &json!(2)));
    assert_eq!(query(json!({"CONTENT_orderId": 3})).await["total"], 0);
    assert_eq!(query(json!({"pageSize": 101})).await, Value::Null);
}

#[tokio::test]
async fn what_was_answered_survives_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        orders: Orders::Generated { count: 3 },
        data_dir: Some(dir.path().to_owned()),
        ..Options::default()
    };
    let first = bench(options()).await;
    first.sandbox.edit(1);
    first.sandbox.insert(1);
    let list = first.source("list").await.json()["data"]["list"].clone();
    for order in list.as_array().unwrap() {
        first.execute(record_of(order), false, Some("k")).await;
    }
    // No orderly end: the second process finds what the first one had answered.
    let second = bench(options()).await;
    assert_eq!(second.source("list").await.json()["data"]["list"], list);
    second.execute(record_of(&list[0]), true, Some("k")).await;
    let report = second.sandbox.report();
    assert_eq!((report.source.orders, report.source.edits, report.target.distinct_orders), (4, 1, 4));
    assert_eq!((report.target.accepted_rows, report.target.retried_same_key), (4, 1));
    assert_eq!((report.target.missing, report.target.outdated, report.target.wrong_totals), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn latency_slowness_and_hanging_take_their_time() {
    let bench = generated(1, json!({"target": {"latency_ms": 70, "slow": 1.0, "slow_ms": 5000}})).await;
    let begin = tokio::time::Instant::now();
    assert_eq!(bench.execute(json!({"orderId": 1}), false, None).await.unwrap().status, 200);
    assert!(begin.elapsed().as_millis() >= 5070);
    bench.patch(json!({"target": {"hang": 1.0}})).await;
    let begin = tokio::time::Instant::now();
    assert!(bench.execute(json!({"orderId": 2}), false, None).await.is_none());
    assert!(begin.elapsed().as_secs() >= 120);
    assert_eq!(bench.sandbox.report().target.accepted_rows, 1);
}

#[tokio::test]
async fn a_silent_edit_is_outdated_until_it_is_written_and_never_stale() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        orders: Orders::Generated { count: 3 },
        data_dir: Some(dir.path().to_owned()),
        ..Options::default()
    };
    let first = bench(options()).await;
    let before = first.source("list").await.json()["data"]["list"].clone();
    let records: Value = before.as_array().unwrap().iter().map(record_of).collect();
    execute(&first, records.clone()).await;
    let id = first.sandbox.silent_edit(1).remove(0);
    assert_eq!(first.sandbox.report().target.outdated, 1);
    let after = first.source("list").await.json()["data"]["list"].clone();
    let times = |list: &Value| {
        list.as_array().unwrap().iter().map(|order| order["update_time"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!((before != after, times(&before)), (true, times(&after)));
    first.sandbox.insert_late(2);

    // Both changes survive the process.
    let second = bench(options()).await;
    let listed = first.source("list").await.json()["data"].clone();
    assert_eq!(
        (second.source("list").await.json()["data"].clone(), &listed["count"]),
        (listed.clone(), &json!(5))
    );
    assert_eq!((second.sandbox.report().target.outdated, second.sandbox.report().target.missing), (1, 2));
    let order = second.source(&format!("info?order_id={id}")).await.json()["data"].clone();
    execute(&second, record_of(&order)).await;
    let report = second.sandbox.report().target;
    assert_eq!(
        (report.outdated, report.stale_overwrites, report.wrong_totals, report.duplicates),
        (0, 0, 0, 0)
    );
    // The content of before over it: not stale by its time, yet no longer current.
    execute(&second, records).await;
    let report = second.sandbox.report().target;
    assert_eq!((report.outdated, report.stale_overwrites, report.wrong_totals), (1, 0, 0));
}

#[tokio::test]
async fn a_deletion_at_the_source_asks_for_one_at_the_target() {
    let dir = tempfile::tempdir().unwrap();
    let options = || Options {
        orders: Orders::Generated { count: 6 },
        data_dir: Some(dir.path().to_owned()),
        ..Options::default()
    };
    let first = bench(options()).await;
    let orders = first.source("list").await.json()["data"]["list"].clone();
    // One is removed before it was ever written: nobody has to be told.
    let unwritten = first.sandbox.remove(1).remove(0);
    let written = orders.as_array().unwrap().iter().filter(|order| id_of(order) != unwritten);
    execute(&first, written.map(record_of).collect()).await;
    let removed = first.sandbox.remove(2);
    let report = first.sandbox.report().target;
    assert_eq!((report.undeleted, report.deletions, report.missing, report.outdated), (2, 0, 0, 0));

    for (id, deleted) in removed.iter().zip([json!(true), json!("1")]) {
        let record = json!({"orderId": id, "deleted": deleted, "updateTime": "2020-01-01 00:00:00"});
        first.execute(record.clone(), false, Some("k1")).await;
        first.execute(record, false, Some("k1")).await;
    }
    let second = bench(options()).await;
    let record = json!({"orderId": removed[0], "deleted": 1});
    second.execute(record, false, Some("k2")).await;
    let report = second.sandbox.report().target;
    assert_eq!((report.undeleted, report.deletions, report.duplicates), (0, 2, 1));
    let wrong = [report.missing_totals, report.wrong_totals, report.stale_overwrites, report.extra];
    assert_eq!((wrong, report.missing, report.outdated), ([0; 4], 0, 0));

    // Told of the end of an order that is there.
    let live = second.source("list").await.json()["data"]["list"][0].clone();
    execute(&second, json!({"orderId": live["order_id"], "deleted": true, "totalAmount": "x"})).await;
    let report = second.sandbox.report().target;
    assert_eq!((report.outdated, report.missing, report.wrong_totals, report.deletions), (1, 0, 0, 3));
    execute(&second, record_of(&live)).await;
    assert_eq!(second.sandbox.report().target.outdated, 0);
    // A late row brings a deleted order back.
    let gone = orders.as_array().unwrap().iter().find(|order| id_of(order) == removed[1]);
    execute(&second, record_of(gone.unwrap())).await;
    assert_eq!(second.sandbox.report().target.undeleted, 1);
}

#[tokio::test]
async fn an_order_in_two_calls_at_once_is_counted() {
    let bench = generated(2, json!({"target": {"latency_ms": 300}})).await;
    let orders = bench.source("list").await.json()["data"]["list"].clone();
    let (one, other) = (record_of(&orders[0]), record_of(&orders[1]));
    let both = json!([one.clone(), other.clone()]);
    futures::join!(execute(&bench, one.clone()), execute(&bench, other.clone()));
    assert_eq!(bench.sandbox.report().target.overlapping_requests, 0);
    futures::join!(execute(&bench, one.clone()), execute(&bench, both));
    assert_eq!(bench.sandbox.report().target.overlapping_requests, 1);
    execute(&bench, one).await;
    assert_eq!(bench.sandbox.report().target.overlapping_requests, 1);
}

#[tokio::test]
async fn what_the_target_lacks_is_named() {
    let bench = generated(4, json!({})).await;
    let orders = bench.source("list").await.json()["data"]["list"].clone();
    let mut ids: Vec<String> = orders.as_array().unwrap().iter().map(id_of).collect();
    ids.sort_unstable();
    assert_eq!(bench.sandbox.behind(), ids);
    for order in orders.as_array().unwrap() {
        execute(&bench, record_of(order)).await;
    }
    assert!(bench.sandbox.behind().is_empty());
    let (edited, removed) = (bench.sandbox.edit(1), bench.sandbox.remove(1));
    let mut behind = if edited == removed { removed } else { [edited, removed].concat() };
    behind.sort_unstable();
    assert_eq!(bench.sandbox.behind(), behind);
}
