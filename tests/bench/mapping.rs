//! Mapping alone, on one core, beside serde_json reading the same bytes.
//!
//! `make bench-mapping`, or `cargo bench -p orderflow-tests --bench mapping -- [criterion's flags]`. With `ORDERS=FILE`
//! (.ndjson or .ndjson.gz, one OKKI order a line) the orders of the file are mapped, else generated ones of as many lines.
//! Criterion measures each work by itself; how they compare is measured after it, the works in turn over the same orders, so
//! that a machine that slows down slows all of them down.
#![allow(clippy::unwrap_used)]

mod orders;
mod source;

use std::hint::black_box;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput};
use mapping::{Mapped, Outcome, Plan};
// For its allocator: the transformer has it wherever it runs.
use orderflow as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const OKKI: &str = include_str!("../../deploy/examples/okki.mapping.toml");
const CASE: &str = include_str!("../../deploy/examples/case.mapping.toml");

/// Pages of 500 generated orders.
const PAGES: u64 = 20;
/// Lines of an order of a real trader, on average.
const LINES: usize = 21;
/// How often the works take their turns over all orders; a third of them is odd too, so that it has a median.
const ROUNDS: usize = 21;
/// Orders after which the next work has its turn.
const TURN: usize = 10;

/// Orders, and the mapping they are for.
struct Case {
    name: String,
    plan: Plan,
    orders: Vec<Vec<u8>>,
}

/// From an order's bytes to what is made of them, which is dropped within the time that is measured.
type Work = fn(&Plan, &[u8]);

const WORKS: [(&str, Work); 3] = [
    ("whole mapping", |plan, order| drop(black_box(records(plan, raw(order))))),
    ("parse into Value", |_, order| drop(black_box(serde_json::from_slice::<Value>(order).unwrap()))),
    ("validate as RawValue", |_, order| _ = black_box(raw(order))),
];
/// Which of them is the measure.
const PARSE: usize = 1;

fn raw(order: &[u8]) -> &RawValue {
    serde_json::from_slice(order).unwrap()
}

/// The records of an order; `None` when it cannot be mapped.
fn records(plan: &Plan, row: &RawValue) -> Option<Vec<Mapped>> {
    match plan.map(row) {
        Ok(Outcome::Records(records)) => Some(records),
        _ => None,
    }
}

fn main() -> ExitCode {
    let cases = match cases() {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let mut criterion = Criterion::default().without_plots().configure_from_args();
    cases.iter().for_each(|case| measure(&mut criterion, case));
    criterion.final_summary();
    // Otherwise criterion itself only tries whether everything runs, or lists it.
    let given = |flag: &str| std::env::args().any(|arg| arg == flag);
    if given("--bench") && !given("--list") {
        compare(&cases);
    }
    ExitCode::SUCCESS
}

fn cases() -> Result<[Case; 2], String> {
    let small = orders::generated(PAGES);
    let (name, large) = match std::env::var_os("ORDERS").filter(|path| !path.is_empty()).map(PathBuf::from) {
        Some(path) => {
            let orders =
                orders::of_file(&path).map_err(|error| format!("ORDERS={}: {error}", path.display()))?;
            ("the file's orders".to_string(), orders)
        }
        None => {
            eprintln!("no ORDERS=FILE: generated orders of {LINES} lines in place of real ones");
            (format!("generated, {LINES} lines"), orders::with_lines(&small, LINES))
        }
    };
    Ok([
        Case::new(name, "okki.mapping.toml", OKKI, large)?,
        Case::new("generated, about 1 KiB".into(), "case.mapping.toml", CASE, small)?,
    ])
}

impl Case {
    fn new(name: String, file: &str, mapping: &str, orders: Vec<Vec<u8>>) -> Result<Case, String> {
        let zone = sandbox::Options::default().time_zone;
        let plan = Plan::compile(file, mapping, &zone).map_err(|error| error.to_string())?;
        let (all, mut kept, mut sizes) = (orders.len(), Vec::new(), Vec::new());
        for (number, order) in (1..).zip(orders) {
            let row = serde_json::from_slice(&order).map_err(|error| format!("{name}, {number}: {error}"))?;
            // One that fails is left out: it would take another time than one that is mapped.
            if let Some(records) = records(&plan, row) {
                sizes.push(records.iter().map(|mapped| mapped.record.len()).sum());
                kept.push(order);
            }
        }
        let (orders, count) = (kept, sizes.len());
        if count == 0 {
            return Err(format!("{name}: not one of {all} orders can be mapped by {file}"));
        }
        let bytes = orders.iter().map(Vec::len).sum::<usize>();
        let (order, record) = (bytes / count, sizes.iter().sum::<usize>() / count);
        eprintln!("{name}: {count} orders of {order} bytes, mapped by {file} to records of {record} bytes");
        if count < all {
            eprintln!("{name}: {} more cannot be mapped and are left out", all - count);
        }
        Ok(Case { name, plan, orders })
    }

    fn bytes(&self) -> usize {
        self.orders.iter().map(Vec::len).sum()
    }
}

fn measure(criterion: &mut Criterion, case: &Case) {
    let mut group = criterion.benchmark_group(&case.name);
    // All orders in one iteration: they differ, and so do the times they take.
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(case.orders.len() as u64));
    for (name, work) in WORKS {
        group.bench_function(name, |bencher| {
            bencher.iter(|| case.orders.iter().for_each(|order| work(&case.plan, order)));
        });
    }
    group.finish();
}

