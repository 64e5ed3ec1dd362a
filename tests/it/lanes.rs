//! What the live windows do not see: late rows, silent edits, deletions; and details.

use std::time::Duration;

use events::{MappedEvent, Outcome};
use journal::Stream;
use operations::{Status, WindowState};
use orderflow_tests::World;
use sandbox::{Faults, Options, Orders, SourceFaults};
use service::config::{Deleted, Detail, Span, Sweep};

const CASE: &str = include_str!("../../deploy/examples/case.mapping.toml");

fn days(days: u64) -> Span {
    Span::from(Duration::from_secs(days * 86_400))
}

fn sweep(details: bool) -> Sweep {
    Sweep { every: Span::from(Duration::from_secs(1)), reach: days(9_000), details }
}

fn deletions() -> Deleted {
    toml::from_str("every = \"1s\"").unwrap()
}

async fn size(world: &World, stream: Stream) -> u64 {
    world.journal.size(&world.names(), stream).await.unwrap().0
}

#[tokio::test]
async fn a_sweep_finds_late_rows_and_silent_edits_and_carries_nothing_else() {
    let mut world = World::new(800, Faults::default()).await;
    world.config.schedule.overlap = Span::from(Duration::ZERO);
    world.sync().await;
    let (late, silent) = (world.sandbox.insert_late(12), world.sandbox.silent_edit(9));
    world.let_settle().await;
    let run = world.sync().await;
    assert_eq!(
        (run.account.read, world.report().target.missing),
        (0, 12),
        "the live windows do not see them"
    );
    let receipts = size(&world, Stream::Receipts).await;

    world.config.schedule.sweeps = vec![sweep(false)];
    world.let_settle().await;
    let run = world.sync().await;
    let account = &run.account;
    assert!(run.ended.complete && account.is_complete(), "{account:?}");
    assert_eq!(account.read, (late.len() + silent.len()) as u64, "{account:?}");
    assert_eq!(account.targets[0].of(Outcome::Written), account.read);
    assert_eq!(size(&world, Stream::Receipts).await - receipts, account.read, "the rest cost nothing");
    assert!(account.windows.iter().any(|line| line.window.starts_with("sweep1-")), "{:?}", account.windows);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn deletions_are_events_of_their_own_and_the_mapping_says_what_becomes_of_them() {
    for record in [true, false] {
        let mut world = World::new(300, Faults::default()).await;
        if record {
            let deleted = "on_delete = \"record\"\ndeleted_at = \"delete_time\"\n";
            let fields = "\n[[deleted_field]]\nto = \"orderId\"\nfrom = \"order_id\"\n\n[[deleted_field]]\nto = \"deleted\"\n\
                          value = true\ntype = \"boolean\"\n";
            world.map_with(&format!("{deleted}{CASE}{fields}"));
        }
        world.config.schedule.deleted = Some(deletions());
        world.sync().await;
        let removed = world.sandbox.remove(20);
        world.sandbox.edit(5);
        world.let_settle().await;
        let run = world.sync().await;
        assert!(run.ended.complete && run.account.is_complete(), "{:?}", run.account);
        let mapped = world.mapped().await.into_iter();
        let mut deleted: Vec<String> = mapped
            .filter_map(|entry| match MappedEvent::decode(&entry.payload).unwrap() {
                MappedEvent::Deleted(deleted) => Some(deleted.0.key.to_string()),
                MappedEvent::Order(_) => None,
            })
            .collect();
        let mut expected = removed.clone();
        deleted.sort();
        expected.sort();
        assert_eq!(deleted, expected);
        let (target, report) = (&run.account.targets[0], world.report());
        match record {
            true => {
                assert_eq!((report.target.deletions, report.target.undeleted), (20, 0), "{report}");
                assert_eq!(target.of(Outcome::Written), 25);
            }
            false => {
                assert_eq!((report.target.deletions, report.target.undeleted), (0, 20), "{report}");
                assert_eq!((target.of(Outcome::Written), target.of(Outcome::Ignored)), (5, 20));
            }
        }
        world.assert_source_arrived_once();
        // Read again in the overlap, they are known.
        let mapped = size(&world, Stream::Mapped).await;
        world.let_settle().await;
        world.sync().await;
        assert_eq!(size(&world, Stream::Mapped).await, mapped);
    }
}

/// The keys of the orders that MAPPED says are deleted, sorted.
async fn deleted_keys(world: &World) -> Vec<String> {
    let events = world.mapped().await.into_iter().map(|entry| MappedEvent::decode(&entry.payload).unwrap());
    let mut keys: Vec<String> = events
        .filter_map(|event| match event {
            MappedEvent::Deleted(deleted) => Some(deleted.0.key.to_string()),
            MappedEvent::Order(_) => None,
        })
        .collect();
    keys.sort();
    keys
}

fn sorted(mut keys: Vec<String>) -> Vec<String> {
    keys.sort();
    keys
}

#[tokio::test]
async fn living_orders_on_the_list_of_deletions_are_not_deleted() {
    let source = SourceFaults { removed_lists_living: true, ..SourceFaults::default() };
    let mut world = World::new(230, Faults { source, ..Faults::default() }).await;
    world.config.schedule.deleted = Some(deletions());
    assert!(world.sync().await.ended.complete);
    let mut removed = Vec::new();
    for _ in 0..2 {
        removed.extend(world.sandbox.remove(9));
        world.sandbox.edit(5);
        world.let_settle().await;
        let run = world.sync().await;
        assert!(run.ended.complete && run.account.dead_letters() == 0, "{:?}", run.account);
        assert_eq!(deleted_keys(&world).await, sorted(removed.clone()));
    }
    world.assert_source_arrived_once();
}

#[tokio::test]
async fn a_condition_says_which_rows_are_deletions_and_one_that_fails_deletes_nothing() {
    let source = SourceFaults { removed_lists_living: true, ..SourceFaults::default() };
    for (when, sound) in [("delete_time > \"2000-01-01\"", true), ("order_id / 0 == 1", false)] {
        let mut world = World::new(60, Faults { source: source.clone(), ..Faults::default() }).await;
        world.sync().await;
        let removed = world.sandbox.remove(7);
        world.let_settle().await;
        world.config.schedule.deleted = Some(Deleted { when: Some(when.into()), ..deletions() });
        let run = world.sync().await;
        assert!(run.ended.complete, "{:?}", run.ended);
        let expected = if sound { removed.clone() } else { Vec::new() };
        assert_eq!(deleted_keys(&world).await, sorted(expected), "{when}");
        // The living ones are counted as kept back; what cannot be said is a dead letter each.
        assert_eq!(run.account.dead_letters() > 0, !sound, "{when}: {:?}", run.account);
        world.assert_source_arrived_once();
    }
}

#[tokio::test]
async fn a_first_pass_that_would_delete_much_asks_first() {
    let mut world = World::new(100, Faults::default()).await;
    world.sync().await;
    let removed = world.sandbox.remove(60);
    world.let_settle().await;
    world.config.schedule.deleted = Some(deletions());
    for _ in 0..2 {
        let run = world.sync().await;
        let (window, reason) = run.ended.failed.expect("it asks");
        assert_eq!(window.lane(), events::DELETED);
        assert!(reason.contains("60 of the 100") && reason.contains("max_share = 0.2"), "{reason}");
        assert_eq!(deleted_keys(&world).await, Vec::<String>::new());
        let status = Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap();
        assert!(world.needs_person(&status));
    }
    world.config.schedule.deleted = Some(Deleted { max_share: 1.0, ..deletions() });
    assert!(world.sync().await.ended.complete);
    assert_eq!(deleted_keys(&world).await, sorted(removed.clone()));
    // The first pass has closed: later ones are not asked about.
    world.config.schedule.deleted = Some(deletions());
    let more = world.sandbox.remove(30);
    world.let_settle().await;
    assert!(world.sync().await.ended.complete);
    assert_eq!(deleted_keys(&world).await, sorted([removed, more].concat()));
}

#[tokio::test]
async fn a_first_pass_is_counted_in_slices_when_deep_pages_are_refused() {
    let mut world = World::new(400, Faults::default()).await;
    world.sync().await;
    let mut removed = Vec::new();
    for _ in 0..2 {
        removed.extend(world.sandbox.remove(70));
        // Two seconds, so that a slice of one second holds those of one round only.
        world.let_settle().await;
        world.let_settle().await;
    }
    let source = SourceFaults { most_rows: 100, deep_status: 422, ..SourceFaults::default() };
    world.sandbox.set_faults(Faults { source, ..Faults::default() });
    world.config.schedule.deleted = Some(deletions());
    let (_, reason) = world.sync().await.ended.failed.expect("it asks");
    assert!(reason.contains("140 of the 400"), "{reason}");
    world.config.schedule.deleted = Some(Deleted { max_share: 0.5, ..deletions() });
    let ended = world.sync().await.ended;
    assert!(ended.complete, "{ended:?}");
    assert_eq!(deleted_keys(&world).await, sorted(removed));
}

#[tokio::test]
async fn a_detail_of_another_order_is_asked_for_again() {
    let source = SourceFaults { other_detail: 0.4, ..SourceFaults::default() };
    let world = with_details(120, source).await;
    let run = world.sync().await;
    assert!(run.ended.complete && run.account.dead_letters() == 0, "{:?}", run.account);
    assert_eq!(run.account.read, 120, "{:?}", run.account);
    world.assert_all_arrived_once();
}

async fn with_details(count: u64, source: SourceFaults) -> World {
    let options = Options {
        orders: Orders::Generated { count },
        faults: Faults { source, ..Faults::default() },
        brief_rows: true,
        ..Options::default()
    };
    let mut world = World::with(options).await;
    let detail: Detail = toml::from_str("").unwrap();
    world.config.source.detail = Some(detail);
    world
}

#[tokio::test]
async fn details_are_fetched_for_what_changed_and_travel_with_their_page() {
    let mut world = with_details(230, SourceFaults::default()).await;
    let run = world.sync().await;
    assert!(run.ended.complete && run.account.dead_letters() == 0, "{:?}", run.account);
    world.assert_all_arrived_once();
    assert_eq!(world.report().source.info_requests, 230, "one each, although the pages were looked at twice");
    world.sandbox.edit(7);
    world.config.schedule.overlap = days(9_000);
    world.let_settle().await;
    world.sync().await;
    world.assert_all_arrived_once();
    assert_eq!(world.report().source.info_requests, 237);
}

#[tokio::test]
async fn a_detail_that_changed_behind_an_unchanged_row_is_found_by_a_sweep_that_compares() {
    let mut world = with_details(120, SourceFaults::default()).await;
    world.sync().await;
    let silent = world.sandbox.silent_edit(6);
    world.config.schedule.sweeps = vec![sweep(true)];
    world.let_settle().await;
    let run = world.sync().await;
    assert!(run.ended.complete, "{:?}", run.ended);
    assert_eq!(run.account.read, silent.len() as u64, "{:?}", run.account);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn an_order_that_vanishes_between_list_and_detail_is_no_error() {
    let source = SourceFaults { detail_gone: 0.2, ..SourceFaults::default() };
    let world = with_details(90, source).await;
    let run = world.sync().await;
    assert!(run.ended.complete && run.account.is_complete() && run.account.dead_letters() == 0);
    assert!(run.account.gone > 5, "{:?}", run.account);
    // They are listed and cannot be had, so the window is not proved until they are: here the next look finds them.
    assert_eq!(run.account.read, 90, "{:?}", run.account);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn an_order_that_stays_listed_and_cannot_be_had_keeps_the_window_open() {
    let source = SourceFaults { detail_gone: 1.0, ..SourceFaults::default() };
    let mut world = with_details(30, source).await;
    let run = world.sync().await;
    let (_, reason) = run.ended.failed.expect("no proof");
    assert!(reason.contains("30 orders were listed and gone"), "{reason}");
    world.sandbox.set_faults(Faults::default());
    world.let_settle().await;
    assert!(world.sync().await.ended.complete);
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn a_fetcher_without_the_deleted_schedule_does_not_take_orders_for_deletions() {
    let mut world = World::new(120, Faults::default()).await;
    world.sync().await;
    world.sandbox.edit(20);
    world.sandbox.remove(5);
    world.let_settle().await;
    // One fetcher knows how deletions are asked for, and opens the window; the other one takes jobs as well.
    let without = {
        let (config, journal) = (world.config.clone(), world.nats.journal().await);
        let stop = tokio_util::sync::CancellationToken::new();
        let running = stop.clone();
        let fetching = tokio::spawn(async move {
            fetcher::run(&config, journal, fetcher::Mode::Forever, fetcher::Live::default(), running)
                .await
                .unwrap()
        });
        (stop, fetching)
    };
    world.config.schedule.deleted = Some(deletions());
    let run = world.sync().await;
    without.0.cancel();
    without.1.await.unwrap();
    assert!(run.ended.complete, "{:?}", run.ended);
    let mapped = world.mapped().await.into_iter();
    let events = mapped.map(|entry| MappedEvent::decode(&entry.payload).unwrap());
    assert_eq!(events.filter(|event| matches!(event, MappedEvent::Deleted(_))).count(), 5);
    world.assert_source_arrived_once();
}

#[tokio::test]
async fn a_sweep_goes_on_under_another_rhythm() {
    let mut world = World::new(60, Faults::default()).await;
    world.config.schedule.overlap = Span::from(Duration::ZERO);
    for every in [1, 3_600, 2] {
        world.config.schedule.sweeps =
            vec![Sweep { every: Span::from(Duration::from_secs(every)), ..sweep(false) }];
        world.sandbox.insert_late(4);
        world.let_settle().await;
        world.sync().await;
    }
    // The hourly slot may have been swept already, by the one of a second: then the last one finds what it left.
    world.assert_all_arrived_once();
}

#[tokio::test]
async fn a_failed_detail_is_asked_for_again_and_its_page_is_not_lost() {
    let source = SourceFaults { error_5xx: 0.1, html: 0.05, token_requests: 40, ..SourceFaults::default() };
    let world = with_details(150, source).await;
    let run = world.sync().await;
    assert!(run.ended.complete && run.account.dead_letters() == 0, "{:?}", run.account);
    assert!(run.account.windows.iter().all(|line| matches!(line.state, WindowState::Closed { .. })));
    world.assert_all_arrived_once();
}
