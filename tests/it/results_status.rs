//! Exit statuses are what the README says, for every command that names a thing; and one document for each `-o json`, with the
//! members that its schema requires.

use operations::Selection;
use orderflow_tests::Program;
use serde_json::Value;
use tempfile::TempDir;

use crate::PROGRAM;
use crate::dead::refused;

async fn said(folder: &TempDir, args: &[&str]) -> (i32, String, String) {
    let program = Program::new(PROGRAM, folder.path(), args);
    let output = program.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").output().await;
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), stdout, stderr)
}

#[tokio::test]
async fn what_is_dealt_with_is_5_and_what_is_not_there_is_3() {
    let (world, folder) = refused(3).await;
    let lines = Selection::default().read(&world.journal, &world.names()).await.unwrap();
    let [open, other, closed] = [0, 1, 2].map(|at: usize| lines[at].letter.to_string());
    let (open, other, closed) = (open.as_str(), other.as_str(), closed.as_str());
    let (status, stdout, stderr) =
        said(&folder, &["dead", "discard", closed, "--execute", "--reason", "a test order"]).await;
    assert_eq!(status, 0, "{stdout}{stderr}");

    let because = ["--execute", "--reason", "tests"];
    let set = ["--set", "customerName=Li"];
    let mut wrong = Vec::new();
    for (expected, args) in [
        // Looking: what is named is shown also when it is dealt with.
        (0, vec!["dead", "list"]),
        (0, vec!["dead", "list", closed]),
        (3, vec!["dead", "list", "9999"]),
        (4, vec!["dead", "list", open, "9999"]),
        (3, vec!["dead", "list", "--kind", "nothing"]),
        (3, vec!["dead", "list", open, "--stage", "transform"]),
        (0, vec!["dead", "export", closed]),
        (3, vec!["dead", "export", "9999"]),
        (4, vec!["dead", "export", open, "9999"]),
        (3, vec!["dead", "export", "--key", "nobody"]),
        (0, vec!["dead", "show", open]),
        (0, vec!["dead", "show", closed]),
        (3, vec!["dead", "show", "9999"]),
        (0, vec!["dead", "groups"]),
        // Acting: a mistake in what is named is not a smaller plan.
        (0, vec!["dead", "retry", open]),
        (0, vec!["dead", "retry", open, other]),
        (5, vec!["dead", "retry", closed]),
        (5, vec!["dead", "retry", open, closed]),
        (3, vec!["dead", "retry", "9999"]),
        (3, vec!["dead", "retry", open, "9999"]),
        (3, vec!["dead", "retry", closed, "9999"]),
        (3, vec!["dead", "retry", open, "--stage", "transform"]),
        (3, vec!["dead", "retry", "--key", "nobody"]),
        (5, vec!["dead", "retry", open, "--max-replays", "0"]),
        (2, vec!["dead", "retry"]),
        (2, vec!["dead", "retry", open, "--execute"]),
        (2, vec!["dead", "retry", open, "--wait", "soon"]),
        (0, vec!["dead", "discard", open]),
        (5, vec!["dead", "discard", closed]),
        (5, vec!["dead", "discard", open, closed]),
        (3, vec!["dead", "discard", "9999"]),
        (3, vec!["dead", "discard", open, "9999"]),
        (3, vec!["dead", "discard", "--group", "ffffffffffff"]),
        (0, [&["dead", "edit", open], &set[..]].concat()),
        (5, [&["dead", "edit", closed], &set[..]].concat()),
        (3, [&["dead", "edit", "9999"], &set[..]].concat()),
        (2, vec!["dead", "edit", open, "--set", "custmerName=Li"]),
        (2, vec!["dead", "edit", open, "--set", "totalAmount=many"]),
        // The same of whatever else is named.
        (3, vec!["ops", "show", "retry-1"]),
        (3, vec!["ops", "pause", "retry-1"]),
        (3, vec!["ops", "resume", "retry-1"]),
        (3, vec!["ops", "cancel", "retry-1"]),
        (3, vec!["ops", "rate", "retry-1", "5"]),
        (3, vec!["ops", "list", "--verb", "nothing"]),
        (3, vec!["windows", "live-000099"]),
        (3, vec!["trace", "nobody"]),
        (3, vec!["map", "preview", "nobody"]),
        (3, vec!["map", "test", "no such case"]),
        (3, vec!["alerts", "test", "--webhook", "nobody"]),
        (3, vec!["resume", "--target", "qeasy"]),
        (2, vec!["resume", "--target", "nobody"]),
        (3, [&["resume", "--target", "qeasy"], &because[..]].concat()),
        (3, vec!["replay", "--from", "mapped", "--key", "nobody"]),
        (3, vec!["replay", "--from", "raw", "--window", "live-000099"]),
        (2, vec!["replay", "--from", "raw", "--all", "--target", "nobody"]),
    ] {
        let (status, stdout, stderr) = said(&folder, &args).await;
        if status != expected {
            wrong.push(format!("{args:?}: {status}, not {expected}: {stdout}{stderr}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // An operation that is over, and a letter that is dealt with, are refused with why.
    let (_, all, _) = said(&folder, &["ops", "list", "-o", "json"]).await;
    let all: Value = serde_json::from_str(&all).unwrap();
    let discard = all.as_array().unwrap().iter().find(|one| one["verb"] == "discard").unwrap();
    let id = discard["id"].as_str().unwrap();
    for verb in ["pause", "resume", "cancel"] {
        let (status, stdout, stderr) = said(&folder, &["ops", verb, id]).await;
        assert_eq!(status, 5, "{verb}: {stdout}{stderr}");
    }
    let (_, _, why) = said(&folder, &["dead", "retry", closed]).await;
    assert!(why.contains(&format!("letter {closed} is discarded already: ")), "{why}");
    assert!(why.contains("a test order"), "{why}");
}

#[tokio::test]
async fn every_document_has_the_members_that_its_schema_requires() {
    let (world, folder) = refused(2).await;
    let lines = Selection::default().read(&world.journal, &world.names()).await.unwrap();
    let letter = lines[0].letter.to_string();
    let metadata = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../services/orderflow/src/map/import/fixtures/case.target.json"
    );
    std::fs::copy(metadata, folder.path().join("target.json")).unwrap();
    let set = ["--set", "customerName=Li"];
    for (schema, statuses, args) in [
        ("dead-act", &[0][..], vec!["dead", "retry", "--all"]),
        ("dead-act", &[0], vec!["dead", "discard", "--all"]),
        ("dead-act", &[3], vec!["dead", "retry", "--key", "nobody"]),
        ("dead-edit", &[0], [&["dead", "edit", &letter], &set[..]].concat()),
        ("dead-list", &[0], vec!["dead", "list"]),
        ("replay", &[0], vec!["replay", "--from", "mapped", "--all"]),
        ("replay", &[0], vec!["replay", "--from", "raw", "--all", "--target", "none"]),
        ("replay", &[3], vec!["replay", "--from", "mapped", "--key", "nobody"]),
        ("resume", &[3], vec!["resume", "--target", "qeasy"]),
        ("check", &[0], vec!["check"]),
        ("check", &[2], vec!["check", "--mapping", "target.json"]),
        ("map-test", &[0], vec!["map", "test"]),
        ("map-import", &[0, 4], vec!["map", "import", "--target", "target.json", "--out", "made"]),
        ("up-once", &[0, 4], vec!["up", "--once"]),
        ("windows", &[0], vec!["windows"]),
    ] {
        let (status, stdout, stderr) = said(&folder, &[&args[..], &["-o", "json"]].concat()).await;
        assert!(statuses.contains(&status), "{args:?}: {status}: {stdout}{stderr}");
        let found: Value =
            serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{args:?}: {error}: {stdout}"));
        let (_, described, _) = said(&folder, &["schema", schema]).await;
        let described: Value = serde_json::from_str(&described).unwrap();
        let (found, described) = match found.as_array() {
            None => (found.clone(), described.clone()),
            Some(all) => {
                let name = described["items"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                (all[0].clone(), described["$defs"][name].clone())
            }
        };
        let required = described["required"].as_array().unwrap_or_else(|| panic!("{schema}: {described}"));
        assert!(!required.is_empty(), "{schema}");
        for member in required {
            assert!(found.get(member.as_str().unwrap()).is_some(), "{args:?} lacks {member}: {found}");
        }
    }
}
