//! What the pure parts take of one order, on one core, by criterion: the mapping, the hash of the record, and the events
//! that hold it.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench pure -- [--compare FILE]`. `make bench-mapping` has more about the
//! mapping. Generated orders, as the other benches have; each iteration takes all of them, and the medians are an order's.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
#[allow(dead_code)]
mod figures;
#[allow(dead_code)]
mod orders;
mod source;

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use args::{Args, Wrong};
use bytes::Bytes;
use criterion::{Criterion, SamplingMode, Throughput};
use events::{ContentHash, MappedOrder, OrderKey, Origin, Outcome, Receipt, TargetName, Version, WindowId};
use figures::{Figures, Row};
use mapping::{Outcome as Became, Plan};
// For its allocator: the stages have it wherever they run.
use orderflow as _;
use serde_json::Value;
use serde_json::value::RawValue;

const CASE: &str = include_str!("../../deploy/examples/case.mapping.toml");
/// Pages of 500 orders: what fits into the processor's caches no more than a stream of orders does.
const PAGES: u64 = 4;
const GROUP: &str = "pure";
/// What stands beside the mapping.
const PARSE: &str = "serde_json to Value, the same bytes";
const MAPPING: &str = "mapping";

fn main() -> Result<(), Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("pure", &args)?;
    let zone = sandbox::Options::default().time_zone;
    let plan = Plan::compile("case.mapping.toml", CASE, &zone).unwrap();
    let rows = orders::generated(PAGES);
    let mapped: Vec<MappedOrder> = (0_u32..).zip(&rows).map(|(at, row)| order(&plan, at, row)).collect();
    let receipts: Vec<Receipt> = mapped.iter().map(receipt).collect();
    let encoded: Vec<Bytes> = mapped.iter().map(|order| events::encode(order, 1).unwrap()).collect();
    let answers: Vec<Bytes> = receipts.iter().map(|receipt| events::encode(receipt, 1).unwrap()).collect();

    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    // Its flags are not read: they are ours, and those of other benches.
    let mut criterion = Criterion::default().without_plots().output_directory(&folder);
    let mut group = criterion.benchmark_group(GROUP);
    group.sampling_mode(SamplingMode::Flat).sample_size(20).warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(3)).throughput(Throughput::Elements(rows.len() as u64));
    let mut works: Vec<&str> = Vec::new();
    let mut measure = |name: &'static str, work: &dyn Fn()| {
        works.push(name);
        group.bench_function(name, |bencher| bencher.iter(work));
    };
    let raw = |row: &[u8]| drop(black_box(plan.map(serde_json::from_slice::<&RawValue>(row).unwrap())));
    measure(MAPPING, &|| rows.iter().for_each(|row| raw(row)));
    measure(PARSE, &|| {
        rows.iter().for_each(|row| drop(black_box(serde_json::from_slice::<Value>(row).unwrap())));
    });
    measure("hash of the record", &|| {
        mapped.iter().for_each(|order| _ = black_box(ContentHash::of(&order.record)));
    });
    measure("encode MappedOrder", &|| {
        mapped.iter().for_each(|order| drop(black_box(events::encode(order, 1).unwrap())));
    });
    measure("decode MappedOrder", &|| {
        encoded.iter().for_each(|bytes| drop(black_box(events::decode::<MappedOrder>(bytes).unwrap())));
    });
    measure("encode Receipt", &|| {
        receipts.iter().for_each(|receipt| drop(black_box(events::encode(receipt, 1).unwrap())));
    });
    measure("decode Receipt", &|| {
        answers.iter().for_each(|bytes| drop(black_box(events::decode::<Receipt>(bytes).unwrap())));
    });
    group.finish();

    let nanoseconds = |work: &str| estimate(&folder, work) / rows.len() as f64;
    for work in works {
        let row = Row::new(format!("pure/{work}"), nanoseconds(work), "ns an order").low();
        figures.push(if work == MAPPING { row.limit(PARSE, nanoseconds(PARSE)) } else { row });
    }
    figures.finish(serde_json::json!({ "orders": rows.len() }));
    Ok(())
}

/// The median that criterion has found, in nanoseconds an iteration.
fn estimate(folder: &Path, work: &str) -> f64 {
    let file = folder.join(GROUP).join(work).join("new/estimates.json");
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let estimates: Value = serde_json::from_slice(&text).unwrap();
    estimates["median"]["point_estimate"].as_f64().unwrap()
}

/// The message that the transformer makes of a row.
fn order(plan: &Plan, row: u32, bytes: &[u8]) -> MappedOrder {
    let Became::Records(mut records) = plan.map(serde_json::from_slice(bytes).unwrap()).unwrap() else {
        panic!("the case maps every generated order");
    };
    let mapped = records.pop().unwrap();
    let origin = Origin { window: WindowId::live(1), page: row / 100 + 1, row: row % 100, raw_seq: 1 };
    MappedOrder {
        key: mapped.identity.key.and_then(OrderKey::new).unwrap(),
        number: mapped.identity.number,
        version: Version { updated_at: mapped.identity.version, raw_seq: 1, generation: 0 },
        origin,
        mapping: plan.version().to_string(),
        content: ContentHash::of(&mapped.record),
        record: mapped.record,
        marks: mapped.marks,
    }
}

/// The receipt of an order that the target took at once.
fn receipt(order: &MappedOrder) -> Receipt {
    Receipt {
        target: TargetName::new("qeasy"),
        key: order.key.clone(),
        number: order.number.clone(),
        outcome: Outcome::Written,
        mapped_seq: 1,
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
