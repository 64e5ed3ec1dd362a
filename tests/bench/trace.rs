//! What it costs to find an order by the number that people know it by: the latest, the earliest, and one that nobody knows.
//!
//! `cargo bench -p orderflow-tests --bench trace -- [--orders N] [--rows N]`: so many orders, so many of them a page. The streams are
//! made up: MAPPED holds the orders and the index as a transformer would have stored them, RECEIPTS one receipt of each. The last
//! line of each kind is what a build without the index had to read.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use events::{
    ContentHash, MappedOrder, NumbersMapped, OrderKey, Origin, Outcome, Receipt, TargetName, Version,
    WindowId,
};
use futures::StreamExt;
use journal::{Committer, Consumption, From, Journal, Record, Settlement, Stream, Topology};
use operations::{Mask, StageStatus, Story};
// For its allocator: the program has it.
use orderflow as _;
use orderflow_tests::Nats;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// A record of this size is what the case's mapping makes of an order with a few lines.
const RECORD: usize = 900;

/// Each number is asked for so many times.
const ASKED: usize = 5;

fn key(n: u64) -> OrderKey {
    OrderKey::new((5_203_550_000_000 + n).to_string()).unwrap()
}

fn number(n: u64) -> String {
    format!("SO-{:08}-{:06}", 20_240_101 + n / 1_000_000, n % 1_000_000)
}

fn order(n: u64, rows: u64, record: &[u8]) -> MappedOrder {
    let (raw_seq, row) = (n / rows + 1, u32::try_from(n % rows).unwrap());
    MappedOrder {
        key: key(n),
        number: Some(number(n)),
        version: Version { updated_at: Some(1), raw_seq, generation: 0 },
        origin: Origin { window: WindowId::live(1), page: u32::try_from(raw_seq).unwrap(), row, raw_seq },
        mapping: "0123456789abcdef".into(),
        content: ContentHash::of(record),
        record: record.to_vec(),
        marks: Vec::new(),
    }
}

fn receipt(order: &MappedOrder, target: &TargetName, mapped_seq: u64) -> Receipt {
    Receipt {
        target: target.clone(),
        key: order.key.clone(),
        number: order.number.clone(),
        outcome: Outcome::Written,
        mapped_seq,
        version: order.version,
        held: order.version,
        content: order.content,
        known: true,
        status: Some(200),
        attempts: 1,
        last_write: 0,
        idempotency_key: format!("{}-0-{}", order.key, order.content),
        at: 1,
        older_stamp: None,
    }
}

/// Stores so many orders; returns the bytes of the index.
async fn fill(journal: &Journal, names: &Topology, target: &TargetName, orders: u64, rows: u64) -> usize {
    let (mapped, receipts) = (Committer::start(journal.clone()), Committer::start(journal.clone()));
    let record = vec![b'x'; RECORD];
    let mut bytes = 0;
    for first in (0..orders).step_by(usize::try_from(rows).unwrap()) {
        let page: Vec<MappedOrder> =
            (first..orders.min(first + rows)).map(|n| order(n, rows, &record)).collect();
        let mut records: Vec<Record> = page
            .iter()
            .map(|order| {
                let id = format!("map:{}/{}", order.origin.raw_seq, order.origin.row);
                Record::new(names.mapped_of(&order.key), id, order).unwrap()
            })
            .collect();
        let raw_seq = page[0].origin.raw_seq;
        let outcomes = page
            .iter()
            .map(|order| {
                let receipt = receipt(order, target, 1);
                let id = format!("receipt:{}", order.key);
                Record::new(names.receipt(target, &order.key), id, &receipt).unwrap()
            })
            .collect();
        let index =
            NumbersMapped { raw_seq, orders: page.into_iter().filter_map(NumbersMapped::of).collect() };
        let index = Record::new(names.numbers(), format!("numbers:{raw_seq}"), &index).unwrap();
        bytes += index.payload.len();
        records.push(index);
        let (one, other) = futures::join!(mapped.store(records), receipts.store(outcomes));
        one.and(other).unwrap();
    }
    bytes
}

/// Settles every order, as writers that have kept up have.
async fn settle(journal: &Journal, names: &Topology, target: &TargetName) {
    let (stop, mut all) = (CancellationToken::new(), JoinSet::new());
    for partition in 0..names.partitions() {
        let consumption = Consumption {
            stream: Stream::Mapped,
            durable: names.writer(target, partition),
            filter: Some(names.mapped(partition)),
            in_flight: 256,
            ack_wait: Duration::from_secs(60),
            pinned: None,
            grace: Duration::from_secs(5),
            max_attempts: 10,
            target: None,
        };
        let (journal, names, stop) = (journal.clone(), names.clone(), stop.clone());
        all.spawn(async move {
            journal.consume(&names, &consumption, &stop, |_| async { Settlement::Done }).await.unwrap();
        });
    }
    while !StageStatus::write(journal, names, target).await.unwrap().is_drained() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    stop.cancel();
    all.join_all().await;
}

async fn best<T>(mut what: impl AsyncFnMut() -> T) -> (Duration, T) {
    let mut all = Vec::new();
    for _ in 0..ASKED {
        let began = Instant::now();
        let said = what().await;
        all.push((began.elapsed(), said));
    }
    all.into_iter().min_by_key(|(took, _)| *took).unwrap()
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after =
        |flag: &str| args.iter().position(|arg| arg == flag).and_then(|at| args.get(at + 1)?.parse().ok());
    let (orders, rows) = (after("--orders").unwrap_or(100_000_u64), after("--rows").unwrap_or(100_u64));
    let nats = Nats::start().await;
    let (journal, names, targets) =
        (nats.journal().await, Topology::new("bench", 16), [TargetName::new("qeasy")]);
    journal.ensure(&names).await.unwrap();
    let bytes = fill(&journal, &names, &targets[0], orders, rows).await;
    settle(&journal, &names, &targets[0]).await;
    let pages = orders.div_ceil(rows);
    println!("{orders} orders on {pages} pages, an index of {} kB", bytes / 1_000);

    let mask = Mask::default();
    let asked = [
        ("by key", key(orders / 2).to_string(), true),
        ("by the latest number", number(orders - 1), true),
        ("by the earliest number", number(0), true),
        ("a number that nobody knows", "SO-1".to_string(), false),
    ];
    for (what, text, known) in asked {
        let (took, story) =
            best(async || Story::of(&journal, &names, &targets, &text, &mask).await.unwrap()).await;
        assert_eq!(story.is_some(), known, "{what}");
        println!("{what}: {:.0} ms", took.as_secs_f64() * 1e3);
    }
    for (what, stream, filter, from) in [
        ("the index alone", Stream::Mapped, names.numbers(), From::Start),
        ("the last receipts alone", Stream::Receipts, names.receipts_of(&targets[0]), From::LastPerSubject),
    ] {
        let (took, messages) = best(async || {
            let log = journal.read(&names, stream, Some(&filter), from, false).await.unwrap();
            log.map(Result::unwrap).count().await
        })
        .await;
        println!("{what}, {messages} messages read: {:.0} ms", took.as_secs_f64() * 1e3);
    }
}
