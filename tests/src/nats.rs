//! A real nats-server on a free port, with its streams in a folder that goes with the test.

use std::path::PathBuf;

use journal::{Connection, Journal, LocalServer, find_server};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// A running server.
pub struct Nats {
    folder: TempDir,
    server: Option<LocalServer>,
}

impl Nats {
    /// Starts one.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut nats = Self { folder, server: None };
        nats.restart().await;
        nats
    }

    async fn binary() -> &'static PathBuf {
        BINARY.get_or_init(|| async { find_server().await.unwrap_or_else(|error| panic!("{error}")) }).await
    }

    /// Starts it again on the same streams and the same port.
    pub async fn restart(&mut self) {
        let started = LocalServer::start(Self::binary().await, self.folder.path()).await;
        self.server = Some(started.unwrap_or_else(|error| panic!("{error}")));
    }

    /// Ends it without warning, as a power cut of the process would.
    pub async fn kill(&mut self) {
        let server = self.server.take().expect("running");
        kill9(server.pid()).await;
        server.stop().await;
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.server.as_ref().expect("running").url().to_string()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("running").pid()
    }

    /// A connection of its own.
    pub async fn journal(&self) -> Journal {
        let connection = Connection { url: self.url(), credentials_file: None, name: "test".into() };
        Journal::connect(&connection).await.unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            let _ = std::process::Command::new("kill").args(["-9", &server.pid().to_string()]).status();
        }
    }
}

/// Sends SIGKILL.
pub(crate) async fn kill9(pid: u32) {
    let sent = Command::new("kill").args(["-9", &pid.to_string()]).status().await.expect("kill runs");
    assert!(sent.success(), "process {pid} is there to be killed");
}
