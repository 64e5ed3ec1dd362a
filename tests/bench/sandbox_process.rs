//! The sandbox as a process of its own.

use std::time::Duration;

use orderflow_tests::Program;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

/// A sandbox that behaves, and takes its time at the target.
pub struct SandboxProcess {
    /// Where it listens.
    pub url: String,
    child: Child,
    _folder: TempDir,
}

impl SandboxProcess {
    /// Starts one with so many generated orders at the source.
    pub async fn start(orders: u64, latency_ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let faults = folder.path().join("faults.json");
        std::fs::write(&faults, format!("{{\"target\":{{\"latency_ms\":{latency_ms}}}}}")).unwrap();
        let (count, faults) = (orders.to_string(), faults.display().to_string());
        let args =
            ["--log", "text", "sandbox", "--count", &count, "--listen", "127.0.0.1:0", "--faults", &faults];
        let mut child = Program::new(crate::PROGRAM, folder.path(), &args).start();
        let url = url_of(&mut child).await;
        Self { url, child, _folder: folder }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// What it saw. It looks at every order to tell, so this is for the end of a run.
    pub async fn report(&self) -> serde_json::Value {
        let request = http::Request {
            method: http::Method::Get,
            url: format!("{}/sandbox/report", self.url),
            query: vec![],
            headers: vec![],
            body: None,
            timeout: Duration::from_secs(60),
            most: http::LARGEST_PAGE,
        };
        let answer = http::Client::new(1).unwrap().send(&request).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Ends it.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Reads the address that the sandbox prints when it listens.
async fn url_of(sandbox: &mut Child) -> String {
    let stdout = BufReader::new(sandbox.stdout.take().unwrap());
    let mut lines = stdout.lines();
    let finding = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(at) = line.find("http://127.0.0.1:") {
                let rest = &line[at..];
                let end = rest
                    .find(|c: char| c.is_whitespace() || c == '/' && rest.len() < 7)
                    .unwrap_or(rest.len());
                return rest[..end].trim_end_matches(['/', '.', ',']).to_string();
            }
        }
        panic!("the sandbox did not say where it listens");
    };
    let url = tokio::time::timeout(Duration::from_secs(60), finding).await.unwrap();
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    url
}
