//! A newcomer's way: a folder with nothing in it, the program, and its sandbox. And the commands that only read, when nothing runs.

use std::path::Path;

use orderflow_tests::{Program, eventually};
use tempfile::TempDir;
use tokio::process::Child;

use crate::PROGRAM;

/// A sandbox in a process of its own.
struct SandboxProcess {
    _child: Child,
    url: String,
}

impl SandboxProcess {
    async fn start(folder: &Path, args: &[&str]) -> Self {
        let said = folder.join("sandbox.log");
        let args = [&["sandbox", "--listen", "127.0.0.1:0"], args].concat();
        let child = Program::new(PROGRAM, folder, &args).writing_to(&said).start();
        let read = || std::fs::read_to_string(&said).unwrap_or_default();
        eventually("the sandbox says where it is", || read().contains("report:")).await;
        let text = read();
        let url = text.split("sandbox on ").nth(1).unwrap().lines().next().unwrap().to_string();
        Self { _child: child, url }
    }
}

async fn said(folder: &Path, args: &[&str]) -> (i32, String) {
    let (status, said) = Program::new(PROGRAM, folder, args).said().await;
    assert!(!said.contains("panicked") && !said.contains("demo-secret"), "{said}");
    (status, said)
}

async fn ok(folder: &Path, args: &[&str]) -> String {
    let (status, said) = said(folder, args).await;
    assert_eq!(status, 0, "{args:?}: {said}");
    said
}

/// A folder in which `init` was run for a sandbox.
async fn begun(args: &[&str]) -> (TempDir, SandboxProcess) {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = SandboxProcess::start(folder.path(), args).await;
    ok(folder.path(), &["init", "--sandbox", "--base-url", &sandbox.url]).await;
    (folder, sandbox)
}

#[tokio::test]
async fn from_an_empty_folder_to_orders_that_arrived() {
    let (folder, sandbox) = begun(&["--count", "130"]).await;
    let folder = folder.path();
    let check = ok(folder, &["check"]).await;
    assert!(check.contains(&format!("POST {}/execute", sandbox.url)), "the address that is called: {check}");
    let live = ok(folder, &["check", "--live"]).await;
    for works in [
        "source, token: given",
        "source, one order: read; 130 orders",
        "mapping, that order: it becomes a record",
    ] {
        assert!(live.contains(works), "{live}");
    }
    assert!(live.contains("target qeasy: it answers HTTP 405 to a GET"), "{live}");
    let report = async || {
        let report = get(&format!("{}/sandbox/report", sandbox.url)).await;
        serde_json::from_str::<serde_json::Value>(&report).unwrap()
    };
    assert_eq!(report().await["target"]["accepted_rows"], 0, "a check writes nothing");

    let peek = ok(folder, &["peek"]).await;
    assert!(peek.contains("product_list[*].unit_price") && peek.contains("20 of 20"), "{peek}");
    ok(folder, &["peek", "--propose", "proposed.toml"]).await;
    let (status, refused) = said(folder, &["peek", "--propose", "proposed.toml"]).await;
    assert!(status == 2 && refused.contains("proposed.toml: it is there already"), "{refused}");
    ok(folder, &["check", "--mapping", "proposed.toml"]).await;
    ok(folder, &["map", "test"]).await;

    let up = ok(folder, &["up", "--once"]).await;
    assert!(up.contains("130 written"), "{up}");
    let target = report().await["target"].clone();
    let counts = ["distinct_orders", "missing", "wrong_totals", "missing_totals", "refused_rows"];
    assert_eq!(counts.map(|name| target[name].as_u64().unwrap()), [130, 0, 0, 0, 0], "{target}");
    let status = ok(folder, &["status"]).await;
    assert!(status.contains("130"), "{status}");
    let preview = ok(folder, &["map", "preview", "SO-2025-000007"]).await;
    assert!(preview.contains("\"lines\"") && preview.contains("\"price\""), "lines are filled: {preview}");
}

#[tokio::test]
async fn the_proposal_carries_every_order_to_the_sandbox() {
    let (folder, _sandbox) = begun(&["--count", "60"]).await;
    let folder = folder.path();
    ok(folder, &["peek", "--propose", "mapping.toml", "--force"]).await;
    let up = ok(folder, &["up", "--once"]).await;
    assert!(up.contains("60 written"), "{up}");
}

#[tokio::test]
async fn orders_that_lack_their_lines_are_peeked_at_by_their_detail() {
    let (folder, _sandbox) = begun(&["--count", "30", "--brief-rows"]).await;
    let folder = folder.path();
    let peek = ok(folder, &["peek"]).await;
    assert!(peek.contains("There is no product_list") && !peek.contains("product_list[*]"), "{peek}");
    let config = folder.join("orderflow.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n[source.detail]\napi = \"/v1/invoices/order/info\"\n")).unwrap();
    let peek = ok(folder, &["peek", "-o", "json", "--count", "5"]).await;
    let json: serde_json::Value = serde_json::from_str(&peek).unwrap();
    assert_eq!((json["orders"].as_u64(), json["total"].as_u64()), (Some(5), Some(30)), "{peek}");
    let paths: Vec<&str> =
        json["fields"].as_array().unwrap().iter().map(|field| field["path"].as_str().unwrap()).collect();
    assert!(paths.contains(&"product_list[*].count"), "{paths:?}");
    assert_eq!(json["proposal"]["mapped"], 5);
}

