#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::testing::{bench, generated};
use crate::{Options, Orders, civil};

const ALL: &str = "list?start_time=2025-01-01&end_time=2025-06-30&count=500";

#[tokio::test]
async fn a_token_is_given_to_json_and_to_forms() {
    let bench = generated(1, json!({})).await;
    let path = "/v1/oauth2/access_token";
    let form = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret&scope=invoices";
    let answer = bench.call("POST", path, "", form).await.unwrap().json();
    assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(28800)));
    let wrong = bench.call("POST", path, "", "grant_type=client_credentials&client_id=x").await.unwrap();
    assert_eq!((wrong.status, &wrong.json()["error"]), (401, &json!("invalid_client")));
    let grant = bench.call("POST", path, "", "{\"grant_type\":\"password\"}").await.unwrap();
    assert_eq!((grant.status, &grant.json()["error"]), (400, &json!("unsupported_grant_type")));
    bench.patch(json!({"source": {"omit_expires_in": true}})).await;
    assert!(bench.call("POST", path, "", form).await.unwrap().json().get("expires_in").is_none());
    assert_eq!(bench.sandbox.report().source.token_requests, 4);
}

#[tokio::test]
async fn a_list_needs_a_living_token() {
    let bench = generated(3, json!({"source": {"token_requests": 2}})).await;
    let path = format!("/v1/invoices/order/{ALL}");
    for headers in ["", "authorization: Bearer nobody\r\n"] {
        let answer = bench.call("GET", &path, headers, "").await.unwrap();
        assert_eq!((answer.status, &answer.json()["error"]), (401, &json!("access_denied")));
    }
    let bearer = bench.bearer().await;
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(bench.call("GET", &path, &bearer, "").await.unwrap().status);
    }
    assert_eq!(statuses, [200, 200, 401]);
}

#[tokio::test]
async fn pages_are_numbered_from_one() {
    let bench = generated(25, json!({})).await;
    let mut ids = Vec::new();
    for page in 1..=4 {
        let answer =
            bench.source(&format!("list?start_index={page}&count=10&approval=1&status=0")).await.json();
        assert_eq!((&answer["code"], &answer["data"]["count"]), (&json!(200), &json!(25)));
        ids.extend(
            answer["data"]["list"].as_array().unwrap().iter().map(|order| order["order_id"].to_string()),
        );
    }
    assert_eq!(ids.len(), 25);
    ids.dedup();
    assert_eq!(ids.len(), 25);
    assert_eq!(bench.source("list").await.json()["data"]["list"].as_array().unwrap().len(), 10);
    assert_eq!(bench.sandbox.report().source.list_requests, 5);
}

