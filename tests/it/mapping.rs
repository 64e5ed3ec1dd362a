//! The mapping in a running flow: filters, marks, a record for each element, changes while it runs, and what failed before.

use std::collections::HashSet;

use events::{
    DeadLetter, DeadResolved, LetterOrigin, Listing, MappedOrder, OrdersSkipped, Outcome, PageJob, Payload,
    RawPage, Stage, WindowId,
};
use futures::StreamExt;
use journal::{Entry, From, Label, Record, Stream};
use operations::{Status, instances};
use orderflow_tests::{World, until};
use sandbox::{Options, Orders};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// Orders of the case's shape: two good ones, one with a price that is no number, one without lines.
const ORDERS: &str = r#"
{"order_id":1,"order_no":"A1","status":"1","update_time":"2025-01-01 00:00:00","total":0.30,"items":[{"id":11,"quantity":3,"price":0.10}]}
{"order_id":2,"order_no":"A2","status":2,"update_time":"2025-01-01 00:00:01","total":5,"items":[{"id":21,"quantity":2,"price":"2"},{"id":22,"quantity":1,"price":1}]}
{"order_id":3,"order_no":"A3","status":1,"update_time":"2025-01-01 00:00:02","total":9,"items":[{"id":31,"quantity":2,"price":"many"}]}
{"order_id":4,"order_no":"A4","status":3,"update_time":"2025-01-01 00:00:03","total":0,"items":[]}
"#;

const TOP: &str = "key = \"order_id\"\nnumber = \"order_no\"\nversion = \"update_time\"\n";
const FIELDS: &str = "[[field]]\nto = \"orderId\"\nfrom = \"order_id\"\ntype = \"integer\"\n\
                      [[field]]\nto = \"orderNumber\"\nfrom = \"order_no\"\n";
const TOTAL: &str = "[[field]]\nto = \"totalAmount\"\nsum = \"items\"\nof = \"quantity * price\"\n";

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.ndjson");
    std::fs::write(&file, ORDERS.trim()).unwrap();
    World::with(Options { orders: Orders::File(file), ..Options::default() }).await
}

async fn all(world: &World, stream: Stream, filter: &str) -> Vec<Entry> {
    let log = world.journal.read(&world.names(), stream, Some(filter), From::Start, false).await.unwrap();
    log.map(Result::unwrap).collect().await
}

async fn open_letters(world: &World) -> Vec<DeadLetter> {
    let names = world.names();
    let resolved: HashSet<u64> = all(world, Stream::Dead, &names.dead_resolved())
        .await
        .iter()
        .map(|entry| entry.event::<DeadResolved>().unwrap().body.letter)
        .collect();
    let letters = all(world, Stream::Dead, &names.dead(Stage::Transform, "*")).await;
    let open = letters.into_iter().filter(|entry| !resolved.contains(&entry.seq));
    open.map(|entry| entry.event::<DeadLetter>().unwrap().body).collect()
}

/// How many letters are open: counted by subject, for who asks often.
async fn open(world: &World) -> u64 {
    let status = Status::read(&world.journal, &world.names(), &world.targets()).await.unwrap();
    status.dead_open
}

