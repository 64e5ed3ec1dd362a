//! One run of the write stage: whole processes, from the first request at the target to the last receipt on disk.

use std::path::Path;
use std::time::Duration;

use events::{Micros, Receipt, TargetName};
use journal::{Journal, Stream, Topology};
use operations::StageStatus;
use orderflow_tests::Program;

use crate::cases::Case;
use crate::mapped::Mapped;
use crate::posts;
use crate::process::{Usage, Watched};
use crate::sandbox_process::SandboxProcess;
use crate::setting;

const WRITER: &str = "writer";

/// How often is asked whether all is written. What is timed comes from the receipts.
const ASK: Duration = Duration::from_millis(100);

/// What one run came to.
pub struct Written {
    /// From the first request to the last receipt.
    pub seconds: f64,
    /// Orders a second between the first and the last tenth of the receipts: without start and end.
    pub steady: f64,
    /// Orders a second of the same requests without a writer.
    pub bare: f64,
    /// What the processes used; of several writers the sum of the CPU time and the largest peak.
    pub usage: Vec<(&'static str, Usage)>,
}

impl Case {
    /// The configuration of this case.
    fn configure(&self, folder: &Path, url: &str) {
        let batch = if self.batch > 1 { format!("\nbatch = {}", self.batch) } else { String::new() };
        let concurrency = format!("concurrency = {}{batch}", self.in_flight);
        setting::write(folder, url, &[("concurrency = 32", &concurrency)]);
    }

    /// Why the program does not know how to do this; `None` when it does.
    pub async fn refused(&self) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        self.configure(folder.path(), "http://127.0.0.1:9");
        let (status, said) = setting::program(folder.path(), &["check"], None).said().await;
        let reason = said.lines().find(|line| line.starts_with("error")).unwrap_or(said.trim());
        (status != 0).then(|| reason.to_string())
    }

    /// Writes all orders, and then makes the same requests without a writer at another sandbox of the same kind.
    pub async fn run(&self, mapped: &Mapped) -> Written {
        let (nats, folder) = (mapped.server().await, tempfile::tempdir().unwrap());
        let sandbox = SandboxProcess::start(self.orders, self.latency_ms).await;
        self.configure(folder.path(), &sandbox.url);
        let (mut pids, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..self.writers {
            let writer = setting::program(folder.path(), &["write"], Some(&nats.url())).start();
            pids.push(writer.id().unwrap());
            // Read to the end meanwhile: a full pipe would stop it.
            ends.push(tokio::spawn(writer.wait_with_output()));
        }
        let others = [("nats-server", nats.pid()), ("sandbox", sandbox.pid())];
        let watching = Watched::start(pids.iter().map(|pid| (WRITER, *pid)).chain(others));
        let journal = nats.journal().await;
        self.wait(&journal, &mapped.names).await;
        let usage = together(watching.end().await);
        for pid in pids {
            Program::end(pid).await;
        }
        for end in ends {
            let output = end.await.unwrap().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let target = sandbox.report().await["target"].clone();
        assert_eq!((&target["distinct_orders"], &target["missing"]), (&self.orders.into(), &0.into()));
        assert_eq!(target["duplicates"], 0, "{target}");
        sandbox.kill().await;
        let (seconds, steady) = self.times(&journal, &mapped.names).await;

        let sandbox = SandboxProcess::start(self.orders, self.latency_ms).await;
        let url = format!("{}/execute", sandbox.url);
        let (count, in_flight) = (self.bare(), self.writers * self.in_flight);
        let records = &mapped.records[..usize::try_from(count).unwrap()];
        let bare = posts::all(&url, records, self.batch, in_flight).await;
        assert_eq!(sandbox.report().await["target"]["distinct_orders"], count);
        sandbox.kill().await;
        Written { seconds, steady, bare: count as f64 / bare.as_secs_f64(), usage }
    }

    /// Waits until each order has a receipt and the writers have nothing left to do.
    async fn wait(&self, journal: &Journal, names: &Topology) {
        while journal.size(names, Stream::Receipts).await.unwrap().0 < self.orders {
            tokio::time::sleep(ASK).await;
        }
        let target = TargetName::new("qeasy");
        while !StageStatus::write(journal, names, &target).await.unwrap().is_drained() {
            tokio::time::sleep(ASK).await;
        }
    }

    /// The seconds of the run, and the orders a second in its middle.
    async fn times(&self, journal: &Journal, names: &Topology) -> (f64, f64) {
        let (_, last, _) = journal.size(names, Stream::Receipts).await.unwrap();
        let entry = async |seq: u64| journal.get(names, Stream::Receipts, seq.max(1)).await.unwrap();
        // A receipt is dated when the target has answered: the first request went out one latency before that.
        let mut first = Micros::MAX;
        for seq in 1..=last.min(64) {
            first = first.min(entry(seq).await.event::<Receipt>().unwrap().body.at);
        }
        let began = first - Micros::try_from(self.latency_ms).unwrap() * 1_000;
        let (from, to) = (last / 10, last - last / 10);
        let middle = entry(to).await.stored_at - entry(from).await.stored_at;
        let seconds = |micros: Micros| micros as f64 / 1e6;
        (seconds(entry(last).await.stored_at - began), (to - from.max(1)) as f64 / seconds(middle))
    }
}

/// The writers as one line.
fn together(all: Vec<(&'static str, Usage)>) -> Vec<(&'static str, Usage)> {
    let mut writers = Usage::default();
    for (_, usage) in all.iter().filter(|(name, _)| *name == WRITER) {
        writers.cpu += usage.cpu;
        writers.peak_mib = writers.peak_mib.max(usage.peak_mib);
    }
    let others = all.into_iter().filter(|(name, _)| *name != WRITER);
    std::iter::once((WRITER, writers)).chain(others).collect()
}
