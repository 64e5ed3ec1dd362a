//! Dead letters from the command line: the real program against real streams, through an incident and its repair.

use events::{Command, DeadLetter, DeadResolved, Outcome, Stage, Work};
use futures::StreamExt;
use journal::{From, Record, Stream};
use operations::{Account, Carried, Mask, Operation, Selection, State, Status, Story, runs};
use orderflow_tests::{Program, World};
use sandbox::{Faults, TargetFaults};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::PROGRAM;

/// A pipeline whose target refused every order, and the folder of its operator.
pub async fn refused(orders: u64) -> (World, TempDir) {
    let refusing = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
    let mut world = World::new(orders, Faults { target: refusing, ..Faults::default() }).await;
    world.config.targets[0].stop.after = 0;
    world.sync().await;
    world.sandbox.set_faults(Faults::default());
    let folder = world.folder_of_a_program("");
    (world, folder)
}

async fn said(folder: &TempDir, args: &[&str]) -> (i32, String) {
    Program::new(PROGRAM, folder.path(), args).env("ORDERFLOW_SOURCE__CLIENT_SECRET", "x").said().await
}

/// Runs the command and expects this exit status.
async fn tells(folder: &TempDir, status: i32, args: &[&str]) -> String {
    let (found, text) = said(folder, args).await;
    assert_eq!(found, status, "{args:?}: {text}");
    text
}

async fn open(world: &World) -> Vec<u64> {
    let lines = Selection::default().read(&world.journal, &world.names()).await.unwrap();
    lines.into_iter().map(|line| line.letter).collect()
}

async fn messages(world: &World, stream: Stream) -> u64 {
    world.journal.size(&world.names(), stream).await.unwrap().0
}

