//! Numbers, lengths and sizes that others write: none of them overflows a clock, fills the memory,
//! or ends up whole in a log.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use events::{DeadLetter, Outcome, RawPage, WindowFailed};
use futures::StreamExt;
use journal::{Entry, From, Stream};
use orderflow_tests::{Asked, Reply, Scripted, World};
use sandbox::Faults;
use service::config::{Secret, TargetKind};

const MAPPING: &str = r#"
key = "order_id"
number = "order_no"
version = "update_time"

[[field]]
to = "orderId"
from = "order_id"
"#;

const TOKEN: &str = r#"{"token_type":"Bearer","access_token":"abc","expires_in":28800}"#;

const GOOD: &str = r#"{"success":true,"code":0,"message":"success","content":{"inserted":1,"failed":0}}"#;

/// Longer than any message that NATS takes by default.
const LONG: usize = 5_000_000;

fn is_token(asked: &Asked) -> bool {
    asked.path.ends_with("access_token") || asked.path.ends_with("oauth")
}

fn row(id: usize, second: usize) -> String {
    let (minute, second) = (second / 60, second % 60);
    format!(r#"{{"order_id":{id},"order_no":"A{id}","update_time":"2025-01-01 00:{minute:02}:{second:02}"}}"#)
}

fn page(rows: &[String], total: u64) -> Reply {
    Reply::json(format!(r#"{{"code":200,"data":{{"list":[{}],"count":{total}}}}}"#, rows.join(",")))
}

/// A source with this token and five orders.
async fn source(token: &'static str) -> Scripted {
    Scripted::start(move |asked| match is_token(asked) {
        true => Reply::json(token),
        false => page(&(0..5).map(|id| row(id, id)).collect::<Vec<_>>(), 5),
    })
    .await
}

async fn world(source: &Scripted) -> World {
    let mut world = World::new(1, Faults::default()).await;
    world.map_with(MAPPING);
    world.config.source.base_url = Some(source.url());
    world.config.source.request.insert("count".into(), toml::Value::Integer(100));
    world
}

/// All of a stream. The connection of the world may know another limit of messages, so this is one
/// of its own.
async fn read(world: &World, stream: Stream) -> Vec<Entry> {
    let journal = world.nats.journal().await;
    let mut tries = 0;
    loop {
        let read = async {
            let log = journal.read(&world.names(), stream, None, From::Start, false).await?;
            log.collect::<Vec<_>>().await.into_iter().collect::<Result<Vec<_>, _>>()
        };
        match read.await {
            Ok(entries) => return entries,
            Err(error) if tries == 20 => panic!("{stream:?} cannot be read: {error:?}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(250)).await,
        }
        tries += 1;
    }
}

async fn letters(world: &World) -> Vec<DeadLetter> {
    let entries = read(world, Stream::Dead).await;
    entries.iter().map(|entry| entry.event().unwrap().body).collect()
}

async fn pages_in_raw(world: &World) -> usize {
    let entries = read(world, Stream::Raw).await;
    entries.iter().filter(|entry| entry.event::<RawPage>().unwrap().body.part == 0).count()
}

async fn failures(world: &World) -> Vec<String> {
    let entries = read(world, Stream::Sync).await;
    let failed = entries.iter().filter_map(|entry| entry.event::<WindowFailed>().ok());
    failed.map(|failed| failed.body.reason).collect()
}

fn token_calls(server: &Scripted) -> usize {
    server.asked().iter().filter(|asked| is_token(asked)).count()
}

#[tokio::test]
async fn a_token_of_any_life_is_asked_for_once_and_used() {
    for token in [
        r#"{"access_token":"abc","expires_in":10000000000000}"#,
        r#"{"access_token":"abc","expires_in":18446744073709551615}"#,
        r#"{"access_token":"abc","expires_in":9223372036854775807}"#,
        r#"{"access_token":"abc","expires_in":1e300}"#,
    ] {
        let source = source(token).await;
        let world = world(&source).await;
        let run = world.sync().await;
        assert_eq!((run.ended.failed, run.account.targets[0].of(Outcome::Written)), (None, 5), "{token}");
        assert_eq!(token_calls(&source), 1, "{token}");
    }
}

#[tokio::test]
async fn a_token_that_is_over_at_once_or_always_refused_is_not_asked_for_in_a_row() {
    for (token, status) in [(r#"{"access_token":"abc","expires_in":0}"#, 200), (TOKEN, 401)] {
        let asked_at = Arc::new(Mutex::new(Vec::new()));
        let times = Arc::clone(&asked_at);
        let source = Scripted::start(move |asked| {
            if is_token(asked) {
                times.lock().unwrap().push(Instant::now());
                return Reply::json(token);
            }
            // Longer than a token of no life is used.
            Reply { status, ..page(&[row(1, 1)], 4_000) }
        })
        .await;
        let mut world = world(&source).await;
        world.config.source.limit.requests_per_second = 0.0;
        world.config.source.request.insert("count".into(), toml::Value::Integer(1));
        world.journal.ensure(&world.names()).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_secs(6), world.fetch()).await;
        let calls = token_calls(&source);
        assert!((2..=7).contains(&calls), "{calls} tokens in six seconds ({status})");
        let times = asked_at.lock().unwrap();
        let least = times.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
        assert!(least > Duration::from_millis(900), "{least:?} between two tokens ({status})");
    }
}

#[tokio::test]
async fn a_store_token_of_any_life_is_used() {
    for life in ["10000000000000", "18446744073709551615", "1e300", "0"] {
        let token =
            format!(r#"{{"success":true,"code":0,"content":{{"access_token":"t","expires_in":{life}}}}}"#);
        let target = Scripted::start(move |asked| match is_token(asked) {
            true => Reply::json(token.clone()),
            false => Reply::json(GOOD),
        })
        .await;
        let source = source(TOKEN).await;
        let mut world = world(&source).await;
        let configured = &mut world.config.targets[0];
        configured.kind = TargetKind::Store;
        configured.url = target.url();
        (configured.app_key, configured.scheme_id) = ("demo".into(), "s1".into());
        configured.app_secret = Secret::new("demo-secret");
        configured.limit.requests_per_minute = Some(0.0);
        let run = world.sync().await;
        assert_eq!((run.account.targets[0].of(Outcome::Written), run.account.dead), (5, 0), "{life}");
        assert!(token_calls(&target) <= 2, "{life}");
    }
}

#[tokio::test]
async fn a_total_that_is_nonsense_fails_its_window_at_once() {
    let source = Scripted::start(|asked| match is_token(asked) {
        true => Reply::json(TOKEN),
        false => page(&(0..100).map(|id| row(id, id)).collect::<Vec<_>>(), 1_000_000_000),
    })
    .await;
    let world = world(&source).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), world.fetch()).await.expect("it ends");
    let (_, why) = ended.failed.expect("it fails");
    assert!(why.contains("the source counts 1000000000 orders"), "{why}");
    let pages = source.asked().len() - token_calls(&source);
    assert!(pages < 10, "{pages} pages were asked for");
}

#[tokio::test]
async fn a_target_that_says_megabytes_is_quoted_shortly() {
    let target = Scripted::start(|_| {
        let said = "x".repeat(300_000);
        Reply::json(format!(r#"{{"success":false,"code":"{said}","message":"{said}","error":"{said}"}}"#))
    })
    .await;
    let source = source(TOKEN).await;
    let mut world = world(&source).await;
    world.config.targets[0].url = format!("{}/execute", target.url());
    world.config.writer.max_attempts = 2;
    let run = tokio::time::timeout(Duration::from_secs(100), world.sync()).await.expect("it ends");
    assert_eq!(run.account.targets[0].dead, 5);
    for letter in letters(&world).await {
        let texts = letter.causes.iter().chain(letter.attempts.iter().map(|attempt| &attempt.message));
        for text in texts.chain([&letter.message]) {
            assert!(text.len() < 5_000 && !text.is_empty(), "{} bytes", text.len());
        }
        assert!(letter.message.contains("(cut, 300000 bytes in all)"), "{}", letter.message);
        assert!(letter.payload.size > 0, "the order is in its letter");
    }
}

#[tokio::test]
async fn an_endless_answer_of_a_target_is_not_held_in_memory() {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let target = Scripted::start(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::json(format!(r#"{{"success":true,"code":0,"message":"{}"}}"#, "x".repeat(2 << 20)))
    })
    .await;
    let source = source(TOKEN).await;
    let mut world = world(&source).await;
    world.config.targets[0].url = format!("{}/execute", target.url());
    world.config.writer.max_attempts = 2;
    let run = tokio::time::timeout(Duration::from_secs(100), world.sync()).await.expect("it ends");
    // It was sent, and what was answered is not known.
    assert_eq!(run.account.targets[0].of(Outcome::Unknown), 5);
    assert!(answered.load(Ordering::SeqCst) >= 10);
}

#[tokio::test]
async fn a_source_that_says_megabytes_is_quoted_shortly() {
    let source = Scripted::start(|asked| match is_token(asked) {
        true => Reply::json(TOKEN),
        false => Reply::json(format!(r#"{{"code":422,"message":"{}"}}"#, "x".repeat(LONG))),
    })
    .await;
    let world = world(&source).await;
    world.journal.ensure(&world.names()).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(100), world.fetch()).await.expect("it ends");
    let (_, why) = ended.failed.expect("it fails");
    assert!(why.len() < 3_000 && why.contains("(cut, 5000000 bytes in all)"), "{} bytes", why.len());
    assert!(failures(&world).await.iter().all(|reason| reason.len() < 3_000));
    for letter in letters(&world).await {
        assert!(letter.message.len() < 3_000 && letter.causes.iter().all(|cause| cause.len() < 3_000));
    }
}

/// A source that gives every order of the times that are asked for on one page, whatever number was
/// asked for.
fn all_at_once(asked: &Asked, rows: &[(String, String)]) -> Reply {
    let within = |time: &str| {
        let since = asked.query.get("start_time").is_none_or(|since| time >= since.as_str());
        since && asked.query.get("end_time").is_none_or(|until| time <= until.as_str())
    };
    let listed: Vec<String> =
        rows.iter().filter(|(time, _)| within(time)).map(|(_, row)| row.clone()).collect();
    page(&listed, listed.len() as u64)
}

/// Orders whose ids together do not fit into one message of the server of these tests, so many a
/// second.
fn many_rows(a_second: usize) -> Vec<(String, String)> {
    let time = |id: usize| format!("2025-01-01 00:{:02}:{:02}", id / a_second / 60, id / a_second % 60);
    let row = |id: usize| {
        let (time, long) = (time(id), format!("{id:060}"));
        (time.clone(), format!(r#"{{"order_id":"{long}","update_time":"{time}"}}"#))
    };
    (0..3_000).map(row).collect()
}

async fn with_small_messages(source: &Scripted) -> World {
    let world = world(source).await;
    world.nats.limit_messages(128 << 10).await;
    world.journal.ensure(&world.names()).await.unwrap();
    world
}

#[tokio::test]
async fn a_page_with_more_orders_than_can_be_recorded_is_read_in_halves() {
    let rows = many_rows(2);
    let source = Scripted::start(move |asked| match is_token(asked) {
        true => Reply::json(TOKEN),
        false => all_at_once(asked, &rows),
    })
    .await;
    let world = with_small_messages(&source).await;
    let ended = tokio::time::timeout(Duration::from_secs(100), world.fetch()).await.expect("it ends");
    assert_eq!(ended.failed, None);
    assert!(pages_in_raw(&world).await > 1);
}

#[tokio::test]
async fn a_page_that_can_never_be_recorded_is_a_letter_once_and_never_stored() {
    let rows = many_rows(3_000);
    let source = Scripted::start(move |asked| match is_token(asked) {
        true => Reply::json(TOKEN),
        false => all_at_once(asked, &rows),
    })
    .await;
    let mut world = with_small_messages(&source).await;
    world.config.schedule.every = Some(service::config::Span::from(Duration::from_secs(1)));
    let stop = tokio_util::sync::CancellationToken::new();
    let fetching = tokio::spawn({
        let (config, journal, stop) = (world.config.clone(), world.nats.journal().await, stop.clone());
        async move { fetcher::run(&config, journal, fetcher::Mode::Forever, fetcher::Live::default(), stop).await }
    });
    orderflow_tests::until("three windows have failed", async || failures(&world).await.len() >= 3).await;
    stop.cancel();
    fetching.await.unwrap().unwrap();
    assert!(failures(&world).await.iter().all(|reason| reason.contains("cannot be stored")));
    assert_eq!(pages_in_raw(&world).await, 0, "it would lie there once for each window");
    let letters = letters(&world).await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].kind, "too_large");
}

/// A time as the source writes it, so many seconds from now.
fn local_time(ahead: i64) -> String {
    let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    let at = jiff::Timestamp::from_microsecond(events::now() + ahead * 1_000_000).unwrap();
    at.to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[tokio::test]
async fn an_update_time_of_tomorrow_does_not_hide_the_change_after_it() {
    let round = Arc::new(AtomicUsize::new(0));
    let at = Arc::clone(&round);
    let source = Scripted::start(move |asked| {
        if is_token(asked) {
            return Reply::json(TOKEN);
        }
        let (ahead, name) = if at.load(Ordering::SeqCst) == 0 { (86_400, "old") } else { (0, "new") };
        let time = local_time(ahead);
        page(&[format!(r#"{{"order_id":1,"name":"{name}","update_time":"{time}"}}"#)], 1)
    })
    .await;
    let mut world = world(&source).await;
    world.map_with(
        "key = \"order_id\"\nversion = \"update_time\"\n[[field]]\nto = \"name\"\nfrom = \"name\"\n",
    );
    world.config.source.time_field = Some(String::new());
    world.config.schedule.settle = service::config::Span::from(Duration::from_secs(1));
    let target = Scripted::start(|_| Reply::json(GOOD)).await;
    world.config.targets[0].url = format!("{}/execute", target.url());
    assert_eq!(world.sync().await.account.targets[0].of(Outcome::Written), 1);
    tokio::time::sleep(Duration::from_secs(4)).await;
    round.store(1, Ordering::SeqCst);
    let run = world.sync().await;
    assert_eq!(run.account.targets[0].of(Outcome::Written), 1, "the change is not older than tomorrow");
    let sent: Vec<String> =
        target.asked().iter().map(|asked| String::from_utf8_lossy(&asked.body).into_owned()).collect();
    assert!(sent.len() == 2 && sent[1].contains("new"), "{sent:?}");
}
