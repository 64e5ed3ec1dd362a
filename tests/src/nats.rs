//! A real nats-server on a free port, with its streams in a folder that goes with the test.

use std::path::{Path, PathBuf};

use journal::{Connection, Journal, LocalServer, find_server};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::port::free_port;
use crate::watchdog::Watched;

/// The folder of the streams within that of the server.
const STREAMS: &str = "data";

/// The file in which the server's port is remembered.
const PORT: &str = "port";

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// A running server.
pub struct Nats {
    folder: TempDir,
    server: Option<LocalServer>,
    _watched: Option<Watched>,
}

impl Nats {
    /// Starts one.
    pub async fn start() -> Self {
        let mut nats = Self::on_a_port_of_its_own();
        nats.restart().await;
        nats
    }

    fn on_a_port_of_its_own() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join(PORT), free_port().to_string()).expect("written");
        Self { folder, server: None, _watched: Watched::start() }
    }

    async fn binary() -> &'static PathBuf {
        BINARY.get_or_init(|| async { find_server().await.unwrap_or_else(|error| panic!("{error}")) }).await
    }

    /// Starts it again on the same streams and the same port.
    ///
    /// # Panics
    /// When somebody else has taken its port meanwhile: whoever knew it would wait for it for ever.
    pub async fn restart(&mut self) {
        let port = std::fs::read_to_string(self.folder.path().join(PORT)).expect("its port");
        let started = LocalServer::start(Self::binary().await, self.folder.path()).await;
        let server = started.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(server.url().rsplit(':').next(), Some(port.trim()), "somebody else has taken its port");
        self.server = Some(server);
    }

    /// Lets it take no message of more than `bytes` until it is started again; connections made from now on are told so.
    pub async fn limit_messages(&self, bytes: usize) {
        let config = self.folder.path().join("nats-server.conf");
        let text = std::fs::read_to_string(&config).expect("its configuration");
        let limited = text.replace("max_payload: 8MB", &format!("max_payload: {bytes}"));
        assert_ne!(text, limited, "its configuration names the limit");
        std::fs::write(&config, limited).expect("written");
        assert!(signal(self.pid(), "HUP").await, "it runs");
        crate::until("the limit holds", async || self.journal().await.max_payload() == bytes).await;
    }

    /// Ends it without warning, as a power cut of the process would.
    pub async fn kill(&mut self) {
        let server = self.server.take().expect("running");
        kill9(server.pid()).await;
        server.stop().await;
    }

    /// Does to a consumer what a server does that is killed while it writes it down: the next start will not find it.
    pub fn forget_consumer(&self, stream: &str, consumer: &str) {
        assert!(self.server.is_none(), "it would write it again");
        let consumers =
            self.folder.path().join(STREAMS).join("jetstream/$G/streams").join(stream).join("obs");
        std::fs::remove_file(consumers.join(consumer).join("meta.sum")).expect("it was there");
    }

    /// Ends it and keeps its streams, for [`Nats::copy`].
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Another server with the streams of this one as they were when it was stopped.
    pub async fn copy(&self) -> Self {
        assert!(self.server.is_none(), "streams that change cannot be copied");
        let mut nats = Self::on_a_port_of_its_own();
        copy(&self.folder.path().join(STREAMS), &nats.folder.path().join(STREAMS)).expect("copied");
        nats.restart().await;
        nats
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

/// Copies a folder. It is on disk afterwards, so that writing it there disturbs nothing that is measured.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
            std::fs::File::open(&to)?.sync_all()?;
        }
    }
    Ok(())
}

/// Sends SIGKILL.
pub(crate) async fn kill9(pid: u32) {
    assert!(signal(pid, "KILL").await, "process {pid} is there to be killed");
}

/// Sends a signal, `STOP` or `CONT` for example; `false` when the process is gone.
///
/// # Panics
/// When there is no `kill` to run.
pub async fn signal(pid: u32, name: &str) -> bool {
    let mut kill = Command::new("kill");
    kill.args([&format!("-{name}"), &pid.to_string()]).stderr(std::process::Stdio::null());
    kill.status().await.expect("kill runs").success()
}
