//! A source and a target that misbehave: every order arrives all the same, or is a dead letter, and nothing is hidden.

use events::{DeadLetter, Outcome, Stage};
use futures::StreamExt;
use journal::{From, Stream};
use orderflow_tests::{Run, World};
use sandbox::{Faults, IdShape, RetryAfter, SourceFaults, TargetFaults, TotalField, TotalShape};

async fn with_source(count: u64, source: SourceFaults) -> (World, Run) {
    let world = World::new(count, Faults { source, ..Faults::default() }).await;
    let run = world.sync().await;
    (world, run)
}

async fn with_target(count: u64, target: TargetFaults) -> (World, Run) {
    let world = World::new(count, Faults { target, ..Faults::default() }).await;
    let run = world.sync().await;
    (world, run)
}

async fn letters(world: &World) -> Vec<DeadLetter> {
    let log = world.journal.read(&world.names(), Stream::Dead, None, From::Start, false).await.unwrap();
    log.map(|entry| entry.unwrap().event::<DeadLetter>().unwrap().body).collect().await
}

#[tokio::test]
async fn every_variant_of_the_sources_answers_is_understood() {
    for source in [
        SourceFaults { ids: IdShape::Mixed, total: TotalShape::String, ..SourceFaults::default() },
        SourceFaults { ids: IdShape::String, total_field: TotalField::TotalItem, ..SourceFaults::default() },
        SourceFaults { success_code: Some(0), php_empties: 0.5, ..SourceFaults::default() },
        SourceFaults { success_code: None, omit_expires_in: true, ..SourceFaults::default() },
    ] {
        let (world, run) = with_source(230, source).await;
        world.assert_all_arrived_once();
        assert!(run.account.is_complete());
    }
}

#[tokio::test]
async fn a_source_that_fails_now_and_then_is_asked_again() {
    let source =
        SourceFaults { error_5xx: 0.1, soft_error: 0.1, truncate: 0.1, html: 0.1, ..SourceFaults::default() };
    let (world, run) = with_source(1_500, source).await;
    world.assert_all_arrived_once();
    assert!(run.account.is_complete() && run.account.dead_letters() == 0, "{:?}", run.account);
}

#[tokio::test]
async fn tokens_that_die_early_are_renewed() {
    let (world, _) = with_source(2_000, SourceFaults { token_requests: 5, ..SourceFaults::default() }).await;
    world.assert_all_arrived_once();
    assert!(world.report().source.token_requests >= 4);
}

#[tokio::test]
async fn a_throttling_source_is_obeyed() {
    for retry_after in [RetryAfter::Seconds, RetryAfter::Date, RetryAfter::None] {
        let source = SourceFaults { rate_limit_per_second: 8, retry_after, ..SourceFaults::default() };
        let (world, _) = with_source(2_000, source).await;
        world.assert_all_arrived_once();
        assert!(world.report().source.rate_limited > 0, "the limit was never met: {}", world.report());
    }
}

#[tokio::test]
async fn a_total_that_lies_or_is_missing_fails_the_window_and_the_watermark_stays() {
    for (source, said) in [
        (
            SourceFaults { total_lies: 3, ..SourceFaults::default() },
            "page 1 holds 0 rows where the source counts 3",
        ),
        (
            SourceFaults { total: TotalShape::Missing, ..SourceFaults::default() },
            "expected a number in data.count",
        ),
    ] {
        let (world, run) = with_source(150, source).await;
        let (window, reason) = run.ended.failed.expect("a failed window");
        assert!(reason.contains(said), "{window}: {reason}");
        let names = world.names();
        assert!(world.journal.last(&names, Stream::Sync, &names.watermark()).await.unwrap().is_none());
        let status = operations::Status::read(&world.journal, &names, &world.targets()).await.unwrap();
        assert!(world.needs_person(&status));
    }
}

