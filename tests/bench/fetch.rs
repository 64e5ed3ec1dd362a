//! Fetching alone: pages a second beside the machine's own limit, measured in the same run, and whether the call budget
//! holds its rate.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench fetch -- [--pages N] [--orders N] [--runs N] [--limiter]
//! [--compare FILE]`; `--orders` lowers the pages, `--limiter` measures the call budget alone. nats-server (`sync_interval: always`) is a process of its own; the fetchers and the
//! sandbox are in this one. A window is read twice, once to count and once to confirm: the first pass stores each page in
//! RAW and SYNC, the second in SYNC. Two limits stand beside it, of as many requests at a time: the same requests with
//! nothing stored, and the same messages with nothing asked.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
mod bare;
#[allow(dead_code)]
mod figures;
mod flow;
mod limiter;
#[allow(dead_code)] // the peak memory of this process would be that of all runs before
mod process;
mod source;
mod store;

use std::process::ExitCode;

use args::{Args, Wrong, median};
use figures::{Figures, Process, Row};
use flow::{CONCURRENCY, Flow};
use limiter::{Held, RATE, TOLERANCE};
// For its allocator: the fetcher has it wherever it runs.
use orderflow as _;
use process::{Usage, Watched};
use serde_json::{Value, json};

/// Orders a page.
const PAGE_SIZE: u32 = 100;

/// Pages of the source.
const PAGES: u64 = 200;

/// Of the rate of bare requests, at a source that takes no time.
const AIM: f64 = 0.6;

/// What one run came to.
struct Run {
    calls: u64,
    seconds: f64,
    /// Pages a second of the first and of the second pass.
    passes: Vec<f64>,
    /// Seconds of the same requests without a fetcher.
    bare: f64,
    /// Seconds of the same messages without a fetcher.
    store: f64,
    usage: Vec<(&'static str, Usage)>,
}

/// The runs of one setting.
struct Case {
    latency: u64,
    fetchers: usize,
    runs: Vec<Run>,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("fetch", &args)?;
    let (limiter_alone, runs) = (args.has("--limiter"), args.runs()?);
    let least = |orders: u64| orders.div_ceil(u64::from(PAGE_SIZE)).max(2);
    let pages = args.number("--pages")?.unwrap_or(PAGES).max(2);
    let pages = args.number("--orders")?.map_or(pages, |orders| pages.min(least(orders)));

    let mut cases = Vec::new();
    let settings = if limiter_alone { &[][..] } else { &[(0, 1), (0, 4), (50, 1), (50, 4)] };
    for &(latency, fetchers) in settings {
        let mut all = Vec::new();
        for number in 1..=runs {
            let run = run(pages, latency, fetchers).await;
            let (calls, rate) = (run.calls, run.calls as f64 / run.seconds);
            eprintln!("{latency} ms, {fetchers} fetchers, run {number}: {calls} pages, {rate:.0} a second");
            all.push(run);
        }
        all.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        cases.push(Case { latency, fetchers, runs: all });
    }
    let mut held = Vec::new();
    for fetchers in [1, 2, 4] {
        let one = limiter::held(fetchers).await;
        eprintln!("limiter, {fetchers} fetchers: {:.2} calls a second", one.rate);
        held.push(one);
    }