#[tokio::test]
async fn an_incident_is_looked_into_repaired_and_remembered() {
    let (world, folder) = refused(6).await;
    let letters = open(&world).await;
    assert_eq!(letters.len(), 6);
    let groups = tells(&folder, 0, &["dead", "groups"]).await;
    assert!(groups.contains("6 open, 0 dealt with  write to qeasy refused"), "{groups}");
    assert!(groups.contains("客户不存在"), "{groups}");
    let group = groups.split(' ').next().unwrap().to_string();
    let list = tells(&folder, 0, &["dead", "list", "--group", &group, "-o", "json"]).await;
    assert_eq!(list.matches("\"letter\":").count(), 6, "{list}");
    let show = tells(&folder, 0, &["dead", "show", &letters[0].to_string()]).await;
    assert!(
        show.contains("\"orderId\":") && show.contains("attempt 1") && show.contains("it is open"),
        "{show}"
    );

    // What is personal is not shown, nor where the target's answer repeats it.
    let name = show.split("\"customerName\": \"").nth(1).unwrap().split('"').next().unwrap().to_string();
    let path = folder.path().join("orderflow.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        format!("{config}\n[operators]\npersonal = [\"customerName\", \"customer_name\", \"name\"]\n"),
    )
    .unwrap();
    let key = show.split("\"orderId\": ").nth(1).unwrap().split(',').next().unwrap().to_string();
    for command in [
        &["dead", "show", &letters[0].to_string()][..],
        &["dead", "export"],
        &["map", "preview", &key],
        &["trace", &key],
    ] {
        let masked = tells(&folder, 0, command).await;
        assert!(
            masked.contains("***") != command.contains(&"trace") && !masked.contains(&name),
            "{name}: {masked}"
        );
    }
    std::fs::write(&path, config).unwrap();

    // Nothing changes without --execute, and nothing without a reason.
    let before = (messages(&world, Stream::Mapped).await, messages(&world, Stream::Dead).await);
    let plan = tells(&folder, 0, &["dead", "retry", "--group", &group]).await;
    assert!(plan.contains("retry 6 letters") && plan.contains("nothing was changed"), "{plan}");
    for wrong in [&["dead", "retry"][..], &["dead", "retry", "--all", "--execute"]] {
        tells(&folder, 2, wrong).await;
    }
    tells(&folder, 3, &["dead", "retry", "9999"]).await;
    assert_eq!((messages(&world, Stream::Mapped).await, messages(&world, Stream::Dead).await), before);

    // One is corrected, one is closed, all others are sent again.
    let (edited, discarded) = (letters[1].to_string(), letters[2].to_string());
    let set = ["dead", "edit", &edited, "--set", "customerName=李明"];
    let change = tells(&folder, 0, &set).await;
    assert!(
        change.contains("+  \"customerName\": \"李明\"") && change.contains("nothing was changed"),
        "{change}"
    );
    let key = tells(&folder, 2, &["dead", "edit", &edited, "--set", "orderId=1"]).await;
    assert!(key.contains("orderId says which order it is"), "{key}");
    let because = ["--execute", "--reason", "the customer was missing"];
    // Nothing runs, so nobody waits for what comes of it.
    tells(&folder, 0, &[&set[..], &because, &["--detach"]].concat()).await;
    tells(&folder, 5, &set).await;
    tells(&folder, 0, &[&["dead", "discard", &discarded][..], &because].concat()).await;
    let retry = ["dead", "retry", "--group", &group, "--detach"];
    let done = tells(&folder, 0, &[&retry[..], &because].concat()).await;
    assert!(done.contains("retry 4 letters") && done.contains("4 sent again"), "{done}");
    world.sync().await;

    let report = world.report();
    assert_eq!((report.target.distinct_orders, report.target.duplicates), (5, 0), "{report}");
    let status = Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap();
    assert_eq!((status.dead_open, status.orders), (0, 5));
    let account = Account::of(&world.journal, &world.names(), &world.targets(), 1).await.unwrap();
    assert!(account.is_complete(), "{account:?}");
    assert_eq!((account.targets[0].of(Outcome::Written), account.dead_letters()), (5, 1), "{account:?}");
    assert_eq!(said(&folder, &["dead", "groups"]).await.0, 3, "no group is open");
    // All of it is remembered: by the letters, by the operations, by the order.
    let all = tells(&folder, 0, &["dead", "list", "--all"]).await;
    assert_eq!((all.matches("retried").count(), all.matches("edited").count()), (4, 1), "{all}");
    let operations = tells(&folder, 0, &["ops", "list"]).await;
    for verb in ["edit-", "discard-", "retry-"] {
        assert!(operations.contains(verb), "{operations}");
    }
    let key = Selection { letters: vec![letters[1]], closed: true, ..Selection::default() };
    let key = key.read(&world.journal, &world.names()).await.unwrap()[0].key.clone().unwrap();
    let story = tells(&folder, 0, &["trace", &key]).await;
    for part in
        ["fetched", "mapped", "attempt", "dead", "edited: ", "generation 1, again of letter", "written"]
    {
        assert!(story.contains(part), "{part}: {story}");
    }
}

#[tokio::test]
async fn a_letter_counts_its_retries_and_too_many_are_refused() {
    let (world, folder) = refused(2).await;
    let refusing = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
    world.sandbox.set_faults(Faults { target: refusing, ..Faults::default() });
    let retry = ["dead", "retry", "--all", "--max-replays", "1", "--execute", "--reason", "hope", "--detach"];
    let first: Vec<DeadLetter> = letters(&world).await;
    tells(&folder, 0, &retry).await;
    world.sync().await;
    let all = letters(&world).await;
    assert_eq!(all.iter().map(|letter| letter.retries).collect::<Vec<_>>(), [0, 0, 1, 1]);
    let payload =
        |letters: &[DeadLetter]| letters.iter().map(|letter| letter.payload.clone()).collect::<Vec<_>>();
    assert_eq!(payload(&all[2..]).len(), payload(&first).len());
    assert!(payload(&all[2..]).iter().all(|again| payload(&first).contains(again)), "the very bytes");
    let (status, plan) = said(&folder, &retry).await;
    assert_eq!(status, 5, "there are letters, and they may not be retried: {plan}");
    assert!(plan.contains("2 are left alone: it was retried 1 times"), "{plan}");
    assert_eq!(open(&world).await.len(), 2, "they stay open");
}

