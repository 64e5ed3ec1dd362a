//! The processes of the pipeline, each with a line of its own to nats-server.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use orderflow_tests::{Line, Program, Proxy, signal};
use tokio::process::Child;

/// The processes: what the story calls them, and the command.
pub const STAGES: [(&str, &str); 7] = [
    ("fetch 1", "fetch"),
    ("fetch 2", "fetch"),
    ("transform 1", "transform"),
    ("transform 2", "transform"),
    ("write 1", "write"),
    ("write 2", "write"),
    ("write 3", "write"),
];

/// A process that ends by itself is started again after this.
const AGAIN: Duration = Duration::from_millis(500);

/// One process, whichever incarnation of it.
pub struct Stage {
    index: usize,
    folder: PathBuf,
    proxy: Proxy,
    child: Option<Child>,
    started: Instant,
}

impl Stage {
    /// Starts it in a folder with a configuration; nats-server listens at `server`.
    pub async fn start(index: usize, folder: &Path, server: &str) -> Self {
        let proxy = Proxy::start(server).await;
        let (folder, started) = (folder.to_path_buf(), Instant::now());
        let mut stage = Self { index, folder, proxy, child: None, started };
        stage.begin();
        stage
    }

    fn log(&self) -> PathBuf {
        self.folder.join(format!("{}.log", STAGES[self.index].0.replace(' ', "-")))
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().last().unwrap_or_default().chars().take(300).collect()
    }

    fn begin(&mut self) {
        let (_, command) = STAGES[self.index];
        let program = Program::new(env!("CARGO_BIN_EXE_orderflow-under-test"), &self.folder, &[command])
            .env("ORDERFLOW_SOURCE__CLIENT_SECRET", "demo-secret")
            .env("ORDERFLOW_TARGET__QEASY__APP_SECRET", "demo-secret")
            .env("ORDERFLOW_NATS__URL", &format!("nats://{}", self.proxy.address()))
            .writing_to(&self.log());
        (self.child, self.started) = (Some(program.start()), Instant::now());
    }

    /// kill -9, and start again.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill().await;
        }
        self.begin();
    }

    /// Sends a signal, if it runs.
    pub async fn signal(&self, name: &str) {
        if let Some(pid) = self.child.as_ref().and_then(Child::id) {
            signal(pid, name).await;
        }
    }

    /// Changes its line to nats-server.
    pub fn line(&self, line: Line) {
        self.proxy.set(line);
    }

    /// nats-server listens somewhere else.
    pub fn move_to(&self, server: &str) {
        self.proxy.move_to(server);
    }

    /// Says so when it has ended by itself since it was asked last, and starts it again a moment later.
    pub fn ended(&mut self) -> Option<String> {
        let said = match &mut self.child {
            Some(child) => match child.try_wait() {
                Ok(Some(status)) => {
                    let lived = self.started.elapsed();
                    self.child = None;
                    self.started = Instant::now();
                    let (name, last) = (STAGES[self.index].0, self.last_words());
                    Some(format!("{name} ended by itself after {lived:.1?}: {status}: {last}"))
                }
                _ => None,
            },
            None => None,
        };
        if self.child.is_none() && said.is_none() && self.started.elapsed() > AGAIN {
            self.begin();
        }
        said
    }
}