    if !limiter_alone {
        println!(
            "{pages} pages of {PAGE_SIZE} orders, read twice, {CONCURRENCY} requests at a time in each fetcher"
        );
        println!("Median of {runs} runs\n");
        print_rates(&cases);
    }
    print_held(&held);
    cases.iter().flat_map(Case::rows).for_each(|row| figures.push(row));
    for held in &held {
        let name = format!("fetch/call budget off its rate, {} fetchers", held.fetchers);
        figures.push(Row::new(name, held.deviation().abs() * 100.0, "%").low().aim(TOLERANCE * 100.0));
    }
    figures.finish(json!({
        "pages": pages,
        "fetching": cases.iter().map(Case::json).collect::<Vec<_>>(),
        "limiter": held.iter().map(|held| json!({
            "fetchers": held.fetchers, "wanted": RATE, "calls": held.calls, "seconds": held.seconds,
            "calls_per_second": held.rate, "deviation": held.deviation(), "most_in_a_second": held.most,
            "longest_gap_ms": held.gap_ms,
        })).collect::<Vec<_>>(),
    }));
    if held.iter().any(|held| held.deviation().abs() > TOLERANCE) {
        eprintln!("the limiter is further than {} % from its rate", TOLERANCE * 100.0);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn run(pages: u64, latency: u64, fetchers: usize) -> Run {
    let flow = Flow::new(pages, PAGE_SIZE, latency).await;
    let processes = [("fetchers and sandbox", std::process::id()), ("nats-server", flow.nats.pid())];
    let watching = Watched::start(processes);
    let seconds = flow.fetch(fetchers).await.as_secs_f64();
    let usage = watching.end().await;
    let calls = flow.sandbox.report().source.list_requests;
    let passes = flow.passes().await.iter().map(|at| (at.len() - 1) as f64 / flow::seconds(at)).collect();
    // Without latency as many requests are over before a time can be taken of them.
    let times = if latency == 0 { 10 } else { 1 };
    let bare = bare::read(&flow.sandbox.url(), times * calls, pages, PAGE_SIZE, fetchers).await.as_secs_f64();
    let asked = flow.sandbox.report().source.list_requests - calls;
    assert_eq!(asked, times * calls, "the bare loop asked for every page");
    let bare = bare / times as f64;
    let store = store::again(&flow, fetchers).await.as_secs_f64();
    Run { calls, seconds, passes, bare, store, usage }
}

impl Case {
    fn median(&self) -> &Run {
        &self.runs[self.runs.len() / 2]
    }

    /// Pages a second, the median of the runs.
    fn rate(&self, seconds: impl Fn(&Run) -> f64) -> f64 {
        median(self.runs.iter().map(|run| run.calls as f64 / seconds(run)))
    }

    /// Pages a second: of the fetchers, of the bare requests, of the bare messages.
    fn rates(&self) -> (f64, f64, f64) {
        (self.rate(|run| run.seconds), self.rate(|run| run.bare), self.rate(|run| run.store))
    }

    /// The rate, and what it is of the bare one: the median of the runs' own ratios, for each has its own bare loop.
    fn rows(&self) -> [Row; 2] {
        let (rate, bare, _) = self.rates();
        let name = format!("fetch/{} ms, {} fetchers", self.latency, self.fetchers);
        let share = median(self.runs.iter().map(|run| run.bare / run.seconds));
        let run = self.median();
        // The sandbox is in the process of the fetchers.
        let processes = run.usage.iter().map(|(name, usage)| Process {
            name: name.to_string(),
            cpu_seconds: usage.cpu,
            cpu_us_an_order: usage.cpu * 1e6 / (run.calls * u64::from(PAGE_SIZE)) as f64,
            peak_mib: None,
        });
        let aim = (self.latency == 0 && self.fetchers == 1).then_some(AIM);
        [
            Row::new(&name, rate, "pages/s")
                .limit("the same requests, nothing stored", bare)
                .processes(processes.collect()),
            Row::new(format!("{name}, of bare requests"), share, "").aim(aim),
        ]
    }

    fn json(&self) -> Value {
        let (rate, bare, store) = self.rates();
        json!({
            "latency_ms": self.latency, "fetchers": self.fetchers, "calls": self.median().calls,
            "pages_per_second": rate, "bare_requests_per_second": bare, "bare_stores_per_second": store,
            "pages_per_second_of_each_pass": self.median().passes,
            "seconds": self.runs.iter().map(|run| run.seconds).collect::<Vec<_>>(),
        })
    }
}

fn print_rates(cases: &[Case]) {
    println!(
        "| latency | fetchers | pages | seconds | pages/s | bare requests, pages/s | of them | bare stores, pages/s | of them |\n\
         |---|---|---|---|---|---|---|---|---|"
    );
    for case in cases {
        let (run, (rate, bare, store)) = (case.median(), case.rates());
        println!(
            "| {} ms | {} | {} | {:.2} | {rate:.0} | {bare:.0} | {:.2} | {store:.0} | {:.2} |",
            case.latency,
            case.fetchers,
            run.calls,
            run.seconds,
            rate / bare,
            rate / store
        );
    }
    println!("\nThe median run from the inside:\n");
    println!(
        "| latency | fetchers | pages/s of each pass | CPU ms a page: fetchers and sandbox | nats-server |\n\
         |---|---|---|---|---|"
    );
    for case in cases {
        let run = case.median();
        let passes: Vec<String> = run.passes.iter().map(|rate| format!("{rate:.0}")).collect();
        let cpu = run.usage.iter().map(|(_, usage)| format!("{:.2}", usage.cpu * 1e3 / run.calls as f64));
        println!(
            "| {} ms | {} | {} | {} |",
            case.latency,
            case.fetchers,
            passes.join(", "),
            cpu.collect::<Vec<_>>().join(" | ")
        );
    }
}

fn print_held(all: &[Held]) {
    println!("\n{RATE} calls a second asked for, burst 1, one budget for all fetchers\n");
    println!(
        "| fetchers | calls | seconds | calls/s | deviation | most in one second | longest gap |\n\
         |---|---|---|---|---|---|---|"
    );
    for held in all {
        let deviation = held.deviation() * 100.0;
        println!(
            "| {} | {} | {:.2} | {:.2} | {deviation:+.2} % | {} | {:.0} ms |",
            held.fetchers, held.calls, held.seconds, held.rate, held.most, held.gap_ms
        );
    }
}
