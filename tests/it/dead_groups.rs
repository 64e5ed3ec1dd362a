//! Dead letters of every stage, grouped by what went wrong, and each of them with all that it takes to understand it.

use std::collections::BTreeSet;

use events::{DeadLetter, DeadResolved, Listing, Stage};
use futures::StreamExt;
use journal::{Entry, From, Label, Record, Stream};
use operations::{DeadGroup, Mask};
use orderflow_tests::World;
use sandbox::{Faults, Options, Orders, SourceFaults, TargetFaults};

async fn entries(world: &World) -> Vec<Entry> {
    let log = world.journal.read(&world.names(), Stream::Dead, None, From::Start, false).await.unwrap();
    log.map(Result::unwrap).collect().await
}

fn letter(entry: &Entry) -> DeadLetter {
    entry.event().unwrap().body
}

async fn groups(world: &World) -> Vec<DeadGroup> {
    DeadGroup::all(&world.journal, &world.names(), &Mask::default()).await.unwrap()
}

/// Eighty good orders, and twenty each with another price that is none; the target refuses some of the good ones.
async fn of_two_stages() -> World {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.ndjson");
    let order = |id: u32| {
        let price = if id.is_multiple_of(5) { format!("\"many {id}\"") } else { format!("{id}.50") };
        format!(
            "{{\"order_id\":{id},\"order_no\":\"SO-{id}\",\"update_time\":\"2025-01-01 00:00:{:02}\",\
             \"items\":[{{\"quantity\":1,\"price\":{price}}}]}}\n",
            id % 60
        )
    };
    std::fs::write(&file, (101..=200).map(order).collect::<String>()).unwrap();
    let target =
        TargetFaults { refuse: vec!["101".into(), "102".into(), "103".into()], ..TargetFaults::default() };
    let faults = Faults { target, ..Faults::default() };
    World::with(Options { orders: Orders::File(file), faults, ..Options::default() }).await
}

#[tokio::test]
async fn letters_that_say_the_same_are_one_group_whichever_order_they_are_about() {
    let world = of_two_stages().await;
    world.sync().await;
    let (letters, found) = (entries(&world).await, groups(&world).await);
    assert_eq!(letters.len(), 23);
    assert_eq!(found.len(), 2, "{found:?}");
    let (transform, write) = (&found[0], &found[1]);
    assert_eq!((transform.stage, transform.kind.as_str()), (Stage::Transform, "bad_element"));
    assert_eq!((transform.open, transform.resolved), (20, 0));
    assert!(transform.pattern.contains("found \"…\", expected a number"), "{}", transform.pattern);
    assert!(transform.targets.is_empty());
    assert_eq!((write.stage, write.kind.as_str(), write.open), (Stage::Write, "refused", 3));
    assert!(write.pattern.contains("客户不存在"), "{}", write.pattern);
    assert_eq!(write.targets, BTreeSet::from(["qeasy".to_string()]));
    let mapping = transformer::load_mapping(&world.config).unwrap().version().to_string();
    for group in &found {
        assert_eq!(group.mappings, BTreeSet::from([mapping.clone()]));
        let of_it =
            letters.iter().filter(|entry| entry.label(Label::Fingerprint) == Some(&group.fingerprint));
        let at: Vec<i64> = of_it.map(|entry| entry.stored_at).collect();
        assert_eq!(at.len() as u64, group.open);
        assert_eq!((group.first_seen, group.last_seen), (at[0], at[at.len() - 1]));
        assert!(group.first_seen > 1_700_000_000_000_000, "microseconds: {}", group.first_seen);
    }
}

