//! What people are told: once, whoever tells it, also when a webhook does not take it at first.

use std::collections::BTreeSet;
use std::time::Duration;

use events::{
    AlertState, Listing, Micros, News, Proof, WatermarkMoved, WindowClosed, WindowFailed, WindowId,
    WindowOpened, now,
};
use journal::{Cell, Record};
use orderflow_tests::{Heard, Program, Receiver, World, eventually, until};
use sandbox::{Faults, TargetFaults};
use serde_json::json;
use service::config::{Secret, Span, Webhook, WebhookKind};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

pub(crate) const TAKEN: &str = r#"{"errcode":0,"errmsg":"ok"}"#;
const TOKEN: &str = "access_token=t0k3n-of-the-robot";
const HOUR: Micros = 3_600_000_000;

pub(crate) fn webhook(name: &str, kind: WebhookKind, url: String) -> Webhook {
    Webhook {
        name: name.into(),
        kind,
        url: Secret::new(url),
        url_file: None,
        secret: Secret::default(),
        secret_file: None,
        timeout: Span::from(Duration::from_secs(5)),
    }
}

/// A flow that is looked at often, with nothing in it.
pub(crate) async fn world(orders: u64, webhooks: Vec<Webhook>) -> World {
    let mut world = World::new(orders, Faults::default()).await;
    world.config.alerts.every = Span::from(Duration::from_millis(100));
    world.config.alerts.webhooks = webhooks;
    world.journal.ensure(&world.names()).await.unwrap();
    world
}

/// Starts processes that look and tell.
pub(crate) async fn start(world: &World, processes: usize, stop: &CancellationToken) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for _ in 0..processes {
        let (config, journal, stop) = (world.config.clone(), world.nats.journal().await, stop.clone());
        all.spawn(async move { alerter::run(&config, journal, stop).await });
    }
    all
}

pub(crate) async fn state(world: &World) -> AlertState {
    alerter::state(&world.journal, &world.names()).await.unwrap()
}

/// Waits until somebody has looked so many more times.
pub(crate) async fn looks(world: &World, count: usize) {
    for _ in 0..count {
        let before = state(world).await.looked_at;
        until("somebody looks", async || state(world).await.looked_at > before).await;
    }
}

pub(crate) async fn watermark(world: &World, to: Micros) {
    let event = WatermarkMoved { to, window: WindowId::live(1) };
    let record = Record::new(world.names().watermark(), format!("watermark:{to}"), &event).unwrap();
    world.journal.publish(&record).await.unwrap();
}

/// What all messages said together.
pub(crate) fn alerts(heard: &[Heard]) -> Vec<serde_json::Value> {
    heard.iter().flat_map(|heard| heard.body["alerts"].as_array().cloned().unwrap_or_default()).collect()
}

/// What happened to which condition.
pub(crate) fn told(heard: &[Heard]) -> Vec<String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_string();
    alerts(heard).iter().map(|alert| format!("{} {}", text(&alert["event"]), text(&alert["id"]))).collect()
}

#[tokio::test]
async fn of_two_processes_one_tells_and_who_comes_later_knows_what_was_told() {
    let duty = Receiver::start("").await;
    let world = world(0, vec![webhook("duty", WebhookKind::Json, duty.url("/hook"))]).await;
    let stop = CancellationToken::new();
    let processes = start(&world, 2, &stop).await;
    watermark(&world, now() - 2 * HOUR).await;
    let heard = duty.hears(1).await;
    assert_eq!(told(&heard), ["firing watermark"]);
    assert_eq!((heard[0].uri.as_str(), &heard[0].body["flow"]), ("/hook", &json!("demo")));
    assert_eq!(heard[0].body["alerts"][0]["limit_seconds"], 3_600);
    looks(&world, 4).await;
    assert_eq!(told(&duty.heard()), ["firing watermark"], "it is not told again");
    stop.cancel();
    processes.join_all().await;

    let stop = CancellationToken::new();
    let processes = start(&world, 2, &stop).await;
    looks(&world, 4).await;
    assert_eq!(told(&duty.heard()), ["firing watermark"], "nor after a restart");
    watermark(&world, now()).await;
    duty.hears(2).await;
    watermark(&world, now() - 3 * HOUR).await;
    until("it is seen again", async || state(&world).await.known["watermark"].since.is_some()).await;
    looks(&world, 4).await;
    assert_eq!(told(&duty.heard()), ["firing watermark", "resolved watermark"], "it was told not long ago");
    stop.cancel();
    processes.join_all().await;
}

