//! The program, run as a user runs it.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

use crate::nats::kill9;
use crate::watchdog::Watched;

/// A command line of the program.
pub struct Program {
    command: Command,
    _watched: Option<Watched>,
}

impl Program {
    /// The program at `path` (what cargo calls `CARGO_BIN_EXE_orderflow-under-test`) in a folder.
    pub fn new(path: &str, folder: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(path);
        command
            .args(args)
            .current_dir(folder)
            // Whatever the language of who runs the tests.
            .env("ORDERFLOW_LANG", "en")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.kill_on_drop(true);
        Self { command, _watched: Watched::start() }
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets an environment variable to bytes that need not be a text.
    #[must_use]
    pub fn env_bytes(mut self, name: &[u8], value: &[u8]) -> Self {
        use std::os::unix::ffi::OsStrExt;
        self.command.env(std::ffi::OsStr::from_bytes(name), std::ffi::OsStr::from_bytes(value));
        self
    }

    /// Has it write what it prints behind what is in this file: somebody has to read it, or it would stop when a pipe is full.
    ///
    /// # Panics
    /// When the file cannot be written.
    #[must_use]
    pub fn writing_to(mut self, file: &Path) -> Self {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("a file");
        let both = file.try_clone().expect("a file");
        self.command.stdout(file).stderr(both);
        self
    }

    /// Has what it prints thrown away: nobody reads it, and it would stop when a pipe is full.
    #[must_use]
    pub fn unheard(mut self) -> Self {
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        self
    }

    /// Runs it to its end.
    pub async fn output(mut self) -> Output {
        self.command.output().await.expect("the program runs")
    }

    /// Runs it to its end; returns the exit status and everything it printed.
    pub async fn said(self) -> (i32, String) {
        let output = self.output().await;
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), text)
    }

    /// Starts it.
    pub fn start(mut self) -> Child {
        self.command.spawn().expect("the program starts")
    }

    /// Tells a started one to end, as Ctrl-C does: it finishes what it has in hand.
    pub async fn end(pid: u32) {
        let sent = Command::new("kill").args(["-INT", &pid.to_string()]).status().await.expect("kill runs");
        assert!(sent.success(), "process {pid} is there to be told");
    }

    /// Ends a started one without warning and waits until it is gone.
    pub async fn kill(mut child: Child) {
        kill9(child.id().expect("running")).await;
        child.wait().await.expect("it ends");
    }
}
