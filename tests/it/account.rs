//! Orders that cannot be mapped, and what the account and the status say of them.

use events::{DeadLetter, Stage};
use futures::StreamExt;
use journal::{From, Stream};
use operations::Status;
use orderflow_tests::{Program, World};
use sandbox::{Options, Orders};

use crate::PROGRAM;

/// Orders of the case's shape: good ones, and one of each kind of bad one.
const DIRTY: &str = r#"
{"order_id":"1","order_no":"A1","update_time":"2025-01-01 00:00:00","items":[{"quantity":3,"price":0.10}]}
{"order_id":"","order_no":"A2","update_time":"2025-01-01 00:00:01","items":[]}
{"order_id":3,"order_no":"A3","update_time":"2025-01-01 00:00:02","items":[{"quantity":2,"price":"many"}]}
{"order_id":4,"order_no":"A4","update_time":"2025-01-01 00:00:03","items":[{"quantity":2}]}
{"order_id":12345678901234567890,"order_no":"A5","update_time":"2025-01-01 00:00:04","items":[{"quantity":"-1","price":"0.30"}]}
{"order_id":6,"update_time":"2025-01-01 00:00:05","items":[]}
{"order_id":7,"order_no":"A7","order_date":"yesterday","update_time":"2025-01-01 00:00:06","items":[]}
"#;

pub async fn dirty() -> World {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.ndjson");
    std::fs::write(&file, DIRTY.trim()).unwrap();
    World::with(Options { orders: Orders::File(file), ..Options::default() }).await
}

#[tokio::test]
async fn orders_that_cannot_be_mapped_are_dead_letters_and_all_others_go_on() {
    let world = dirty().await;
    let run = world.sync().await;
    let account = &run.account;
    assert_eq!((account.read, account.mapped, account.dead, account.in_flight), (7, 2, 5, 0), "{account:?}");
    assert!(account.is_complete() && account.dead_letters() == 5);
    assert_eq!(world.report().target.distinct_orders, 2);
    assert_eq!(world.report().target.wrong_totals, 0);

    let log = world.journal.read(&world.names(), Stream::Dead, None, From::Start, false).await.unwrap();
    let letters: Vec<DeadLetter> = log.map(|entry| entry.unwrap().event().unwrap().body).collect().await;
    let rows: Vec<&str> = DIRTY.trim().lines().collect();
    for letter in &letters {
        let row = letter.origin.row.unwrap() as usize;
        assert_eq!(letter.stage, Stage::Transform);
        assert_eq!(letter.payload.unpack().unwrap(), rows[row].as_bytes(), "the very bytes of the row");
    }
    let mut said: Vec<String> =
        letters.iter().map(|letter| format!("{}: {}", letter.kind, letter.message)).collect();
    said.sort();
    insta::assert_snapshot!(said.join("\n"));

    let status = Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap();
    assert_eq!(status.dead_open, 5);
    assert!(world.needs_person(&status));
    assert!(
        status.stages.iter().all(|stage| stage.lag == Some(0) && stage.oldest_seconds.is_none()),
        "{status:?}"
    );
    assert_eq!((status.last_minute["RECEIPTS"], status.last_minute["DEAD"]), (2, 5));
}

/// Logs are read by more people than letters.
#[tokio::test]
async fn the_log_says_where_a_row_is_wrong_and_not_what_stands_there() {
    let world = dirty().await;
    let folder = world.folder_of_a_program("");
    let up = Program::new(PROGRAM, folder.path(), &["up", "--once", "--log", "text"]);
    let (_, said) = up.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret").said().await;
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("a dead letter is stored")).collect();
    assert_eq!(lines.len(), 5, "{said}");
    assert!(lines.iter().any(|line| line.contains("field `orderDate` (from order_date)")), "{said}");
    assert!(!said.contains("yesterday") && !said.contains("\"many\""), "{said}");
}

#[tokio::test]
async fn a_stage_that_never_ran_is_unknown_and_not_zero() {
    let world = World::new(10, sandbox::Faults::default()).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let status = Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap();
    assert!(status.stages.iter().all(|stage| stage.lag.is_none()), "{status:?}");
    assert!(status.watermark.is_none() && status.window.is_none());
}
