//! One run of the whole pipeline with a process for each service: `fetch --once`, `transform` and `write`.

use std::time::Duration;

use events::{Micros, TargetName, now};
use journal::{Journal, Stream, Topology};
use operations::StageStatus;
use orderflow_tests::{Nats, Program};

use crate::process::{Usage, Watched};
use crate::sandbox_process::SandboxProcess;
use crate::setting;

/// The services, in the order of the flow.
pub const SERVICES: [&str; 3] = ["fetch", "transform", "write"];

/// How often is asked whether all is written. What is timed comes from the log.
const ASK: Duration = Duration::from_millis(200);

/// What one run came to.
pub struct Carried {
    /// From the start of the processes to the last receipt that the server has stored.
    pub seconds: f64,
    /// Orders a second between the first and the last tenth of the receipts: without start and end.
    pub middle: f64,
    /// What the processes used, the services first.
    pub usage: Vec<(&'static str, Usage)>,
}

impl Carried {
    /// CPU microseconds an order: of the services and of nats-server, not of the sandbox.
    pub fn cost(&self, orders: u64) -> f64 {
        let ours = self.usage.iter().filter(|(name, _)| *name != "sandbox");
        ours.map(|(_, usage)| usage.cpu).sum::<f64>() * 1e6 / orders as f64
    }

    /// The peak memory of a process, in MiB.
    pub fn peak(&self, process: &str) -> f64 {
        self.usage.iter().find(|(name, _)| *name == process).map_or(0.0, |(_, usage)| usage.peak_mib)
    }
}

/// Carries so many generated orders from source to target.
pub async fn carry(orders: u64) -> Carried {
    let (nats, folder) = (Nats::start().await, tempfile::tempdir().unwrap());
    let sandbox = SandboxProcess::start(orders, 0).await;
    setting::write(folder.path(), &sandbox.url, &[("concurrency = 32", "concurrency = 64")]);
    let (journal, names) = (nats.journal().await, Topology::new("demo", 16));
    let began = now();
    let (mut pids, mut ends) = (Vec::new(), Vec::new());
    for service in SERVICES {
        let args: &[&str] = if service == "fetch" { &["fetch", "--once"] } else { &[service] };
        let child = setting::program(folder.path(), args, Some(&nats.url())).start();
        pids.push((service, child.id().unwrap()));
        // Read to the end meanwhile: a full pipe would stop it.
        ends.push(tokio::spawn(child.wait_with_output()));
    }
    let others = [("nats-server", nats.pid()), ("sandbox", sandbox.pid())];
    let watching = Watched::start(pids.iter().copied().chain(others));
    wait(&journal, &names, orders).await;
    let usage = watching.end().await;
    for (number, end) in ends.into_iter().enumerate() {
        // The fetcher ends by itself when its window has its proof.
        if number > 0 {
            Program::end(pids[number].1).await;
        }
        let output = end.await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let target = sandbox.report().await["target"].clone();
    assert_eq!((&target["distinct_orders"], &target["missing"]), (&orders.into(), &0.into()));
    assert_eq!(target["duplicates"], 0, "{target}");
    sandbox.kill().await;

    let last = journal.size(&names, Stream::Receipts).await.unwrap().1;
    let stored = async |seq: u64| journal.get(&names, Stream::Receipts, seq.max(1)).await.unwrap().stored_at;
    let seconds = |from: Micros, to: Micros| (to - from) as f64 / 1e6;
    let (from, to) = ((last / 10).max(1), last - last / 10);
    let middle = (to - from) as f64 / seconds(stored(from).await, stored(to).await);
    Carried { seconds: seconds(began, stored(last).await), middle, usage }
}

/// Waits until each order has a receipt, the writer has nothing left, and the window is closed.
async fn wait(journal: &Journal, names: &Topology, orders: u64) {
    // There is no stream in the first moments.
    while journal.size(names, Stream::Receipts).await.map_or(0, |(messages, _, _)| messages) < orders {
        tokio::time::sleep(ASK).await;
    }
    let target = TargetName::new("qeasy");
    while !StageStatus::write(journal, names, &target).await.unwrap().is_drained()
        || journal.last(names, Stream::Sync, &names.watermark()).await.unwrap().is_none()
    {
        tokio::time::sleep(ASK).await;
    }
}
