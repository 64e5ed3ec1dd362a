//! One error, and whose it is: the row's that it was said about, or the target's, so that all
//! orders wait.

use http::Class;
use tokio_postgres::types::Type;

use crate::batch::FailedTry;
use crate::error::PostgresError;
use crate::pool::Session;
use crate::record::Record;
use crate::sqlstate::{Others, ServerError};
use crate::statement::LACKS_POLICY;
use crate::write::{Postgres, Row};

/// So many other rows of a batch are tried at most, to find one that passes.
const MOST_TRIED: usize = 50;

impl Postgres {
    /// Decides what an error means that was said about a row and sounds as if it were about all.
    /// The session has no transaction open, before and after.
    pub(crate) async fn judge(
        &self,
        session: &Session,
        rows: &[&Row<'_>],
        records: &[Record<'_>],
        failed: FailedTry,
    ) -> PostgresError {
        let FailedTry { mut error, row } = failed;
        let Some((server_error, culprit)) = error.server_error().zip(row) else { return error };
        if !server_error.stops_all() || server_error.is_of_the_machine() {
            return error;
        }
        let class = if server_error.is_of_row_policy() {
            self.class_of_policy(session, server_error).await
        } else {
            let mut others = self.suspects.note_refused(rows[culprit].key);
            if others == Others::Unknown && self.passes_without(session, rows, records, culprit).await {
                others = Others::Pass;
            }
            server_error.class(others)
        };
        if let PostgresError::Database { judged, .. } = &mut error {
            *judged = Some(class);
        }
        error
    }

    /// A policy that refuses a row speaks of that row, unless one that every row needs is missing: of the orders or of the
    /// versions, for the server may mean either. That is for whoever configures the database.
    async fn class_of_policy(&self, session: &Session, error: ServerError<'_>) -> Class {
        for table in [&self.names.table, &self.names.ledger] {
            let asked = session.client().query_typed(LACKS_POLICY, &[(&table.sql(), Type::TEXT)]).await;
            let lacks_one = asked.ok().and_then(|rows| rows.first()?.try_get::<_, bool>(0).ok());
            if lacks_one == Some(true) {
                return Class::Credentials;
            }
        }
        error.class(Others::Unknown)
    }

    /// Whether another row of the batch would be written. Nothing is: the transaction is rolled
    /// back.
    async fn passes_without(
        &self,
        session: &Session,
        rows: &[&Row<'_>],
        records: &[Record<'_>],
        culprit: usize,
    ) -> bool {
        let others = rows.iter().zip(records).filter(|(row, _)| row.key != rows[culprit].key);
        let mut passed = None;
        if let Ok(columns) = self.catalog.columns(session, &self.names, records).await
            && session.client().batch_execute(&self.begin).await.is_ok()
        {
            for (row, record) in others.take(MOST_TRIED) {
                let client = session.client();
                let sql = self.statement(record, &columns);
                if client.batch_execute("SAVEPOINT tried").await.is_err() {
                    break;
                }
                if let Ok(true) = self.try_row(client, sql, row, record).await {
                    passed = Some(row.key);
                    break;
                }
                if client.batch_execute("ROLLBACK TO SAVEPOINT tried").await.is_err() {
                    break;
                }
            }
        }
        let ended = Self::clean(session).await;
        self.suspects.note_passed(passed.into_iter());
        passed.is_some() && ended
    }
}
