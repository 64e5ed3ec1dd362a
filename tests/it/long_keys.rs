//! Texts of others that become part of subjects, headers and message ids: however long they are, nothing breaks and nobody waits.

use events::{
    ContentHash, DeadLetter, LetterOrigin, Listing, MappedOrder, OrderDeleted, OrderKey, Origin, Payload,
    RawPage, Stage, Version, WindowId,
};
use futures::StreamExt;
use journal::{From, JournalError, Label, Record, Stream};
use orderflow_tests::{Nats, World, until};
use sandbox::Faults;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Keys that are longer in a subject than they may be: as they are, and because each character becomes nine bytes there.
fn long_keys() -> [String; 3] {
    ["k".repeat(1_500), "订".repeat(450), format!("a{}", " ".repeat(333) + "b")].map(|key| key)
}

async fn letters(world: &World, stage: Stage) -> Vec<DeadLetter> {
    let names = world.names();
    let filter = names.dead(stage, "*");
    let log =
        world.journal.read(&names, Stream::Dead, Some(&filter), From::Start, false).await.expect("read");
    log.map(|entry| entry.expect("readable").event::<DeadLetter>().expect("a letter").body).collect().await
}

fn order(key: &str, record: &[u8]) -> MappedOrder {
    MappedOrder {
        key: OrderKey::new(key).expect("not empty"),
        number: None,
        version: Version { updated_at: Some(1), raw_seq: 1, generation: 0 },
        origin: Origin { window: WindowId::live(1), page: 1, row: 0, raw_seq: 1 },
        mapping: "m".into(),
        content: ContentHash::of(record),
        record: record.to_vec(),
        marks: Vec::new(),
    }
}

/// Stores a page with these orders in RAW.
async fn store_page(world: &World, listing: Listing, keys: &[String]) {
    let list: Vec<_> = keys.iter().map(|key| json!({ "order_id": key, "order_no": "A" })).collect();
    let body = json!({ "code": 200, "data": { "count": list.len(), "list": list } }).to_string();
    let page = RawPage {
        window: WindowId::live(7),
        pass: 1,
        page: 1,
        part: 0,
        parts: 1,
        request: "/v1/invoices/order/list".into(),
        status: 200,
        fetched_at: events::now(),
        rows: u32::try_from(keys.len()).expect("few"),
        body: Payload::pack(body.as_bytes()),
        listing,
        news: None,
        details: None,
    };
    let record = Record::new(world.names().raw(), format!("raw:{listing:?}"), &page).expect("encodes");
    world.journal.publish(&record.labelled(Label::Rows, keys.len())).await.expect("stored");
}

#[tokio::test]
async fn an_order_with_a_key_that_is_too_long_is_a_dead_letter_when_it_is_mapped() {
    let world = World::new(1, Faults::default()).await;
    world.map_with("key = \"order_id\"\n[[field]]\nto = \"orderId\"\nfrom = \"order_no\"\n");
    let names = world.names();
    world.journal.ensure(&names).await.expect("streams");
    // A letter that has no room waits, too, and so does its page.
    let stream = names.stream(Stream::Dead);
    world
        .nats
        .update_stream(&stream, |config| {
            config["discard"] = "new".into();
            config["max_bytes"] = 100.into();
        })
        .await;
    let mut keys = long_keys().to_vec();
    keys.extend(["z".repeat(1_000), "good".to_string()]);
    store_page(&world, Listing::Orders, &keys).await;
    store_page(&world, Listing::Deleted, &keys).await;
    let stop = CancellationToken::new();
    let (config, journal, token) = (world.config.clone(), world.nats.journal().await, stop.clone());
    let mapping = tokio::spawn(async move { transformer::run(&config, journal, token).await });
    until("the status says so", async || {
        let status =
            operations::Status::read(&world.journal, &names, &world.targets()).await.expect("a status");
        world.needs_person(&status) && status.instances.iter().any(|instance| instance.storage.is_some())
    })
    .await;
    assert!(letters(&world, Stage::Transform).await.is_empty());
    world.nats.update_stream(&stream, |config| config["max_bytes"] = (-1).into()).await;
    until("both pages are mapped", async || world.mapped().await.len() == 4).await;
    let letters = letters(&world, Stage::Transform).await;
    assert_eq!(letters.len(), 6, "three orders and three deletions");
    assert!(letters.iter().all(|letter| letter.kind == "key_too_long"), "{letters:?}");
    let said: Vec<&str> = letters.iter().map(|letter| letter.message.as_str()).collect();
    for found in ["has 1500 bytes", "has 4050 bytes", "has 1001 bytes"] {
        let with = |text: &&&str| text.contains(found) && text.contains("expected at most 1000");
        assert_eq!(said.iter().filter(with).count(), 2, "{found}: {said:?}");
    }
    stop.cancel();
    mapping.await.expect("no panic").expect("it ran");
}