#[tokio::test]
async fn init_refuses_what_it_cannot_do_and_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (status, text) = said(folder, &["init"]).await;
    assert!(status == 2 && text.contains("--sandbox or --client-id"), "{text}");
    let (status, text) = said(folder, &["init", "--client-id", "me", "--target", "store"]).await;
    assert!(status == 2 && text.contains("--scheme-id, --app-key"), "{text}");
    let (status, text) = said(folder, &["init", "--client-id", "me", "--base-url", "okki"]).await;
    assert!(status == 2 && text.contains("--base-url: found \"okki\", expected an address"), "{text}");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0, "nothing was written");

    ok(folder, &["init", "--client-id", "li-erp"]).await;
    let before = std::fs::read_to_string(folder.join("orderflow.toml")).unwrap();
    let (status, text) = said(folder, &["init", "--sandbox"]).await;
    assert!(status == 2 && text.contains("orderflow.toml: it is there already"), "{text}");
    assert_eq!(std::fs::read_to_string(folder.join("orderflow.toml")).unwrap(), before);
    let check =
        Program::new(PROGRAM, folder, &["check"]).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "long-enough");
    let (status, text) = check.said().await;
    assert!(status == 0 && text.contains("https://api.qingyiyun.com/execute"), "{status} {text}");
    assert!(!text.contains("warning") && !text.contains("problem"), "{text}");
    ok(folder, &["init", "--sandbox", "--force"]).await;
}

/// Every command that only reads, with what it prints of an order that was carried.
const READING: [(&[&str], &str); 15] = [
    (&["status"], "RAW"),
    (&["status", "-o", "json"], "\"watermark\""),
    (&["windows"], "live-000001"),
    (&["windows", "live-000001"], "proof"),
    (&["trace", "SO-2025-000003"], "written"),
    (&["dead", "groups"], ""),
    (&["dead", "list"], ""),
    (&["dead", "export", "--all"], ""),
    (&["ops", "list"], "sync"),
    (&["alerts", "show"], ""),
    (&["map", "drift"], "product_list[*].count"),
    (&["map", "drift", "-o", "json"], "\"fields\""),
    (&["map", "preview", "SO-2025-000003"], "SO-2025-000003"),
    (&["map", "preview", "--seq", "1"], "order"),
    (&["replay", "--from", "raw", "--all", "--target", "none"], ""),
];

/// Runs all of them; none says that there is no server. Nothing of what they find is asked for, so 3 is a good answer.
async fn expect_readable(folder: &Path) {
    for (args, wanted) in READING {
        let (status, text) = said(folder, args).await;
        assert!([0, 3, 4].contains(&status), "{args:?}: {status} {text}");
        assert!(text.contains(wanted), "{args:?}: {text}");
        assert!(!text.contains("no `orderflow up` runs"), "{args:?}: {text}");
    }
}

#[tokio::test]
async fn what_only_reads_works_while_nothing_runs() {
    let (folder, _sandbox) = begun(&["--count", "20"]).await;
    ok(folder.path(), &["up", "--once"]).await;
    expect_readable(folder.path()).await;
}

#[tokio::test]
async fn the_demo_of_the_folder_is_found_without_flags() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let demo = ok(folder, &["up", "--demo", "--once", "--count", "20"]).await;
    assert!(demo.contains("20 written"), "{demo}");
    expect_readable(folder).await;
    let (_, text) = said(folder, &["status"]).await;
    assert!(text.contains("this is about the demo in .orderflow/demo-20-1"), "{text}");
    ok(folder, &["up", "--demo", "--once", "--count", "21"]).await;
    let (_, text) = said(folder, &["status"]).await;
    assert!(text.contains(".orderflow/demo-21-1"), "that of the last start: {text}");
    let (_, text) = said(folder, &["status", "--data", ".orderflow/demo-20-1"]).await;
    assert!(text.contains(".orderflow/demo-20-1") && text.contains("20"), "a flag goes first: {text}");
    std::fs::write(folder.join("orderflow.toml"), "flow = \"own\"\n").unwrap();
    let (status, text) = said(folder, &["status"]).await;
    assert!(status == 7 && text.contains("no `orderflow up` runs in .orderflow"), "{status} {text}");
}

/// The body of an answer to a GET.
async fn get(url: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let place = url.strip_prefix("http://").unwrap();
    let (host, path) = place.split_at(place.find('/').unwrap());
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_string()
}

#[tokio::test]
async fn the_mapping_of_the_readme_fills_its_lines_from_the_sandbox() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let mappings: Vec<&str> = blocks.filter(|block| block.contains("[[field]]")).collect();
    assert_eq!(mappings.len(), 2, "one in each language");
    for mapping in mappings {
        let (folder, sandbox) = begun(&["--count", "40"]).await;
        std::fs::write(folder.path().join("mapping.toml"), mapping).unwrap();
        let up = ok(folder.path(), &["up", "--once"]).await;
        assert!(up.contains("40 written"), "{up}");
        let report = get(&format!("{}/sandbox/report", sandbox.url)).await;
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["target"]["wrong_totals"], 0, "{report}");
        assert_eq!(report["target"]["missing"], 0, "{report}");
        let args = ["map", "preview", "SO-2025-000003", "-o", "json"];
        let preview: serde_json::Value = serde_json::from_str(&ok(folder.path(), &args).await).unwrap();
        let text = preview.to_string();
        assert!(text.contains("\"lines\"") && text.contains("amount"), "{text}");
    }
}
