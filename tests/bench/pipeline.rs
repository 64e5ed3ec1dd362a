//! The throughput of the whole pipeline beside the machine's own limits, measured in the same run.
//!
//! `make bench`, or `cargo bench -p orderflow-tests --bench pipeline -- [ORDERS] [--latency MS] [--runs N]`. Everything is
//! a process of its own: nats-server (`sync_interval: always`), the sandbox, and `orderflow up --once`.
#![allow(clippy::unwrap_used)]

#[path = "limits.rs"]
mod limits;
#[path = "process.rs"]
mod process;
#[path = "sandbox_process.rs"]
#[allow(dead_code)] // its report is for another bench
mod sandbox_process;

use std::path::Path;
use std::time::Instant;

use orderflow_tests::{Nats, Program};
use process::{Usage, Watched};
use sandbox_process::SandboxProcess;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");
const DEMO: &str = include_str!("../../deploy/examples/demo.toml");
const CASE: &str = include_str!("../../deploy/examples/case.mapping.toml");

/// What one run came to.
struct Run {
    seconds: f64,
    usage: Vec<(&'static str, Usage)>,
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let after =
        |flag: &str| args.iter().position(|arg| arg == flag).and_then(|at| args.get(at + 1)?.parse().ok());
    let orders: u64 = args.first().and_then(|arg| arg.parse().ok()).unwrap_or(100_000);
    let (runs, latency) = (after("--runs").unwrap_or(3), after("--latency").unwrap_or(0));

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
    let report = serde_json::json!({
        "orders": orders, "latency_ms": latency, "orders_per_second": rate, "limits": limits,
        "seconds": all.iter().map(|run| run.seconds).collect::<Vec<_>>(),
        "processes": median.usage.iter().map(|(name, usage)| serde_json::json!({
            "name": name, "cpu_seconds": usage.cpu, "peak_mib": usage.peak_mib,
        })).collect::<Vec<_>>(),
    });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-pipeline.json");
    std::fs::write(&file, serde_json::to_vec_pretty(&report).unwrap()).unwrap();
    println!("\nThe same as JSON: {}", file.display());
}

async fn run(orders: u64, latency: u64) -> Run {
    let (nats, folder) = (Nats::start().await, tempfile::tempdir().unwrap());
    let sandbox = SandboxProcess::start(orders, latency).await;
    let url = &sandbox.url;
    let config = DEMO
        .replace("client_id = \"demo\"", &format!("client_id = \"demo\"\nbase_url = \"{url}\""))
        .replace("http://127.0.0.1/execute", &format!("{url}/execute"))
        .replace("concurrency = 32", "concurrency = 64");
    std::fs::write(folder.path().join("orderflow.toml"), config).unwrap();
    std::fs::write(folder.path().join("mapping.toml"), CASE).unwrap();
    let watched = [("nats-server", nats.pid()), ("sandbox", sandbox.pid())];
    let began = Instant::now();
    let up = Program::new(PROGRAM, folder.path(), &["up", "--once"])
        .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
        .env("ORDERFLOW_NATS__URL", &nats.url())
        .start();
    let watching = Watched::start([("orderflow up", up.id().unwrap())].into_iter().chain(watched));
    let output = up.wait_with_output().await.unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let usage = watching.end().await;
    sandbox.kill().await;
    Run { seconds, usage }
}