#[tokio::test]
async fn what_lasts_is_told_again_but_not_too_soon() {
    let duty = Receiver::start("").await;
    let mut world = world(0, vec![webhook("duty", WebhookKind::Json, duty.url("/"))]).await;
    world.config.alerts.repeat = Span::from(Duration::from_millis(400));
    let stop = CancellationToken::new();
    let processes = start(&world, 3, &stop).await;
    watermark(&world, now() - 2 * HOUR).await;
    // What comes while a call is under way goes with the next one.
    eventually("it was told four times", || alerts(&duty.heard()).len() >= 4).await;
    stop.cancel();
    processes.join_all().await;
    let again = "again watermark";
    assert_eq!(told(&duty.heard())[..4], ["firing watermark", again, again, again]);
    let all = alerts(&duty.heard());
    let at: Vec<i64> = all.iter().map(|alert| alert["at"].as_i64().unwrap()).collect();
    assert!(at.windows(2).all(|two| two[1] - two[0] >= 400_000), "{at:?}");
    let numbers = all.iter().map(|alert| alert["number"].as_u64().unwrap());
    assert!(numbers.zip(1..).all(|(number, expected)| number == expected), "{all:?}");
}

async fn show(folder: &TempDir) -> (i32, String) {
    Program::new(PROGRAM, folder.path(), &["alerts", "show"]).said().await
}

