//! A real PgBouncer on a free port, before a PostgreSQL server.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::sync::{OnceCell, oneshot};

use crate::port::free_port;
use crate::postgres::{PostgresServer, unprivileged};

static BINARY: OnceCell<PathBuf> = OnceCell::const_new();

/// A running pooler that gives a session of the server to whoever has a transaction to run, and
/// takes it back at its end.
pub struct PgBouncer {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl PgBouncer {
    /// Starts one that shares so many sessions of the server between all clients.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(server: &PostgresServer, sessions: usize) -> Self {
        let binary = BINARY.get_or_init(|| async { find() }).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("a folder of ours");
        std::fs::write(folder.path().join("users.txt"), "\"postgres\" \"\"\n").expect("written");
        let port = free_port();
        let users = folder.path().join("users.txt");
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = {sessions}\nserver_round_robin = 1\n{}",
            server.port(),
            users.display(),
            // Only newer ones can keep statements for their clients; here none does.
            if keeps_statements(binary) { "max_prepared_statements = 0\n" } else { "" }
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).expect("written");
        let mut command = Command::new(binary);
        // It refuses to run as root.
        if unprivileged(folder.path()).is_some() {
            command.args(["-u", "nobody"]);
        }
        let mut child = command
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("pgbouncer does not run: {error}"));
        let (ready, is_ready) = oneshot::channel();
        let stderr = child.stderr.take().expect("piped");
        // Reads to the end, for a full pipe would stop it.
        std::thread::spawn(move || {
            let mut ready = Some(ready);
            let mut log = String::new();
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.push_str(&line);
                if line.contains("process up") {
                    ready.take().map(|ready| ready.send(Ok(())));
                }
            }
            ready.take().map(|ready| ready.send(Err(log)));
        });
        match is_ready.await {
            Ok(Ok(())) => Self { folder, port, child },
            Ok(Err(log)) => panic!("pgbouncer did not start: {log}"),
            Err(_) => panic!("pgbouncer did not start"),
        }
    }

    /// Where it listens, as a user who may do everything.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = &self.folder;
    }
}

/// Whether it is 1.21 or newer, and so knows `max_prepared_statements`.
fn keeps_statements(binary: &Path) -> bool {
    let said = Command::new(binary).arg("--version").output().expect("pgbouncer runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(1), Some(21))
}

/// The path of `pgbouncer`, by the script that knows where it is looked for.
fn find() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/get-pgbouncer.sh");
    let output = Command::new("sh").arg(script).output().expect("sh runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
