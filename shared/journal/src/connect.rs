//! Connecting: what the server must be, and how a lost connection comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, Event};

use crate::JournalError;

/// The oldest nats-server that will do: 2.12.1 is the first whose atomic batches know `Nats-Msg-Id`.
pub const MINIMUM_SERVER: (i64, i64, i64) = (2, 12, 1);

/// Reconnects are tried at this pace, after the first try, which is made at once: the client's default grows to 4 s, in which a
/// stage would stand idle.
const RECONNECT: Duration = Duration::from_millis(250);

/// How long an acknowledgement may take before the publish counts as unanswered.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of a process waits for its last acks to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// How long to wait before this try, from 1. The very first connection counts as one, and every command waits for it.
fn delay(attempt: usize) -> Duration {
    if attempt <= 1 { Duration::ZERO } else { RECONNECT }
}

/// How to reach the server.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// One or more `nats://` URLs, comma-separated.
    pub url: String,
    /// A `.creds` file, when the server wants one.
    pub credentials_file: Option<std::path::PathBuf>,
    /// What the server shows of us in its connection list.
    pub name: String,
}

/// A connection to JetStream. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct Journal {
    client: Client,
    jetstream: jetstream::Context,
    reconnects: Arc<AtomicU64>,
}

impl Journal {
    /// Connects and refuses a server that would silently break our promises.
    ///
    /// # Errors
    /// [`JournalError::Connect`], [`JournalError::TooOld`], [`JournalError::NoJetStream`].
    pub async fn connect(connection: &Connection) -> Result<Self, JournalError> {
        let url = without_credentials(&connection.url);
        let reconnects = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&reconnects);
        let mut options = ConnectOptions::new()
            .name(&connection.name)
            .max_reconnects(None)
            .reconnect_delay_callback(delay)
            .request_timeout(Some(ACK_TIMEOUT))
            // A page of work is published at once; the default of 256 would make us wait for the socket each time.
            .client_capacity(8_192)
            .subscription_capacity(262_144)
            .event_callback(move |event| {
                let seen = Arc::clone(&seen);
                async move {
                    match event {
                        Event::Disconnected => tracing::warn!("connection to NATS lost, reconnecting"),
                        Event::Connected => {
                            if seen.fetch_add(1, Ordering::Relaxed) > 0 {
                                tracing::info!("connected to NATS again");
                            }
                        }
                        Event::LameDuckMode => tracing::info!("NATS server is shutting down"),
                        Event::Closed | Event::Draining => tracing::debug!("connection to NATS closed"),
                        // One line for the loss is enough; this comes with every try to reconnect.
                        Event::ClientError(error) => tracing::debug!("NATS: {error}"),
                        other => tracing::warn!("NATS: {other}"),
                    }
                }
            });
        if let Some(file) = &connection.credentials_file {
            options = options.credentials_file(file).await.map_err(|source| {
                JournalError::unavailable(format!("read nats.credentials_file {}", file.display()), source)
            })?;
        }
        let servers: Vec<String> = connection.url.split(',').map(|url| url.trim().to_string()).collect();
        let client = options
            .connect(servers)
            .await
            .map_err(|source| JournalError::Connect { url: url.clone(), source })?;
        let (major, minor, patch) = MINIMUM_SERVER;
        if !client.is_server_compatible(major, minor, patch) {
            let found = client.server_info().version;
            return Err(JournalError::TooOld { url, found, needed: format!("{major}.{minor}.{patch}") });
        }
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            .ack_timeout(ACK_TIMEOUT)
            .build(client.clone());
        jetstream
            .query_account()
            .await
            .map_err(|source| JournalError::NoJetStream { url, source: Box::new(source) })?;
        Ok(Self { client, jetstream, reconnects })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// The largest message the server takes, in bytes.
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// How often the connection came back.
    pub fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// A name for this process that no other has.
    pub fn member(&self) -> String {
        self.client.new_inbox().trim_start_matches("_INBOX.").to_string()
    }

    /// Sends what is still buffered, so that the last acks are not lost with the process.
    pub async fn flush(&self) {
        // Without a server this would wait for one; what is not sent now is not lost, it comes again.
        if tokio::time::timeout(FLUSH, self.client.flush()).await.is_err() {
            tracing::debug!("flush at the end failed; unacknowledged messages will come again");
        }
    }
}

/// The URL without user and password, for messages.
fn without_credentials(url: &str) -> String {
    url.split(',')
        .map(|one| match (one.split_once("://"), one.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => one.to_string(),
        })
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_try_is_made_at_once_and_no_later_one() {
        assert_eq!([0, 1, 2, 9].map(delay), [Duration::ZERO, Duration::ZERO, RECONNECT, RECONNECT]);
    }

    #[test]
    fn credentials_do_not_reach_messages() {
        assert_eq!(without_credentials("nats://me:secret@h:4222, nats://h2"), "nats://h:4222, nats://h2");
    }
}
