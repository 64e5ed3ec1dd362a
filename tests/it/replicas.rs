//! Several fetchers on one flow: one token, one call budget, one proof.

use std::time::Duration;

use events::{BackfillRequested, Slice, WindowEvent, WindowOpened, now};
use fetcher::{Live, Mode};
use futures::StreamExt;
use journal::{From, Stream};
use operations::WindowState;
use operations::backfill::BackfillPlan;
use orderflow_tests::{Program, World, eventually};
use sandbox::{Faults, Options, RetryAfter, SourceFaults};
use service::config::Span;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

async fn with(count: u64, source: SourceFaults) -> World {
    World::new(count, Faults { source, ..Faults::default() }).await
}

async fn windows(world: &World) -> Vec<WindowOpened> {
    let names = world.names();
    let log = world.journal.read(&names, Stream::Sync, Some(&names.windows()), From::Start, false).await;
    let opened = async |entry: Result<journal::Entry, _>| match WindowEvent::decode(&entry.unwrap().payload) {
        Ok(WindowEvent::Opened(opened)) => Some(opened),
        _ => None,
    };
    log.unwrap().filter_map(opened).collect().await
}

#[tokio::test]
async fn one_two_and_four_fetchers_come_to_the_same() {
    for replicas in [1, 2, 4] {
        let world = with(2_000, SourceFaults::default()).await;
        let run = world.sync_with(replicas).await;
        assert!(run.ended.complete && run.account.is_complete(), "{:?}", run.account);
        world.assert_all_arrived_once();
        // They may need a second window when they start in different seconds; none is opened twice.
        let opened = windows(&world).await;
        assert!(opened.len() <= 2, "{opened:?}");
        for line in &run.account.windows {
            assert!(matches!(&line.state, WindowState::Closed { total, distinct, .. } if total == distinct));
        }
        assert_eq!(world.report().source.token_requests, 1, "{replicas} fetchers, one token");
    }
}

#[tokio::test]
async fn a_token_that_dies_is_renewed_once_for_all() {
    let source = SourceFaults { token_requests: 30, latency_ms: 3, ..SourceFaults::default() };
    let mut world = with(6_000, source).await;
    world.config.source.request.insert("count".into(), toml::Value::Integer(50));
    let run = world.sync_with(4).await;
    assert!(run.ended.complete && run.account.is_complete(), "{:?}", run.account);
    world.assert_all_arrived_once();
    let source = world.report().source;
    // 16 calls are under way at once: some meet the dead token together, and one of them renews it.
    assert!(source.token_requests <= source.list_requests / 30 + 2, "{source:?}");
}

#[tokio::test]
async fn the_call_budget_holds_over_all_fetchers() {
    let source = SourceFaults { rate_limit_per_second: 60, ..SourceFaults::default() };
    let mut world = with(1_000, source).await;
    world.config.source.request.insert("count".into(), toml::Value::Integer(5));
    world.config.source.limit.requests_per_second = 50.0;
    world.config.source.limit.burst = 5;
    world.journal.ensure(&world.names()).await.unwrap();
    let began = now();
    let fetched = futures::future::join_all((0..4).map(|_| world.fetch())).await;
    assert!(fetched.iter().all(|ended| ended.complete), "{fetched:?}");
    let (source, seconds) = (world.report().source, (now() - began) as f64 / 1e6);
    assert_eq!(source.rate_limited, 0, "{source:?}");
    assert!(source.list_requests >= 400, "{source:?}");
    assert!((source.list_requests as f64) <= 50.0 * seconds + 6.0, "{source:?} in {seconds} s");
}

#[tokio::test]
async fn details_spend_from_the_same_budget() {
    let source = SourceFaults { rate_limit_per_second: 90, ..SourceFaults::default() };
    let faults = Faults { source, ..Faults::default() };
    let orders = sandbox::Orders::Generated { count: 200 };
    let mut world = World::with(Options { orders, faults, brief_rows: true, ..Options::default() }).await;
    world.config.source.detail = Some(toml::from_str("concurrency = 8").unwrap());
    world.config.source.limit.requests_per_second = 75.0;
    world.config.source.limit.burst = 5;
    let run = world.sync_with(2).await;
    assert!(run.ended.complete && run.account.is_complete(), "{:?}", run.account);
    world.assert_all_arrived_once();
    let source = world.report().source;
    assert_eq!((source.rate_limited, source.info_requests), (0, 200), "{source:?}");
}

