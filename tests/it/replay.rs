//! Replay of a log: what goes out again, what does not, and to whom.

use events::{Log, Outcome, Work};
use journal::Stream;
use operations::{Account, Carried, Operation, Range, Replayed, runs};
use orderflow_tests::{Program, World};
use sandbox::Faults;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

async fn tells(folder: &TempDir, status: i32, args: &[&str]) -> String {
    let program = Program::new(PROGRAM, folder.path(), args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "x");
    let (found, text) = program.said().await;
    assert_eq!(found, status, "{args:?}: {text}");
    text
}

async fn synced(orders: u64) -> (World, TempDir) {
    let world = World::new(orders, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    (world, folder)
}

const BECAUSE: [&str; 4] = ["--execute", "--reason", "a trial", "--detach"];

async fn outcomes(world: &World, outcome: Outcome) -> u64 {
    let found =
        operations::Reconciliation::of(&world.journal, &world.names(), &world.targets()[0]).await.unwrap();
    found.messages.of(outcome)
}

#[tokio::test]
async fn what_the_target_holds_is_not_sent_again_unless_it_is_forced() {
    let (world, folder) = synced(30).await;
    let requests = world.report().target.requests;
    let plan = tells(&folder, 0, &["replay", "--from", "mapped", "--window", "live-000001"]).await;
    assert!(plan.contains("replay 30 orders of MAPPED") && plan.contains("nothing was changed"), "{plan}");
    tells(&folder, 2, &["replay", "--from", "mapped"]).await;
    tells(&folder, 2, &["replay", "--from", "mapped", "--all", "--target", "nobody"]).await;
    tells(&folder, 3, &["replay", "--from", "mapped", "--window", "live-000099"]).await;
    assert_eq!(world.mapped().await.len(), 30);

    let all = ["replay", "--from", "mapped", "--all"];
    tells(&folder, 0, &[&all[..], &BECAUSE].concat()).await;
    world.sync().await;
    assert_eq!((world.report().target.requests, outcomes(&world, Outcome::Unchanged).await), (requests, 30));
    let some = ["replay", "--from", "mapped", "--seq", "3..7", "--force"];
    let done = tells(&folder, 0, &[&some[..], &BECAUSE].concat()).await;
    assert!(done.contains("5 sent again"), "{done}");
    world.sync().await;
    assert_eq!(world.report().target.requests, requests + 5, "the five were written again");
    let account = Account::of(&world.journal, &world.names(), &world.targets(), 1).await.unwrap();
    assert!(account.is_complete(), "{account:?}");
}

#[tokio::test]
async fn something_newer_wins_also_over_a_forced_replay() {
    let (mut world, folder) = synced(10).await;
    let ids = world.sandbox.edit(3);
    world.let_settle().await;
    world.sync().await;
    let old = ["replay", "--from", "mapped", "--seq", "1..10", "--force"];
    tells(&folder, 0, &[&old[..], &BECAUSE].concat()).await;
    world.sync().await;
    assert_eq!(outcomes(&world, Outcome::Superseded).await, ids.len() as u64);
    assert_eq!((world.report().target.stale_overwrites, world.report().target.outdated), (0, 0));
}

#[tokio::test]
async fn pages_are_mapped_again_by_the_mapping_of_today() {
    let (world, folder) = synced(40).await;
    let trial = ["replay", "--from", "raw", "--all", "--target", "none"];
    let said = tells(&folder, 0, &trial).await;
    assert!(said.contains("0 orders would change, 40 stay the same"), "{said}");
    let file = folder.path().join("mapping.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    // With what its case expects: one whose case fails is not used.
    let changed = text.replace("customerName", "buyer");
    assert_ne!(changed, text);
    std::fs::write(&file, &changed).unwrap();
    world.map_with(&changed);
    let said = tells(&folder, 0, &trial).await;
    assert!(said.contains("40 orders would change, 0 stay the same"), "{said}");
    assert!(said.contains("-  \"customerName\": ") && said.contains("+  \"buyer\": "), "{said}");
    assert_eq!(
        world.journal.size(&world.names(), Stream::Mapped).await.unwrap().0,
        40 + 1,
        "nothing was stored"
    );

    let requests = world.report().target.requests;
    let raw = ["replay", "--from", "raw", "--all"];
    tells(&folder, 0, &[&raw[..], &BECAUSE].concat()).await;
    world.sync().await;
    assert_eq!((world.report().target.requests, world.report().target.duplicates), (requests + 40, 0));
    let account = Account::of(&world.journal, &world.names(), &world.targets(), 1).await.unwrap();
    assert!(account.is_complete(), "{account:?}");
    // One that was planned with another mapping is not carried on with this one.
    std::fs::write(&file, &text).unwrap();
    let work = Work::Replay {
        log: Log::Raw,
        messages: vec![(1, 1)],
        orders: 100,
        key: None,
        target: None,
        force: false,
        mapping: Some("another".into()),
        per_second: 1,
    };
    let id =
        operations::begin(&world.journal, &world.names(), "replay", "1".into(), "r", work).await.unwrap();
    let refused = tells(&folder, 5, &["ops", "resume", &id]).await;
    assert!(refused.contains("it was planned with mapping another"), "{refused}");
}

#[tokio::test]
async fn a_replay_for_one_target_is_for_no_other() {
    let mut world = World::new(12, Faults::default()).await;
    let other = service::config::Target { name: "other".into(), ..world.config.targets[0].clone() };
    world.config.targets.push(other);
    world.sync().await;
    let (journal, names, requests) = (&world.journal, world.names(), world.report().target.requests);
    let found = Replayed::plan(journal, &names, Log::Mapped, &Range::default()).await.unwrap();
    assert_eq!((found.messages.len(), found.orders()), (12, 12));
    let work = Work::Replay {
        log: Log::Mapped,
        messages: runs(found.messages.keys().copied()),
        orders: found.orders(),
        key: None,
        target: Some(world.targets()[1].clone()),
        force: true,
        mapping: None,
        per_second: 1_000,
    };
    let id = operations::begin(journal, &names, "replay", "12".into(), "r", work).await.unwrap();
    let mut operation = Operation::named(journal, &names, &id).await.unwrap().unwrap();
    let never = CancellationToken::new();
    let carried = operations::carry(journal, &names, &mut operation, None, &never, |_| {});
    assert_eq!(carried.await.unwrap(), Carried::ToItsEnd);
    world.sync().await;
    assert_eq!(world.report().target.requests, requests + 12, "to one of the two");
    let account = Account::of(journal, &names, &world.targets(), 1).await.unwrap();
    assert!(account.is_complete(), "{account:?}");
    let of = async |target: usize| {
        let target = &world.targets()[target];
        let found = operations::Reconciliation::of(journal, &names, target).await.unwrap();
        (found.messages.mapped, found.messages.of(Outcome::Written))
    };
    assert_eq!((of(0).await, of(1).await), ((12, 12), (24, 24)));
}
