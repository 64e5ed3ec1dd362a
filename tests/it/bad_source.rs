//! A source that answers rubbish: each kind of it ends in a clear, bounded, visible state.

use std::time::Duration;

use journal::Stream;
use operations::{Status, WindowState};
use orderflow_tests::World;
use sandbox::{Faults, Options, Orders, PastEnd, SourceFaults};

/// What came of a run against such a source.
struct Came {
    world: World,
    /// Why its window failed; `None` when it closed with a proof.
    failed: Option<String>,
    requests: u64,
}

async fn came_of(count: u64, source: SourceFaults) -> Came {
    let faults = Faults { source, ..Faults::default() };
    let options = Options { orders: sandbox::Orders::Generated { count }, faults, ..Options::default() };
    let world = World::with(options).await;
    let run = tokio::time::timeout(Duration::from_secs(100), world.sync()).await.expect("it ends");
    let failed = run.ended.failed.map(|(_, reason)| reason);
    let names = world.names();
    let watermark = world.journal.last(&names, Stream::Sync, &names.watermark()).await.unwrap();
    assert_eq!(
        failed.is_none(),
        watermark.is_some(),
        "the watermark moves with the proof and with nothing else"
    );
    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    let window = status.window.as_ref().expect("a window");
    match &failed {
        Some(reason) => {
            assert!(world.needs_person(&status));
            assert_eq!(window.state, WindowState::Failed { reason: reason.clone() });
        }
        None => assert!(matches!(window.state, WindowState::Closed { .. }), "{window:?}"),
    }
    let requests = world.report().source.list_requests;
    Came { world, failed, requests }
}

#[tokio::test]
async fn a_page_of_two_hundred_megabytes_is_not_taken_in() {
    let came = came_of(300, SourceFaults { huge_bytes: 200 << 20, ..SourceFaults::default() }).await;
    let reason = came.failed.expect("no proof");
    assert!(reason.contains("has more than 67108864 bytes"), "{reason}");
    assert!(came.requests <= 2, "asking again would bring the same: {}", came.requests);
}

#[tokio::test]
async fn the_same_page_for_ever_is_read_in_slices_that_fit_one_page() {
    // The source ignores the page number but honours the times: what fits into one page is whole.
    let came = came_of(1_500, SourceFaults { same_page: true, ..SourceFaults::default() }).await;
    assert_eq!(came.failed, None);
    came.world.assert_all_arrived_once();
}

#[tokio::test]
async fn the_same_page_whatever_is_asked_is_given_up_within_bounds() {
    let source = SourceFaults { same_page: true, ignore_times: true, ..SourceFaults::default() };
    let came = came_of(1_500, source).await;
    let reason = came.failed.expect("no proof");
    assert!(reason.contains("source.granularity") || reason.contains("is not proved complete"), "{reason}");
    assert!(came.requests < 2_500, "{} requests", came.requests);
}

#[tokio::test]
async fn a_total_that_never_settles_is_given_up_within_bounds() {
    let came = came_of(1_500, SourceFaults { total_jitter: 50, ..SourceFaults::default() }).await;
    let reason = came.failed.expect("no proof");
    assert!(reason.contains("is not proved complete in 5 passes"), "{reason}");
    assert!(came.requests < 2_500, "{} requests", came.requests);
}

#[tokio::test]
async fn a_page_number_beyond_the_end_does_no_harm() {
    for past_end in [PastEnd::Empty, PastEnd::Last, PastEnd::Error] {
        // Rows leave while the pages are read, so that some page numbers lie beyond the end when they are asked for.
        let source = SourceFaults { past_end, removing_rows: 30, ..SourceFaults::default() };
        let came = came_of(1_200, source).await;
        if let Some(reason) = &came.failed {
            assert!(past_end == PastEnd::Error && reason.contains("page out of range"), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_source_that_gives_fewer_rows_a_page_than_asked_for_is_read_all_the_same() {
    let options =
        Options { orders: sandbox::Orders::Generated { count: 900 }, page_limit: 40, ..Options::default() };
    let world = World::with(options).await;
    let run = world.sync().await;
    let (_, reason) = run.ended.failed.expect("100 rows a page are asked for and 40 come");
    assert!(reason.contains("lower source.request.count"), "{reason}");
}

#[tokio::test]
async fn pages_that_lie_too_deep_are_read_in_slices_with_fewer_pages() {
    // By body code 400, and by the statuses that gateways and search engines give.
    for deep_status in [200, 422, 404, 500] {
        let source = SourceFaults { most_rows: 500, deep_status, ..SourceFaults::default() };
        let came = came_of(1_700, source).await;
        assert_eq!(came.failed, None, "{deep_status}");
        came.world.assert_all_arrived_once();
    }
}

#[tokio::test]
async fn a_deep_page_of_one_second_fails_its_window_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.ndjson");
    let row = |id: u32| {
        format!(r#"{{"order_id":{id},"order_no":"A{id}","update_time":"2025-01-01 00:00:00","items":[]}}"#)
    };
    std::fs::write(&file, (0..250).map(row).collect::<Vec<_>>().join("\n")).unwrap();
    let source = SourceFaults { most_rows: 100, ..SourceFaults::default() };
    let faults = Faults { source, ..Faults::default() };
    let world = World::with(Options { orders: Orders::File(file), faults, ..Options::default() }).await;
    let run = tokio::time::timeout(Duration::from_secs(100), world.sync()).await.expect("it ends");
    let (_, reason) = run.ended.failed.expect("what one second holds cannot be split");
    assert!(reason.contains("page 2 cannot be fetched") && reason.contains("too deep"), "{reason}");
}

#[tokio::test]
async fn rows_outside_the_times_that_were_asked_for_are_never_taken() {
    let mut world = World::new(120, Faults::default()).await;
    assert!(world.sync().await.ended.complete);
    // As a cache does that keeps the first answer: few enough rows for one page, and every count fits.
    let source = SourceFaults { ignore_times: true, ..SourceFaults::default() };
    world.sandbox.set_faults(Faults { source, ..Faults::default() });
    world.sandbox.edit(3);
    world.config.source.request.insert("count".into(), toml::Value::Integer(500));
    world.let_settle().await;
    let (_, reason) = world.sync().await.ended.failed.expect("the answer is another question's");
    assert!(reason.contains("whose update_time is") && reason.contains("source.time_field"), "{reason}");
    world.sandbox.set_faults(Faults::default());
    assert!(world.sync().await.ended.complete);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn half_a_json_and_html_are_kept_and_the_window_fails() {
    for source in [
        SourceFaults { truncate: 1.0, ..SourceFaults::default() },
        SourceFaults { html: 1.0, ..SourceFaults::default() },
    ] {
        let came = came_of(120, source).await;
        let reason = came.failed.expect("no proof");
        assert!(reason.contains("page 1 cannot be fetched"), "{reason}");
        let names = came.world.names();
        let filter = format!("{}.dead.fetch.*", names.flow());
        let letters = came.world.journal.subjects(&names, Stream::Dead, &filter).await.unwrap();
        assert_eq!(letters.len(), 1, "the answer is kept");
        assert!(came.requests <= 12, "{} requests", came.requests);
    }
}