#[tokio::test]
async fn what_a_filter_keeps_back_is_counted_and_what_fails_a_check_is_marked() {
    let world = world().await;
    world.map_with(&format!(
        "{TOP}[[when]]\nis = 'status in [1, 2]'\nreason = 'not approved'\n\
         [[validate]]\nname = 'total'\nsum = 'items'\nof = 'quantity'\nequals = 'total'\non_fail = 'mark'\n\
         [[validate]]\nname = 'prices'\nthat = 'order_no != \"A3\"'\n{FIELDS}"
    ));
    let account = world.sync().await.account;
    assert_eq!(
        (account.read, account.mapped, account.records, account.dead, account.in_flight),
        (4, 2, 2, 1, 0)
    );
    assert_eq!(account.skipped.get("not approved"), Some(&1), "{account:?}");
    assert!(account.is_complete());
    let names = world.names();
    let skipped: Vec<OrdersSkipped> = all(&world, Stream::Mapped, &names.skipped())
        .await
        .iter()
        .map(|entry| entry.event().unwrap().body)
        .collect();
    assert_eq!(skipped.len(), 1);
    let order = &skipped[0].orders[0];
    assert_eq!((order.row, order.key.as_deref(), order.number.as_deref()), (3, Some("4"), Some("A4")));
    let mut marks = Vec::new();
    for partition in 0..names.partitions() {
        for entry in all(&world, Stream::Mapped, &names.mapped(partition)).await {
            let mapped = entry.event::<MappedOrder>().unwrap().body;
            marks.push((mapped.number.unwrap(), mapped.marks));
        }
    }
    marks.sort();
    assert_eq!(marks, [("A1".into(), vec!["total".to_string()]), ("A2".into(), vec!["total".into()])]);
    let letters = open_letters(&world).await;
    assert_eq!((letters[0].kind.as_str(), letters[0].number.as_deref()), ("check_failed", Some("A3")));
}

#[tokio::test]
async fn each_element_can_be_a_record_of_its_own() {
    let world = world().await;
    world.map_with(
        "each = \"items\"\nkey = \"id\"\nnumber = \"$.order_no\"\nversion = \"$.update_time\"\n\
         [[field]]\nto = \"orderId\"\nfrom = \"id\"\ntype = \"integer\"\n[[field]]\nto = \"orderNumber\"\nfrom = \"$.order_no\"\n\
         [[field]]\nto = \"price\"\nfrom = \"price\"\ntype = \"decimal\"\n",
    );
    let account = world.sync().await.account;
    assert_eq!(
        (account.read, account.mapped, account.records, account.dead, account.in_flight),
        (4, 2, 3, 1, 0)
    );
    assert_eq!(account.skipped.get("no items"), Some(&1), "{account:?}");
    assert_eq!(account.targets[0].of(Outcome::Written), 3);
    assert!(account.is_complete(), "{account:?}");
    // Nothing changed, so nothing is sent again.
    let before = world.report().target.requests;
    world.sync().await;
    assert_eq!(world.report().target.requests, before);
}

