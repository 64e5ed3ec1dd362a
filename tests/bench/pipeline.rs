//! The throughput of the whole pipeline beside the machine's own limits, measured in the same run.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench pipeline -- [ORDERS] [--orders N] [--latency MS] [--runs N]
//! [--compare FILE]`. Everything is a process of its own: nats-server (`sync_interval: always`), the sandbox, and `orderflow up --once`.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
#[allow(dead_code)]
mod figures;
mod limits;
#[allow(dead_code)]
mod process;
#[allow(dead_code)] // its report is for another bench
mod sandbox_process;
mod setting;

use std::time::Instant;

use args::{Args, Wrong};
use figures::{Figures, Row};
use orderflow_tests::Nats;
use process::{Usage, Watched};
use sandbox_process::SandboxProcess;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");

/// What one run came to.
struct Run {
    seconds: f64,
    usage: Vec<(&'static str, Usage)>,
}

#[tokio::main]
async fn main() -> Result<(), Wrong> {
    let args = Args::read();
    let mut figures = Figures::of("pipeline", &args)?;
    let orders = args.first().map_or_else(|| args.orders(100_000), Ok)?;
    let (runs, latency) = (args.runs()?, args.number("--latency")?.unwrap_or(0));

    println!("{orders} generated orders, one a request, {latency} ms at the target, {runs} runs\n");
    let publish = limits::publish().await;
    let post = limits::post(latency).await;
    let mut all = Vec::new();
    for number in 1..=runs {
        let run = run(orders, latency).await;
        eprintln!("run {number}: {:.2} s, {:.0} orders/s", run.seconds, orders as f64 / run.seconds);
        all.push(run);
    }
    all.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let median = &all[all.len() / 2];
    let rate = orders as f64 / median.seconds;
    println!("| what | per second | of the pipeline's rate |\n|---|---|---|");
    println!("| the pipeline, start to end of the process (median of {runs}) | {rate:.0} | 1.0 |");
    for (what, limit) in publish.iter().chain(&post) {
        println!("| {what} | {limit:.0} | {:.1} |", limit / rate);
    }
    println!("\n| process | CPU seconds | us an order | peak memory, MiB |\n|---|---|---|---|");
    for (name, usage) in &median.usage {
        let each = usage.cpu * 1e6 / orders as f64;
        println!("| {name} | {:.2} | {each:.1} | {:.0} |", usage.cpu, usage.peak_mib);
    }
    let limits: serde_json::Map<_, _> =
        publish.iter().chain(&post).map(|(what, limit)| (what.to_string(), (*limit).into())).collect();
    let processes = process::shares(&median.usage, orders);
    let name = if latency == 0 { "pipeline/orders".into() } else { format!("pipeline/orders, {latency} ms") };
    let row = Row::new(name, rate, "orders/s").processes(processes);
    figures.push(post.iter().fold(row, |row, (what, limit)| row.limit(what, *limit)));
    for (what, limit) in &publish {
        figures.push(Row::new(format!("pipeline/{what}"), *limit, "messages/s"));
    }
    figures.finish(serde_json::json!({
        "orders": orders, "latency_ms": latency, "orders_per_second": rate, "limits": limits,
        "seconds": all.iter().map(|run| run.seconds).collect::<Vec<_>>(),
    }));
    Ok(())
}

async fn run(orders: u64, latency: u64) -> Run {
    let (nats, folder) = (Nats::start().await, tempfile::tempdir().unwrap());
    let sandbox = SandboxProcess::start(orders, latency).await;
    setting::write(folder.path(), &sandbox.url, &[("concurrency = 32", "concurrency = 64")]);
    let watched = [("nats-server", nats.pid()), ("sandbox", sandbox.pid())];
    let began = Instant::now();
    let up = setting::program(folder.path(), &["up", "--once"], Some(&nats.url())).start();
    let watching = Watched::start([("orderflow up", up.id().unwrap())].into_iter().chain(watched));
    let output = up.wait_with_output().await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let usage = watching.end().await;
    sandbox.kill().await;
    Run { seconds, usage }
}
