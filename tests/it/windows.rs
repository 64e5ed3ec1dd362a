//! Windows over a source that does not hold still: each closes with a proof, and no order is missed.

use std::time::Duration;

use events::{MappedEvent, Proof, WatermarkMoved, WindowEvent, now};
use futures::StreamExt;
use journal::{From, Record, Stream};
use operations::{Status, WindowState};
use orderflow_tests::{Run, World};
use sandbox::{Faults, Options, Orders, SourceFaults};
use service::config::{Granularity, Span, Sweep};
use toml::Value;

async fn with(count: u64, source: SourceFaults) -> World {
    World::new(count, Faults { source, ..Faults::default() }).await
}

/// The proofs on record, in order.
async fn proofs(world: &World) -> Vec<Proof> {
    let names = world.names();
    let log =
        world.journal.read(&names, Stream::Sync, Some(&names.windows()), From::Start, false).await.unwrap();
    log.filter_map(async |entry| match WindowEvent::decode(&entry.unwrap().payload).unwrap() {
        WindowEvent::Closed(closed) => Some(closed.proof),
        _ => None,
    })
    .collect()
    .await
}

async fn watermark(world: &World) -> i64 {
    let names = world.names();
    let entry = world.journal.last(&names, Stream::Sync, &names.watermark()).await.unwrap().unwrap();
    entry.event::<WatermarkMoved>().unwrap().body.to
}

/// The source rests, and the next run brings whatever the one before left to it.
async fn rest_and_sync(world: &mut World) -> Run {
    world.sandbox.set_faults(Faults::default());
    world.let_settle().await;
    let run = world.sync().await;
    assert!(run.ended.complete, "{:?}", run.ended);
    run
}

/// Every window on record is closed, with a proof for every slice of it.
async fn assert_proved(world: &World, run: &Run) -> Vec<Proof> {
    assert!(run.ended.complete, "{:?}", run.ended);
    for line in &run.account.windows {
        let WindowState::Closed { total, distinct, .. } = &line.state else { panic!("{line:?}") };
        assert_eq!(total, distinct);
    }
    let proofs = proofs(world).await;
    for slice in proofs.iter().flat_map(|proof| &proof.slices) {
        assert_eq!(slice.total, slice.distinct);
        assert!(slice.pages == 1 || slice.confirmed_by.is_some(), "{slice:?}");
    }
    proofs
}

#[tokio::test]
async fn a_window_whose_rows_move_on_every_page_closes_with_proof_and_misses_nothing() {
    let source = SourceFaults { moving_rows: 2, removing_rows: 1, ..SourceFaults::default() };
    let mut world = with(3_000, source).await;
    let run = world.sync().await;
    let proofs = assert_proved(&world, &run).await;
    assert!(proofs[0].slices.len() > 8, "it was split until it settled: {:?}", proofs[0]);
    rest_and_sync(&mut world).await;
    world.assert_source_arrived_once();
}

#[tokio::test]
async fn rows_that_enter_while_others_leave_are_found_by_the_sweep() {
    // Slowly enough that no second holds more orders than a page: what is stamped with one second cannot be split.
    let source = SourceFaults { moving_rows: 1, late_inserts: 1, latency_ms: 40, ..SourceFaults::default() };
    let mut world = with(1_500, source).await;
    world.config.source.limit.concurrency = 1;
    let (every, reach) = (Duration::from_secs(1), Duration::from_secs(9_000 * 86_400));
    world.config.schedule.sweeps =
        vec![Sweep { every: Span::from(every), reach: Span::from(reach), details: false }];
    world.config.schedule.overlap = Span::from(Duration::ZERO);
    let run = world.sync().await;
    let proofs = assert_proved(&world, &run).await;
    assert!(proofs.len() == 2 && proofs.iter().all(|proof| proof.slices.len() > 8), "{proofs:?}");
    rest_and_sync(&mut world).await;
    world.assert_source_arrived_once();
}

