//! What `orderflow up` takes of a core when there is nothing to do.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench idle -- [--seconds N] [--runs N] [--orders N] [--compare FILE]`. A
//! live `up` with a nats-server of its own has written everything; then its CPU time and that of its nats-server are taken
//! `--runs` times over 20 seconds each, and the figure is that of all of them together: not each has a window in it. Once with a
//! window every minute, as is usual, and once with one every second. Nobody is connected but the program itself.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
#[allow(dead_code)]
mod figures;
#[allow(dead_code)]
mod live;
#[allow(dead_code)]
mod process;
#[allow(dead_code)]
mod sandbox_process;
mod setting;

use std::time::{Duration, Instant};

use args::{Args, Wrong};
use figures::{Figures, Row};
use live::Live;
use serde_json::json;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");
const ORDERS: u64 = 10_000;
/// Percent of a core.
const AIM: f64 = 1.0;
/// How long one sample takes: at 1 % of a core it counts 20 ticks.
const SECONDS: u64 = 20;
/// What comes to rest after the last order does so meanwhile.
const REST: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("idle", &args)?;
    let (orders, runs) = (args.orders(ORDERS)?, args.runs()?);
    let seconds = args.number("--seconds")?.unwrap_or(SECONDS).max(1);
    let mut all = Vec::new();
    for every in ["60s", "1s"] {
        let samples = samples(orders, every, runs, Duration::from_secs(seconds)).await;
        let of = |at: usize| samples.iter().map(|sample| sample[at]).sum::<f64>() / samples.len() as f64;
        let name = |process: &str| format!("idle/{process}, a window every {every}");
        figures.push(Row::new(name("up"), of(0), "% of a core").low().aim(AIM));
        figures.push(Row::new(name("its nats-server"), of(1), "% of a core").low());
        all.push(json!({ "every": every, "percent_of_up_and_nats_server": samples }));
    }
    figures.finish(json!({ "orders": orders, "seconds": seconds, "samples": all }));
    Ok(())
}

/// Percent of a core, of `up` and of its nats-server.
async fn samples(orders: u64, every: &str, runs: usize, each: Duration) -> Vec<[f64; 2]> {
    let live = Live::start(orders, &[("every = \"2s\"", &format!("every = \"{every}\""))], None).await;
    let journal = live.journal().await;
    live::written(&journal, orders).await;
    // Or the server would keep our connection alive meanwhile.
    drop(journal);
    tokio::time::sleep(REST).await;
    let [server] = live::children(live.pid)[..] else {
        panic!("`orderflow up` has not one child, its nats-server");
    };
    let pids = [live.pid, server];
    let used = || pids.map(|pid| process::cpu(pid).expect("it runs"));
    let mut samples = Vec::new();
    for number in 1..=runs {
        let (before, began) = (used(), Instant::now());
        tokio::time::sleep(each).await;
        let (after, took) = (used(), began.elapsed().as_secs_f64());
        let sample = [0, 1].map(|at| (after[at] - before[at]) * 100.0 / took);
        eprintln!(
            "every {every}, sample {number}: up {:.2} %, nats-server {:.2} % of a core",
            sample[0], sample[1]
        );
        samples.push(sample);
    }
    live.end().await;
    samples
}
