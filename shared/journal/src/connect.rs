//! Connecting: what the server must be, and how a lost connection comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::jetstream;
use async_nats::{Client, ConnectOptions, Event};

use crate::JournalError;
use crate::access::{Credentials, TlsFiles, cannot_connect, with_credentials, with_tls};
use crate::address::Address;
use crate::refusals::Refusals;
use crate::storage_trouble::StorageTrouble;

/// The oldest nats-server that will do: 2.12.1 is the first whose atomic batches know `Nats-Msg-Id`.
pub const MINIMUM_SERVER: (i64, i64, i64) = (2, 12, 1);

/// Reconnects are tried at this pace, after the first try, which is made at once: the client's default grows to 4 s, in which a
/// stage would stand idle.
const RECONNECT: Duration = Duration::from_millis(250);

/// How long an acknowledgement may take before the publish counts as unanswered.
pub(crate) const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the server is asked whether it has JetStream for us.
const ACCOUNT_INFO: &str = "$JS.API.INFO";

/// How long the end of a process waits for its last acks to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// How long to wait before this try, from 1. The very first connection counts as one, and every command waits for it.
fn delay(attempt: usize) -> Duration {
    if attempt <= 1 { Duration::ZERO } else { RECONNECT }
}

/// How to reach the server, and who we are there.
#[derive(Debug, Clone, Default)]
pub struct Connection {
    /// One or more `nats://` or `tls://` URLs, comma-separated. Credentials may stand in them.
    pub url: Address,
    /// Who we are, unless the URL says it.
    pub credentials: Credentials,
    /// What encrypts the connection.
    pub tls: Option<TlsFiles>,
    /// What the server shows of us in its connection list.
    pub name: String,
}

/// A connection to JetStream. Cheap to clone; clones share the connection.
#[derive(Debug, Clone)]
pub struct Journal {
    client: Client,
    jetstream: jetstream::Context,
    reconnects: Arc<AtomicU64>,
    refusals: Arc<Refusals>,
    trouble: StorageTrouble,
}

impl Journal {
    /// Connects and refuses a server that would silently break our promises.
    ///
    /// # Errors
    /// [`JournalError::Connect`], [`JournalError::Unauthorized`], [`JournalError::Tls`], [`JournalError::TooOld`],
    /// [`JournalError::NoJetStream`]; [`JournalError::Address`] and [`JournalError::Credentials`] before anything is asked.
    pub async fn connect(connection: &Connection) -> Result<Self, JournalError> {
        choose_crypto();
        let addresses = connection.url.read()?;
        let url = addresses.shown();
        let refusals = Arc::new(Refusals::new(url.clone()));
        let reconnects = Arc::new(AtomicU64::new(0));
        let mut options = ConnectOptions::new()
            .name(&connection.name)
            .max_reconnects(None)
            .reconnect_delay_callback(delay)
            .request_timeout(Some(ACK_TIMEOUT))
            // A page of work is published at once; the default of 256 would make us wait for the socket each time.
            .client_capacity(8_192)
            .subscription_capacity(262_144)
            .event_callback({
                let (reconnects, refusals) = (Arc::clone(&reconnects), Arc::clone(&refusals));
                move |event| {
                    tell_event(&event, &reconnects, &refusals);
                    std::future::ready(())
                }
            });
        let credentials = match &connection.credentials {
            Credentials::InUrl => addresses.credentials.unwrap_or_default(),
            given => given.clone(),
        };
        options = with_credentials(options, credentials).await?;
        if let Some(tls) = &connection.tls {
            options = with_tls(options, tls)?;
        }
        let client =
            options.connect(addresses.servers).await.map_err(|source| cannot_connect(&url, source))?;
        let (major, minor, patch) = MINIMUM_SERVER;
        if !client.is_server_compatible(major, minor, patch) {
            let found = client.server_info().version;
            return Err(JournalError::TooOld { url, found, needed: format!("{major}.{minor}.{patch}") });
        }
        let jetstream = jetstream::context::ContextBuilder::new()
            .timeout(ACK_TIMEOUT)
            .ack_timeout(ACK_TIMEOUT)
            .build(client.clone());
        let journal = Self { client, jetstream, reconnects, refusals, trouble: StorageTrouble::default() };
        // The client would wait for the answer to what it was not allowed to ask.
        let refused = journal.refusals.of_publishing(ACCOUNT_INFO);
        let what = "ask for JetStream";
        tokio::select! {
            account = journal.jetstream.query_account() => account.map_err(|source| {
                let refused = journal.refusals.explain(what);
                refused.unwrap_or_else(|| JournalError::NoJetStream { url, source: Box::new(source) })
            })?,
            words = refused => return Err(JournalError::NotPermitted { what: what.into(), words }),
        };
        Ok(journal)
    }

    /// An error of a call that ended without an answer: what the server has refused explains it, where it has refused something.
    pub(crate) fn unavailable(
        &self,
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> JournalError {
        let what = what.into();
        self.refusals
            .explain(&what)
            .unwrap_or_else(|| JournalError::Unavailable { what, source: source.into() })
    }

    /// The same connection for somebody who wants to know what of theirs waits to be stored.
    #[must_use]
    pub fn reporting_to(&self, trouble: StorageTrouble) -> Self {
        Self { trouble, ..self.clone() }
    }

    /// What waits to be stored over this handle.
    pub fn trouble(&self) -> &StorageTrouble {
        &self.trouble
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
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

/// Chooses what TLS computes with, once in the process: the client library asks for the default and would panic without one.
pub(crate) fn choose_crypto() {
    static CHOSEN: std::sync::Once = std::sync::Once::new();
    CHOSEN.call_once(|| {
        if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
            tracing::debug!("somebody else has chosen what TLS computes with");
        }
    });
}

/// Tells people of an event of the connection, and takes note of what the server refuses.
fn tell_event(event: &Event, reconnects: &AtomicU64, refusals: &Refusals) {
    let is_new = refusals.note(event);
    match event {
        Event::Disconnected => tracing::warn!("connection to NATS lost, reconnecting"),
        Event::Connected => {
            if reconnects.fetch_add(1, Ordering::Relaxed) > 0 {
                tracing::info!("connected to NATS again");
            }
        }
        Event::LameDuckMode => tracing::info!("NATS server is shutting down"),
        Event::Closed | Event::Draining => tracing::debug!("connection to NATS closed"),
        Event::ServerError(said) if is_new => tracing::error!(%said, "NATS refuses something"),
        Event::ServerError(said) => tracing::debug!(%said, "NATS refuses something again"),
        Event::ClientError(_) if is_new => {
            let said = refusals.credentials().unwrap_or_default();
            tracing::error!(said, "NATS refuses our credentials; everything waits until it accepts them");
        }
        // One line for the loss is enough; this comes with every try to reconnect.
        Event::ClientError(error) => tracing::debug!("NATS: {error}"),
        other => tracing::warn!("NATS: {other}"),
    }
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
        let password = Credentials::Password { user: "me".into(), password: "secret".into() };
        for credentials in [password, Credentials::Token("secret".into())] {
            let url = "nats://me:secret@h:4222, nats://h2".into();
            let connection = Connection { url, credentials, ..Connection::default() };
            let shown = format!("{connection:?}");
            assert!(shown.contains("nats://h:4222,nats://h2") && !shown.contains("secret"), "{shown}");
        }
    }
}
