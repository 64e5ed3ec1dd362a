//! Looking at the server of a flow without changing anything there: what it is like, and what we may do.

use std::time::Duration;

use async_nats::jetstream::stream;
use async_nats::{HeaderMap, RequestErrorKind};
use bytes::Bytes;
use http::{Client, LARGEST_ANSWER, Method, Request};
use serde::Deserialize;

use crate::server_facts::{ServerFacts, StreamFacts, SyncPolicy};
use crate::{Address, Journal, Stream, Topology};

/// How long one question may take: what is not known then stays unknown.
const PATIENCE: Duration = Duration::from_secs(2);

/// The port on which nats-server is monitored, unless it is given.
const MONITOR_PORT: u16 = 8222;

/// A header that no stream of ours accepts: the server checks our permission, and stores nothing.
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";

/// A name that no stream can have.
const NO_STREAM: &str = "orderflow.check";

/// Where the server says when it flushes to disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Monitor {
    /// It is a server that we started: we know how.
    Ours,
    /// At one of these addresses, without path: `http://host:8222`.
    At(Vec<String>),
}

/// Whether we may publish on a subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permission {
    /// We may.
    Granted,
    /// The server says no, in these words.
    Refused(String),
    /// It did not answer.
    Unknown(String),
}

/// The part of `/jsz?config=true` that is about us.
#[derive(Deserialize)]
struct Monitored {
    server_id: String,
    config: MonitoredConfig,
}

#[derive(Deserialize)]
struct MonitoredConfig {
    /// Nanoseconds.
    #[serde(default)]
    sync_interval: u64,
    #[serde(default)]
    sync_always: bool,
}

impl Monitored {
    fn policy(&self) -> SyncPolicy {
        match (self.config.sync_always, self.config.sync_interval) {
            (true, _) => SyncPolicy::Always,
            (false, 0) => SyncPolicy::Unknown,
            (false, nanoseconds) => SyncPolicy::Every(Duration::from_nanos(nanoseconds)),
        }
    }
}

impl Monitor {
    /// The usual monitoring port of each server of an address; none when it cannot be read.
    pub fn of(address: &Address) -> Self {
        let servers = address.read().map(|read| read.servers).unwrap_or_default();
        let parsed = servers.iter().filter_map(|server| server.parse::<async_nats::ServerAddr>().ok());
        let monitor = |host: &str| match host.contains(':') && !host.starts_with('[') {
            true => format!("http://[{host}]:{MONITOR_PORT}"),
            false => format!("http://{host}:{MONITOR_PORT}"),
        };
        Self::At(parsed.map(|server| monitor(server.host())).collect())
    }
}

impl Journal {
    /// What the server is like. Nothing is changed there; what it does not say within a moment stays unknown.
    pub async fn server_facts(&self, topology: &Topology, monitor: &Monitor) -> ServerFacts {
        let info = self.client().server_info();
        let streams = Stream::ALL.map(|stream| self.stream_facts(topology.stream(stream)));
        let (streams, sync) =
            futures::future::join(futures::future::join_all(streams), sync_policy(monitor, &info.server_id))
                .await;
        ServerFacts {
            version: info.version.clone(),
            max_payload: self.max_payload(),
            sync,
            streams: streams.into_iter().flatten().collect(),
        }
    }

    async fn stream_facts(&self, name: String) -> Option<StreamFacts> {
        let asking = self.jetstream().get_stream(&name);
        let found = tokio::time::timeout(PATIENCE, asking).await.ok()?.ok()?;
        let config = &found.cached_info().config;
        Some(StreamFacts {
            is_in_memory: config.storage == stream::StorageType::Memory,
            replicas: config.num_replicas.max(1),
            is_written_late: config.persist_mode == Some(stream::PersistenceMode::Async),
            forgets_after: forgets_after(config),
            name,
        })
    }

