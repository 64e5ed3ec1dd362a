//! A nats-server of our own, for `orderflow up` and for tests: found or installed, started on a free port, stopped.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// The one place that knows where a server is looked for and how it is installed.
const SCRIPT: &str = include_str!("../../../deploy/get-nats-server.sh");

/// How long the server may take to recover its streams before it listens.
const START: Duration = Duration::from_secs(120);

/// The file that remembers the port.
const PORT: &str = "port";

/// Why there is no server of our own.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// None was found and none could be installed.
    #[error("no nats-server could be found or installed:\n{tried}")]
    NotFound {
        /// What was tried, as the script said it.
        tried: String,
    },
    /// It ended while it was needed.
    #[error("{0}")]
    Died(String),
    /// A file or process could not be handled.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It ended before it listened.
    #[error("nats-server ended before it was ready; the end of {}:\n{tail}", log.display())]
    Ended {
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
}

/// The path of a nats-server that is new enough: `NATS_SERVER`, PATH, our cache, the official release, Debian.
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
    url: String,
    pid: u32,
    child: Option<Child>,
}

impl LocalServer {
    /// Starts a server that keeps its data under `folder`, or takes over the one that a killed predecessor left running
    /// there. It listens on a free port of the loopback interface.
    ///
    /// # Errors
    /// When it does not come up; the message holds the end of its log.
    pub async fn start(binary: &Path, folder: &Path) -> Result<Self, ServerError> {
        let io = |what, source| ServerError::Io { what, path: folder.to_path_buf(), source };
        std::fs::create_dir_all(folder).map_err(|source| io("create", source))?;
        let folder = folder.canonicalize().map_err(|source| io("find", source))?;
        let name = server_name(&folder);
        if let Some(server) = adopt(binary, &folder, &name).await {
            tracing::info!(pid = server.pid, "took over the nats-server that was left running");
            return Ok(server);
        }
        for (stale, _) in ports_files(&folder) {
            let _ = std::fs::remove_file(stale);
        }
        let config = folder.join("nats-server.conf");
        std::fs::write(&config, configuration(&folder, &name, remembered_port(&folder)))
            .map_err(|source| io("write to", source))?;
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
        let deadline = tokio::time::Instant::now() + START;
        loop {
            if let Some(url) = listening(&folder, &name).await {
                if let Some((_, port)) = url.rsplit_once(':') {
                    std::fs::write(folder.join(PORT), port).map_err(|source| io("write to", source))?;
                }
                return Ok(Self { binary: binary.to_path_buf(), url, pid, child: Some(child) });
            }
            let ended = child.try_wait().map_err(|source| io("watch the server in", source))?.is_some();
            if ended || tokio::time::Instant::now() > deadline {
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

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the server has ended by itself, which it should not; returns what to tell the user.
    pub async fn died(&mut self) -> String {
        let how = match &mut self.child {
            Some(child) => {
                child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string())
            }
            None => {
                let address = self.url.trim_start_matches("nats://").to_string();
                let mut tick = tokio::time::interval(Duration::from_secs(1));
                let mut refused = 0;
                while refused < 3 {
                    tick.tick().await;
                    refused = if TcpStream::connect(&address).await.is_ok() { 0 } else { refused + 1 };
                }
                "it does not answer any more".to_string()
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
        let signal = Command::new(&self.binary)
            .arg("--signal")
            .arg(format!("quit={}", self.pid))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await;
        if let Err(error) = signal {
            tracing::warn!(%error, "nats-server could not be told to stop");
        }
        match &mut self.child {
            Some(child) => {
                if tokio::time::timeout(Duration::from_secs(20), child.wait()).await.is_err() {
                    tracing::warn!("nats-server did not end in time; killing it (its streams are safe)");
                    let _ = child.kill().await;
                }
            }
            None => {
                let address = self.url.trim_start_matches("nats://").to_string();
                for _ in 0..2_000 {
                    if TcpStream::connect(&address).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

async fn adopt(binary: &Path, folder: &Path, name: &str) -> Option<LocalServer> {
    let (_, pid) = ports_files(folder).pop()?;
    let url = listening(folder, name).await?;
    Some(LocalServer { binary: binary.to_path_buf(), url, pid, child: None })
}

/// The files in which nats-server writes its ports (`nats-server_<pid>.ports`), with the process ids in their names.
fn ports_files(folder: &Path) -> Vec<(PathBuf, u32)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let pid = name.strip_suffix(".ports")?.rsplit_once('_')?.1.parse().ok()?;
            Some((path, pid))
        })
        .collect()
}

/// The address that the server in this folder wrote down when it started; it may have ended since.
pub fn local_url(folder: &Path) -> Option<String> {
    let (path, _) = ports_files(folder).pop()?;
    ports(&path)
}

fn ports(path: &Path) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    let ports: Ports = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    ports.nats.first().cloned()
}

/// The URL of the server of that name which has written its ports in `folder`, when it answers.
async fn listening(folder: &Path, name: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Info {
        server_name: String,
    }
    let (path, _) = ports_files(folder).pop()?;
    let url = ports(&path)?;
    let stream = TcpStream::connect(url.strip_prefix("nats://")?).await.ok()?;
    let mut line = String::new();
    tokio::time::timeout(Duration::from_secs(2), BufReader::new(stream).read_line(&mut line))
        .await
        .ok()?
        .ok()?;
    let info: Info = serde_json::from_str(line.strip_prefix("INFO ")?.trim()).ok()?;
    (info.server_name == name).then_some(url)
}

fn server_name(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    format!("orderflow-{:016x}", hasher.finish())
}

/// The port of the last start, when it is free: a server that comes back is found again by those who knew it.
fn remembered_port(folder: &Path) -> i32 {
    let remembered =
        std::fs::read_to_string(folder.join(PORT)).ok().and_then(|port| port.trim().parse::<u16>().ok());
    let free = remembered.filter(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok());
    free.map_or(-1, i32::from)
}

fn configuration(folder: &Path, name: &str, port: i32) -> String {
    let folder = folder.display();
    format!(
        "# Written by orderflow at each start; change deploy/nats-server.conf for a server of your own.\n\
         server_name: \"{name}\"\n\
         listen: \"127.0.0.1:{port}\"\n\
         ports_file_dir: \"{folder}\"\n\
         log_file: \"{folder}/nats-server.log\"\n\
         logfile_size_limit: 10MB\n\
         max_payload: 8MB\n\
         # An acknowledged message is on disk; the default flushes every two minutes.\n\
         jetstream {{ store_dir: \"{folder}/data\", sync_interval: always }}\n"
    )
}