/// Of one turn the seconds of each work in each round.
type Turn = [[f64; ROUNDS]; WORKS.len()];

fn turns(case: &Case) -> Vec<Turn> {
    let mut turns = vec![Turn::default(); case.orders.len().div_ceil(TURN)];
    for round in 0..ROUNDS {
        for (number, (turn, orders)) in turns.iter_mut().zip(case.orders.chunks(TURN)).enumerate() {
            for at in 0..WORKS.len() {
                // Each is as often the one that finds the orders far from the processor.
                let at = (at + number + round) % WORKS.len();
                let began = Instant::now();
                orders.iter().for_each(|order| WORKS[at].1(&case.plan, order));
                turn[at][round] = began.elapsed().as_secs_f64();
            }
        }
    }
    turns
}

/// The seconds of a work over all orders: of each turn the median of these rounds. A turn is shorter than what another
/// process takes of the core at a time, so the median has none of it, which the sum of a round would have.
fn seconds(turns: &[Turn], work: usize, rounds: Range<usize>) -> f64 {
    let median = |turn: &Turn| {
        let mut seconds = turn[work][rounds.clone()].to_vec();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    turns.iter().map(median).sum()
}

fn compare(cases: &[Case]) {
    println!("\nOne core, {ROUNDS} rounds, the works in turn every {TURN} orders, of each turn the median\n");
    println!(
        "| orders | work | orders/s | MB/s | us an order | times the rate of parsing | each third of the rounds |\n\
         |---|---|---|---|---|---|---|"
    );
    let mut report = Vec::new();
    for case in cases {
        let turns = turns(case);
        let (count, bytes) = (case.orders.len() as f64, case.bytes() as f64);
        let mut works = Vec::new();
        for (at, (work, _)) in WORKS.iter().enumerate() {
            let ratio =
                |rounds: Range<usize>| seconds(&turns, PARSE, rounds.clone()) / seconds(&turns, at, rounds);
            let (all, third) = (seconds(&turns, at, 0..ROUNDS), ROUNDS / 3);
            let (rate, megabytes, each) = (count / all, bytes / all / 1e6, all * 1e6 / count);
            let (whole, thirds) =
                (ratio(0..ROUNDS), [0, 1, 2].map(|part| ratio(part * third..(part + 1) * third)));
            let [first, second, last] = thirds;
            println!(
                "| {} | {work} | {rate:.0} | {megabytes:.0} | {each:.2} | {whole:.2} | {first:.2}, {second:.2}, {last:.2} |",
                case.name
            );
            works.push(json!({
                "work": work, "orders_per_second": rate, "times_the_rate_of_parsing": whole,
                "times_the_rate_of_parsing_in_each_third": thirds,
            }));
        }
        report.push(json!({ "orders": case.name, "count": count, "bytes": bytes, "works": works }));
    }
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-mapping.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&report).unwrap()).unwrap();
    println!("\nThe same as JSON: {}", file.display());
}
