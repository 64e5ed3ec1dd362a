//! The program in Chinese: what people read, and not what programs read.

use std::path::{Path, PathBuf};

use orderflow_tests::Program;
use tempfile::TempDir;

use crate::PROGRAM;

fn folder() -> TempDir {
    let examples: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(examples.join("case.mapping.toml"), folder.path().join("mapping.toml")).unwrap();
    std::fs::write(folder.path().join("order.json"), r#"{"order_id":"1","order_no":"A"}"#).unwrap();
    folder
}

#[tokio::test]
async fn the_flag_or_the_environment_says_which() {
    let folder = folder();
    let said = async |args: &[&str], language| {
        Program::new(PROGRAM, folder.path(), args).env("ORDERFLOW_LANG", language).said().await
    };
    let check = ["check", "--mapping", "mapping.toml"];
    let (status, text) = said(&check, "zh").await;
    assert!(status == 0 && text.starts_with("mapping.toml：通过，版本 "), "{status} {text}");
    let (_, text) = said(&[&["--lang", "en"], &check[..]].concat(), "zh").await;
    assert!(text.starts_with("mapping.toml: ok, version "), "{text}");
    let (status, text) = said(&["dead", "retry", "--help"], "zh").await;
    assert!(status == 0 && text.starts_with("重试：") && text.contains("\n用法："), "{status} {text}");
    let (status, text) = said(&["status", "--lang", "fr"], "zh").await;
    assert!(status == 2 && text.contains("--lang"), "{status} {text}");
    let (status, text) = said(&["status"], "zh").await;
    assert!(status == 2 && text.starts_with("错误："), "{status} {text}");
}

#[tokio::test]
async fn what_programs_read_is_the_same() {
    let folder = folder();
    let preview = ["map", "preview", "order.json", "--mapping", "mapping.toml", "-o", "json"];
    let said = async |language| {
        Program::new(PROGRAM, folder.path(), &preview).env("ORDERFLOW_LANG", language).said().await
    };
    let (english, chinese) = (said("en").await, said("zh").await);
    assert!(english.0 == 0 && english.1.contains("order 1 of 1"), "{}", english.1);
    assert_eq!(english, chinese);
}