/// As an older build left them in MAPPED: they reach the writer, and are not sent.
#[tokio::test]
async fn a_stored_order_with_a_key_that_is_too_long_is_not_sent_and_holds_nobody_up() {
    let world = World::new(20, Faults::default()).await;
    let names = world.names();
    world.journal.ensure(&names).await.expect("streams");
    for (at, key) in long_keys().into_iter().enumerate() {
        let order = order(&key, br#"{"orderId":"1"}"#);
        let (subject, id) = (names.mapped_of(&order.key), format!("old:{at}"));
        world.journal.publish(&Record::new(subject, id, &order).expect("encodes")).await.expect("stored");
        let deleted = OrderDeleted(order);
        let (subject, id) = (names.mapped_of(&deleted.0.key), format!("old-deleted:{at}"));
        world.journal.publish(&Record::new(subject, id, &deleted).expect("encodes")).await.expect("stored");
    }
    let reconnects = world.journal.reconnects();
    world.sync().await;
    let letters = letters(&world, Stage::Write).await;
    assert_eq!(letters.len(), 6, "orders and their deletions");
    assert!(letters.iter().all(|letter| letter.kind == "key_too_long"), "{letters:?}");
    assert!(letters.iter().any(|letter| letter.message.contains("has 1500 bytes")), "{letters:?}");
    assert!(letters.iter().any(|letter| letter.message.contains("has 4050 bytes")), "{letters:?}");
    assert_eq!(world.report().target.requests, 20, "the others, once each");
    world.assert_all_arrived_once();
    assert_eq!(world.journal.reconnects(), reconnects, "no connection was ended");
}

#[tokio::test]
async fn a_subject_or_header_that_is_too_long_is_refused_before_it_is_sent() {
    let nats = Nats::start().await;
    let journal = nats.journal().await;
    let names = journal::Topology::new("f", 4);
    journal.ensure(&names).await.expect("streams");
    let order = order("1", b"{}");
    let record = |subject: String, id: String| Record::new(subject, id, &order).expect("encodes");
    let committer = journal::Committer::start(journal.clone());
    let long = record(format!("f.mapped.{}", "x".repeat(5_000)), "long".into());
    let heavy = record(names.mapped(0), "i".repeat(70_000));
    let good = |id: u64| record(names.mapped(1), format!("good:{id}"));
    // Among many, so that they travel in one batch.
    let stores = (0..40).map(|id| committer.store(vec![good(id)]));
    let (refused, stored) = futures::join!(
        futures::future::join(committer.store(vec![long.clone()]), committer.store(vec![heavy.clone()])),
        futures::future::join_all(stores)
    );
    for refused in [refused.0, refused.1, journal.commit(&[good(90), long, good(91)]).await] {
        assert!(matches!(refused, Err(JournalError::TooLong { .. })), "{refused:?}");
    }
    assert!(stored.iter().all(Result::is_ok), "the others are stored");
    assert!(matches!(
        journal.last(&names, Stream::Mapped, &"s".repeat(5_000)).await,
        Err(JournalError::TooLong { .. })
    ));
    assert_eq!(journal.reconnects(), 0);
}

#[tokio::test]
async fn a_letter_is_stored_whatever_it_says() {
    let nats = Nats::start().await;
    let names = journal::Topology::new("f", 4);
    nats.journal().await.ensure(&names).await.expect("streams");
    nats.limit_messages(64 << 10).await;
    let journal = nats.journal().await;
    let long = "订".repeat(100_000);
    let letter = DeadLetter {
        stage: Stage::Write,
        kind: format!("a kind. with > dots {}", "k".repeat(5_000)),
        message: long.clone(),
        causes: vec![long.clone(); 3],
        origin: LetterOrigin {
            stream: "f-MAPPED".into(),
            sequence: 7,
            window: None,
            page: None,
            row: None,
            raw_seq: None,
            listing: Listing::Orders,
        },
        target: None,
        key: Some("k".repeat(100_000)),
        number: Some(long.clone()),
        payload: Payload::pack(&rand_bytes(200_000)),
        answer: None,
        attempts: Vec::new(),
        mapping: None,
        trace_id: None,
        retries: 0,
    };
    let stored = journal.bury(&names, &letter, None).await.expect("stored");
    let entry = journal.get(&names, Stream::Dead, stored.seq).await.expect("there");
    assert_eq!(entry.subject.split('.').count(), 4, "one token for the kind: {}", entry.subject);
    let read = entry.event::<DeadLetter>().expect("a letter").body;
    assert!(
        read.message.starts_with("订")
            && read.causes.iter().any(|cause| cause.contains("payload is left out"))
    );
    assert_eq!(entry.label(Label::Fingerprint), Some(read.fingerprint().as_str()));
}

/// Bytes that do not compress.
fn rand_bytes(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}
