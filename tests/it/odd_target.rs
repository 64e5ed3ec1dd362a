//! A target whose answers have a slightly other shape than expected, or behind which a proxy says no to one order: nothing is
//! "written" that was not, and no order waits for another one's fault.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use events::{DeadLetter, Outcome};
use futures::StreamExt;
use journal::{From, Stream};
use orderflow_tests::{Asked, Reply, Run, Scripted, World};
use sandbox::Faults;
use service::config::Span;

const GOOD: &str = r#"{"success":true,"code":0,"message":"success","content":{"inserted":1,"failed":0}}"#;

/// Orders of the sandbox's source, written to this target, so many a request.
async fn synced(target: &Scripted, count: u64, batch: usize) -> (World, Run) {
    let mut world = World::new(count, Faults::default()).await;
    world.config.targets[0].url = format!("{}/execute", target.url());
    world.config.targets[0].batch = batch;
    world.config.targets[0].limit.penalty = Span::from(Duration::from_secs(1));
    let run = tokio::time::timeout(Duration::from_secs(200), world.sync()).await.expect("it ends");
    (world, run)
}

fn counts(run: &Run) -> (u64, u64) {
    let target = &run.account.targets[0];
    (target.of(Outcome::Written), target.dead)
}

async fn letters(world: &World) -> Vec<DeadLetter> {
    let log = world.journal.read(&world.names(), Stream::Dead, None, From::Start, false).await.unwrap();
    log.map(|entry| entry.unwrap().event().unwrap().body).collect().await
}

/// How many orders a request holds.
fn orders_in(asked: &Asked) -> usize {
    let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
    body["data"].as_array().map_or(1, Vec::len)
}

/// What stands before the id of an order in a request.
const MARKED: &str = "\"orderId\":";

/// Whether the request holds an order whose id ends with 7: about one in ten.
fn marked(asked: &Asked) -> bool {
    let text = String::from_utf8_lossy(&asked.body).into_owned();
    text.match_indices(MARKED).any(|(at, _)| {
        let digits: String = text[at + MARKED.len()..]
            .chars()
            .skip_while(|character| !character.is_ascii_digit())
            .take_while(char::is_ascii_digit)
            .collect();
        digits.ends_with('7')
    })
}

