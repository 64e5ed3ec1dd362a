//! A few connections, made when they are needed and kept while they are good.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::PostgresError;
use crate::url::Server;

/// How many statements a connection keeps prepared. Records of one flow name a few sets of columns; should there be ever
/// new ones, the server must not fill up with them.
const PREPARED: usize = 200;

/// One connection and what is prepared on it.
pub(crate) struct Session {
    client: Client,
    prepared: HashMap<String, Statement>,
    driver: JoinHandle<()>,
    at_rest: bool,
}

impl Session {
    /// The statement, prepared at its first use.
    pub(crate) async fn prepare(&mut self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        self.prepared.insert(sql.to_string(), statement.clone());
        Ok(statement)
    }

    /// Prepares everything anew: the tables have changed.
    pub(crate) fn forget(&mut self) {
        self.prepared.clear();
    }

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
    setup: String,
    slots: Semaphore,
    resting: Mutex<Vec<Session>>,
}

impl Pool {
    pub(crate) fn new(server: Server, tls: MakeRustlsConnect, connections: usize, timeout: Duration) -> Self {
        // A little less than we wait: then the server says that it has given up, and what it says is certain.
        let millis = (timeout.as_millis() * 9 / 10).clamp(1, 2_147_483_647);
        // What has been acknowledged is written off here, so a commit has to be on disk. How far beyond that it has to be
        // (standbys) is the server's own setting.
        let setup = format!(
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED;\
             SET statement_timeout = {millis};\
             SET idle_in_transaction_session_timeout = {millis};\
             SET standard_conforming_strings = on;\
             SELECT set_config('synchronous_commit', 'on', false) \
              WHERE current_setting('synchronous_commit') = 'off'"
        );
        let slots = Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS));
        Self { server, tls, setup, slots, resting: Mutex::default() }
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
        let session = Session { client, prepared: HashMap::new(), driver, at_rest: false };
        session.client.batch_execute(&self.setup).await.map_err(failed)?;
        Ok(session)
    }
}
