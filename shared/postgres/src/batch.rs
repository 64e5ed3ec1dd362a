//! One try: all rows on their way at once, then the verdicts, then the commit.

use std::collections::HashMap;
use std::future::Future;

use futures::future::{MaybeDone, maybe_done};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use crate::error::PostgresError;
use crate::pool::Session;
use crate::record::Record;
use crate::write::{Phase, Postgres, Row, Verdict};

impl Postgres {
    /// One try on one connection. What it leaves open when it fails is the caller's to end.
    pub(crate) async fn once(
        &self,
        session: &mut Session,
        rows: &[&Row<'_>],
        records: &[Record<'_>],
        phase: &mut Phase,
    ) -> Result<Vec<Verdict>, PostgresError> {
        let before = |source| PostgresError::database(false, source);
        let columns = self.catalog.columns(session, &self.names, records).await?;
        let mut statements = Vec::with_capacity(records.len());
        for record in records {
            let fields: Vec<&str> = record.fields().collect();
            let sql = self.names.write(fields.into_iter(), |field| columns.rounds(field));
            statements.push(session.prepare(&sql).await.map_err(|source| self.explain(false, source))?);
        }
        let held = session.prepare(&self.names.held()).await.map_err(before)?;

        *phase = Phase::Sent;
        let client = session.client();
        let alone = rows.len() == 1;
        let begin = async { if alone { Ok(()) } else { client.batch_execute("BEGIN").await } };
        let mut begin = std::pin::pin!(maybe_done(begin));
        // Polled once, it is on its way; nothing waits for the answer before the rows follow.
        let _ = futures::poll!(begin.as_mut());
        let sent = rows.iter().zip(records).zip(&statements);
        let sent = sent.map(|((row, record), statement)| self.send(client, statement, row, record)).collect();
        let taken = in_order(sent).await.map_err(|source| self.explain(true, source))?;
        begin.as_mut().await;
        if let Some(Err(source)) = begin.take_output() {
            return Err(PostgresError::database(true, source));
        }
        for ((inexact, _), record) in taken.iter().zip(records) {
            if let Some(field) = inexact {
                return Err(PostgresError::Inexact {
                    table: self.names.table.shown().to_string(),
                    value: record.value(field).to_string(),
                    field: field.clone(),
                });
            }
        }
        let taken: Vec<bool> = taken.into_iter().map(|(_, taken)| taken).collect();
        let verdicts = self.verdicts(client, &held, rows, &taken).await?;
        if !alone {
            client.batch_execute("COMMIT").await.map_err(|source| PostgresError::database(true, source))?;
        }
        Ok(verdicts)
    }

    /// Sends one row: the field that would be rounded, and whether the version was taken.
    async fn send(
        &self,
        client: &Client,
        statement: &Statement,
        row: &Row<'_>,
        record: &Record<'_>,
    ) -> Result<(Option<String>, bool), tokio_postgres::Error> {
        let raw_seq = signed(row.version.raw_seq);
        let (generation, content) = (i64::from(row.version.generation), row.content.to_string());
        let text = record.text();
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&self.scope, &row.key, &row.version.updated_at, &raw_seq, &generation, &content, &text];
        let row = client.query_one(statement, &parameters).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// What was not taken is there already, or something newer is. Asked for in a statement of its own: the one that wrote
    /// sees the versions as they were when it began, which may be before another writer's came to stand in its way.
    async fn verdicts(
        &self,
        client: &Client,
        held: &Statement,
        rows: &[&Row<'_>],
        taken: &[bool],
    ) -> Result<Vec<Verdict>, PostgresError> {
        let failed = |source| PostgresError::database(true, source);
        let asked: Vec<&str> =
            rows.iter().zip(taken).filter(|(_, taken)| !**taken).map(|(row, _)| row.key).collect();
        let mut versions = HashMap::new();
        if !asked.is_empty() {
            for found in client.query(held, &[&self.scope, &asked]).await.map_err(failed)? {
                let key: String = found.try_get(0).map_err(failed)?;
                let updated_at: Option<i64> = found.try_get(1).map_err(failed)?;
                let raw_seq: i64 = found.try_get(2).map_err(failed)?;
                let generation: i64 = found.try_get(3).map_err(failed)?;
                versions.insert(key, (updated_at, raw_seq, generation));
            }
        }
        rows.iter()
            .zip(taken)
            .map(|(row, taken)| {
                let version = row.version;
                let own = (version.updated_at, signed(version.raw_seq), i64::from(version.generation));
                match versions.get(row.key) {
                    _ if *taken => Ok(Verdict::Written),
                    Some(held) if *held == own => Ok(Verdict::Already),
                    Some(held) if *held > own => Ok(Verdict::Newer),
                    _ => Err(PostgresError::Vanished { ledger: self.names.ledger.shown().to_string() }),
                }
            })
            .collect()
    }

    /// Says more of an error than the server does, where we know more.
    fn explain(&self, sent: bool, source: tokio_postgres::Error) -> PostgresError {
        if source.code() != Some(&SqlState::INVALID_COLUMN_REFERENCE) {
            return PostgresError::database(sent, source);
        }
        PostgresError::NotUnique {
            table: self.names.table.shown().to_string(),
            key: self.names.key.clone(),
            alter: self.names.make_unique(),
            source,
        }
    }
}

/// A sequence as the server's integers have it. No stream comes near the end of them.
fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// Starts all of them in their order, without waiting in between; the first failure in that order is the one that counts,
/// for those behind it only say that the transaction has failed.
async fn in_order<F, T, E>(all: Vec<F>) -> Result<Vec<T>, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut all: Vec<_> = all.into_iter().map(|one| Box::pin(maybe_done(one))).collect();
    for one in &mut all {
        let _ = futures::poll!(one.as_mut());
    }
    let mut done = Vec::with_capacity(all.len());
    for mut one in all {
        one.as_mut().await;
        if let Some(output) = MaybeDone::take_output(one.as_mut()) {
            done.push(output?);
        }
    }
    Ok(done)
}
