//! Whether an order costs the same however many there are, and what memory each service takes.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench scale -- [--million] [--orders N] [--runs N] [--compare FILE]`:
//! 10,000 and 100,000 orders, and with `--million` 1,000,000 as well (the sandbox then takes some GiB of memory).
//! nats-server (`sync_interval: always`), the sandbox and one process each of `fetch`, `transform` and `write`; one order a
//! request, 64 in flight, 0 ms at the target. The cost of an order is the CPU time of the services and of nats-server, from
//! their start on; of two sizes the cost of each further order is told as well, which leaves the start out. Its memory is
//! that of each further order.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
#[allow(dead_code)]
mod figures;
#[allow(dead_code)] // its messages are for another bench
mod limits;
#[allow(dead_code)]
mod process;
#[allow(dead_code)]
mod sandbox_process;
mod services;
mod setting;

use args::{Args, Wrong, median};
use figures::{Figures, Row};
use serde_json::json;
use services::{Carried, SERVICES};

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");
const SIZES: [u64; 2] = [10_000, 100_000];
const MILLION: u64 = 1_000_000;
/// The dearest size over the cheapest.
const FLAT: f64 = 1.1;
/// MiB of each service, whatever the size up to a million.
const PEAK: f64 = 200.0;

/// The runs of one size, the fastest first.
struct Size {
    orders: u64,
    runs: Vec<Carried>,
}

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("scale", &args)?;
    let mut sizes: Vec<u64> = SIZES.iter().map(|size| args.orders(*size)).collect::<Result<_, _>>()?;
    let times = args.runs()?;
    sizes.extend(args.has("--million").then_some(MILLION));
    sizes.dedup();
    let mut all = Vec::new();
    for orders in sizes {
        let mut runs = Vec::new();
        for number in 1..=times {
            let run = services::carry(orders).await;
            let (rate, cost) = (orders as f64 / run.seconds, run.cost(orders));
            let peaks = SERVICES.map(|service| format!("{service} {:.0}", run.peak(service))).join(", ");
            eprintln!("{orders}, run {number}: {rate:.0} orders/s, {cost:.1} us an order, MiB: {peaks}");
            runs.push(run);
        }
        runs.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        all.push(Size { orders, runs });
    }
    let post = limits::post(0).await;
    for size in &all {
        figures.push(post.iter().fold(size.rate(), |row, (what, limit)| row.limit(what, *limit)));
        size.others().into_iter().for_each(|row| figures.push(row));
    }
    all.windows(2).flat_map(|pair| further(&pair[0], &pair[1])).for_each(|row| figures.push(row));
    flat(&all).into_iter().for_each(|row| figures.push(row));
    println!("\n{}", figures.processes());
    figures.finish(json!({ "sizes": all.iter().map(Size::json).collect::<Vec<_>>() }));
    Ok(())
}

impl Size {
    fn of(&self, value: impl Fn(&Carried) -> f64) -> f64 {
        median(self.runs.iter().map(value))
    }

    fn cost(&self) -> f64 {
        self.of(|run| run.cost(self.orders))
    }

    fn middle(&self) -> f64 {
        self.of(|run| run.middle)
    }

    fn peak(&self, service: &str) -> f64 {
        self.of(|run| run.peak(service))
    }

    fn name(&self, what: &str) -> String {
        format!("scale/{}, {what}", self.orders)
    }

    fn rate(&self) -> Row {
        let run = &self.runs[self.runs.len() / 2];
        Row::new(self.name("start to end"), self.orders as f64 / run.seconds, "orders/s")
            .processes(process::shares(&run.usage, self.orders))
    }

    fn others(&self) -> Vec<Row> {
        let mut rows = vec![
            Row::new(self.name("without start and end"), self.middle(), "orders/s"),
            Row::new(self.name("CPU"), self.cost(), "us an order").low(),
        ];
        rows.extend(SERVICES.map(|service| {
            let name = self.name(&format!("peak memory of {service}"));
            Row::new(name, self.peak(service), "MiB").low().aim(PEAK)
        }));
        rows
    }

    fn json(&self) -> serde_json::Value {
        let each = |value: fn(&Carried) -> f64| self.runs.iter().map(value).collect::<Vec<_>>();
        json!({
            "orders": self.orders, "seconds": each(|run| run.seconds),
            "cpu_us_an_order": self.runs.iter().map(|run| run.cost(self.orders)).collect::<Vec<_>>(),
        })
    }
}

/// What each order beyond the smaller size costs.
fn further(small: &Size, large: &Size) -> Vec<Row> {
    let more = (large.orders - small.orders) as f64;
    let name =
        |what: &str| format!("scale/{} to {}, {what} of each further order", small.orders, large.orders);
    let cpu = (large.cost() * large.orders as f64 - small.cost() * small.orders as f64) / more;
    let mut rows = vec![Row::new(name("CPU"), cpu, "us an order").low()];
    rows.extend(SERVICES.map(|service| {
        let bytes = (large.peak(service) - small.peak(service)) * 1_048_576.0 / more;
        Row::new(name(&format!("memory of {service}")), bytes, "bytes an order").low()
    }));
    rows
}

/// How far the sizes are from each other: 1 is flat.
fn flat(all: &[Size]) -> Vec<Row> {
    if all.len() < 2 {
        return Vec::new();
    }
    let spread = |value: fn(&Size) -> f64| {
        let most = all.iter().map(value).fold(f64::MIN, f64::max);
        most / all.iter().map(value).fold(f64::MAX, f64::min)
    };
    vec![
        Row::new("scale/CPU an order, dearest over cheapest size", spread(Size::cost), "").low().aim(FLAT),
        Row::new("scale/orders a second without start and end, most over least", spread(Size::middle), "")
            .low()
            .aim(FLAT),
    ]
}
