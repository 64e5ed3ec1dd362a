#![allow(clippy::unwrap_used)]

use serde_json::json;

use crate::Faults;
use crate::testing::generated;

#[tokio::test]
async fn faults_are_read_and_changed_while_it_runs() {
    let bench = generated(1, json!({})).await;
    let patched = bench.call("PATCH", "/sandbox/faults", "", r#"{"target":{"html":0.5}}"#).await.unwrap();
    assert_eq!((patched.status, &patched.json()["target"]["html"]), (200, &json!(0.5)));
    assert_eq!(bench.call("GET", "/sandbox/faults", "", "").await.unwrap().json(), patched.json());
    let mut faults = bench.sandbox.faults();
    assert!((faults.target.html - 0.5).abs() < f64::EPSILON);
    faults.source.outage = true;
    bench.sandbox.set_faults(faults.clone());
    assert_eq!(bench.sandbox.faults(), faults);
    bench.sandbox.set_faults(Faults::default());
    let unknown = bench.call("PATCH", "/sandbox/faults", "", r#"{"source":{"outages":true}}"#).await.unwrap();
    assert_eq!(unknown.status, 400);
    assert!(
        unknown.body.contains("unknown field `outages`") && unknown.body.contains("`outage`"),
        "{}",
        unknown.body
    );
    assert_eq!(bench.call("PATCH", "/sandbox/faults", "", "{").await.unwrap().status, 400);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let bench = generated(20, json!({})).await;
    let asked = async |method: &str, path: &str, origin: &str| {
        bench.call(method, path, &format!("origin: {origin}\r\n"), "{}").await.unwrap().status
    };
    for origin in ["https://example.com", "null", "http://x.example", "http://x:1", "file://"] {
        assert_eq!(asked("POST", "/sandbox/edit?n=3", origin).await, 403, "{origin}");
        assert_eq!(asked("POST", "/execute", origin).await, 403, "{origin}");
        assert_eq!(asked("PATCH", "/sandbox/faults", origin).await, 403, "{origin}");
    }
    assert_eq!(bench.sandbox.report().source.edits, 0);
    assert_eq!(asked("POST", "/sandbox/edit?n=3", "http://x").await, 200, "a page of its own");
}

#[tokio::test]
async fn orders_are_changed_and_the_report_tells() {
    let bench = generated(20, json!({})).await;
    for (what, n) in [("edit", 3), ("insert", 2), ("remove", 4), ("silent_edit", 5), ("insert_late", 6)] {
        let answer = bench.call("POST", &format!("/sandbox/{what}?n={n}"), "", "").await.unwrap();
        assert_eq!(answer.json()["orders"].as_array().unwrap().len(), n);
    }
    assert_eq!(
        bench.call("POST", "/sandbox/edit", "", "").await.unwrap().json()["orders"].as_array().unwrap().len(),
        1
    );
    assert_eq!(bench.call("POST", "/sandbox/burn", "", "").await.unwrap().status, 404);
    let set_back = bench.call("POST", "/sandbox/backdated_edit?n=2&seconds=60", "", "").await.unwrap();
    assert_eq!(set_back.json()["orders"].as_array().unwrap().len(), 2);
    let report = bench.call("GET", "/sandbox/report", "", "").await.unwrap().json();
    assert_eq!(report, serde_json::to_value(bench.sandbox.report()).unwrap());
    assert_eq!((&report["source"]["live"], &report["source"]["edits"]), (&json!(24), &json!(11)));
    assert_eq!(report["target"]["missing"], 24);
}