#[tokio::test]
async fn letters_without_a_label_count_too_and_what_was_dealt_with_is_not_open() {
    let world = of_two_stages().await;
    world.sync().await;
    let names = world.names();
    // As letters were written before there were fingerprints.
    let mut old = letter(&entries(&world).await[0]);
    old.message = old.message.replace("many ", "few ");
    let record = Record::new(names.dead(old.stage, &old.kind), "old", &old).unwrap();
    world.journal.publish(&record).await.unwrap();
    // And what no build of today can read.
    let strange = DeadResolved { letter: 1, how: "x".into(), reason: "x".into(), operation: None };
    let record = Record::new(names.dead(Stage::Transform, "strange"), "strange", &strange).unwrap();
    world.journal.publish(&record).await.unwrap();
    let transform = groups(&world).await.remove(0);
    assert_eq!((transform.fingerprint, transform.open), (old.fingerprint(), 21));
    for number in [1, 2] {
        let event =
            DeadResolved { letter: number, how: "discarded".into(), reason: "seen".into(), operation: None };
        let record = Record::new(names.dead_resolved(), format!("resolved:{number}"), &event).unwrap();
        world.journal.publish(&record).await.unwrap();
    }
    let found = groups(&world).await;
    assert_eq!(found.iter().map(|group| group.open).sum::<u64>(), 22);
    assert_eq!(found.iter().map(|group| group.resolved).sum::<u64>(), 2);
}

#[tokio::test]
async fn a_letter_of_the_transform_stage_says_everything() {
    let world = of_two_stages().await;
    world.sync().await;
    for entry in entries(&world).await.iter().filter(|entry| entry.subject.contains(".dead.transform.")) {
        let letter = letter(entry);
        let number = letter.key.clone().unwrap();
        let row = String::from_utf8(letter.payload.unpack().unwrap()).unwrap();
        assert!(
            row.contains(&format!("\"order_id\":{number},")) && row.contains(&format!("many {number}")),
            "{row}"
        );
        let origin = &letter.origin;
        assert_eq!((origin.stream.as_str(), Some(origin.sequence)), ("demo-RAW", origin.raw_seq));
        assert!(origin.window.is_some() && origin.page.is_some() && origin.row.is_some());
        assert!(letter.mapping.is_some() && letter.trace_id.is_some());
        assert_eq!(
            (letter.attempts.len(), letter.attempts[0].message.as_str()),
            (1, letter.message.as_str())
        );
        assert!(letter.attempts[0].at <= entry.stored_at + 1_000_000);
    }
}

#[tokio::test]
async fn a_letter_of_the_fetch_stage_says_everything() {
    let soft = SourceFaults { soft_error: 1.0, soft_code: 500, ..SourceFaults::default() };
    let html = SourceFaults { html: 1.0, ..SourceFaults::default() };
    for (source, kind, said) in [(soft, "business", "\"code\":500"), (html, "malformed", "<html>")] {
        let world = World::new(120, Faults { source, ..Faults::default() }).await;
        world.sync().await;
        let (entries, found) = (entries(&world).await, groups(&world).await);
        assert_eq!((entries.len(), found.len()), (1, 1), "{found:?}");
        let letter = letter(&entries[0]);
        assert_eq!((letter.stage, letter.kind.as_str()), (Stage::Fetch, kind));
        let body = String::from_utf8(letter.payload.unpack().unwrap()).unwrap();
        let answer = letter.answer.clone().unwrap();
        assert!(body.contains(said), "the whole answer: {body}");
        assert_eq!((answer.status, body.starts_with(&answer.excerpt)), (200, true), "{answer:?}");
        assert!(letter.message.contains(letter.causes.first().unwrap()), "{letter:?}");
        assert!(letter.attempts.len() > 1, "each attempt: {:?}", letter.attempts);
        assert!(letter.attempts.windows(2).all(|two| two[0].at < two[1].at));
        let origin = &letter.origin;
        assert_eq!(
            (origin.stream.as_str(), origin.page, origin.listing),
            ("demo-JOBS", Some(1), Listing::Orders)
        );
        assert!(origin.window.is_some() && letter.trace_id.is_some() && letter.mapping.is_none());
        assert_eq!(found[0].fingerprint, letter.fingerprint());
        assert!(found[0].pattern.starts_with("page # cannot be fetched: "), "{}", found[0].pattern);
    }
}