#[tokio::test]
async fn a_letter_of_one_target_goes_back_to_that_one_alone() {
    let refusing = TargetFaults { refuse_share: 1.0, ..TargetFaults::default() };
    let mut world = World::new(3, Faults { target: refusing, ..Faults::default() }).await;
    let other = service::config::Target { name: "other".into(), ..world.config.targets[0].clone() };
    world.config.targets.push(other);
    world.sync().await;
    world.sandbox.set_faults(Faults::default());
    let folder = world.folder_of_a_program("");
    assert_eq!(open(&world).await.len(), 6, "each target has its own");
    let all = ["dead", "retry", "--all", "--execute", "--reason", "tests", "--detach"];
    tells(&folder, 0, &all).await;
    world.sync().await;
    for target in &world.targets() {
        let found = operations::Reconciliation::of(&world.journal, &world.names(), target).await.unwrap();
        let messages = &found.messages;
        assert_eq!((messages.mapped, messages.of(Outcome::Written), messages.dead), (6, 3, 3), "{found:?}");
        assert!(found.is_settled() && found.faults().is_empty(), "{found:?}");
    }
    let account = Account::of(&world.journal, &world.names(), &world.targets(), 1).await.unwrap();
    assert!(account.is_complete() && account.dead_letters() == 0, "{account:?}");
}

async fn letters(world: &World) -> Vec<DeadLetter> {
    let filter = world.names().dead(Stage::Write, "*");
    let log =
        world.journal.read(&world.names(), Stream::Dead, Some(&filter), From::Start, false).await.unwrap();
    log.map(|entry| entry.unwrap().event::<DeadLetter>().unwrap().body).collect().await
}

#[tokio::test]
async fn an_operation_whose_process_died_is_carried_on_and_acts_on_what_it_said() {
    let (world, folder) = refused(30).await;
    let (journal, names, all) = (&world.journal, world.names(), open(&world).await);
    let work = Work::Retry { letters: runs(all[..20].iter().copied()), max_replays: 5, per_second: 8 };
    let id = operations::begin(journal, &names, "retry", "20 letters".into(), "r", work).await.unwrap();
    let mut operation = Operation::named(journal, &names, &id).await.unwrap().unwrap();
    let stop = CancellationToken::new();
    let after_the_first_step = |_: &Operation| stop.cancel();
    let carried =
        operations::carry(journal, &names, &mut operation, None, &stop, after_the_first_step).await.unwrap();
    assert_eq!((carried, operation.done, operation.state), (Carried::Stopped, 8, State::Running));
    // Meanwhile somebody closes one of them by other means, and more letters come that it said nothing of.
    let (how, reason) = ("discarded".to_string(), "seen".to_string());
    let event = DeadResolved { letter: all[19], how, reason, operation: None };
    let id_of = format!("resolved:{}", all[19]);
    journal.publish(&Record::new(names.dead_resolved(), id_of, &event).unwrap()).await.unwrap();

    let text = tells(&folder, 4, &["ops", "resume", &id, "--detach"]).await;
    assert!(text.contains("19 sent again") && text.contains("; 1 not done"), "{text}");
    assert!(text.contains(&format!("not {}: it is discarded already: seen", all[19])), "{text}");
    assert_eq!(open(&world).await, all[20..], "no more and no fewer");
    assert_eq!(world.mapped().await.len(), 30 + 19);
    world.sync().await;
    assert_eq!((world.report().target.distinct_orders, world.report().target.duplicates), (19, 0));
    tells(&folder, 5, &["ops", "resume", &id]).await;
    tells(&folder, 3, &["ops", "show", "retry-1"]).await;
}

