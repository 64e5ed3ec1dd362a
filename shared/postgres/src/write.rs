//! Writing: each version once, several orders all or nothing.

use std::time::Duration;

use events::{ContentHash, Version};
use tokio::time::{Instant, timeout_at};

use crate::batch::{self, FailedTry, Naming};
use crate::catalog::Catalog;
use crate::error::PostgresError;
use crate::name::TableName;
use crate::pool::{Pool, Session};
use crate::record::Record;
use crate::settings::Settings;
use crate::sqlstate::{is_about_the_tables, is_of_the_session};
use crate::statement::Names;
use crate::suspects::Suspects;
use crate::tls;
use crate::url::Server;

/// One order to be written.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its business key: what its version is kept under.
    pub key: &'a str,
    /// One JSON object; each field is a column.
    pub record: &'a [u8],
    /// How new it is.
    pub version: Version,
    /// The hash of the record.
    pub content: ContentHash,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The table holds it now.
    Written,
    /// This very version was there already: an answer was lost.
    Already,
    /// The table holds a newer one.
    Newer,
}

/// How far a call has come when its time is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It waits for a connection to be free.
    Waiting,
    /// It connects and looks.
    Looking,
    /// Rows are on their way.
    Sent,
}

/// The target.
pub struct Postgres {
    pub(crate) names: Names,
    pub(crate) scope: String,
    pub(crate) catalog: Catalog,
    pub(crate) suspects: Suspects,
    /// What begins a transaction.
    pub(crate) begin: String,
    pool: Pool,
    timeout: Duration,
}

impl Postgres {
    /// A target. Connects to nobody yet.
    ///
    /// # Errors
    /// [`PostgresError::Settings`] or [`PostgresError::Tls`] when it could never be reached this way.
    pub fn new(settings: Settings) -> Result<Self, PostgresError> {
        let server = Server::new(&settings)?;
        let tls = tls::connector(&server.proof)?;
        let names = Names {
            table: TableName::new("table", &settings.table)?,
            ledger: TableName::new("ledger", &settings.ledger)?,
            key: settings.key,
        };
        if names.key.is_empty() || names.key.contains('\0') {
            let what = format!("key {:?} is no name of a column", names.key);
            return Err(PostgresError::Settings { what });
        }
        Ok(Self {
            names,
            scope: settings.scope,
            catalog: Catalog::default(),
            suspects: Suspects::default(),
            begin: batch::begin(settings.timeout),
            pool: Pool::new(server, tls, settings.connections),
            timeout: settings.timeout,
        })
    }

    /// Writes orders: all of them or, when one of them cannot be written, none. An order may be among them several times; the
    /// newest one stays. The verdicts are in the order of the rows.
    ///
    /// # Errors
    /// [`PostgresError`]; its class says what to do.
    pub async fn write(&self, rows: &[Row<'_>]) -> Result<Vec<Verdict>, PostgresError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut orders = rows
            .iter()
            .enumerate()
            .map(|(place, row)| {
                let record = Record::read(row.record, &self.names.table, &self.names.key)?;
                Ok((place, row, record))
            })
            .collect::<Result<Vec<_>, PostgresError>>()?;
        // Two batches that share orders take their locks in one order, and wait for each other instead of dying.
        orders.sort_by_key(|(_, row, _)| row.key);
        let (places, orders): (Vec<usize>, Vec<_>) =
            orders.into_iter().map(|(place, row, record)| (place, (row, record))).unzip();
        let (rows, records): (Vec<&Row<'_>>, Vec<Record<'_>>) = orders.into_iter().unzip();

        let mut phase = Phase::Waiting;
        let within =
            timeout_at(Instant::now() + self.timeout, self.attempt(&rows, &records, &mut phase)).await;
        let (server, after) = (self.pool.server().to_string(), self.timeout);
        let sorted = within.map_err(|_| match phase {
            Phase::Waiting => PostgresError::Busy { server, after },
            Phase::Looking => PostgresError::Timeout { server, after, sent: false },
            Phase::Sent => PostgresError::Timeout { server, after, sent: true },
        })??;
        let mut verdicts = vec![Verdict::Written; sorted.len()];
        for (place, verdict) in places.into_iter().zip(sorted) {
            verdicts[place] = verdict;
        }
        Ok(verdicts)
    }

    async fn attempt(
        &self,
        rows: &[&Row<'_>],
        records: &[Record<'_>],
        phase: &mut Phase,
    ) -> Result<Vec<Verdict>, PostgresError> {
        let _slot = self.pool.slot().await;
        *phase = Phase::Looking;
        let mut session = self.pool.take().await?;
        let mut result = self.once(&session, rows, records, Naming::Named, phase).await;
        if let Err(failed) = &result
            && let Some(again) = again(failed, records)
        {
            // The tables are not what they were: look again at once, so that a change is no outage.
            if again == Again::WithAnotherLook {
                self.catalog.forget();
            }
            let naming = if again == Again::Unnamed { Naming::Unnamed } else { Naming::Named };
            if again == Again::OnAnotherConnection {
                drop(session);
                session = self.pool.take().await?;
                result = self.once(&session, rows, records, naming, phase).await;
            } else if Self::clean(&session).await {
                result = self.once(&session, rows, records, naming, phase).await;
            }
        }
        let failed = match result {
            Ok(verdicts) => {
                self.suspects.note_passed(rows.iter().map(|row| row.key));
                self.pool.give_back(session);
                return Ok(verdicts);
            }
            Err(failed) => failed,
        };
        if !Self::clean(&session).await {
            return Err(failed.error);
        }
        let error = self.judge(&session, rows, records, failed).await;
        self.pool.give_back(session);
        Err(error)
    }

    /// Host, port and database.
    pub(crate) fn server(&self) -> &str {
        self.pool.server()
    }

    /// How long a call may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A connection.
    pub(crate) async fn session(&self) -> Result<Session, PostgresError> {
        self.pool.take().await
    }

    /// Keeps a connection on which nothing is under way.
    pub(crate) fn put_back(&self, session: Session) {
        self.pool.give_back(session);
    }

    /// Ends whatever an error has left open. The server says so with a warning when there was nothing.
    pub(crate) async fn clean(session: &Session) -> bool {
        session.client().batch_execute("ROLLBACK").await.is_ok()
    }
}

/// How a try that failed is repeated at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    AsItWas,
    WithAnotherLook,
    OnAnotherConnection,
    /// Behind a pooler, somebody else has left a statement of that name on the session.
    Unnamed,
}

/// Whether a try that failed is worth another one at once.
fn again(failed: &FailedTry, records: &[Record<'_>]) -> Option<Again> {
    if matches!(failed.error, PostgresError::Swallowed { .. }) {
        // A row of nothing but its key may have been stored by somebody else since the statement
        // began, which it cannot see.
        return records.iter().any(|record| record.fields().count() == 1).then_some(Again::AsItWas);
    }
    match failed.error.sqlstate()? {
        "42P05" => Some(Again::Unnamed),
        state if is_about_the_tables(state) => Some(Again::WithAnotherLook),
        state if is_of_the_session(state) => Some(Again::OnAnotherConnection),
        _ => None,
    }
}
