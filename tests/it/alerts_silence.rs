//! Silences, the daily summary, and the watchdog outside.

use std::time::Duration;

use events::{Micros, now};
use orderflow_tests::{Program, Receiver, World, eventually, until};
use sandbox::Faults;
use serde_json::{Value, json};
use service::config::{ClockTime, Secret, Span, WebhookKind};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;
use crate::alerts::{alerts, looks, start, state, told, watermark, webhook, world};

const HOUR: Micros = 3_600_000_000;

async fn says(folder: &TempDir, status: i32, args: &[&str]) -> String {
    let (found, text) = Program::new(PROGRAM, folder.path(), args).said().await;
    assert_eq!(found, status, "{args:?}: {text}");
    text
}

#[tokio::test]
async fn what_is_silenced_is_marked_and_not_sent_and_is_told_when_the_silence_ends() {
    let duty = Receiver::start("").await;
    let mut world = world(0, vec![webhook("duty", WebhookKind::Json, duty.url("/"))]).await;
    world.config.alerts.repeat = Span::from(Duration::from_millis(300));
    let folder = world.folder_of_a_program("");
    let because = ["--reason", "the ERP is moved"];
    let silence = [&["alerts", "silence", "watermark", "--for", "2h"][..], &because].concat();
    let text = says(&folder, 0, &silence).await;
    assert!(
        text.contains("watermark: silent until ") && text.contains("does not fire at the moment"),
        "{text}"
    );

    let stop = CancellationToken::new();
    let processes = start(&world, 2, &stop).await;
    watermark(&world, now() - 2 * HOUR).await;
    until("it is seen", async || state(&world).await.known.contains_key("watermark")).await;
    looks(&world, 6).await;
    assert_eq!(told(&duty.heard()), Vec::<String>::new(), "nobody is told, nor again");
    let text = says(&folder, 4, &["alerts", "show"]).await;
    assert!(text.contains("SILENCED until ") && text.contains(": the ERP is moved"), "{text}");
    let shown: Value =
        serde_json::from_str(&says(&folder, 4, &["alerts", "show", "-o", "json"]).await).unwrap();
    assert_eq!(shown["holding"][0]["silence"]["reason"], "the ERP is moved", "{shown}");
    assert_eq!(shown["silences"]["watermark"]["reason"], "the ERP is moved", "{shown}");

    // Its end is told at once that it still holds.
    let text = says(&folder, 3, &["alerts", "unsilence", "--all", "--reason", "done"]).await;
    assert!(text.contains("no silence of all conditions") && text.contains("silenced: watermark"), "{text}");
    let text = says(&folder, 0, &["alerts", "unsilence", "watermark", "--reason", "it is moved"]).await;
    assert!(text.contains("because the ERP is moved"), "{text}");
    assert_eq!(told(&duty.hears(1).await)[0], "firing watermark");
    stop.cancel();
    processes.join_all().await;

    // Who did it and why is kept.
    let audit = says(&folder, 0, &["ops", "list"]).await;
    for part in ["tell nobody of watermark until", "the ERP is moved", "it is moved"] {
        assert!(audit.contains(part), "{audit}");
    }
}

#[tokio::test]
async fn a_silence_of_everything_ends_by_itself_and_what_ends_meanwhile_is_told() {
    let duty = Receiver::start("").await;
    let world = world(0, vec![webhook("duty", WebhookKind::Json, duty.url("/"))]).await;
    let stop = CancellationToken::new();
    let processes = start(&world, 2, &stop).await;
    watermark(&world, now() - 2 * HOUR).await;
    duty.hears(1).await;
    let names = world.names();
    let soon = now() + 60_000_000;
    operations::begin_silence(&world.journal, &names, operations::alerts::EVERYTHING, soon, "works")
        .await
        .unwrap();
    watermark(&world, now()).await;
    assert_eq!(
        told(&duty.hears(2).await),
        ["firing watermark", "resolved watermark"],
        "they believed it held"
    );
    watermark(&world, now() - 3 * HOUR).await;
    until("it is silenced", async || state(&world).await.known["watermark"].silenced).await;
    operations::begin_silence(&world.journal, &names, "*", now() + 500_000, "nearly done").await.unwrap();
    // Not told again within ten minutes, if it had not been silenced.
    assert_eq!(told(&duty.hears(3).await)[2..], ["firing watermark"]);
    assert!(state(&world).await.silences.is_empty());
    stop.cancel();
    processes.join_all().await;
}

#[tokio::test]
async fn the_day_is_summed_up_once_by_one_of_many_also_after_a_restart() {
    let duty = Receiver::start("").await;
    let mut world = World::new(7, Faults::default()).await;
    world.sync().await;
    world.config.alerts.every = Span::from(Duration::from_millis(100));
    world.config.alerts.webhooks = vec![webhook("duty", WebhookKind::Json, duty.url("/"))];
    // It has been that late a moment ago, and nobody ran.
    let zone = world.config.zone();
    let at = jiff::Timestamp::now().to_zoned_datetime(zone).strftime("%H:%M").to_string();
    let at: ClockTime = toml::Value::String(at).try_into().unwrap();
    world.config.alerts.summary = Some(at);
    for _ in 0..2 {
        let stop = CancellationToken::new();
        let processes = start(&world, 3, &stop).await;
        duty.hears(1).await;
        looks(&world, 4).await;
        stop.cancel();
        processes.join_all().await;
    }
    let heard = duty.heard();
    assert_eq!(told(&heard), ["summary summary"], "once");
    let summary = &alerts(&heard)[0];
    // What came after the minute began is of the next day; the order of the test and of the clock
    // decides.
    assert!(summary["read"] == 7 || summary["read"] == 0, "{summary}");
    assert_eq!(summary["targets"][0]["target"], "qeasy", "{summary}");
    assert_eq!((&summary["dead_open"], &summary["firing"]), (&json!(0), &json!([])), "{summary}");
    assert_eq!(heard[0].body["title"], "[orderflow] demo: daily summary");
}