#[tokio::test]
async fn the_largest_page_is_limited() {
    let bench = bench(Options { page_limit: 20, ..Options::default() }).await;
    assert_eq!(bench.source("list?count=900").await.json()["data"]["list"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let bench = generated(1, json!({})).await;
    for (query, word) in [
        ("start_time=yesterday", "start_time"),
        ("end_time=2025-13-01", "end_time"),
        ("start_time=2025-02-01&end_time=2025-01-01", "start_time is after end_time"),
        ("start_index=0", "start_index"),
        ("count=-1", "count"),
        ("time_type=9", "time_type"),
        ("removed=yes", "removed"),
    ] {
        let answer = bench.source(&format!("list?{query}")).await;
        let (status, answer) = (answer.status, answer.json());
        assert_eq!((status, &answer["code"]), (200, &json!(400)), "{query}");
        assert!(answer["message"].as_str().unwrap().contains(word), "{answer}");
    }
    let info = bench.source("info").await.json();
    assert_eq!(info["code"], 400);
}

#[tokio::test]
async fn the_detail_finds_by_id_and_by_number() {
    let bench = generated(10, json!({})).await;
    let by_id = bench.source("info?order_id=5200000021").await.json();
    assert_eq!(by_id["data"]["order_no"], "SO-2025-000003");
    let by_number = bench.source("info?order_no=SO-2025-000003").await.json();
    assert_eq!(by_id["data"], by_number["data"]);
    let unknown = bench.source("info?order_id=1").await;
    let (status, unknown) = (unknown.status, unknown.json());
    assert_eq!(
        (status, &unknown["code"], &unknown["message"]),
        (200, &json!(404), &json!("Not Found Resource"))
    );
    bench.sandbox.remove(10);
    assert_eq!(bench.source("info?order_id=5200000021").await.json()["code"], 404);
    let removed = bench.source("list?removed=1&time_type=4").await.json();
    assert_eq!(removed["data"]["count"], 10);
    assert!(removed["data"]["list"][0]["delete_time"].is_string());
    assert_eq!(bench.source("list?removed=0").await.json()["data"]["count"], 0);
}

#[tokio::test]
async fn an_edit_moves_an_order_and_changes_its_total() {
    let bench = generated(5, json!({})).await;
    let id = bench.sandbox.edit(1).remove(0);
    let order = bench.source(&format!("info?order_id={id}")).await.json()["data"].clone();
    assert!(order["update_time"].as_str().unwrap() > "2025-07-01");
    assert!(order["remark"].as_str().unwrap().contains("第 1 次修改"));
    let last = bench.source("list?count=5").await.json()["data"]["list"][4].clone();
    assert_eq!(last, order);
    assert_eq!(bench.source(ALL).await.json()["data"]["count"], 4);
}

#[tokio::test]
async fn a_file_is_served_as_it_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("orders.ndjson");
    let line = r#"{"order_id":"7",  "update_time":"2011-01-02 03:04:05","amount":1.50,"company":[],"product_list":[]}"#;
    std::fs::write(&path, line).unwrap();
    let bench = bench(Options { orders: Orders::File(path), ..Options::default() }).await;
    assert!(bench.source("list").await.body.contains(line));
    assert!(bench.sandbox.has_product_list());
}

#[tokio::test]
async fn an_outage_answers_a_page() {
    let bench = generated(1, json!({"source": {"outage": true}})).await;
    for path in ["/v1/oauth2/access_token", "/v1/invoices/order/list"] {
        let method = if path.ends_with("token") { "POST" } else { "GET" };
        let answer = bench.call(method, path, "", "").await.unwrap();
        assert_eq!(answer.status, 503);
        assert!(answer.head.contains("text/html") && answer.body.starts_with("<html>"));
    }
}

#[tokio::test]
async fn too_many_calls_are_told_when_to_come_back() {
    let bench = generated(1, json!({})).await;
    let bearer = bench.bearer().await;
    // Fifty calls in far less than fifty seconds.
    bench.patch(json!({"source": {"rate_limit_per_second": 1, "retry_after": "seconds"}})).await;
    let mut limited = 0;
    for _ in 0..50 {
        let answer = bench.call("GET", "/v1/invoices/order/list", &bearer, "").await.unwrap();
        if answer.status == 429 {
            assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
            assert_eq!(answer.json()["code"], 429);
            limited += 1;
        }
    }
    assert!(limited > 0);
    assert_eq!(bench.sandbox.report().source.rate_limited, limited);
}

#[tokio::test]
async fn errors_come_hard_soft_and_as_pages() {
    let bench = generated(1, json!({})).await;
    for (part, status, code) in [
        (json!({"error_5xx": 1.0}), 500, Some(500)),
        (json!({"error_5xx": 0.0, "soft_error": 1.0}), 200, Some(500)),
        (json!({"soft_code": 50001}), 200, Some(50001)),
        (json!({"soft_error": 0.0, "html": 1.0}), 200, None),
    ] {
        bench.patch(json!({ "source": part })).await;
        let answer = bench.source("list").await;
        assert_eq!(answer.status, status);
        match code {
            Some(code) => assert_eq!(answer.json()["code"], code),
            None => assert!(answer.body.starts_with("<html>")),
        }
    }
}

#[tokio::test]
async fn the_envelope_bends() {
    let bench = generated(12, json!({})).await;
    let data = async |part: Value| {
        bench.patch(json!({ "source": part })).await;
        bench.source("list").await.json()
    };
    assert_eq!(data(json!({"total": "string"})).await["data"]["count"], "12");
    let other_name = data(json!({"total": "number", "total_field": "totalItem", "total_lies": 3})).await;
    assert_eq!((&other_name["data"]["totalItem"], other_name["data"].get("count")), (&json!(15), None));
    assert!(data(json!({"total": "missing"})).await["data"].get("totalItem").is_none());
    assert_eq!(data(json!({"success_code": 0})).await["code"], 0);
    assert!(data(json!({"success_code": null})).await.get("code").is_none());
    assert_eq!(data(json!({"php_empties": 1.0})).await["data"]["list"][0]["company"], json!([]));
    assert!(data(json!({"ids": "string"})).await["data"]["list"][0]["order_id"].is_string());
    bench.patch(json!({"source": {"truncate": 1.0}})).await;
    let answer = bench.source("list").await;
    assert!(answer.status == 200 && serde_json::from_str::<Value>(&answer.body).is_err());
}

#[tokio::test]
async fn brief_rows_leave_the_detail_whole() {
    let bench = bench(Options { brief_rows: true, ..Options::default() }).await;
    let row = bench.source("list").await.json()["data"]["list"][0].clone();
    assert!(row.get("items").is_none() && row.get("status").is_none());
    let id = row["order_id"].to_string();
    assert!(bench.source(&format!("info?order_id={id}")).await.json()["data"]["items"].is_array());
}

#[tokio::test]
async fn rows_move_after_each_page() {
    let bench = generated(50, json!({"source": {"moving_rows": 5}})).await;
    bench.source(ALL).await;
    assert_eq!(bench.source(ALL).await.json()["data"]["count"], 45);
    assert_eq!(bench.sandbox.report().source.edits, 10);
}

#[tokio::test]
async fn late_rows_show_when_their_time_has_come() {
    let bench = generated(200, json!({"source": {"late_rows": 0.5, "late_seconds": 3600}})).await;
    let early = bench.source(ALL).await.json()["data"]["count"].as_u64().unwrap();
    assert!((60..140).contains(&early), "{early}");
    bench.patch(json!({"source": {"late_seconds": 0}})).await;
    assert_eq!(bench.source(ALL).await.json()["data"]["count"], 200);
}

#[tokio::test(start_paused = true)]
async fn slow_answers_wait_and_hanging_ones_never_come() {
    let bench = generated(1, json!({"source": {"slow": 1.0, "slow_ms": 5000}})).await;
    let bearer = bench.bearer().await;
    let begin = tokio::time::Instant::now();
    let path = "/v1/invoices/order/list";
    assert_eq!(bench.call("GET", path, &bearer, "").await.unwrap().status, 200);
    assert!(begin.elapsed().as_millis() >= 5000);
    bench.patch(json!({"source": {"slow": 0.0, "hang": 1.0}})).await;
    let begin = tokio::time::Instant::now();
    assert!(bench.call("GET", path, &bearer, "").await.is_none());
    assert!(begin.elapsed().as_secs() >= 120);
}

#[tokio::test(start_paused = true)]
async fn list_and_detail_take_their_time() {
    let bench = generated(1, json!({"source": {"latency_ms": 70, "slow": 1.0, "slow_ms": 5000}})).await;
    let bearer = bench.bearer().await;
    for path in ["list", "info?order_id=5200000000"] {
        let begin = tokio::time::Instant::now();
        let path = format!("/v1/invoices/order/{path}");
        assert_eq!(bench.call("GET", &path, &bearer, "").await.unwrap().status, 200);
        assert!(begin.elapsed().as_millis() >= 5070);
    }
}

#[tokio::test]
async fn a_detail_may_be_gone_though_the_order_is_there() {
    let bench = generated(1, json!({"source": {"detail_gone": 1.0}})).await;
    let gone = bench.source("info?order_id=5200000000").await;
    assert_eq!((gone.status, &gone.json()["code"]), (200, &json!(404)));
    assert_eq!(bench.source("list").await.json()["data"]["count"], 1);
    bench.patch(json!({"source": {"detail_gone": 0.0}})).await;
    assert_eq!(bench.source("info?order_id=5200000000").await.json()["code"], 200);
}

#[tokio::test]
async fn the_clock_may_be_wrong() {
    const OFFSET: i64 = 100 * 86_400;
    let bench = generated(3, json!({"source": {"clock_offset_seconds": OFFSET}})).await;
    let zone = Options::default().time_zone;
    let is_ahead = |text: &Value| {
        let ahead = civil::parse(text.as_str().unwrap()).unwrap() - civil::now(&zone);
        (OFFSET - 60..=OFFSET).contains(&ahead)
    };
    let edited = bench.sandbox.edit(1).remove(0);
    let order = bench.source(&format!("info?order_id={edited}")).await.json();
    assert!(is_ahead(&order["now"]) && is_ahead(&order["data"]["update_time"]), "{order}");
    let inserted = bench.sandbox.insert(1).remove(0);
    let order = bench.source(&format!("info?order_id={inserted}")).await.json();
    assert!(is_ahead(&order["data"]["create_time"]), "{order}");
    assert!(is_ahead(&bench.source("info?order_id=1").await.json()["now"]));
    bench.sandbox.remove(1);
    let removed = bench.source("list?removed=1&time_type=4").await.json();
    assert!(is_ahead(&removed["data"]["list"][0]["delete_time"]), "{removed}");
}

#[tokio::test]
async fn an_envelope_may_not_tell_the_time() {
    let bench = generated(1, json!({"source": {"omit_now": true}})).await;
    for (path, code) in [("list", 200), ("info?order_id=5200000000", 200), ("info?order_id=1", 404)] {
        let answer = bench.source(path).await.json();
        assert_eq!((&answer["code"], answer.get("now")), (&json!(code), None));
        bench.patch(json!({"source": {"omit_now": false}})).await;
        assert!(bench.source(path).await.json()["now"].is_string());
        bench.patch(json!({"source": {"omit_now": true}})).await;
    }
}
