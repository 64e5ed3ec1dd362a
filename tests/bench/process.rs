//! CPU time and peak memory of processes, sampled from /proc until they end.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::figures::Process;

/// What a process used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// User and system time, in seconds.
    pub cpu: f64,
    /// The largest resident set, in MiB.
    pub peak_mib: f64,
}

/// Processes that are being watched.
pub struct Watched {
    sampling: JoinHandle<Vec<(&'static str, Usage)>>,
    stop: CancellationToken,
}

impl Watched {
    /// Begins to watch. CPU time counts from here.
    pub fn start(processes: impl IntoIterator<Item = (&'static str, u32)>) -> Self {
        let stop = CancellationToken::new();
        let mut watched: Vec<_> = processes
            .into_iter()
            .map(|(name, pid)| (name, pid, cpu(pid).unwrap_or(0.0), Usage::default()))
            .collect();
        let token = stop.clone();
        let sampling = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            while !token.is_cancelled() {
                tick.tick().await;
                for (_, pid, before, usage) in &mut watched {
                    if let (Some(cpu), Some(peak)) = (cpu(*pid), peak(*pid)) {
                        *usage = Usage { cpu: cpu - *before, peak_mib: peak };
                    }
                }
            }
            watched.into_iter().map(|(name, _, _, usage)| (name, usage)).collect()
        });
        Self { sampling, stop }
    }

    /// Ends the watching.
    pub async fn end(self) -> Vec<(&'static str, Usage)> {
        self.stop.cancel();
        self.sampling.await.unwrap()
    }
}

/// The same for the tables, of so many orders.
pub fn shares(usage: &[(&'static str, Usage)], orders: u64) -> Vec<Process> {
    let share = |(name, usage): &(&'static str, Usage)| Process {
        name: name.to_string(),
        cpu_seconds: usage.cpu,
        cpu_us_an_order: usage.cpu * 1e6 / orders as f64,
        peak_mib: Some(usage.peak_mib),
    };
    usage.iter().map(share).collect()
}

/// Clock ticks a second; Linux has had 100 on every architecture we run on (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// User and system time of a process until now, in seconds; `None` when there is none.
pub fn cpu(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (user, system): (f64, f64) = (fields.get(11)?.parse().ok()?, fields.get(12)?.parse().ok()?);
    Some((user + system) / TICKS)
}

fn peak(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<f64>().ok()? / 1_024.0)
}
