//! A real PostgreSQL server on a free port, with its data in a folder that goes with the test.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{OnceCell, oneshot};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::nats::kill9;
use crate::port::free_port;

static FOLDER: OnceCell<PathBuf> = OnceCell::const_new();

/// Who has to give a password ([`PostgresServer::LOCKED`]); everybody else comes in as they are.
const ACCESS: &str = "host all locked 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n";

/// A running server.
pub struct PostgresServer {
    folder: TempDir,
    /// The server refuses to run as root: then it runs as somebody else.
    user: Option<(u32, u32)>,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl PostgresServer {
    /// A user that has to give a password; made by [`run`](Self::run), as any other.
    pub const LOCKED: &str = "locked";

    /// Starts one.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts one that offers TLS with this certificate and key.
    pub async fn start_with_tls(certificate: &str, key: &str) -> Self {
        Self::start_with(Some((certificate, key))).await
    }

    async fn start_with(tls: Option<(&str, &str)>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let user = unprivileged(folder.path());
        let mut server = Self { folder, user, port: 0, settings: Vec::new(), child: None };
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(server.folder.path(), Some(uid), Some(gid)).expect("we are root");
        }
        let made = server
            .command("initdb")
            .await
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            // Small files: each server writes little.
            .arg("--wal-segsize=1")
            .arg("-D")
            .arg(server.data())
            .output();
        let made = made.unwrap_or_else(|error| panic!("initdb does not run: {error}"));
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.write("pg_hba.conf", ACCESS);
        if let Some((certificate, key)) = tls {
            server.write("server.crt", certificate);
            server.write("server.key", key);
            server.settings.push("ssl=on".into());
        }
        server.restart().await;
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file of the server's, readable by it alone, as it demands of its key.
    fn write(&self, name: &str, text: &str) {
        let path = self.data().join(name);
        std::fs::write(&path, text).expect("a file of the server");
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, only_owner).expect("a file of ours");
        if let Some((uid, gid)) = self.user {
            std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("we are root");
        }
    }

    async fn command(&self, program: &str) -> Command {
        let bin = FOLDER.get_or_init(|| async { find() }).await;
        let mut command = Command::new(bin.join(program));
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts it again on the same data and the same port.
    pub async fn restart(&mut self) {
        let first = self.port == 0;
        let starting = async {
            loop {
                if first {
                    self.port = free_port();
                }
                match self.try_start().await {
                    Ok(child) => return child,
                    // The processes of a server that was killed have not noticed yet.
                    Err(log) if log.contains("is still in use") => {}
                    // Somebody else has taken the port in between.
                    Err(log) if first && log.contains("could not bind") => {}
                    Err(log) => panic!("postgres did not start:\n{log}"),
                }
            }
        };
        let child = tokio::time::timeout(Duration::from_secs(120), starting).await;
        self.child = Some(child.expect("postgres starts within 120 s"));
    }

    async fn try_start(&self) -> Result<Child, String> {
        let mut command = self.command("postgres").await;
        command.arg("-D").arg(self.data()).args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for setting in ["unix_socket_directories=", "fsync=off", "max_connections=50", "log_min_messages=log"]
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            command.args(["-c", setting]);
        }
        // Ctrl-C at the terminal is for the test, which ends the server.
        command.process_group(0).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("postgres does not run: {error}"));
        let (ready, is_ready) = oneshot::channel();
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("piped");
        let lines = log.clone();
        // Reads to the end, for a full pipe would stop the server.
        std::thread::spawn(move || {
            let mut ready = Some(ready);
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.contains("ready to accept connections") {
                    ready.take().map(|ready| ready.send(()));
                }
                let mut log = lines.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        // The sender goes when the server has ended without being ready.
        match is_ready.await {
            Ok(()) => Ok(child),
            Err(_) => {
                let _ = child.wait();
                Err(log.lock().unwrap_or_else(PoisonError::into_inner).clone())
            }
        }
    }

    /// Ends it without warning, as a power cut of the process would.
    pub async fn kill(&mut self) {
        let mut child = self.child.take().expect("running");
        kill9(child.id()).await;
        let _ = child.wait();
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it listens, as a user who may do everything.
    pub fn url(&self) -> String {
        self.url_as("postgres")
    }

    /// Where it listens, as some user.
    pub fn url_as(&self, user: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs statements; the rows of all of them, as text.
    ///
    /// # Panics
    /// When the server says no.
    pub async fn run(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let (client, connection) =
            tokio_postgres::connect(&self.url(), NoTls).await.unwrap_or_else(|error| panic!("{error:?}"));
        let connection = tokio::spawn(connection);
        let messages = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        drop(client);
        let _ = connection.await;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_string)).collect())
            }
            _ => None,
        });
        rows.collect()
    }

    /// The one value that a statement gives; `None` for null.
    ///
    /// # Panics
    /// When it gives another number of rows.
    pub async fn value(&self, sql: &str) -> Option<String> {
        let rows = self.run(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows.into_iter().flatten().next().flatten()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It ends its processes itself, at once, and only then is the folder free to go.
            let _ = Command::new("kill").args(["-QUIT", &child.id().to_string()]).status();
            let _ = child.wait();
        }
    }
}

/// Whom the server runs as when we are root: `postgres` where there is one, else nobody.
pub(crate) fn unprivileged(ours: &Path) -> Option<(u32, u32)> {
    let owner = std::fs::metadata(ours).expect("a folder of ours");
    if std::os::unix::fs::MetadataExt::uid(&owner) != 0 {
        return None;
    }
    let id = |flag: &str, user: &str| {
        let output =
            Command::new("id").args([flag, user]).output().ok().filter(|said| said.status.success())?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    let found = ["postgres", "nobody"].into_iter().find_map(|user| Some((id("-u", user)?, id("-g", user)?)));
    Some(found.unwrap_or((65_534, 65_534)))
}

/// The folder of `initdb` and `postgres`, by the script that knows where they are looked for.
fn find() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/get-postgres.sh");
    let output = Command::new("sh").arg(script).output().expect("sh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