#[tokio::test]
async fn a_webhook_that_is_down_is_told_later_and_holds_nobody_up() {
    let (night, taken) = (Receiver::start("").await, std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let address = taken.local_addr().unwrap();
    drop(taken);
    let down = webhook("duty", WebhookKind::Dingtalk, format!("http://{address}/robot/send?{TOKEN}"));
    let world = world(0, vec![down, webhook("night", WebhookKind::Json, night.url("/"))]).await;
    let stop = CancellationToken::new();
    let processes = start(&world, 2, &stop).await;
    watermark(&world, now() - 2 * HOUR).await;
    night.hears(1).await;
    until("that it failed is noted", async || {
        state(&world).await.deliveries.get("duty").is_some_and(|duty| duty.error.is_some())
    })
    .await;
    let folder = world.folder_of_a_program("");
    let hooks =
        ["duty", "night"].map(|name| format!("[[alerts.webhook]]\nname = \"{name}\"\nkind = \"json\"\n"));
    let path = folder.path().join("orderflow.toml");
    std::fs::write(&path, format!("{}{}", std::fs::read_to_string(&path).unwrap(), hooks.concat())).unwrap();
    let (status, text) = show(&folder).await;
    assert_eq!(status, 4, "{text}");
    assert!(
        text.contains("firing     watermark: the watermark stands at") && text.contains("night: delivered"),
        "{text}"
    );
    assert!(text.contains("duty: 1 notices wait") && text.contains("times: no connection"), "{text}");
    assert!(!text.contains("t0k3n"), "{text}");

    let (_, text) = Program::new(PROGRAM, folder.path(), &["status"]).said().await;
    assert!(text.contains("UNTOLD       webhook duty does not take alerts: no connection"), "{text}");

    // Meanwhile it ends: when the webhook is back, it hears of all that it missed.
    watermark(&world, now()).await;
    night.hears(2).await;
    let duty = Receiver::at(address, TAKEN).await;
    until("it has taken all", async || state(&world).await.notices.is_empty()).await;
    let heard = duty.heard();
    let text: String = heard.iter().map(|heard| heard.body["markdown"]["text"].as_str().unwrap()).collect();
    assert!(text.starts_with("### [orderflow] demo：1 项告警"), "{text}");
    let times = |part: &str| text.matches(part).count();
    assert_eq!([times("**【告警】** 水位停在 "), times("**【恢复】** 水位已跟上")], [1, 1], "{text}");
    assert_eq!(heard[0].uri, format!("/robot/send?{TOKEN}"));
    looks(&world, 2).await;
    assert_eq!((duty.heard().len(), night.heard().len()), (heard.len(), 2), "nobody is told anything else");
    assert!(state(&world).await.deliveries.is_empty());
    let (status, text) = show(&folder).await;
    assert_eq!(status, 0, "{text}");
    stop.cancel();
    processes.join_all().await;
}

#[tokio::test]
async fn a_robot_that_answers_200_and_no_is_asked_again() {
    let duty = Receiver::start(&format!("{{\"errcode\":310000,\"errmsg\":\"bad {TOKEN}\"}}")).await;
    let robot = webhook("duty", WebhookKind::Dingtalk, duty.url(&format!("/robot/send?{TOKEN}")));
    let world = world(0, vec![Webhook { secret: Secret::new("SECabc"), ..robot }]).await;
    let stop = CancellationToken::new();
    let processes = start(&world, 2, &stop).await;
    watermark(&world, now() - 2 * HOUR).await;
    let heard = duty.hears(1).await;
    until("what it said is noted", async || {
        let said = state(&world).await.deliveries.get("duty").and_then(|duty| duty.error.clone());
        said.is_some_and(|said| said == "code 310000: bad access_token=***")
    })
    .await;
    let uri = &heard[0].uri;
    assert!(uri.starts_with(&format!("/robot/send?{TOKEN}&timestamp=")) && uri.contains("&sign="), "{uri}");
    assert_eq!(heard[0].body["msgtype"], "markdown");
    duty.answer(200, TAKEN);
    until("it has taken it", async || state(&world).await.notices.is_empty()).await;
    let heard = duty.heard();
    assert!(heard.len() >= 2, "{heard:?}");
    assert!(heard.iter().all(|again| again.body == heard[0].body), "it is told the same");
    stop.cancel();
    processes.join_all().await;
}

#[tokio::test]
async fn a_window_that_failed_is_over_when_one_is_proved_and_not_when_one_is_read() {
    let duty = Receiver::start("").await;
    let world = world(0, vec![webhook("duty", WebhookKind::Json, duty.url("/"))]).await;
    let names = world.names();
    let (since, until_) = (now() - 60_000_000, now() - 1_000_000);
    let opened = |number| WindowOpened {
        window: WindowId::live(number),
        since,
        until: until_,
        page_size: 100,
        max_passes: 5,
        listing: Listing::Orders,
        news: News::Changed,
    };
    let open = async |number| {
        let window = opened(number);
        let record = Record::new(names.window(&window.window), format!("open:{number}"), &window).unwrap();
        world.journal.publish(&record).await.unwrap();
    };
    let stop = CancellationToken::new();
    let processes = start(&world, 1, &stop).await;
    open(1).await;
    let failed = WindowFailed {
        window: WindowId::live(1),
        reason: "rows moved: 17 of 4711".into(),
        passes: 5,
        total: Some(2),
        distinct: 1,
    };
    let record = Record::new(names.window(&failed.window), "failed:1".to_string(), &failed).unwrap();
    world.journal.publish(&record).await.unwrap();
    let heard = duty.hears(1).await;
    let alert = &heard[0].body["alerts"][0];
    assert_eq!(told(&heard), ["firing window:live"]);
    assert_eq!((&alert["window"], &alert["reason"]), (&json!("live-000001"), &json!("rows moved: # of #")));
    open(2).await;
    looks(&world, 3).await;
    assert_eq!(duty.heard().len(), 1, "it is only being read");
    let proof = Proof { pass: 1, pages: 1, total: 2, distinct: 2, slices: Vec::new(), pages_read: 1 };
    let closed = WindowClosed { window: WindowId::live(2), since, until: until_, proof };
    let record = Record::new(names.window(&closed.window), "closed:2".to_string(), &closed).unwrap();
    world.journal.publish(&record).await.unwrap();
    assert_eq!(told(&duty.hears(2).await), ["firing window:live", "resolved window:live"]);
    stop.cancel();
    processes.join_all().await;
}

#[tokio::test]
async fn a_target_that_is_down_for_long_is_told_and_that_it_works_again_too() {
    let duty = Receiver::start("").await;
    let mut world = world(5, vec![webhook("duty", WebhookKind::Json, duty.url("/"))]).await;
    world.config.alerts.target_down = Span::from(Duration::from_millis(500));
    world.sandbox.set_faults(Faults {
        target: TargetFaults { outage: true, ..TargetFaults::default() },
        ..Faults::default()
    });
    let stop = CancellationToken::new();
    let (stages, processes) = (world.start(2, &stop).await, start(&world, 2, &stop).await);
    world.fetch().await;
    let heard = duty.hears(1).await;
    assert_eq!(told(&heard), ["firing target:qeasy"]);
    let alert = &heard[0].body["alerts"][0];
    let (at, since) = (alert["at"].as_i64().unwrap(), alert["since"].as_i64().unwrap());
    assert!(at - since >= 500_000, "{alert}");
    world.sandbox.set_faults(Faults::default());
    assert_eq!(told(&duty.hears(2).await), ["firing target:qeasy", "resolved target:qeasy"]);
    stop.cancel();
    stages.join_all().await;
    processes.join_all().await;
}

#[tokio::test]
async fn what_a_process_that_died_had_in_hand_another_one_tells() {
    let duty = Receiver::start("").await;
    let world = world(0, vec![webhook("duty", WebhookKind::Json, duty.url("/"))]).await;
    watermark(&world, now() - 2 * HOUR).await;
    let (journal, names) = (&world.journal, world.names());
    let look = alerter::looked(&world.config, journal, &names).await.unwrap();
    let to = BTreeSet::from(["duty".to_string()]);
    let found = operations::alerts::fold(
        &AlertState::default(),
        &look,
        &to,
        now(),
        operations::alerts::Pace { repeat: HOUR, calm: HOUR },
    );
    let until = now() + 1_500_000;
    let claimed = operations::alerts::claim(&found, "duty", until);
    Cell::new(journal.clone(), names.clone(), names.alerts()).set(&claimed, 0).await.unwrap();
    let stop = CancellationToken::new();
    let processes = start(&world, 2, &stop).await;
    assert_eq!(told(&duty.hears(1).await), ["firing watermark"]);
    assert!(now() >= until, "not while the other one may still be telling it");
    looks(&world, 2).await;
    assert_eq!(duty.heard().len(), 1);
    stop.cancel();
    processes.join_all().await;
}