#[tokio::test]
async fn an_order_that_failed_is_dead_in_whatever_shape_it_is_told() {
    for told in [
        r#"{"success":true,"code":0,"content":{"inserted":"0","failed":"1"}}"#,
        r#"{"success":"true","code":"0","content":{"inserted":null,"failed":1.0}}"#,
        r#"{"success":1,"content":{"failed":[{"orderId":7,"why":"no customer"}]}}"#,
        r#"{"success":false,"code":40001,"message":["customer missing"]}"#,
        r#"{"success":true,"code":0,"content":[{"success":0,"message":"no customer"}]}"#,
    ] {
        for trust_status in [false, true] {
            let target =
                Scripted::start(move |asked| Reply::json(if marked(asked) { told } else { GOOD })).await;
            let mut world = World::new(30, Faults::default()).await;
            world.config.targets[0].url = format!("{}/execute", target.url());
            world.config.targets[0].trust_status = trust_status;
            let run = world.sync().await;
            let (written, dead) = counts(&run);
            assert!(dead > 0, "{told}");
            assert_eq!(written + dead, 30, "{told}");
            assert!(target.asked().iter().filter(|asked| marked(asked)).count() as u64 >= dead);
        }
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_not_written() {
    for odd in [
        r#"{"success":true,"content":{"inserted":1,"failed":"?"}}"#,
        r#"{"success":"perhaps"}"#,
        r#"{"result":"stored"}"#,
    ] {
        let answers = AtomicUsize::new(0);
        let target = Scripted::start(move |_| {
            let first = answers.fetch_add(1, Ordering::SeqCst) < 3;
            Reply::json(if first { odd } else { GOOD })
        })
        .await;
        let (_, run) = synced(&target, 10, 1).await;
        assert_eq!(counts(&run), (10, 0), "{odd}");
        assert!(target.asked().len() >= 13, "what was not understood was sent again");
    }
}

#[tokio::test]
async fn a_request_that_a_proxy_finds_too_large_is_halved_and_one_order_that_is_too_large_is_dead() {
    for page in [413, 414] {
        let target = Scripted::start(move |asked| {
            if orders_in(asked) > 4 || (orders_in(asked) == 1 && marked(asked)) {
                return Reply::page(page, "Request Entity Too Large");
            }
            // An order that is too large is too large in company as well.
            if marked(asked) { Reply::page(page, "too large") } else { Reply::json(GOOD) }
        })
        .await;
        let (world, run) = synced(&target, 40, 40).await;
        let (written, dead) = counts(&run);
        assert!(dead > 0 && written + dead == 40, "{written} and {dead}");
        for letter in letters(&world).await {
            assert_eq!(letter.kind, "refused");
            assert_eq!(letter.answer.unwrap().status, page);
        }
    }
}

/// A firewall that answers so to an order whose id ends with 7; all others pass.
async fn behind_a_firewall(status: u16, count: u64, batch: usize) {
    let target = Scripted::start(move |asked| {
        if marked(asked) { Reply::page(status, "blocked by the firewall") } else { Reply::json(GOOD) }
    })
    .await;
    let (world, run) = synced(&target, count, batch).await;
    let (written, dead) = counts(&run);
    assert!(dead > 0 && written + dead == count, "{status}, {batch} a request: {written} and {dead}");
    for letter in letters(&world).await {
        assert!(letter.message.contains("Other orders passed meanwhile"), "{}", letter.message);
        assert_eq!(letter.kind, "refused");
    }
}

#[tokio::test]
async fn a_firewall_that_refuses_the_text_of_one_order_does_not_hold_up_the_others() {
    behind_a_firewall(403, 60, 1).await;
}

#[tokio::test]
async fn a_firewall_that_answers_with_405_is_known_as_one() {
    behind_a_firewall(405, 140, 1).await;
}

#[tokio::test]
async fn a_firewall_that_answers_200_with_a_page_is_known_as_one() {
    behind_a_firewall(200, 60, 1).await;
}

#[tokio::test]
async fn a_firewall_before_batches_has_them_halved() {
    behind_a_firewall(403, 60, 10).await;
}

#[tokio::test]
async fn no_order_dies_while_everything_is_refused() {
    let answers = AtomicUsize::new(0);
    let target = Scripted::start(move |_| {
        // The first orders pass, then nothing does, for longer than orders are tried.
        let at = answers.fetch_add(1, Ordering::SeqCst);
        if (20..28).contains(&at) { Reply::page(403, "maintenance") } else { Reply::json(GOOD) }
    })
    .await;
    let (_, run) = synced(&target, 120, 1).await;
    assert_eq!(counts(&run), (120, 0));
}

#[tokio::test]
async fn one_order_whose_answer_is_never_understood_is_unknown_and_holds_nobody_up() {
    let target = Scripted::start(move |asked| {
        let odd = r#"{"success":true,"code":0,"content":"queued"}"#;
        Reply::json(if marked(asked) { odd } else { GOOD })
    })
    .await;
    let (_, run) = synced(&target, 60, 1).await;
    let unknown = run.account.targets[0].of(Outcome::Unknown);
    let (written, dead) = counts(&run);
    assert!(unknown > 0 && dead == 0, "it may have been taken: {unknown} unknown, {dead} dead");
    assert_eq!(written + unknown, 60);
}

#[tokio::test]
async fn codes_of_three_digits_wait_as_the_status_would() {
    for busy in [r#"{"code":429}"#, r#"{"success":false,"code":"503"}"#, r#"{"code":401,"message":"token"}"#]
    {
        let answers = AtomicUsize::new(0);
        let target = Scripted::start(move |_| {
            let first = answers.fetch_add(1, Ordering::SeqCst) < 8;
            if first { Reply::json(busy).with("retry-after", "0.5") } else { Reply::json(GOOD) }
        })
        .await;
        let (_, run) = synced(&target, 20, 1).await;
        assert_eq!(counts(&run), (20, 0), "no order dies of {busy}");
    }
}
