//! Edits whose process was killed on the way: the next look at the operations ends them as far as they came.

use events::{Actor, ContentHash, DeadResolved, OperationStarted, Outcome, encode, now};
use journal::{Label, Record, Stream};
use operations::{About, Operation, Reconciliation, Selection, State, editable};
use orderflow_tests::{Program, World};
use tempfile::TempDir;

use crate::PROGRAM;
use crate::dead::refused;

/// Longer than any edit is silent.
const LONG_AGO: i64 = 601_000_000;

async fn look(folder: &TempDir) -> String {
    let program = Program::new(PROGRAM, folder.path(), &["ops", "list"]);
    let (status, text) = program.env("ORDERFLOW_SOURCE__CLIENT_SECRET", "x").said().await;
    assert_eq!(status, 0, "{text}");
    text
}

/// The first message of an edit that began so long ago; returns its place in OPS.
async fn begun(world: &World, id: &str, ago: i64) -> u64 {
    let event = OperationStarted {
        id: id.into(),
        verb: "edit".into(),
        actor: Actor { user: "li".into(), host: "erp".into() },
        plan: "send an order with a corrected record".into(),
        from_sync: 0,
        reason: String::new(),
        work: None,
    };
    let mut record = Record::new(world.names().operation(id), format!("started:{id}"), &event).unwrap();
    record.payload = encode(&event, now() - ago).unwrap();
    world.journal.publish(&record).await.unwrap().seq
}

/// The second one: the correction, in MAPPED.
async fn sent(world: &World, letter: u64, generation: u64) {
    let found = editable(&world.journal, &world.names(), letter).await.unwrap().unwrap();
    let About::Record(refused) = found.about else { panic!("about a row") };
    let mut order = refused.order;
    order.version.generation = u32::try_from(generation).unwrap();
    order.record = String::from_utf8(found.text).unwrap().replacen('{', "{\"corrected\":true,", 1).into();
    order.content = ContentHash::of(&order.record);
    let record = Record::new(world.names().mapped_of(&order.key), format!("edit:{letter}"), &order).unwrap();
    let origin = format!("{}/{}", order.origin.raw_seq, order.origin.row);
    let record = record.labelled(Label::Origin, origin).labelled(Label::Letter, letter);
    world.journal.publish(&record).await.unwrap();
}

/// The third one: the letter is closed.
async fn closed(world: &World, letter: u64, operation: Option<&str>) {
    let how = if operation.is_some() { "edited" } else { "discarded" };
    let (how, reason, operation) = (how.into(), "by phone".into(), operation.map(str::to_string));
    let event = DeadResolved { letter, how, reason, operation };
    let record = Record::new(world.names().dead_resolved(), format!("resolved:{letter}"), &event).unwrap();
    world.journal.publish(&record).await.unwrap();
}

async fn ended(world: &World, id: &str) -> (State, String) {
    let operation = Operation::named(&world.journal, &world.names(), id).await.unwrap().unwrap();
    (operation.state, operation.result.unwrap_or_default())
}

#[tokio::test]
async fn an_edit_whose_process_was_killed_ends_where_it_was() {
    let (world, folder) = refused(5).await;
    let (journal, names) = (&world.journal, world.names());
    let open = async || {
        let lines = Selection::default().read(journal, &names).await.unwrap();
        lines.into_iter().map(|line| line.letter).collect::<Vec<u64>>()
    };
    let letters = open().await;
    begun(&world, "edit-1", LONG_AGO).await;
    sent(&world, letters[1], begun(&world, "edit-2", LONG_AGO).await).await;
    sent(&world, letters[2], begun(&world, "edit-3", LONG_AGO).await).await;
    closed(&world, letters[2], Some("edit-3")).await;
    sent(&world, letters[3], begun(&world, "edit-4", LONG_AGO).await).await;
    closed(&world, letters[3], None).await;
    begun(&world, "edit-5", 0).await;
    look(&folder).await;

    let (state, result) = ended(&world, "edit-1").await;
    assert!(state == State::Incomplete && result.contains("nothing was changed"), "{result}");
    for id in ["edit-2", "edit-3"] {
        let (state, result) = ended(&world, id).await;
        assert!(state == State::Complete && result.contains("is on its way"), "{id}: {result}");
    }
    let (state, result) = ended(&world, "edit-4").await;
    assert!(state == State::Incomplete && result.contains("closed otherwise"), "{result}");
    assert_eq!(ended(&world, "edit-5").await, (State::Running, String::new()), "its process may be alive");
    assert_eq!(open().await, [letters[0], letters[4]]);

    // Once is enough, and what was sent is written.
    let before = journal.size(&names, Stream::Ops).await.unwrap().0;
    look(&folder).await;
    assert_eq!(journal.size(&names, Stream::Ops).await.unwrap().0, before);
    world.sync().await;
    let found = Reconciliation::of(journal, &names, &world.targets()[0]).await.unwrap();
    assert_eq!(found.messages.of(Outcome::Written), 3, "{found:?}");
}