#[tokio::test]
async fn the_numbers_of_a_day_are_those_of_its_logs() {
    let world = World::new(7, Faults::default()).await;
    let since = now() - HOUR;
    world.sync().await;
    let count = async |since, until| {
        let (names, targets) = (world.names(), world.targets());
        operations::DayTally::count(&world.journal, &names, &targets, (since, until)).await.unwrap()
    };
    let day = count(since, now() + HOUR).await;
    assert_eq!((day.read, day.targets[0].written, day.targets[0].refused), (7, 7, 0));
    let before = count(since - HOUR, since).await;
    assert_eq!((before.read, before.targets[0].written), (0, 0), "not of another day");
}

#[tokio::test]
async fn a_watchdog_is_called_for_looks_that_succeed_and_its_refusal_is_shown() {
    let watchdog = Receiver::start("OK").await;
    let mut world = world(0, Vec::new()).await;
    let url = watchdog.url("/ping/t0k3n-of-the-watchdog");
    world.config.alerts.heartbeat_url = Secret::new(url.clone());
    let stop = CancellationToken::new();
    let processes = start(&world, 3, &stop).await;
    let heard = watchdog.hears(3).await;
    assert_eq!(heard[0].uri, "/ping/t0k3n-of-the-watchdog");
    until("that it was taken is noted", async || state(&world).await.heartbeat.told.is_some()).await;

    watchdog.answer(404, "no such check t0k3n-of-the-watchdog");
    until("that it was not is noted", async || state(&world).await.heartbeat.failures >= 2).await;
    let folder = world.folder_of_a_program("");
    let show = Program::new(PROGRAM, folder.path(), &["alerts", "show"])
        .env("ORDERFLOW_ALERTS__HEARTBEAT_URL", &url);
    let (status, text) = show.said().await;
    assert_eq!(status, 4, "{text}");
    assert!(
        text.contains("heartbeat  taken 20") && text.contains("times: HTTP 404: no such check ***"),
        "{text}"
    );
    let (_, text) = Program::new(PROGRAM, folder.path(), &["status"]).said().await;
    assert!(text.contains("UNTOLD       the watchdog does not take its call: HTTP 404"), "{text}");

    watchdog.answer(200, "OK");
    until("it is taken again", async || state(&world).await.heartbeat.error.is_none()).await;
    stop.cancel();
    processes.join_all().await;
    let (calls, looked) = (watchdog.heard().len(), state(&world).await.looked_at);
    assert!(calls > 3 && looked > 0);
}

#[tokio::test]
async fn a_watchdog_hears_nothing_while_nobody_can_look() {
    let watchdog = Receiver::start("OK").await;
    let mut world = world(0, Vec::new()).await;
    world.config.alerts.heartbeat_url = Secret::new(watchdog.url("/ping"));
    let stop = CancellationToken::new();
    let processes = start(&world, 1, &stop).await;
    watchdog.hears(2).await;
    // Without the streams there is no verdict, whatever else works.
    world.nats.kill().await;
    let known = watchdog.heard().len();
    let quiet = tokio::time::timeout(Duration::from_secs(2), async {
        // One call may have been on its way.
        eventually("it is called", || watchdog.heard().len() > known + 1).await;
    });
    assert!(quiet.await.is_err(), "it was called although nobody can look");
    stop.cancel();
    processes.join_all().await;
}

#[tokio::test]
async fn a_limit_that_is_near_is_found() {
    let mut world = World::new(20, Faults::default()).await;
    world.nats.limit_account("1GB").await;
    world.journal = world.nats.journal().await;
    world.sync().await;
    let names = world.names();
    let near = async |percent| operations::limits(&world.journal, &names, percent).await.unwrap();
    assert_eq!(near(1).await, [], "none is near");
    let stream = names.stream(journal::Stream::Raw);
    world.nats.update_stream(&stream, |config| config["max_msgs"] = 10.into()).await;
    let (messages, _, _) = world.journal.size(&names, journal::Stream::Raw).await.unwrap();
    let found = near(1).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].id(), format!("limit:stream:{stream}"));
    assert_eq!((found[0].used, found[0].limit, found[0].unit), (messages, 10, "messages"));
    assert_eq!(near(0).await, [], "0 turns it off");
    world.nats.update_stream(&stream, |config| config["max_msgs"] = (-1).into()).await;
    world.nats.limit_account("1KB").await;
    let found = near(80).await;
    assert_eq!(found.iter().map(operations::LimitNear::id).collect::<Vec<_>>(), ["limit:account"]);
}