#[tokio::test]
async fn orders_on_the_boundary_second_are_neither_lost_nor_doubled() {
    let mut world = with(50, SourceFaults::default()).await;
    world.config.schedule.overlap = Span::from(Duration::ZERO);
    world.config.schedule.settle = Span::from(Duration::ZERO);
    world.sync().await;
    // Each window ends in the very second in which orders are being edited.
    for _ in 0..8 {
        world.sandbox.edit(3);
        world.sandbox.insert(1);
        world.sync().await;
    }
    world.let_settle().await;
    world.sync().await;
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn an_order_from_the_future_does_not_drag_the_watermark() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.ndjson");
    let row = |id: u32, at: &str| {
        format!(r#"{{"order_id":{id},"order_no":"A{id}","update_time":"{at}","items":[]}}"#)
    };
    let rows = [row(1, "2025-01-01 00:00:00"), row(2, "2099-01-01 00:00:00"), row(3, "2025-01-02 00:00:00")];
    std::fs::write(&file, rows.join("\n")).unwrap();
    let world = World::with(Options { orders: Orders::File(file), ..Options::default() }).await;
    let run = world.sync().await;
    assert_eq!(run.account.read, 2);
    assert!(watermark(&world).await < now());
}

#[tokio::test]
async fn a_source_whose_clock_is_behind_keeps_the_watermark_behind_it() {
    let hour = 3_600;
    let behind = SourceFaults { clock_offset_seconds: -hour, ..SourceFaults::default() };
    let mut world = with(120, behind).await;
    world.config.schedule.overlap = Span::from(Duration::ZERO);
    let run = world.sync().await;
    assert!(run.ended.complete, "{:?}", run.ended);
    assert!(watermark(&world).await <= now() - (hour - 5) * 1_000_000);
    // What is edited now is stamped an hour ago, and yet behind the watermark's back nothing happens.
    world.sandbox.edit(10);
    world.sandbox.insert(5);
    world.let_settle().await;
    world.sync().await;
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn one_look_at_a_source_whose_clock_is_far_behind_stops_nothing() {
    for behind in [8 * 3_600, 400 * 86_400, 50 * 365 * 86_400] {
        let mut world = with(120, SourceFaults::default()).await;
        assert!(world.sync().await.ended.complete);
        world.let_settle().await;
        let wrong = SourceFaults { clock_offset_seconds: -behind, ..SourceFaults::default() };
        world.sandbox.set_faults(Faults { source: wrong, ..Faults::default() });
        let _whether_or_not_it_closes = world.fetch().await;
        world.sandbox.set_faults(Faults::default());
        world.sandbox.edit(13);
        world.sandbox.insert(4);
        world.let_settle().await;
        let run = world.sync().await;
        assert!(run.ended.complete && run.account.read >= 17, "{behind}: {:?}", run.account);
        world.assert_all_arrived_once();
    }
}

#[tokio::test]
async fn a_run_by_a_clock_that_is_a_month_ahead_stops_nothing() {
    let mut world = with(120, SourceFaults::default()).await;
    let (every, reach) = (Duration::from_secs(3_600), Duration::from_secs(9_000 * 86_400));
    world.config.schedule.sweeps =
        vec![Sweep { every: Span::from(every), reach: Span::from(reach), details: false }];
    world.config.schedule.deleted = Some(toml::from_str("every = \"1s\"").unwrap());
    let ahead = fetcher::Clock::new(|| now() + 30 * 86_400 * 1_000_000);
    let (journal, live) = (world.nats.journal().await, fetcher::Live::default());
    let ended = fetcher::run_by(ahead, &world.config, journal, fetcher::Mode::Once, live, Default::default());
    assert!(ended.await.unwrap().complete);
    world.sandbox.edit(13);
    world.sandbox.insert(2);
    let (late, removed) = (world.sandbox.insert_late(3), world.sandbox.remove(5));
    world.let_settle().await;
    let run = world.sync().await;
    assert!(run.ended.complete, "{:?}", run.ended);
    world.assert_source_arrived_once();
    assert!(late.len() == 3 && world.report().target.missing == 0, "the sweep had its turn");
    let events = world.mapped().await.into_iter().map(|entry| MappedEvent::decode(&entry.payload).unwrap());
    let deleted = events.filter(|event| matches!(event, MappedEvent::Deleted(_))).count();
    assert_eq!(deleted, removed.len(), "deletions had their turn");
    assert!(watermark(&world).await <= now());
}

#[tokio::test]
async fn a_watermark_of_the_future_is_told_and_put_back() {
    let mut world = with(90, SourceFaults::default()).await;
    world.sync().await;
    let names = world.names();
    let before = world.journal.last(&names, Stream::Sync, &names.watermark()).await.unwrap().unwrap();
    let month = now() + 30 * 86_400 * 1_000_000;
    let moved = WatermarkMoved { to: month, window: events::WindowId::live(2) };
    let record = Record::happened(names.watermark(), "watermark:ahead", &moved, month).unwrap();
    world.journal.publish(&record.expecting(before.seq)).await.unwrap();
    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    assert!(status.is_in_the_future() && world.needs_person(&status));
    world.sandbox.edit(13);
    world.let_settle().await;
    let run = world.sync().await;
    assert!(run.ended.complete && run.account.read == 13, "{:?}", run.account);
    world.assert_all_arrived_once();
    assert!(watermark(&world).await <= now());
    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    assert!(!status.is_in_the_future() && !world.needs_person(&status));
}

#[tokio::test]
async fn orders_of_the_hour_that_a_zone_repeats_are_all_read() {
    // New York shows 01:00 to 02:00 twice, Berlin 02:00 to 03:00: the window begins in the first hour and ends in the second.
    for (zone, day, since, at, times) in [
        ("America/New_York", "2025-11-02", "05:50:00Z", "06:20:00Z", ["01:03:00", "01:19:00", "01:55:00"]),
        ("Europe/Berlin", "2025-10-26", "00:50:00Z", "01:20:00Z", ["02:03:00", "02:19:00", "02:55:00"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("orders.ndjson");
        let rows = times.iter().zip(1..).map(|(at, id)| {
            format!(r#"{{"order_id":{id},"order_no":"A{id}","update_time":"{day} {at}","items":[]}}"#)
        });
        std::fs::write(&file, rows.collect::<Vec<_>>().join("\n")).unwrap();
        let time_zone = jiff::tz::TimeZone::get(zone).unwrap();
        let mut world =
            World::with(Options { orders: Orders::File(file), time_zone, ..Options::default() }).await;
        world.config.source.time_zone = zone.into();
        world.config.schedule.since = Some(format!("{day}T{since}"));
        let until = format!("{day}T{at}").parse::<jiff::Timestamp>().unwrap().as_microsecond();
        let (journal, live) = (world.nats.journal().await, fetcher::Live::default());
        let clock = fetcher::Clock::new(move || until);
        let mode = fetcher::Mode::Once;
        let ended =
            fetcher::run_by(clock, &world.config, journal, mode, live, Default::default()).await.unwrap();
        assert!(ended.complete, "{zone}: {ended:?}");
        let proofs = proofs(&world).await;
        assert_eq!(proofs.iter().map(|proof| proof.distinct).sum::<u64>(), 3, "{zone}: {proofs:?}");
    }
}

#[tokio::test]
async fn a_source_whose_clock_is_ahead_does_not_move_the_watermark_past_ours() {
    let ahead = SourceFaults { clock_offset_seconds: 3_600, ..SourceFaults::default() };
    let world = with(120, ahead).await;
    world.sync().await;
    assert!(watermark(&world).await <= now());
}

#[tokio::test]
async fn a_source_without_a_clock_in_its_answers_is_read_all_the_same() {
    let world = with(250, SourceFaults { omit_now: true, ..SourceFaults::default() }).await;
    let run = world.sync().await;
    assert!(run.ended.complete);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn a_list_without_order_is_proved_page_by_page() {
    let mut world = with(700, SourceFaults { shuffle: true, ..SourceFaults::default() }).await;
    let run = world.sync().await;
    assert!(run.ended.complete, "{:?}", run.ended);
    assert!(proofs(&world).await[0].slices.len() > 4);
    rest_and_sync(&mut world).await;
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn whole_days_are_understood_from_the_request_and_from_the_configuration() {
    for by_request in [true, false] {
        let source = SourceFaults { ignore_seconds: true, moving_rows: 1, ..SourceFaults::default() };
        let mut world = with(900, source).await;
        match by_request {
            true => {
                let request = &mut world.config.source.request;
                request.insert("start_time".into(), Value::String("{{LAST_SYNC_TIME|date}}".into()));
                request.insert("end_time".into(), Value::String("{{CURRENT_TIME|date}}".into()));
            }
            false => world.config.source.granularity = Granularity::Day,
        }
        let run = world.sync().await;
        let settled = proofs(&world).await.first().is_some_and(|proof| proof.slices.len() > 2);
        assert!(run.ended.complete && settled, "{:?}", run.ended);
        rest_and_sync(&mut world).await;
        world.assert_all_arrived_once();
    }
}