#[tokio::test]
async fn a_changed_mapping_is_used_without_a_restart_and_what_failed_is_tried_again() {
    let world = world().await;
    world.map_with(&format!("{TOP}{FIELDS}{TOTAL}"));
    let names = world.names();
    world.journal.ensure(&names).await.unwrap();
    let stop = CancellationToken::new();
    let stages = world.start(2, &stop).await;
    world.fetch().await;
    until("the price that is no number is a dead letter", async || open(&world).await == 1).await;
    let first = open_letters(&world).await[0].mapping.clone();
    assert_eq!(open_letters(&world).await[0].kind, "bad_element");

    // One that does not compile changes nothing, and is seen.
    world.map_with(&format!("{TOP}{FIELDS}[[field]]\nto = \"x\"\nform = \"y\"\n"));
    until("both say that they do not take it", async || {
        let there = instances(&world.journal, &names, Stage::Transform).await;
        there.len() == 2 && there.iter().all(|one| one.mapping_rejected.is_some() && one.mapping == first)
    })
    .await;
    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    assert!(world.needs_person(&status));
    assert_eq!(open_letters(&world).await.len(), 1);

    // One under which the order fails otherwise: the letter says so, and is still one.
    let still = "[[field]]\nto = \"totalAmount\"\nsum = \"items\"\nof = \"quantity * cost\"\n";
    world.map_with(&format!("{TOP}{FIELDS}[[field]]\nto = \"first\"\nfrom = \"items[0].price\"\ntype = \"integer\"\non_error = \"drop_field\"\n{still}"));
    until("the letter is of the new mapping", async || {
        let letters = open_letters(&world).await;
        letters.len() == 1 && letters[0].mapping != first && letters[0].message.contains("items[0].cost")
    })
    .await;

    // One that can.
    let lenient = TOTAL.replace("of =", "on_error = \"drop_field\"\nof =");
    world.map_with(&format!("{TOP}{FIELDS}{lenient}"));
    until("nothing is open any more", async || open(&world).await == 0).await;
    until("and the order has arrived", async || world.report().target.distinct_orders == 4).await;
    let there = instances(&world.journal, &names, Stage::Transform).await;
    assert!(there.iter().all(|one| one.mapping_rejected.is_none() && one.mapping != first));
    let status = Status::read(&world.journal, &names, &world.targets()).await.unwrap();
    assert_eq!(status.dead_open, 0);
    assert_eq!(world.report().target.duplicates, 0);
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn a_run_takes_up_what_failed_before_it() {
    let world = world().await;
    world.map_with(&format!("{TOP}{FIELDS}{TOTAL}"));
    world.sync().await;
    assert_eq!(open_letters(&world).await.len(), 1);
    let retried = transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    assert_eq!(retried, transformer::Retried::default(), "the same mapping is not tried again");
    world.map_with(&format!("{TOP}[[when]]\nis = 'order_no != \"A3\"'\nreason = 'known'\n{FIELDS}{TOTAL}"));
    let retried = transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    assert_eq!((retried.mapped, retried.skipped, retried.failed), (0, 1, 0));
    assert!(open_letters(&world).await.is_empty());
    // A second time finds nothing to do.
    let again = transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    assert_eq!(again, transformer::Retried::default());
}

#[tokio::test]
async fn an_order_is_tried_once_under_each_mapping() {
    let world = world().await;
    let first = format!("{TOP}{FIELDS}{TOTAL}");
    let second = first.replace("quantity * price", "quantity * cost");
    let nothing = transformer::Retried::default();
    world.map_with(&first);
    world.sync().await;
    let retry = async || transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    world.map_with(&second);
    assert_eq!(retry().await, transformer::Retried { failed: 1, ..nothing });
    let version = transformer::load_mapping(&world.config).unwrap().version().to_string();
    // Back and forth, as two transformers with different files would: they do not hand it to each other for ever.
    for mapping in [&first, &second, &first] {
        world.map_with(mapping);
        assert_eq!(retry().await, nothing);
    }
    let open = open_letters(&world).await;
    assert_eq!((open.len(), open[0].mapping.as_deref()), (1, Some(version.as_str())));
    world.map_with(&format!("{TOP}{FIELDS}"));
    assert_eq!(retry().await, transformer::Retried { mapped: 1, ..nothing });
    assert!(open_letters(&world).await.is_empty());
}

#[tokio::test]
async fn an_old_state_is_not_sent_over_a_newer_one_by_a_mapping_that_reads_versions_otherwise() {
    let world = world().await;
    // Without a version the order of reading decides, and A3 fails.
    let without = format!("{}{FIELDS}{TOTAL}", TOP.replace("version = \"update_time\"\n", ""));
    world.map_with(&without);
    world.sync().await;
    assert_eq!(open_letters(&world).await[0].number.as_deref(), Some("A3"));
    // A newer state of A3 is read and written.
    let order = json!({"order_id": 3, "order_no": "A3", "update_time": "2025-01-02 00:00:00", "items": [{"quantity": 2, "price": 7}]});
    let body = json!({"code": 200, "data": {"count": 1, "list": [order]}}).to_string();
    let page = RawPage {
        window: WindowId::live(2),
        pass: 1,
        page: 1,
        part: 0,
        parts: 1,
        request: "/v1/invoices/order/list".into(),
        status: 200,
        fetched_at: events::now(),
        rows: 1,
        body: Payload::pack(body.as_bytes()),
        listing: Listing::Orders,
        news: None,
        details: None,
    };
    let record = Record::new(world.names().raw(), "raw:newer", &page).unwrap();
    world.journal.publish(&record.labelled(Label::Rows, 1)).await.unwrap();
    world.sync().await;
    let sent = world.report().target.requests;
    assert_eq!(sent, 4);
    // To the target's ledger, a state with an update time is newer than one without. The old state has one now.
    world.map_with(&format!("{TOP}{FIELDS}"));
    let retried = transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    assert_eq!(retried, transformer::Retried { superseded: 1, ..transformer::Retried::default() });
    assert!(open_letters(&world).await.is_empty());
    world.sync().await;
    assert_eq!(world.report().target.requests, sent, "nothing was sent");
}

#[tokio::test]
async fn rubbish_among_the_letters_holds_nothing_up() {
    let world = world().await;
    world.map_with(&format!("{TOP}{FIELDS}{TOTAL}"));
    world.sync().await;
    let names = world.names();
    let letter = open_letters(&world).await.remove(0);
    let nowhere = LetterOrigin { sequence: 999, raw_seq: Some(999), ..letter.origin.clone() };
    let empty = DeadLetter { payload: Payload::pack(b""), origin: nowhere, mapping: None, ..letter.clone() };
    world.journal.bury(&names, &empty, None).await.unwrap();
    let no_json = DeadLetter { payload: Payload::pack(b"{"), kind: "other".into(), mapping: None, ..letter };
    world.journal.bury(&names, &no_json, None).await.unwrap();
    let job = PageJob { window: WindowId::live(9), pass: 1, page: 1, slice: None };
    let other = Record::new(names.dead(Stage::Transform, "strange"), "strange", &job).unwrap();
    world.journal.publish(&other).await.unwrap();
    world.map_with(&format!("{TOP}{FIELDS}"));
    let retried = transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    assert_eq!(retried.mapped, 1, "{retried:?}");
}

#[tokio::test]
async fn a_letter_that_comes_late_from_another_mapping_is_tried_too() {
    let world = world().await;
    world.map_with(&format!("{TOP}{FIELDS}{TOTAL}"));
    world.sync().await;
    let late = open_letters(&world).await.remove(0);
    world.map_with(&format!("{TOP}{FIELDS}"));
    let stop = CancellationToken::new();
    let stages = world.start(1, &stop).await;
    until("the first look is over", async || open(&world).await == 0).await;
    // What a transformer that still had the old file, or a page begun before the change, leaves behind.
    let late = DeadLetter { mapping: Some("0123456789abcdef".into()), ..late };
    world.journal.bury(&world.names(), &late, None).await.unwrap();
    assert_eq!(open_letters(&world).await.len(), 1);
    until("and so is the second", async || open(&world).await == 0).await;
    until("everything is written", async || world.report().target.distinct_orders == 4).await;
    assert_eq!(world.report().target.duplicates, 0);
    stop.cancel();
    stages.join_all().await;
}

#[tokio::test]
async fn comments_and_cases_are_not_another_mapping() {
    let world = world().await;
    let text = format!("{TOP}{FIELDS}");
    world.map_with(&text);
    let version = transformer::load_mapping(&world.config).unwrap().version().to_string();
    world.map_with(&format!(
        "# a comment\n{text}[[case]]\nname = \"x\"\ninput = \"{{}}\"\nexpect_error = \"missing_key\"\n"
    ));
    assert_eq!(transformer::load_mapping(&world.config).unwrap().version(), version);
}

/// Limits the size of a message of MAPPED, which has nothing else in the way.
async fn limit_mapped(world: &World, bytes: usize) {
    let names = world.names();
    world.journal.ensure(&names).await.unwrap();
    let stream = names.stream(Stream::Mapped);
    world.nats.update_stream(&stream, |config| config["max_msg_size"] = bytes.into()).await;
}

#[tokio::test]
async fn a_retried_order_that_nats_never_takes_is_a_letter_and_holds_no_other_up() {
    let world = world().await;
    let failing = FIELDS.replace("from = \"order_id\"", "from = \"nowhere\"\nrequired = true");
    world.map_with(&format!("{TOP}{failing}"));
    world.sync().await;
    assert_eq!(open_letters(&world).await.len(), 4);
    limit_mapped(&world, 100).await;
    let retry = async || transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    world.map_with(&format!("{TOP}{FIELDS}"));
    let nothing = transformer::Retried::default();
    assert_eq!(retry().await, transformer::Retried { failed: 4, ..nothing });
    let open = open_letters(&world).await;
    assert!(open.len() == 4 && open.iter().all(|letter| letter.kind == "unstorable"), "{open:?}");
    // Nor does one that a filter keeps back.
    world.map_with(&format!("{TOP}[[when]]\nis = 'status == 9'\nreason = 'other'\n{FIELDS}"));
    assert_eq!(retry().await, transformer::Retried { failed: 4, ..nothing });
    limit_mapped(&world, 100_000).await;
    world.map_with(&format!("{TOP}{FIELDS}[[field]]\nto = \"status\"\nfrom = \"status\"\n"));
    assert_eq!(retry().await, transformer::Retried { mapped: 4, ..nothing });
    assert!(open_letters(&world).await.is_empty());
}

#[tokio::test]
async fn skipped_orders_whose_message_nats_never_takes_are_accounted_for_one_by_one() {
    let world = world().await;
    let reason = "because ".repeat(24);
    world.map_with(&format!("{TOP}[[when]]\nis = 'status == 9'\nreason = '{reason}'\n{FIELDS}"));
    limit_mapped(&world, 700).await;
    let account = world.sync().await.account;
    assert_eq!((account.read, account.mapped, account.dead, account.in_flight), (4, 0, 0, 0));
    assert_eq!(account.skipped.values().sum::<u64>(), 4, "{account:?}");
    let skips = all(&world, Stream::Mapped, &world.names().skipped()).await;
    assert_eq!(skips.len(), 4);
}

/// Two orders that share all but their id, and one that shares nothing.
const TWINS: &str = r#"
{"order_id":1,"order_no":"A1","twin":"x","other":"p","update_time":"2025-01-01 00:00:00"}
{"order_id":2,"order_no":"A2","twin":"y","other":"q","update_time":"2025-01-01 00:00:01"}
{"order_id":3,"order_no":"A3","twin":"x","other":"p","update_time":"2025-01-01 00:00:02"}
"#;

#[tokio::test]
async fn two_orders_with_one_key_stay_apart_in_a_replay_and_when_they_are_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orders.ndjson");
    std::fs::write(&file, TWINS.trim()).unwrap();
    let world = World::with(Options { orders: Orders::File(file), ..Options::default() }).await;
    let by = |key: &str| format!("{}{FIELDS}", TOP.replace("\"order_id\"", &format!("\"{key}\"")));
    world.map_with(&by("twin"));
    world.sync().await;
    let kinds = async || -> Vec<String> {
        open_letters(&world).await.into_iter().map(|letter| letter.kind).collect()
    };
    let rows = async || -> Vec<u32> {
        let orders = world.mapped().await.into_iter();
        let mut rows: Vec<u32> =
            orders.map(|entry| entry.event::<MappedOrder>().unwrap().body.origin.row).collect();
        rows.sort_unstable();
        rows
    };
    assert_eq!((kinds().await, rows().await), (vec!["same_key".to_string()], vec![0, 1]));

    let again = transformer::Again::new(&world.config, &world.journal).await.unwrap();
    let how = transformer::How { key: None, generation: 1, run: "again", labels: &[] };
    let replayed = again.page(1, &how).await.unwrap();
    assert!(replayed.is_err_and(|why| why.contains("row 2") && why.contains("have the key")));
    assert_eq!(rows().await, [0, 0, 1, 1], "the second does not go over the first");

    let retry = async || transformer::retry_failed(&world.config, &world.journal).await.unwrap();
    let nothing = transformer::Retried::default();
    world.map_with(&by("other"));
    assert_eq!(retry().await, transformer::Retried { failed: 1, ..nothing });
    assert_eq!((kinds().await, rows().await.len()), (vec!["same_key".to_string()], 4));
    world.map_with(&by("order_id"));
    assert_eq!(retry().await, transformer::Retried { mapped: 1, ..nothing });
    assert_eq!((kinds().await.len(), rows().await), (0, vec![0, 0, 1, 1, 2]));
}
