//! The transform stage alone, RAW to MAPPED, beside the machine's own limits, measured in the same run.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench transform -- [--pages N] [--orders N] [--runs N] [--compare FILE]`;
//! 1,000 pages of 100 orders unless said otherwise. nats-server (`sync_interval: always`) and `orderflow transform` are
//! processes of their own; the pages lie in RAW before a run begins, in streams that are copied for each run. Timed from the
//! moment the transformer has its consumer to the last message of MAPPED that the server has stored, both by the clock of this machine. The
//! limits are the messages of RAW, and of MAPPED, read and acked with nothing done, and those of MAPPED stored once more,
//! from this process.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
mod bare_log;
#[allow(dead_code)]
mod figures;
#[allow(dead_code)]
mod process;
mod raw;
mod setting;

use std::time::Duration;

use args::{Args, Wrong, median};
use events::{Micros, Stage, now};
use figures::{Figures, Row};
use journal::{Journal, Stream, Topology};
use operations::StageStatus;
// For its allocator: the transformer has it, so the loops beside it have it too.
use orderflow as _;
use orderflow_tests::Program;
use process::{Usage, Watched};
use raw::{PAGE_SIZE, Raw};
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");
const PAGES: u64 = 1_000;
/// Orders a second.
const AIM: f64 = 60_000.0;

/// Pages in hand, as the transformer has them.
const PAGES_IN_HAND: usize = 12;
/// Orders in hand, as many as one pull brings.
const ORDERS_IN_HAND: usize = 500;

/// How often is asked whether all is mapped. What is timed comes from the log.
const ASK: Duration = Duration::from_millis(100);

/// What one run came to; rates in orders a second.
struct Run {
    seconds: f64,
    /// Between the first and the last tenth of MAPPED: without start and end.
    middle: f64,
    consume_raw: f64,
    consume_mapped: f64,
    store: f64,
    usage: Vec<(&'static str, Usage)>,
}

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("transform", &args)?;
    let pages = args.number("--pages")?.unwrap_or(PAGES).max(1);
    let pages = pages.min(args.orders(pages * PAGE_SIZE)?.div_ceil(PAGE_SIZE));
    let times = args.runs()?;
    let (orders, raw) = (pages * PAGE_SIZE, Raw::prepare(pages).await);
    let mut runs = Vec::new();
    for number in 1..=times {
        let run = run(&raw, orders).await;
        eprintln!(
            "run {number}: {:.2} s, {:.0} orders/s; bare: RAW read {:.0}, MAPPED read {:.0}, MAPPED stored {:.0}",
            run.seconds,
            orders as f64 / run.seconds,
            run.consume_raw,
            run.consume_mapped,
            run.store
        );
        runs.push(run);
    }
    runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let middle = &runs[runs.len() / 2];
    let of = |value: fn(&Run) -> f64| median(runs.iter().map(value));
    println!("{pages} pages of {PAGE_SIZE} orders, median of {} runs", runs.len());
    figures.push(
        Row::new("transform/orders", orders as f64 / middle.seconds, "orders/s")
            .aim(AIM)
            .limit("the same messages of MAPPED stored bare", of(|run| run.store))
            .processes(process::shares(&middle.usage, orders)),
    );
    for (name, value) in [
        ("transform/orders, without start and end", of(|run| run.middle)),
        ("transform/bare consume of RAW", of(|run| run.consume_raw)),
        ("transform/bare consume of MAPPED", of(|run| run.consume_mapped)),
        ("transform/bare publish of MAPPED", of(|run| run.store)),
    ] {
        figures.push(Row::new(name, value, "orders/s"));
    }
    println!("\n{}", figures.processes());
    let seconds: Vec<f64> = runs.iter().map(|run| run.seconds).collect();
    figures.finish(json!({ "pages": pages, "orders": orders, "seconds": seconds }));
    Ok(())
}

async fn run(raw: &Raw, orders: u64) -> Run {
    let (nats, folder, names) = (raw.server().await, tempfile::tempdir().unwrap(), &raw.names);
    setting::write(folder.path(), "http://127.0.0.1:9", &[]);
    let journal = nats.journal().await;
    let transformer = setting::program(folder.path(), &["transform"], Some(&nats.url())).start();
    let pid = transformer.id().unwrap();
    // Read to the end meanwhile: a full pipe would stop it.
    let end = tokio::spawn(transformer.wait_with_output());
    let watching = Watched::start([("transform", pid), ("nats-server", nats.pid())]);
    let began = first_pull(&journal, names).await;
    while journal.size(names, Stream::Mapped).await.unwrap().0 < orders
        || !StageStatus::transform(&journal, names).await.unwrap().is_drained()
    {
        tokio::time::sleep(ASK).await;
    }
    let usage = watching.end().await;
    Program::end(pid).await;
    let output = end.await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (mapped, last, _) = journal.size(names, Stream::Mapped).await.unwrap();
    let dead = journal.size(names, Stream::Dead).await.unwrap().0;
    // Beside the orders there is one message a page with their numbers.
    let index = journal.subjects(names, Stream::Mapped, &names.numbers()).await.unwrap();
    let index: u64 = index.iter().map(|(_, messages)| messages).sum();
    assert_eq!((mapped - index, dead), (orders, 0), "each order was mapped once");

    let stored = async |seq: u64| journal.get(names, Stream::Mapped, seq.max(1)).await.unwrap().stored_at;
    let seconds = |from: Micros, to: Micros| (to - from) as f64 / 1e6;
    let (from, to) = ((last / 10).max(1), last - last / 10);
    let middle = (to - from) as f64 / seconds(stored(from).await, stored(to).await);
    let seconds = seconds(began, stored(last).await);

    let rate = |took: Duration| orders as f64 / took.as_secs_f64();
    let consume_raw = rate(bare_log::consume(&journal, names, Stream::Raw, PAGES_IN_HAND).await);
    let consume_mapped = rate(bare_log::consume(&journal, names, Stream::Mapped, ORDERS_IN_HAND).await);
    let store = rate(bare_log::store_mapped(&journal, names).await);
    Run { seconds, middle, consume_raw, consume_mapped, store, usage }
}

/// The last moment at which the transformer had no consumer yet: no page was handed out before.
async fn first_pull(journal: &Journal, names: &Topology) -> Micros {
    let mut before = now();
    loop {
        let asked = now();
        if journal.lag(names, Stream::Raw, &names.consumer(Stage::Transform)).await.unwrap().is_some() {
            return before;
        }
        before = asked;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
