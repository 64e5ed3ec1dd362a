//! A live `orderflow up` against a sandbox, both processes of their own.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use events::{Micros, now};
use journal::{Connection, Journal, LocalAddress, Stream, TlsFiles, Topology};
use orderflow_tests::Program;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::sandbox_process::SandboxProcess;
use crate::setting;

/// How often is asked whether all is written.
const ASK: Duration = Duration::from_millis(100);

/// The names of the demo's flow.
pub fn names() -> Topology {
    Topology::new("demo", 16)
}

/// It runs until it is ended.
pub struct Live {
    /// Its process id.
    pub pid: u32,
    /// When it was started.
    pub began: Micros,
    /// The source and the target.
    pub sandbox: SandboxProcess,
    folder: TempDir,
    end: JoinHandle<std::io::Result<Output>>,
}

impl Live {
    /// Starts one with so many orders at the source and these changes of the demo's configuration; without `nats` it has a
    /// server of its own.
    pub async fn start(orders: u64, changes: &[(&str, &str)], nats: Option<&str>) -> Self {
        let (sandbox, folder) = (SandboxProcess::start(orders, 0).await, tempfile::tempdir().unwrap());
        setting::write(folder.path(), &sandbox.url, changes);
        let program = setting::program(folder.path(), &["up"], nats);
        let began = now();
        let up = program.start();
        let pid = up.id().unwrap();
        // Read to the end meanwhile: a full pipe would stop it.
        let end = tokio::spawn(up.wait_with_output());
        Self { pid, began, sandbox, folder, end }
    }

    /// A connection to the nats-server that it has started, when it has.
    pub async fn journal(&self) -> Journal {
        let data = self.folder.path().join(".orderflow/nats");
        loop {
            match journal::local_address(&data).unwrap() {
                Some(LocalAddress { url, identity }) => break connect(url, Some(identity.tls())).await,
                None => tokio::time::sleep(ASK).await,
            }
        }
    }

    /// Ends it as Ctrl-C does.
    pub async fn end(self) {
        Program::end(self.pid).await;
        let output = self.end.await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.sandbox.kill().await;
    }
}

/// A connection for looking.
async fn connect(url: String, tls: Option<TlsFiles>) -> Journal {
    let connection = Connection { url: url.into(), name: "bench".into(), tls, ..Connection::default() };
    Journal::connect(&connection).await.unwrap()
}

/// Waits until so many receipts are stored.
pub async fn written(journal: &Journal, receipts: u64) {
    // There is no stream in the first moments.
    while journal.size(&names(), Stream::Receipts).await.map_or(0, |(messages, _, _)| messages) < receipts {
        tokio::time::sleep(ASK).await;
    }
}

/// The processes that a process has started.
pub fn children(pid: u32) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let path = entry.ok()?.path();
        let parent = parent(&path)?;
        (parent == pid).then(|| path.file_name()?.to_str()?.parse().ok()).flatten()
    });
    pids.collect()
}

fn parent(process: &Path) -> Option<u32> {
    let stat = std::fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}