    /// Whether we may publish on a subject of the flow. Nothing is stored: the message asks for a stream that is not there.
    pub async fn permission(&self, subject: &str) -> Permission {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECTED_STREAM, NO_STREAM);
        let asking = self.client().request_with_headers(subject.to_string(), headers, Bytes::new());
        let answer = tokio::select! {
            biased;
            words = self.refusals().of_publishing(subject) => return Permission::Refused(words),
            answer = tokio::time::timeout(PATIENCE, asking) => answer,
        };
        match answer {
            Ok(Ok(_)) => Permission::Granted,
            // Its stream is not made yet.
            Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => Permission::Granted,
            Ok(Err(error)) => Permission::Unknown(error.to_string()),
            Err(_) => Permission::Unknown(format!("no answer within {PATIENCE:?}")),
        }
    }
}

/// The limit of a stream after which it deletes old messages.
fn forgets_after(config: &stream::Config) -> Option<String> {
    if config.discard == stream::DiscardPolicy::New && config.max_age.is_zero() {
        return None;
    }
    let limits = [
        (!config.max_age.is_zero())
            .then(|| format!("max_age {}", crate::server_facts::shown_duration(config.max_age))),
        (config.max_bytes > 0).then(|| format!("max_bytes {}", config.max_bytes)),
        (config.max_messages > 0).then(|| format!("max_msgs {}", config.max_messages)),
    ];
    limits.into_iter().flatten().next()
}

/// When the server with this id flushes to disk, as the first of its monitoring addresses says that is its own.
async fn sync_policy(monitor: &Monitor, server_id: &str) -> SyncPolicy {
    let addresses = match monitor {
        Monitor::Ours => return SyncPolicy::Always,
        Monitor::At(addresses) => addresses,
    };
    let Ok(client) = Client::new(1) else { return SyncPolicy::Unknown };
    let answers = addresses.iter().map(|address| monitored(&client, address));
    let answers = futures::future::join_all(answers).await;
    // Whoever else listens there does not speak for our server.
    let own = answers.into_iter().flatten().find(|answer| answer.server_id == server_id);
    own.map_or(SyncPolicy::Unknown, |answer| answer.policy())
}

async fn monitored(client: &Client, address: &str) -> Option<Monitored> {
    let request = Request {
        method: Method::Get,
        url: format!("{}/jsz", address.trim_end_matches('/')),
        query: vec![("config".into(), "true".into())],
        headers: Vec::new(),
        body: None,
        timeout: PATIENCE,
        most: LARGEST_ANSWER,
    };
    let answer = client.send(&request).await.ok().filter(|answer| answer.status == 200)?;
    serde_json::from_slice(&answer.body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(config: &str) -> SyncPolicy {
        let text = format!(r#"{{"memory":0,"server_id":"N","config":{config},"streams":0}}"#);
        serde_json::from_str::<Monitored>(&text).expect("as nats-server writes it").policy()
    }

    #[test]
    fn the_policy_is_read_as_the_monitoring_port_tells_it() {
        let two_minutes = SyncPolicy::Every(Duration::from_secs(120));
        assert_eq!(policy(r#"{"sync_interval":120000000000,"strict":true}"#), two_minutes);
        assert_eq!(policy(r#"{"sync_interval":120000000000,"sync_always":true}"#), SyncPolicy::Always);
        assert_eq!(policy("{}"), SyncPolicy::Unknown);
    }

    #[test]
    fn every_server_is_looked_for_at_the_usual_port() {
        let monitor = Monitor::of(&Address::from("nats://me:secret@h:4222, tls://[::1]:4222"));
        let expected = ["http://h:8222".to_string(), "http://[::1]:8222".into()];
        assert_eq!(monitor, Monitor::At(expected.to_vec()));
    }

    #[test]
    fn only_a_limit_that_deletes_is_one() {
        let config = |change: fn(&mut stream::Config)| {
            let mut config = stream::Config { max_bytes: -1, max_messages: -1, ..stream::Config::default() };
            change(&mut config);
            forgets_after(&config)
        };
        assert_eq!(config(|_| ()), None);
        assert_eq!(
            config(|config| config.max_age = Duration::from_secs(3600)).as_deref(),
            Some("max_age 60m")
        );
        assert_eq!(config(|config| config.max_bytes = 7).as_deref(), Some("max_bytes 7"));
        let refuses = |config: &mut stream::Config| {
            config.max_bytes = 7;
            config.discard = stream::DiscardPolicy::New;
        };
        assert_eq!(config(refuses), None, "it takes no more, and deletes nothing");
    }
}
