//! A nats-server of our own, for `orderflow up` and for tests: found or installed, started on a
//! free port, stopped.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_nats::ConnectOptions;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::access::with_tls;
use crate::connect::choose_crypto;
use crate::private::{PrivateError, create_private_folder, expect_our_folder, write_file};
use crate::server_error::ServerError;
use crate::server_identity::Identity;
use crate::server_process::{CONFIG, is_server_of, left_running, note, ports_files, url};

/// The one place that knows where a server is looked for and how it is installed.
const SCRIPT: &str = include_str!("../../../deploy/get-nats-server.sh");

/// How long the server may take to recover its streams before it listens.
const START: Duration = Duration::from_secs(120);

/// How long it may take to end.
const LET_END: Duration = Duration::from_secs(20);

/// The file that remembers the port.
const PORT: &str = "port";

/// The path of a nats-server that is new enough: `NATS_SERVER`, PATH, our cache, the official
/// release, Debian.
///
/// # Errors
/// [`ServerError::NotFound`] with everything that was tried.
pub async fn find_server() -> Result<PathBuf, ServerError> {
    let io = |source| ServerError::Io { what: "run", path: PathBuf::from("sh"), source };
    let mut shell = Command::new("sh")
        .args(["-s"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io)?;
    if let Some(mut stdin) = shell.stdin.take() {
        stdin.write_all(SCRIPT.as_bytes()).await.map_err(io)?;
    }
    let output = shell.wait_with_output().await.map_err(io)?;
    let found = String::from_utf8_lossy(&output.stdout).trim().to_string();
    if output.status.success() && !found.is_empty() {
        return Ok(PathBuf::from(found));
    }
    Err(ServerError::NotFound { tried: String::from_utf8_lossy(&output.stderr).trim().to_string() })
}

/// A running nats-server that belongs to us.
#[derive(Debug)]
pub struct LocalServer {
    binary: PathBuf,
    folder: PathBuf,
    url: String,
    identity: Option<Identity>,
    pid: u32,
    child: Option<Child>,
}

/// The folder of a server, and who is let in.
struct Place {
    folder: PathBuf,
    /// The name by which the server is known to be that of this folder.
    name: String,
    /// What both sides show; `None`: anybody is let in.
    identity: Option<Identity>,
}

impl LocalServer {
    /// Starts a server that keeps its data under `folder`, or takes over the one that a killed
    /// predecessor left running there. It listens on a free port of the loopback interface, and
    /// only who can read its folder is let in.
    ///
    /// # Errors
    /// When it does not come up, the message holds the end of its log; when the folder is not ours; when one that was left
    /// running does not answer.
    pub async fn start(binary: &Path, folder: &Path) -> Result<Self, ServerError> {
        create_private_folder(folder)?;
        let folder = found(folder)?;
        let identity = Identity::ensure(&folder)?;
        Self::start_in(binary, Place::new(folder, Some(identity))).await
    }

    /// The same for tests and measurements: every user of the machine is let in.
    ///
    /// # Errors
    /// As [`LocalServer::start`].
    pub async fn start_open(binary: &Path, folder: &Path) -> Result<Self, ServerError> {
        create_private_folder(folder)?;
        Self::start_in(binary, Place::new(found(folder)?, None)).await
    }

    async fn start_in(binary: &Path, place: Place) -> Result<Self, ServerError> {
        let Place { folder, .. } = &place;
        let io = |what, source| ServerError::Io { what, path: folder.clone(), source };
        if let Some(server) = place.adopt(binary).await? {
            tracing::info!(pid = server.pid, "took over the nats-server that was left running");
            return Ok(server);
        }
        for (stale, _) in ports_files(folder) {
            let _ = std::fs::remove_file(stale);
        }
        let config = folder.join(CONFIG);
        write_file(&config, &place.configuration())?;
        let mut child = Command::new(binary)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is for us: the server must outlive the draining of the stages.
            .process_group(0)
            .spawn()
            .map_err(|source| ServerError::Io { what: "start", path: binary.to_path_buf(), source })?;
        let pid = child.id().unwrap_or(0);
        if let Err(error) = note(folder, pid) {
            // Nobody would know of it.
            let _ = child.kill().await;
            return Err(error.into());
        }
        let deadline = Instant::now() + START;
        loop {
            if let Some(url) = place.listening().await {
                if let Some((_, port)) = url.rsplit_once(':') {
                    write_file(&folder.join(PORT), port)?;
                }
                return Ok(place.server(binary, url, pid, Some(child)));
            }
            let ended = child.try_wait().map_err(|source| io("watch the server in", source))?.is_some();
            if ended || Instant::now() > deadline {
                let log = folder.join("nats-server.log");
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let tail = lines[lines.len().saturating_sub(8)..].join("\n");
                return Err(ServerError::Ended { log, tail });
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What both sides show; `None` when anybody is let in.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the server has ended by itself, which it should not; returns what to tell the
    /// user.
    pub async fn died(&mut self) -> String {
        let how = match &mut self.child {
            Some(child) => {
                child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string())
            }
            None => {
                let mut tick = tokio::time::interval(Duration::from_secs(1));
                while is_server_of(&self.folder, self.pid) {
                    tick.tick().await;
                }
                "it is not there any more".to_string()
            }
        };
        format!(
            "our nats-server (process {}) has ended: {how}. What it acknowledged is on disk: the same command goes on \
             from there",
            self.pid
        )
    }

    /// Ends it cleanly and waits until it is gone.
    pub async fn stop(mut self) {
        quit(&self.binary, self.pid).await;
        match &mut self.child {
            Some(child) => {
                if tokio::time::timeout(LET_END, child.wait()).await.is_err() {
                    tracing::warn!("nats-server did not end in time; killing it (its streams are safe)");
                    let _ = child.kill().await;
                }
            }
            None => {
                let deadline = Instant::now() + LET_END;
                while is_server_of(&self.folder, self.pid) && Instant::now() < deadline {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

/// Tells a nats-server to end.
async fn quit(binary: &Path, pid: u32) {
    let mut signal = Command::new(binary);
    signal.arg("--signal").arg(format!("quit={pid}")).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = signal.status().await {
        tracing::warn!(%error, "nats-server could not be told to stop");
    }
}

/// How others on this machine reach the server of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAddress {
    /// Where it listens, as a `nats://` URL.
    pub url: String,
    /// What both sides show.
    pub identity: Identity,
}

/// How to reach the server in this folder, as it wrote it down when it started; it may have ended
/// since. `None` when none has.
///
/// # Errors
/// When what is there is not ours: its server would not be either.
pub fn local_address(folder: &Path) -> Result<Option<LocalAddress>, PrivateError> {
    if folder.symlink_metadata().is_err() {
        return Ok(None);
    }
    expect_our_folder(folder)?;
    let Ok(folder) = folder.canonicalize() else { return Ok(None) };
    let Some(url) = url(&folder) else { return Ok(None) };
    let identity = Identity::of(&folder).map_err(|error| match error {
        PrivateError::Io { path, .. } => PrivateError::NoIdentity { path },
        other => other,
    })?;
    Ok(Some(LocalAddress { url, identity }))
}

fn found(folder: &Path) -> Result<PathBuf, ServerError> {
    let io = |source| ServerError::Io { what: "find", path: folder.to_path_buf(), source };
    folder.canonicalize().map_err(io)
}

impl Place {
    fn new(folder: PathBuf, identity: Option<Identity>) -> Self {
        Self { name: server_name(&folder), folder, identity }
    }

    fn server(&self, binary: &Path, url: String, pid: u32, child: Option<Child>) -> LocalServer {
        let (binary, folder) = (binary.to_path_buf(), self.folder.clone());
        LocalServer { binary, folder, url, identity: self.identity.clone(), pid, child }
    }

    /// The server that was left running in this folder, once it answers; `None` when there is none.
    /// Two servers on the same streams would damage them.
    async fn adopt(&self, binary: &Path) -> Result<Option<LocalServer>, ServerError> {
        let Some(pid) = left_running(&self.folder) else { return Ok(None) };
        let deadline = Instant::now() + START;
        while is_server_of(&self.folder, pid) {
            if let Some(url) = self.listening().await {
                return Ok(Some(self.server(binary, url, pid, None)));
            }
            if let Some(url) = url(&self.folder)
                && self.identity.is_some()
                && answers(&url, &self.name, None).await
            {
                tracing::warn!(
                    pid,
                    "the nats-server that was left running lets anybody in: it is started anew"
                );
                quit(binary, pid).await;
            }
            if Instant::now() > deadline {
                return Err(ServerError::Silent { pid, folder: self.folder.clone() });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(None)
    }

    /// Where the server listens that has written its ports here, when it answers.
    async fn listening(&self) -> Option<String> {
        let url = url(&self.folder)?;
        answers(&url, &self.name, self.identity.as_ref()).await.then_some(url)
    }

    fn configuration(&self) -> String {
        let folder = quoted(&self.folder);
        let tls = self.identity.as_ref().map_or_else(String::new, |identity| {
            let file = quoted(identity.file());
            format!(
                "# Only who can read this folder is let in.\n\
                 tls {{ cert_file: {file}, key_file: {file}, ca_file: {file}, verify: true, timeout: 10 }}\n"
            )
        });
        format!(
            "# Written by orderflow at each start; change deploy/nats-server.conf for a server of your own.\n\
             server_name: \"{name}\"\n\
             listen: \"127.0.0.1:{port}\"\n\
             {tls}\
             ports_file_dir: {folder}\n\
             log_file: {log}\n\
             logfile_size_limit: 10MB\n\
             max_payload: 8MB\n\
             # An acknowledged message is on disk; the default flushes every two minutes.\n\
             jetstream {{ store_dir: {streams}, sync_interval: always }}\n",
            name = self.name,
            port = remembered_port(&self.folder),
            log = quoted(&self.folder.join("nats-server.log")),
            streams = quoted(&self.folder.join("data")),
        )
    }
}

/// A path as nats-server reads it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    format!("\"{escaped}\"")
}

/// Whether a server of that name is there, and shows what we expect.
async fn answers(url: &str, name: &str, identity: Option<&Identity>) -> bool {
    choose_crypto();
    let options = ConnectOptions::new().connection_timeout(Duration::from_secs(2));
    let options = match identity.map(|identity| with_tls(options.clone(), &identity.tls())) {
        None => options,
        Some(Ok(options)) => options,
        Some(Err(_)) => return false,
    };
    let client = options.connect(url).await;
    client.is_ok_and(|client| client.server_info().server_name == name)
}

fn server_name(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    format!("orderflow-{:016x}", hasher.finish())
}

/// The port of the last start, when it is free: a server that comes back is found again by those
/// who knew it.
fn remembered_port(folder: &Path) -> i32 {
    let remembered =
        std::fs::read_to_string(folder.join(PORT)).ok().and_then(|port| port.trim().parse::<u16>().ok());
    let free = remembered.filter(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.map_or(-1, i32::from)
}
