//! `orderflow map` and `check`, as who writes a mapping uses them.

use std::path::{Path, PathBuf};

use orderflow_tests::{Program, World};
use sandbox::Faults;
use tempfile::TempDir;

use crate::PROGRAM;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples")
}

async fn said(folder: &Path, args: &[&str]) -> (i32, String) {
    let program = Program::new(PROGRAM, folder, args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret");
    let (status, said) = program.said().await;
    assert!(!said.contains("panicked"), "{said}");
    (status, said.replace(&folder.display().to_string(), "FOLDER"))
}

const MAPPING: &str = r#"
key = "order_id"
number = "order_no"
version = "update_time"

[[when]]
is = 'order_no != "TEST"'
reason = "test order"

[[field]]
to = "orderNumber"
from = "order_no"
required = true

[[field]]
to = "customer.name"
from = ["company.name", "company_name"]
default = "-"

[[field]]
to = "total"
sum = "product_list"
of = "count * unit_price"
scale = 2

[[field]]
to = "lines"
each = "product_list"
[[field.field]]
to = "sku"
from = "product_no"
[[field.field]]
to = "currency"
from = "$.currency"

[[case]]
name = "right"
input = '{"order_id": 1, "order_no": "A", "product_list": [{"count": 3, "unit_price": 0.10}]}'
expect = '{"orderNumber": "A", "customer": {"name": "-"}, "total": 0.30, "lines": [{}]}'

[[case]]
name = "wrong by a cent"
input_file = "order.json"
expect = '{"orderNumber": "A", "customer": {"name": "顾客"}, "total": 15.31, "lines": [{"sku": "85123A", "currency": "GBP"}]}'

[[case]]
name = "no error"
input = '{"order_id": 1, "order_no": "TEST"}'
expect_error = "missing_field"
"#;
const ORDER: &str = r#"{"order_id": "5203550000", "order_no": "A", "currency": "GBP", "company": {"name": "顾客"},
  "product_list": [{"product_no": "85123A", "count": 6, "unit_price": 2.55}]}"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mapping.toml"), MAPPING).unwrap();
    std::fs::write(folder.path().join("order.json"), ORDER).unwrap();
    folder
}

#[tokio::test]
async fn every_example_passes_its_cases() {
    let mut tested = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().ends_with(".mapping.toml") {
            let (status, text) =
                said(&examples(), &["map", "test", "--mapping", &path.display().to_string()]).await;
            assert!(
                status == 0 && text.contains(" passed, 0 failed"),
                "{}: {status}\n{text}",
                path.display()
            );
            tested += 1;
        }
    }
    assert_eq!(tested, 4);
}

#[tokio::test]
async fn a_case_that_fails_shows_what_differs() {
    let folder = folder();
    let (status, text) = said(folder.path(), &["map", "test", "--mapping", "mapping.toml"]).await;
    assert_eq!(status, 1, "{text}");
    insta::assert_snapshot!(text);
    let (status, text) = said(folder.path(), &["map", "test", "right", "--mapping", "mapping.toml"]).await;
    assert!(status == 0 && text.contains("1 passed, 0 failed"), "{text}");
    let (status, text) = said(folder.path(), &["map", "test", "nothing", "--mapping", "mapping.toml"]).await;
    assert!(status == 3 && text.contains("orderflow map reference"), "{text}");
    std::fs::remove_file(folder.path().join("order.json")).unwrap();
    let (status, text) = said(folder.path(), &["map", "test", "--mapping", "mapping.toml"]).await;
    assert!(status == 1 && text.contains("order.json cannot be read"), "{text}");
}

#[tokio::test]
async fn a_preview_shows_before_and_after_and_where_each_field_came_from() {
    let folder = folder();
    let preview = ["map", "preview", "order.json", "--mapping", "mapping.toml"];
    let (status, text) = said(folder.path(), &preview).await;
    assert_eq!(status, 0, "{text}");
    insta::assert_snapshot!(text);
    let (status, text) = said(folder.path(), &[&preview[..], &["-o", "json"]].concat()).await;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, json["outcome"].as_str()), (0, Some("mapped")), "{text}");
    assert!(text.contains("\"total\":15.30"), "the exact bytes: {text}");
    assert_eq!(json["fields"][1]["from"], "company.name");

    std::fs::write(
        folder.path().join("many.ndjson"),
        "{\"order_id\":1,\"order_no\":\"TEST\"}\n{\"order_id\":2}\n",
    )
    .unwrap();
    let many = ["map", "preview", "many.ndjson", "--mapping", "mapping.toml"];
    let (status, text) = said(folder.path(), &many).await;
    assert!(status == 0 && text.ends_with("skipped: test order\n"), "{text}");
    let (status, text) = said(folder.path(), &[&many[..], &["--nth", "2"]].concat()).await;
    assert!(status == 1 && text.contains("failed: missing_field: field `orderNumber`"), "{text}");
    let (status, text) = said(folder.path(), &[&many[..], &["--nth", "3"]].concat()).await;
    assert!(status == 3 && text.contains("many.ndjson has 2 orders"), "{text}");
    let (status, text) = said(folder.path(), &[&many[..], &["--all"]].concat()).await;
    assert_eq!(status, 4, "{text}");
    assert!(
        text.contains("2 orders: 0 records, 1 skipped (test order: 1), 0 marked, 1 that cannot be mapped"),
        "{text}"
    );
}

