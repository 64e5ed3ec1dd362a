//! The write stage alone beside the machine's own limit, measured in the same run: one order a request and a hundred,
//! with and without latency at the target, and one, two and four writers.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench write -- [--runs N] [--orders N] [--case NAME] [--compare FILE]`;
//! `--orders` lowers the number of orders of each case. Everything is a process of its own: nats-server (`sync_interval: always`),
//! the sandbox, and `orderflow write` once or several times. The orders lie in MAPPED before a run begins, in streams that
//! are copied for each run, so that none of them has a receipt. The limit is the same requests without a writer, from
//! this process.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
mod cases;
#[allow(dead_code)]
mod figures;
mod mapped;
#[allow(dead_code)]
mod posts;
#[allow(dead_code)]
mod process;
#[allow(dead_code)]
mod sandbox_process;
mod setting;
mod written;

use std::collections::HashMap;

use args::{Args, Wrong, median};
use cases::{CASES, Case};
use figures::{Figures, Row};
use mapped::Mapped;
// For its allocator: the writer has it, so the loop beside it has it too.
use orderflow as _;
use serde_json::{Value, json};
use written::Written;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");

/// The runs of one case, fastest first.
struct Measured {
    case: Case,
    runs: Vec<Written>,
}

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("write", &args)?;
    let (runs, wanted) = (args.runs()?, args.text("--case")?);
    if let Some(wanted) = wanted.filter(|wanted| CASES.iter().all(|case| case.name != *wanted)) {
        let all = CASES.map(|case| case.name).join(", ");
        return Err(Wrong(format!("--case {wanted}: there is {all}")));
    }
    let (mut stores, mut all) = (HashMap::<u64, Mapped>::new(), Vec::new());
    for case in CASES.iter().filter(|case| wanted.is_none_or(|wanted| case.name == wanted)) {
        let case = Case { orders: args.orders(case.orders)?, ..*case };
        if let Some(reason) = case.refused().await {
            println!("case {} is left out, this build refuses its configuration: {reason}\n", case.name);
            continue;
        }
        if !stores.contains_key(&case.orders) {
            // One at a time is enough of them on disk and in memory.
            stores.clear();
            stores.insert(case.orders, Mapped::prepare(case.orders).await);
        }
        let mut measured = Measured { case, runs: Vec::new() };
        for number in 1..=runs {
            let run = case.run(&stores[&case.orders]).await;
            let (name, seconds, rate) = (case.name, run.seconds, case.orders as f64 / run.seconds);
            eprintln!("{name}, run {number}: {seconds:.2} s, {rate:.0} orders/s, bare {:.0}", run.bare);
            measured.runs.push(run);
        }
        measured.runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        all.push(measured);
    }
    println!("The write stage, median of {runs} runs\n");
    print_rates(&all);
    print_usage(&all);
    all.iter().for_each(|measured| figures.push(measured.row()));
    figures.finish(json!({ "runs": runs, "cases": all.iter().map(Measured::json).collect::<Vec<_>>() }));
    Ok(())
}

impl Measured {
    fn median(&self) -> &Written {
        &self.runs[self.runs.len() / 2]
    }

    /// Orders a second: written, in the middle of the run, and bare.
    fn rates(&self) -> (f64, f64, f64) {
        let orders = self.case.orders as f64;
        let of = |value: fn(&Written) -> f64| median(self.runs.iter().map(value));
        (orders / of(|run| run.seconds), of(|run| run.steady), of(|run| run.bare))
    }

    fn row(&self) -> Row {
        let (case, (rate, _, bare)) = (self.case, self.rates());
        Row::new(format!("write/{}", case.name), rate, "orders/s")
            .aim(case.aim())
            .limit("the same requests without a writer", bare)
            .processes(process::shares(&self.median().usage, case.orders))
    }

    fn json(&self) -> Value {
        let (case, (rate, steady, bare)) = (self.case, self.rates());
        json!({
            "case": case.name, "orders": case.orders, "orders_a_request": case.batch,
            "latency_ms": case.latency_ms, "in_flight": case.in_flight, "writers": case.writers,
            "orders_per_second": rate, "orders_per_second_in_the_middle": steady, "bare_orders_per_second": bare,
            "seconds": self.runs.iter().map(|run| run.seconds).collect::<Vec<_>>(),
        })
    }
}

fn print_rates(all: &[Measured]) {
    println!(
        "| orders | a request | latency | writers | in flight each | seconds | orders/s | its middle | bare, orders/s \
         | of bare | of in flight / latency | of one writer |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let one = all.iter().find(|one| one.case.name == "writers-1").map(|one| (one.case, one.rates()));
    for measured in all {
        let (case, (rate, steady, bare)) = (measured.case, measured.rates());
        let ceiling = case.ceiling().map_or_else(|| "-".to_string(), |most| format!("{:.3}", rate / most));
        let ratio = match one {
            Some((of, (one, middle, _))) if case.name.starts_with("writers-") && case.orders == of.orders => {
                format!("{:.2} (middle {:.2})", rate / one, steady / middle)
            }
            _ => "-".to_string(),
        };
        println!(
            "| {} | {} | {} ms | {} | {} | {:.2} | {rate:.0} | {steady:.0} | {bare:.0} | {:.2} | {ceiling} | {ratio} |",
            case.orders,
            case.batch,
            case.latency_ms,
            case.writers,
            case.in_flight,
            case.orders as f64 / rate,
            rate / bare,
        );
    }
}

fn print_usage(all: &[Measured]) {
    println!(
        "\nThe processes of the median run; of several writers the sum of the CPU time and the largest peak:\n\n\
         | a request | latency | writers | process | CPU seconds | us an order | peak memory, MiB |\n\
         |---|---|---|---|---|---|---|"
    );
    for measured in all {
        let case = measured.case;
        for (name, usage) in &measured.median().usage {
            println!(
                "| {} | {} ms | {} | {name} | {:.2} | {:.1} | {:.0} |",
                case.batch,
                case.latency_ms,
                case.writers,
                usage.cpu,
                usage.cpu * 1e6 / case.orders as f64,
                usage.peak_mib
            );
        }
    }
}