#[tokio::test]
async fn a_backfill_leaves_the_live_flow_its_share() {
    let mut world = with(3_000, SourceFaults::default()).await;
    world.sync().await;
    world.config.source.request.insert("count".into(), toml::Value::Integer(10));
    let limit = &mut world.config.source.limit;
    (limit.requests_per_second, limit.burst, limit.background_share) = (20.0, 1, 0.25);
    world.config.schedule.every = Some(Span::from(Duration::from_secs(1)));
    let names = world.names();
    let range = Slice { since: 1_230_739_200_000_000, until: now() - 1_000_000 };
    let plan = BackfillPlan::new(range, 9_000 * 86_400_000_000, now()).unwrap();
    operations::backfill::request(&world.journal, &names, &plan, "a test").await.unwrap();
    let stop = CancellationToken::new();
    let mut stages = world.start(1, &stop).await;
    let (config, journal, token) = (world.config.clone(), world.nats.journal().await, stop.clone());
    stages.spawn(async move {
        fetcher::run(&config, journal, Mode::Forever, Live::default(), token).await.unwrap();
    });
    // 300 pages, each looked at twice, at five a second: the backfill would take two minutes.
    let behind = || world.report().target.missing + world.report().target.outdated;
    for _ in 0..3 {
        world.sandbox.edit(5);
        world.sandbox.insert(5);
        assert!(behind() >= 5);
        eventually("what is new arrives", || behind() == 0).await;
    }
    let backfill =
        world.journal.last(&names, Stream::Sync, &names.backfill(&plan.id)).await.unwrap().unwrap();
    assert!(backfill.event::<BackfillRequested>().is_ok(), "it was still going on all the while");
    let pages = world.report().source.list_requests;
    assert!(pages > 70, "and was itself not standing still: {pages}");
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn a_source_that_throttles_is_left_alone_by_all_fetchers() {
    for retry_after in [RetryAfter::Seconds, RetryAfter::Date, RetryAfter::None] {
        let source = SourceFaults { rate_limit_per_second: 20, retry_after, ..SourceFaults::default() };
        let world = with(4_000, source).await;
        let run = world.sync_with(3).await;
        assert!(run.ended.complete && run.account.is_complete(), "{:?}", run.account);
        world.assert_all_arrived_once();
        let source = world.report().source;
        // Each breach may cost the calls that were under way in all three, not more.
        assert!(source.rate_limited > 0 && source.rate_limited <= source.list_requests / 2, "{source:?}");
    }
}

#[tokio::test]
async fn no_more_pages_are_asked_for_at_once_than_the_source_is_to_bear() {
    let mut world = with(3_000, SourceFaults { latency_ms: 20, ..SourceFaults::default() }).await;
    world.config.source.limit.concurrency = 3;
    assert!(world.fetch().await.complete);
    let source = world.report().source;
    assert_eq!(source.most_lists_at_once, 3, "as many as may be, and never more: {source:?}");
}

#[tokio::test]
async fn a_page_in_parts_lies_together_although_others_store_theirs_at_the_same_time() {
    let (mut orders, mut dice) = (String::new(), orderflow_tests::Dice::new(7));
    for id in 0..600 {
        let remark: String = (0..250).map(|_| format!("{:016x}", dice.roll(u64::MAX))).collect();
        let time = format!("2025-01-01 00:{:02}:{:02}", id / 60, id % 60);
        let row = format!(
            r#"{{"order_id":{id},"order_no":"A{id}","update_time":"{time}","remark":"{remark}","items":[]}}"#
        );
        orders.push_str(&row);
        orders.push('\n');
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.ndjson");
    std::fs::write(&file, orders).unwrap();
    let mut world = World::of_file(&file).await;
    // A page has about 40 KiB, and a message no more than 24.
    world.nats.limit_messages(40 << 10).await;
    world.config.source.request.insert("count".into(), toml::Value::Integer(20));
    let run = world.sync_with(2).await;
    assert!(run.ended.complete && run.account.is_complete(), "{:?}", run.account);
    world.assert_all_arrived_once();
    let stored = world.journal.pages(&world.names(), ..).await.unwrap();
    let pages: Vec<_> = stored.map(|page| page.expect("a whole page")).collect().await;
    assert_eq!(pages.len(), 30);
    let messages = world.journal.size(&world.names(), Stream::Raw).await.unwrap().0;
    assert!(messages >= 60, "each in parts: {messages}");
}

#[tokio::test]
async fn an_outage_of_the_source_is_waited_out_without_hammering() {
    let mut world = with(500, SourceFaults::default()).await;
    world.config.source.limit.concurrency = 8;
    world.sandbox.set_faults(Faults {
        source: SourceFaults { outage: true, ..SourceFaults::default() },
        ..Faults::default()
    });
    world.journal.ensure(&world.names()).await.unwrap();
    let fetching = async { futures::join!(world.fetch(), world.fetch()) };
    let healing = async {
        eventually("the source is asked", || world.report().source.token_requests >= 4).await;
        let asked = || {
            let source = world.report().source;
            source.token_requests + source.list_requests
        };
        let before = asked();
        let hammered = eventually("more than 40 requests", || asked() > before + 40);
        let hammered = tokio::time::timeout(Duration::from_secs(5), hammered).await;
        assert!(hammered.is_err(), "more than 40 requests in 5 s of an outage");
        world.sandbox.set_faults(Faults::default());
    };
    let ((first, second), ()) = futures::join!(fetching, healing);
    assert!(first.complete && second.complete);
}

#[tokio::test]
async fn fetchers_join_and_leave_and_are_killed_while_a_window_is_open() {
    let source = SourceFaults { latency_ms: 15, moving_rows: 1, ..SourceFaults::default() };
    let mut world = with(6_000, source).await;
    world.config.source.limit.concurrency = 2;
    world.journal.ensure(&world.names()).await.unwrap();
    let stop = CancellationToken::new();
    let mut stages = world.start(1, &stop).await;
    // Processes of their own, which can be killed.
    let folder = world.folder_of_a_program("");
    let fetch = || {
        Program::new(PROGRAM, folder.path(), &["fetch"]).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
    };
    let pages = async || world.journal.size(&world.names(), Stream::Raw).await.unwrap().0;
    let mut running = vec![fetch().unheard().start()];
    for (join, kill, from) in [(1, 0, 2), (2, 1, 10), (1, 2, 20), (0, 1, 30), (1, 0, 40)] {
        while pages().await < from {
            tokio::task::yield_now().await;
        }
        running.extend((0..join).map(|_| fetch().unheard().start()));
        for child in running.drain(..kill).collect::<Vec<_>>() {
            Program::kill(child).await;
        }
    }
    world.sandbox.set_faults(Faults::default());
    world.let_settle().await;
    let ended = world.fetch().await;
    assert!(ended.complete, "{ended:?}");
    for child in running {
        Program::kill(child).await;
    }
    world.drained(&mut stages).await;
    stop.cancel();
    stages.join_all().await;
    world.assert_all_arrived_once();
    let opened = windows(&world).await;
    let mut ids: Vec<_> = opened.iter().map(|opened| opened.window.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), opened.len(), "no window is opened twice");
}

#[tokio::test]
async fn a_live_fetcher_keeps_syncing() {
    let mut world = with(200, SourceFaults::default()).await;
    world.config.schedule.every = Some(service::config::Span::from(Duration::from_secs(1)));
    world.config.schedule.settle = service::config::Span::from(Duration::ZERO);
    world.journal.ensure(&world.names()).await.unwrap();
    let stop = CancellationToken::new();
    let mut stages: JoinSet<()> = world.start(1, &stop).await;
    for _ in 0..2 {
        let (config, journal, stop) = (world.config.clone(), world.nats.journal().await, stop.clone());
        stages.spawn(async move {
            fetcher::run(&config, journal, Mode::Forever, Live::default(), stop).await.unwrap();
        });
    }
    for _ in 0..3 {
        eventually("everything arrives", || {
            world.report().target.missing + world.report().target.outdated == 0
        })
        .await;
        world.sandbox.edit(10);
        world.sandbox.insert(3);
    }
    eventually("everything arrives", || world.report().target.missing + world.report().target.outdated == 0)
        .await;
    stop.cancel();
    stages.join_all().await;
    world.assert_all_arrived_once();
}