#[tokio::test]
async fn an_order_that_was_fetched_can_be_previewed() {
    let world = World::new(250, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    let (status, text) = said(folder.path(), &["map", "preview", "SO-2025-000123"]).await;
    assert!(
        status == 0 && text.contains("order    demo-RAW, message ") && text.contains("SO-2025-000123"),
        "{text}"
    );
    let by_number = text;
    let seq = by_number.split("message ").nth(1).unwrap().split(',').next().unwrap();
    let row = by_number.split("row ").nth(1).unwrap().split(' ').next().unwrap();
    let (_, by_place) = said(folder.path(), &["map", "preview", "--seq", seq, "--row", row]).await;
    assert_eq!(by_place, by_number);
    let key = 5_200_000_000_u64 + 7 * 123;
    let (_, by_key) = said(folder.path(), &["map", "preview", &key.to_string()]).await;
    assert_eq!(by_key, by_number);
    let (status, text) = said(folder.path(), &["map", "preview", "SO-2025-999999"]).await;
    assert!(status == 3 && text.contains("no order with that number or key in demo-RAW"), "{text}");
    let (status, _) = said(folder.path(), &["map", "preview", "--seq", "999"]).await;
    assert_eq!(status, 3);
}

#[tokio::test]
async fn the_reference_is_a_mapping() {
    let folder = tempfile::tempdir().unwrap();
    let (status, text) = said(folder.path(), &["map", "reference"]).await;
    assert_eq!(status, 0);
    std::fs::write(folder.path().join("reference.toml"), text).unwrap();
    let (status, text) = said(folder.path(), &["map", "test", "--mapping", "reference.toml"]).await;
    assert!(status == 0 && text.contains("3 passed, 0 failed"), "{text}");
}

#[tokio::test]
async fn what_the_readme_shows_works() {
    let readme = std::fs::read_to_string(examples().join("../../README.md")).unwrap();
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(
        blocks.len(),
        10,
        "a configuration, a mapping, NATS, a second target and a webhook in each language"
    );
    for language in blocks.chunks(5) {
        let [config, mapping, nats, target, webhook] = language else { panic!("five a language") };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("orderflow.toml"),
            format!("{config}\n{nats}\n{target}\n{webhook}"),
        )
        .unwrap();
        for secret in ["pg.secret", "nats.secret", "ca.pem", "client.pem", "client.key"] {
            std::fs::write(folder.path().join(secret), "x").unwrap();
        }
        std::fs::write(folder.path().join("mapping.toml"), mapping).unwrap();
        let program = |args| Program::new(PROGRAM, folder.path(), args).env("QEASY_TOKEN", "x");
        let (status, text) = program(&["check"]).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "x").said().await;
        assert!(status == 0 && text.contains("\nwebhook "), "{text}");
        let (status, text) = program(&["map", "test"]).said().await;
        assert!(status == 0 && text.contains("1 passed, 0 failed"), "{text}");
    }
}

#[tokio::test]
async fn a_mapping_is_linted_alone_and_all_that_is_wrong_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let check = ["check", "--mapping", "mapping.toml"];
    std::fs::write(folder.path().join("mapping.toml"), MAPPING).unwrap();
    let (status, text) = said(folder.path(), &check).await;
    assert!(status == 0 && text.starts_with("mapping.toml: ok, version "), "{status} {text}");
    let wrong = "kee = 'id'\nnumbr = 'no'\n[[field]]\nto = 'a'\nform = 'b'\ntpye = 'date'\n[[field]]\nto = 'b'\nfrom = '{{order_no}}'\n\
                 [[field]]\nto = 'c'\nfrom = 'c'\ntype = 'date'\nto_format = 'YYYY-MM'\n[[field]]\nto = 'd'\nexpr = 'a = 1'\nversion = 'x'\n";
    std::fs::write(folder.path().join("mapping.toml"), wrong).unwrap();
    let (status, text) = said(folder.path(), &check).await;
    assert_eq!(status, 2, "{text}");
    insta::assert_snapshot!(text);
    std::fs::write(folder.path().join("mapping.toml"), b"key = '\xff'").unwrap();
    let (status, text) = said(folder.path(), &check).await;
    assert!(status == 2 && text.contains("it is not UTF-8: save it as UTF-8"), "{status} {text}");
    let (status, text) = said(folder.path(), &["map", "preview", ".", "--mapping", "mapping.toml"]).await;
    assert_eq!(status, 2, "{text}");
}

#[tokio::test]
async fn output_that_cannot_be_written_is_no_success() {
    let folder = folder();
    let command = format!("{PROGRAM} map preview order.json --all --mapping mapping.toml > /dev/full");
    let output =
        tokio::process::Command::new("sh").args(["-c", &command]).current_dir(folder.path()).output();
    let output = output.await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && text.contains("the output cannot be written"), "{text}");
}
