//! Many orders a request: all arrive, a bad one takes no other with it, and none is written twice because of it.

use events::{DeadLetter, Outcome};
use futures::StreamExt;
use journal::{From, Stream};
use orderflow_tests::{Run, World};
use sandbox::{Faults, RetryAfter, TargetFaults};
use service::config::{Secret, TargetKind};

/// A world whose target takes batches, in either form.
async fn world(kind: TargetKind, count: u64, batch: usize, target: TargetFaults) -> World {
    let mut world = World::new(count, Faults { target, ..Faults::default() }).await;
    let url = world.sandbox.url();
    let configured = &mut world.config.targets[0];
    (configured.kind, configured.batch) = (kind, batch);
    if kind == TargetKind::Store {
        configured.url = url;
        (configured.app_key, configured.scheme_id) = ("demo".into(), "s1".into());
        configured.app_secret = Secret::new("demo-secret");
        configured.limit.requests_per_minute = Some(0.0);
    }
    world
}

async fn letters(world: &World) -> Vec<DeadLetter> {
    let log = world.journal.read(&world.names(), Stream::Dead, None, From::Start, false).await.unwrap();
    log.map(|entry| entry.unwrap().event::<DeadLetter>().unwrap().body).collect().await
}

const BOTH: [TargetKind; 2] = [TargetKind::Execute, TargetKind::Store];

#[tokio::test]
async fn a_batch_carries_many_orders_in_few_requests() {
    for kind in BOTH {
        let target = TargetFaults { token_requests: 4, ..TargetFaults::default() };
        let world = world(kind, 1_234, 50, target).await;
        let run = world.sync().await;
        world.assert_all_arrived_once();
        assert!(run.account.is_complete());
        assert_eq!(run.account.targets[0].of(Outcome::Written), 1_234);
        let requests = world.report().target.requests;
        assert!((25..250).contains(&requests), "{kind:?}: {requests} requests for 1,234 orders of 50 each");
        world.sync().await;
        assert_eq!(world.report().target.requests, requests, "nothing changed, so nothing was sent");
    }
}

fn assert_only_the_bad_ones_are_dead(world: &World, run: &Run, letters: &[DeadLetter]) {
    let report = world.report();
    assert!(letters.len() > 10, "{report}");
    assert_eq!(report.target.distinct_orders + letters.len() as u64, report.source.live, "{report}");
    assert!(run.account.is_complete());
    for letter in letters {
        assert!(
            letter.message.contains("客户不存在"),
            "its own answer, not that of its batch: {}",
            letter.message
        );
        let record: serde_json::Value = serde_json::from_slice(&letter.payload.unpack().unwrap()).unwrap();
        assert_eq!(
            record["orderId"].to_string(),
            letter.key.clone().unwrap(),
            "the payload of this order alone"
        );
    }
}

#[tokio::test]
async fn bad_orders_of_a_batch_stand_alone_in_the_end_and_the_others_are_written_once() {
    for kind in BOTH {
        let world =
            world(kind, 800, 40, TargetFaults { refuse_share: 0.04, ..TargetFaults::default() }).await;
        let run = world.sync().await;
        let letters = letters(&world).await;
        assert_only_the_bad_ones_are_dead(&world, &run, &letters);
        let report = world.report();
        assert_eq!((report.target.duplicates, report.target.stale_overwrites), (0, 0), "{kind:?}: {report}");
    }
}

#[tokio::test]
async fn a_target_that_keeps_answers_by_key_does_not_condemn_the_innocent() {
    for kind in BOTH {
        let target = TargetFaults { refuse_share: 0.04, answer_by_key: true, ..TargetFaults::default() };
        let world = world(kind, 400, 40, target).await;
        let run = world.sync().await;
        let letters = letters(&world).await;
        assert_only_the_bad_ones_are_dead(&world, &run, &letters);
    }
}

#[tokio::test]
async fn a_batch_whose_answer_is_lost_goes_out_again_under_its_key() {
    let target = TargetFaults { lost_answer: 0.2, ..TargetFaults::default() };
    let world = world(TargetKind::Execute, 2_000, 40, target).await;
    let run = world.sync().await;
    world.assert_all_arrived_once();
    let report = world.report();
    assert!(report.target.lost_answers > 3 && report.target.retried_same_key >= 40, "{report}");
    assert_eq!(run.account.dead_letters(), 0);
}

/// The open API can be asked, so not even a target that does not know idempotency keys takes anything twice.
#[tokio::test]
async fn where_the_target_can_be_asked_a_lost_answer_costs_no_duplicate() {
    for (batch, lost_answer) in [(1, 0.1), (20, 0.4)] {
        let target = TargetFaults { lost_answer, ignore_idempotency: true, ..TargetFaults::default() };
        let world = world(TargetKind::Store, 400, batch, target).await;
        let run = world.sync().await;
        let report = world.report();
        assert!(report.target.lost_answers > 0, "{report}");
        world.assert_all_arrived_once();
        assert_eq!(run.account.targets[0].of(Outcome::Written), 400);
    }
}

#[tokio::test]
async fn a_server_that_stumbles_over_one_order_is_found_out() {
    let target = TargetFaults {
        error_5xx: 0.05,
        soft_error: 0.05,
        slow: 0.05,
        slow_ms: 30,
        ..TargetFaults::default()
    };
    let world = world(TargetKind::Execute, 1_500, 30, target).await;
    let run = world.sync().await;
    world.assert_all_arrived_once();
    assert_eq!(run.account.dead_letters(), 0, "{:?}", letters(&world).await);
}

#[tokio::test]
async fn repeat_is_told_apart_within_a_batch() {
    let mut world = world(TargetKind::Execute, 120, 30, TargetFaults::default()).await;
    world.sync().await;
    // Another flow to the same target: nothing is known of what it holds.
    world.config.flow = "second".into();
    world.config.targets[0].id_check = true;
    world.config.targets[0].idempotency_header = "X-Other".into();
    let run = world.sync().await;
    assert_eq!(run.account.targets[0].of(Outcome::Repeat), 120, "{:?}", run.account);
}

#[tokio::test]
async fn an_outage_and_throttling_kill_no_order_of_a_batch() {
    let target = TargetFaults {
        rate_limit_per_minute: 5,
        retry_after: RetryAfter::Seconds,
        penalty_seconds: 1,
        ..TargetFaults::default()
    };
    let world = world(TargetKind::Execute, 600, 20, target).await;
    let relenting = async {
        orderflow_tests::eventually("the limit was met", || world.report().target.rate_limited > 0).await;
        let target = TargetFaults { outage: true, ..TargetFaults::default() };
        world.sandbox.set_faults(Faults { target, ..Faults::default() });
        let asked = world.report().target.requests;
        orderflow_tests::eventually("the outage was met", || world.report().target.requests > asked + 1)
            .await;
        world.sandbox.set_faults(Faults::default());
    };
    let (run, ()) = futures::future::join(world.sync(), relenting).await;
    world.assert_all_arrived_once();
    assert_eq!(run.account.dead_letters(), 0);
}
