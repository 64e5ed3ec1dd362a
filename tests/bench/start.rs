//! From the start of `orderflow up` to the first order written: a fresh folder, a nats-server of its own, a warm binary.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench start -- [--orders N] [--runs N] [--compare FILE]`. The sandbox
//! runs already. The time is that of the first receipt, which is dated when the target has answered; nobody asks anything
//! before. The first run only warms the files. Beside it stands how long a bare nats-server takes until it is ready.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
#[allow(dead_code)]
mod figures;
#[allow(dead_code)]
mod live;
#[allow(dead_code)]
mod sandbox_process;
mod setting;

use std::time::{Duration, Instant};

use args::{Args, Wrong, median};
use events::Receipt;
use figures::{Figures, Row};
use futures::StreamExt;
use journal::{From, Stream};
use live::Live;
use orderflow_tests::Nats;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");
const ORDERS: u64 = 1_000;
/// Seconds.
const AIM: f64 = 1.0;
/// It is left alone for so long.
const ALONE: Duration = Duration::from_secs(2);

/// Seconds to the first and to the last receipt, and until a bare nats-server is ready.
type Run = (f64, f64, f64);

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("start", &args)?;
    let (orders, times) = (args.orders(ORDERS)?, args.runs()?);
    let mut runs = Vec::new();
    for number in 0..=times {
        let run = run(orders).await;
        let what = if number == 0 { "warm-up".into() } else { format!("run {number}") };
        eprintln!("{what}: first order written after {:.3} s, last after {:.3} s", run.0, run.1);
        if number > 0 {
            runs.push(run);
        }
    }
    let of = |value: fn(&Run) -> f64| median(runs.iter().map(value));
    let server = of(|run| run.2);
    figures.push(
        Row::new("start/first order written", of(|run| run.0), "s")
            .low()
            .aim(AIM)
            .limit("a bare nats-server is ready", server),
    );
    figures.push(Row::new(format!("start/all {orders} orders written"), of(|run| run.1), "s").low());
    figures.finish(serde_json::json!({ "orders": orders, "seconds": runs }));
    Ok(())
}

async fn run(orders: u64) -> Run {
    let began = Instant::now();
    let nats = Nats::start().await;
    let server = began.elapsed().as_secs_f64();
    drop(nats);
    let live = Live::start(orders, &[], None).await;
    tokio::time::sleep(ALONE).await;
    let journal = live.journal().await;
    live::written(&journal, orders).await;
    let log = journal.read(&live::names(), Stream::Receipts, None, From::Start, false).await.unwrap();
    let times: Vec<_> = log.map(|entry| entry.unwrap().event::<Receipt>().unwrap().body.at).collect().await;
    let after = |at: Option<&i64>| (at.unwrap() - live.began) as f64 / 1e6;
    let (first, last) = (after(times.iter().min()), after(times.iter().max()));
    live.end().await;
    (first, last, server)
}
