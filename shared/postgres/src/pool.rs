//! A few connections, made when they are needed and kept while they are good.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::PostgresError;
use crate::url::Server;

/// One connection. Nothing is set or prepared on it that outlives a transaction: behind a pooler,
/// the next transaction may be on another session of the server, and what is left behind would be
/// somebody else's.
pub(crate) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    at_rest: bool,
}

impl Session {
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // In the middle of something: whoever waited for it is gone, and the driver would go on waiting for a server that
        // may never answer. Else it says good-bye by itself.
        if !self.at_rest {
            self.driver.abort();
        }
    }
}

/// The connections of one target.
pub(crate) struct Pool {
    server: Server,
    tls: MakeRustlsConnect,
    slots: Semaphore,
    resting: Mutex<Vec<Session>>,
}

impl Pool {
    pub(crate) fn new(server: Server, tls: MakeRustlsConnect, connections: usize) -> Self {
        let slots = Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS));
        Self { server, tls, slots, resting: Mutex::default() }
    }

    /// Host, port and database.
    pub(crate) fn server(&self) -> &str {
        &self.server.shown
    }

    /// Waits for the right to use a connection.
    pub(crate) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        // An error would say that the semaphore is closed, which nobody does.
        self.slots.acquire().await.ok()
    }

    /// A connection that has not ended, as far as is known.
    pub(crate) async fn take(&self) -> Result<Session, PostgresError> {
        loop {
            let resting = self.resting.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match resting {
                Some(session) if session.client.is_closed() => {}
                Some(mut session) => {
                    session.at_rest = false;
                    return Ok(session);
                }
                None => return self.open().await,
            }
        }
    }

    /// Keeps a connection on which nothing is under way for the next one.
    pub(crate) fn give_back(&self, mut session: Session) {
        if !session.client.is_closed() {
            session.at_rest = true;
            self.resting.lock().unwrap_or_else(PoisonError::into_inner).push(session);
        }
    }

    async fn open(&self) -> Result<Session, PostgresError> {
        let failed = |source| PostgresError::connect(&self.server.shown, source);
        let (client, connection) = self.server.config.connect(self.tls.clone()).await.map_err(failed)?;
        let server = self.server.shown.clone();
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%server, error = crate::error::said(&error), "a connection has ended");
            }
        });
        Ok(Session { client, driver, at_rest: false })
    }
}