#[tokio::test]
async fn a_target_that_fails_now_and_then_gets_every_order_once() {
    let target = TargetFaults {
        error_5xx: 0.03,
        soft_error: 0.03,
        html: 0.02,
        slow: 0.05,
        slow_ms: 30,
        ..TargetFaults::default()
    };
    let (world, run) = with_target(1_500, target).await;
    world.assert_all_arrived_once();
    assert_eq!(run.account.dead_letters(), 0, "{:?}", letters(&world).await);
}

#[tokio::test]
async fn a_lost_answer_is_sent_again_under_the_same_key() {
    let (world, run) =
        with_target(1_000, TargetFaults { lost_answer: 0.05, ..TargetFaults::default() }).await;
    world.assert_all_arrived_once();
    let target = world.report().target;
    assert!(target.lost_answers > 10 && target.retried_same_key > 10, "{}", world.report());
    assert_eq!(run.account.dead_letters(), 0);
}

#[tokio::test]
async fn orders_the_target_refuses_are_dead_letters_and_all_others_arrive() {
    let (world, run) =
        with_target(1_000, TargetFaults { refuse_share: 0.05, ..TargetFaults::default() }).await;
    let (report, letters) = (world.report(), letters(&world).await);
    assert!(letters.len() > 20, "{report}");
    assert_eq!(report.target.distinct_orders + letters.len() as u64, 1_000);
    assert_eq!(run.account.targets[0].dead, letters.len() as u64);
    assert!(run.account.is_complete());
    for letter in letters {
        assert_eq!((letter.stage, letter.kind.as_str()), (Stage::Write, "refused"));
        assert!(
            letter.answer.as_ref().is_some_and(|answer| answer.excerpt.contains("客户不存在")),
            "{letter:?}"
        );
        assert_eq!(letter.attempts.len(), 1, "a refusal is not tried again");
        let record: serde_json::Value = serde_json::from_slice(&letter.payload.unpack().unwrap()).unwrap();
        assert_eq!(record["orderId"].to_string(), letter.key.clone().unwrap(), "the payload itself");
        assert!(letter.trace_id.is_some() && letter.mapping.is_some() && letter.origin.raw_seq.is_some());
    }
}

#[tokio::test]
async fn id_check_makes_repeat_an_outcome_of_its_own() {
    let mut world = World::new(120, Faults::default()).await;
    world.sync().await;
    // Another flow to the same target: nothing is known of what it holds.
    world.config.flow = "second".into();
    world.config.targets[0].id_check = true;
    world.config.targets[0].idempotency_header = "X-Other".into();
    let run = world.sync().await;
    assert_eq!(run.account.targets[0].of(Outcome::Repeat), 120, "{:?}", run.account);
    assert_eq!(world.report().target.repeats_refused, 120);
}

#[tokio::test]
async fn an_outage_of_the_target_kills_no_order() {
    let world = World::new(400, Faults::default()).await;
    world.sandbox.set_faults(Faults {
        target: TargetFaults { outage: true, ..TargetFaults::default() },
        ..Faults::default()
    });
    let syncing = world.sync();
    let recovering = async {
        // Requests and probes have failed before the target comes back.
        orderflow_tests::eventually("the target was asked", || world.report().target.requests >= 3).await;
        assert_eq!(world.report().target.distinct_orders, 0);
        world.sandbox.set_faults(Faults::default());
    };
    let (run, ()) = futures::future::join(syncing, recovering).await;
    world.assert_all_arrived_once();
    assert_eq!(run.account.dead_letters(), 0, "{:?}", letters(&world).await);
}

#[tokio::test]
async fn a_throttling_target_is_obeyed_and_kills_no_order() {
    let target = TargetFaults {
        rate_limit_per_minute: 300,
        retry_after: RetryAfter::Seconds,
        penalty_seconds: 1,
        ..TargetFaults::default()
    };
    let world = World::new(500, Faults { target, ..Faults::default() }).await;
    let syncing = world.sync();
    let relenting = async {
        orderflow_tests::eventually("the limit was met", || world.report().target.rate_limited > 0).await;
        world.sandbox.set_faults(Faults::default());
    };
    let (run, ()) = futures::future::join(syncing, relenting).await;
    world.assert_all_arrived_once();
    assert_eq!(run.account.dead_letters(), 0);
}
