//! What the log says of dead letters: whose, which, and where; and of many of one kind how many.

use orderflow_tests::{Program, World};
use sandbox::{Faults, TargetFaults};
use serde_json::Value;

use crate::PROGRAM;

#[tokio::test]
async fn a_dead_letter_is_logged_with_its_order_and_the_others_of_its_kind_are_counted() {
    let refusing = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
    let world = World::new(60, Faults { target: refusing, ..Faults::default() }).await;
    let folder = world.folder_of_a_program("");
    let program = Program::new(PROGRAM, folder.path(), &["up", "--once", "--log", "json"]);
    let output = program.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").output().await;
    let log = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let message = |line: &Value| line["message"].as_str().unwrap_or_default().to_string();
    let letters: Vec<&Value> =
        lines.iter().filter(|line| message(line) == "a dead letter is stored").collect();
    let letter = letters.first().unwrap_or_else(|| panic!("{log}"));
    assert_eq!(
        [&letter["stage"], &letter["kind"], &letter["target_name"], &letter["level"]],
        ["write", "refused", "qeasy", "WARN"]
    );
    assert!(letter["letter"].is_u64() && letter["key"].is_string() && letter["raw_seq"].is_u64(), "{letter}");
    assert!(letter["error"].as_str().is_some_and(|error| !error.is_empty()), "{letter}");
    let counted =
        lines.iter().filter(|line| message(line).ends_with("more like it: a dead letter is stored"));
    let counted: u64 = counted.map(|line| line["count"].as_u64().unwrap()).sum();
    assert_eq!(letters.len() as u64 + counted, 60, "{log}");
    assert!(letters.len() < 30, "they came within a few seconds: {}", letters.len());

    // The command that shows it.
    let number = letter["letter"].to_string();
    let (status, text) = Program::new(PROGRAM, folder.path(), &["dead", "show", &number]).said().await;
    assert_eq!(status, 0, "{text}");
    assert!(text.contains(letter["key"].as_str().unwrap()), "{text}");
}