#[tokio::test]
async fn an_operation_can_be_paused_slowed_and_cancelled_while_another_process_carries_it() {
    let (world, folder) = refused(40).await;
    let (journal, names, all) = (world.nats.journal().await, world.names(), open(&world).await);
    let work = Work::Discard { letters: runs(all.iter().copied()), per_second: 10 };
    let id = operations::begin(&journal, &names, "discard", "40".into(), "r", work).await.unwrap();
    let (moved, mut seen) = tokio::sync::watch::channel(0);
    let carrying = tokio::spawn({
        let (journal, names, id) = (journal.clone(), names.clone(), id.clone());
        async move {
            let mut operation = Operation::named(&journal, &names, &id).await.unwrap().unwrap();
            let never = CancellationToken::new();
            let tell = |operation: &Operation| {
                moved.send_replace(operation.done);
            };
            let carried = operations::carry(&journal, &names, &mut operation, None, &never, tell);
            (carried.await.unwrap(), operation)
        }
    });
    seen.wait_for(|done| *done >= 10).await.unwrap();
    tells(&folder, 0, &["ops", "pause", &id]).await;
    tells(&folder, 0, &["ops", "rate", &id, "1000"]).await;
    let text = tells(&folder, 0, &["ops", "cancel", &id]).await;
    assert!(text.contains("cancelled"), "{text}");
    let (carried, operation) = carrying.await.unwrap();
    assert_eq!((carried, operation.state), (Carried::Cancelled, State::Cancelled));
    let commands: Vec<Command> = operation.said.iter().map(|said| said.command).collect();
    assert_eq!(commands, [Command::Pause, Command::Rate(1_000), Command::Cancel]);
    assert_eq!(open(&world).await.len() as u64, 40 - operation.done, "what is done stays done");
    assert!(operation.done < 40);
}

#[tokio::test]
async fn an_order_is_found_by_its_key_by_its_number_and_while_it_is_under_way() {
    let mut world = World::new(20, Faults::default()).await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    let ids = world.sandbox.edit(1);
    world.let_settle().await;
    world.sync().await;
    let story = async |text: &str| {
        Story::of(&world.journal, &world.names(), &world.targets(), text, &Mask::default()).await.unwrap()
    };
    let by_key = story(&ids[0]).await.unwrap();
    let number = by_key.number.clone().unwrap();
    assert_eq!(story(&number).await.unwrap(), by_key);
    assert!(by_key.under_way.is_empty() && by_key.steps.is_sorted(), "{by_key:?}");
    assert_eq!(by_key.steps.len(), 6, "fetched, mapped and written, twice: {by_key:?}");
    assert!(story("none").await.is_none());
    tells(&folder, 3, &["trace", "none"]).await;
    tells(&folder, 0, &["windows"]).await;
    let window = tells(&folder, 0, &["windows", "live-000001"]).await;
    assert!(window.contains("the source counts 20 orders, and 20 distinct ones were read"), "{window}");
    tells(&folder, 3, &["windows", "live-000099"]).await;
}

#[tokio::test]
async fn a_row_that_cannot_be_mapped_is_corrected_and_goes_on() {
    let world = crate::account::dirty().await;
    world.sync().await;
    let folder = world.folder_of_a_program("");
    let of_order = Selection { keys: vec!["3".into()], ..Selection::default() };
    let lines = of_order.read(&world.journal, &world.names()).await.unwrap();
    assert_eq!((lines.len(), lines[0].stage), (1, Stage::Transform));
    let letter = lines[0].letter.to_string();
    let edit = |set: &'static str| ["dead", "edit", &letter, "--set", set].map(str::to_string);
    for (set, status, why) in [
        ("order_id=9", 2, "found 9 (A3) @"),
        ("update_time=2025-01-02 00:00:00", 2, "cannot be edited"),
        ("items.0.price=lots", 2, "--set: items.0.price: found \"lots\", expected a number"),
        ("items.0.prise=5", 2, "did you mean items.0.price?"),
        ("items=5", 2, "items: found 5, expected a list"),
    ] {
        let args = edit(set);
        let text = tells(&folder, status, &args.each_ref().map(String::as_str)).await;
        assert!(text.contains(why), "{text}");
    }
    let args = edit("items.0.price=5");
    let args = args.each_ref().map(String::as_str);
    let plan = tells(&folder, 0, &args).await;
    assert!(plan.contains("nothing was changed") && open(&world).await.len() == 5, "{plan}");
    let because = ["--execute", "--reason", "the customer told us the price", "--detach"];
    tells(&folder, 0, &[&args[..], &because].concat()).await;
    tells(&folder, 5, &args).await;
    world.sync().await;
    assert_eq!((world.report().target.distinct_orders, open(&world).await.len()), (3, 4));
    let status = Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap();
    assert_eq!((status.dead_open, status.orders), (4, 3));
    let story = tells(&folder, 0, &["trace", "3"]).await;
    for part in ["fetched", "dead", "edited", "again of letter", "written"] {
        assert!(story.contains(part), "{part}: {story}");
    }
}
