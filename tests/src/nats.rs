//! A real nats-server on a free port, with its streams in a folder that goes with the test.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use journal::{Connection, Journal, LocalServer, find_server};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
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
    /// The user and the password that stand in its address, once it wants them.
    login: OnceLock<(&'static str, &'static str)>,
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
        Self { folder, server: None, login: OnceLock::new(), _watched: Watched::start() }
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
        let started = LocalServer::start_open(Self::binary().await, self.folder.path()).await;
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

    /// Adds this to its configuration, in place of what was added before, until it is started again.
    pub async fn configure(&self, added: &str) {
        const MARK: &str = "# added by a test";
        let config = self.folder.path().join("nats-server.conf");
        let text = std::fs::read_to_string(&config).expect("its configuration");
        let own = text.split(MARK).next().unwrap_or_default();
        std::fs::write(&config, format!("{own}{MARK}\n{added}\n")).expect("written");
        let reloaded = || {
            let log = self.log();
            assert!(!log.contains("Failed to reload"), "{log}");
            log.matches("Reloaded server configuration").count()
        };
        let before = reloaded();
        assert!(signal(self.pid(), "HUP").await, "it runs");
        crate::eventually("the configuration is read again", || reloaded() > before).await;
    }

    /// Puts everybody who connects from now on into one account, with so much room for its streams.
    pub async fn limit_account(&self, max_file: &str) {
        let account = format!("jetstream {{ max_file: {max_file}, max_mem: 1MB }}");
        let user = "users [{ user: anybody, password: any }]";
        self.configure(&format!("accounts {{ ORDERS {{ {account}\n{user} }} }}")).await;
        self.login.get_or_init(|| ("anybody", "any"));
    }

    /// Puts the accounts of this configuration in force, and connects as this user from now on.
    pub async fn sign_in(&self, accounts: &str, user: &'static str, password: &'static str) {
        self.configure(accounts).await;
        self.login.get_or_init(|| (user, password));
    }

    /// Whether the server lets a user publish on a subject. Nothing is stored: what is published is no event.
    ///
    /// # Panics
    /// When the user is not let in.
    pub async fn permits(&self, user: &str, password: &str, subject: &str) -> bool {
        let url = self.server.as_ref().expect("running").url();
        let address = url.strip_prefix("nats://").expect("an address");
        let connect = serde_json::json!({ "verbose": false, "user": user, "pass": password });
        let mut stream = BufReader::new(TcpStream::connect(address).await.expect("it listens"));
        let sent = format!("CONNECT {connect}\r\nPUB {subject} 1\r\nx\r\nPING\r\n");
        stream.get_mut().write_all(sent.as_bytes()).await.expect("sent");
        let mut permitted = true;
        let mut line = String::new();
        while line.trim() != "PONG" {
            line.clear();
            assert!(stream.read_line(&mut line).await.expect("it answers") > 0, "{user} is not let in");
            permitted &= !line.contains("Permissions Violation");
        }
        permitted
    }

    /// Asks JetStream's own interface, as an administrator does; returns the answer.
    pub async fn ask_jetstream(&self, subject: &str, request: &serde_json::Value) -> serde_json::Value {
        let url = self.server.as_ref().expect("running").url();
        let address = url.strip_prefix("nats://").expect("an address");
        let (user, pass) = self.login.get().copied().unwrap_or_default();
        let connect = serde_json::json!({ "verbose": false, "user": user, "pass": pass });
        let mut stream = BufReader::new(TcpStream::connect(address).await.expect("it listens"));
        let request = request.to_string();
        let size = request.len();
        let sent =
            format!("CONNECT {connect}\r\nSUB answers 1\r\nPUB {subject} answers {size}\r\n{request}\r\n");
        stream.get_mut().write_all(sent.as_bytes()).await.expect("sent");
        let mut line = String::new();
        while !line.starts_with("MSG ") {
            line.clear();
            assert!(stream.read_line(&mut line).await.expect("it answers") > 0, "it has hung up");
        }
        let size = line.trim().rsplit(' ').next().and_then(|size| size.parse().ok()).expect("a size");
        let mut answer = vec![0; size];
        stream.read_exact(&mut answer).await.expect("an answer");
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        assert!(answer.get("error").is_none(), "{subject}: {answer}");
        answer
    }

    /// Changes the configuration of a stream.
    pub async fn update_stream(&self, stream: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let info = self.ask_jetstream(&format!("$JS.API.STREAM.INFO.{stream}"), &serde_json::json!({})).await;
        let mut config = info["config"].clone();
        change(&mut config);
        self.ask_jetstream(&format!("$JS.API.STREAM.UPDATE.{stream}"), &config).await;
    }

    /// Removes all messages of the subjects that match `filter`.
    pub async fn purge(&self, stream: &str, filter: &str) {
        let request = serde_json::json!({ "filter": filter });
        self.ask_jetstream(&format!("$JS.API.STREAM.PURGE.{stream}"), &request).await;
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

    /// Where it listens, with the credentials that it wants.
    pub fn url(&self) -> String {
        let url = self.server.as_ref().expect("running").url();
        let login = |(user, password)| url.replace("nats://", &format!("nats://{user}:{password}@"));
        self.login.get().copied().map_or_else(|| url.to_string(), login)
    }

    /// What it has written down.
    ///
    /// # Panics
    /// When its log cannot be read.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("nats-server.log")).expect("its log")
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("running").pid()
    }

    /// A connection of its own.
    pub async fn journal(&self) -> Journal {
        let (url, name) = (self.url().into(), "test".into());
        let connection = Connection { url, name, ..Connection::default() };
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
