//! What is allowed in a configuration and not wise, told by `check` and logged at the start.

use journal::{Address, Journal, Monitor, SyncPolicy, Topology, weaknesses};
use service::Config;
use service::config::Caution;
use tokio::task::JoinHandle;

/// A line of `check` for each.
pub fn told(config: &Config) -> String {
    let lines = config.cautions().into_iter().map(|caution| {
        let why = match caution {
            Caution::PlainText { key, host, instead } => t!(
                "%{key}: orders and credentials go to %{host} unencrypted; use %{instead}",
                key = key,
                host = host,
                instead = instead
            ),
            Caution::ReadableByAll { key, path } => t!(
                "%{key}: every user of this machine may read %{file}; take that away (chmod o-r)",
                key = key,
                file = path.display()
            ),
            Caution::TooShort { key } => t!(
                "%{key}: a secret of fewer than %{count} characters is not taken out of what others repeat; use a longer one",
                key = key,
                count = secrets::SHORTEST
            ),
        };
        format!("{}\n", t!("warning: %{why}", why = why))
    });
    lines.collect()
}

/// The same for the log of a process that begins to run.
pub fn log(config: &Config) {
    for caution in config.cautions() {
        tracing::warn!(%caution, "the configuration is allowed and not wise");
    }
}

/// A look at the server that is under way.
pub struct ServerLook(JoinHandle<()>);

impl ServerLook {
    /// Waits until it is over: a process that ends at once would say nothing.
    pub async fn ended(self) {
        // A look that failed is no reason to fail.
        let _ = self.0.await;
    }
}

/// Where the server says when it flushes to disk. `is_ours`: it is one that `up` started.
pub fn monitor(config: &Config, is_ours: bool) -> Monitor {
    match (&config.nats.monitor_url, &config.nats.url) {
        _ if is_ours => Monitor::Ours,
        (Some(monitor), _) => Monitor::At(vec![monitor.clone()]),
        (None, Some(url)) => Monitor::of(&Address::from(url.as_str())),
        (None, None) => Monitor::At(Vec::new()),
    }
}

/// Logs what is weak of the server, once at the start of a process, while that begins to work.
pub fn log_server(journal: &Journal, config: &Config, is_ours: bool) -> ServerLook {
    let (journal, monitor) = (journal.clone(), monitor(config, is_ours));
    let names = Topology::new(&config.flow, config.writer.partitions);
    ServerLook(tokio::spawn(async move {
        let facts = journal.server_facts(&names, &monitor).await;
        for weakness in weaknesses(&facts) {
            tracing::warn!(%weakness, "NATS works and is weak");
        }
        if facts.sync == SyncPolicy::Unknown {
            tracing::info!(
                "NATS does not say whether it flushes before it acknowledges; give nats.monitor_url, and see that its \
                 sync_interval is always"
            );
        }
    }))
}
