//! One try: all rows on their way at once, then the verdicts, then the commit.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::future::{MaybeDone, maybe_done};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Statement};

use crate::catalog::Columns;
use crate::error::PostgresError;
use crate::pool::Session;
use crate::record::Record;
use crate::statement::SWALLOWED;
use crate::write::{Phase, Postgres, Row, Verdict};

/// A try that failed.
#[derive(Debug)]
pub(crate) struct FailedTry {
    pub(crate) error: PostgresError,
    /// The place of the row that it failed at, where it is known.
    pub(crate) row: Option<usize>,
}

impl From<PostgresError> for FailedTry {
    fn from(error: PostgresError) -> Self {
        Self { error, row: None }
    }
}

/// What a statement says of its row.
struct WriteResult {
    /// The first field that its column would round: then nothing was written.
    inexact: Option<String>,
    /// Whether the version was taken.
    taken: bool,
}

/// Begins a transaction that gives up a little before we do: then what the server says of it is
/// certain. Everything is set for this transaction alone. What has been acknowledged is written off
/// here, so a commit has to be on disk; how far beyond that it has to be (standbys) is the server's
/// own setting.
pub(crate) fn begin(timeout: Duration) -> String {
    let millis = (timeout.as_millis() * 9 / 10).clamp(1, 2_147_483_647);
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED;\
         SELECT set_config('statement_timeout', '{millis}', true), \
                set_config('idle_in_transaction_session_timeout', '{millis}', true), \
                set_config('standard_conforming_strings', 'on', true), \
                set_config('plan_cache_mode', 'force_generic_plan', true), \
                CASE WHEN current_setting('synchronous_commit') = 'off' \
                     THEN set_config('synchronous_commit', 'on', true) END"
    )
}

/// Whether the statements of a batch have names on the server's session while its transaction lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming {
    /// Each is parsed once for all rows that share it.
    Named,
    /// Each row brings its own: for a session on which somebody else has left statements of our names.
    Unnamed,
}

/// A statement that writes a record.
enum WriteStatement {
    /// Sent with its text, for one row.
    Text(String),
    /// Prepared for the rows of this transaction, and gone before it ends: behind a pooler, the
    /// next transaction may be on another session of the server, and whoever gets this one must not
    /// find it.
    Prepared(Statement),
}

impl Postgres {
    /// One try on one connection. What it leaves open when it fails is the caller's to end.
    pub(crate) async fn once(
        &self,
        session: &Session,
        rows: &[&Row<'_>],
        records: &[Record<'_>],
        naming: Naming,
        phase: &mut Phase,
    ) -> Result<Vec<Verdict>, FailedTry> {
        let columns = self.catalog.columns(session, &self.names, records).await?;
        let texts: Vec<String> = records.iter().map(|record| self.statement(record, &columns)).collect();

        *phase = Phase::Sent;
        let client = session.client();
        // Started, each is on its way: nothing waits for an answer before the next one follows.
        let begin = start_all(vec![client.batch_execute(&self.begin)]);
        let statements = match naming {
            Naming::Named => self.prepare(client, texts).await?,
            Naming::Unnamed => texts.into_iter().map(WriteStatement::Text).collect(),
        };
        let sent = rows.iter().zip(records).zip(&statements);
        let sent = sent.map(|((row, record), statement)| self.send(client, statement, row, record)).collect();
        let sent = start_all(sent);
        // A row alone is committed or not by itself: one that fails makes a rollback of it.
        let commit = start_all(match rows {
            [_] => vec![client.batch_execute("COMMIT")],
            _ => Vec::new(),
        });
        finish_all(begin).await.map_err(|failed| PostgresError::database(true, failed.error))?;
        let results = finish_all(sent)
            .await
            .map_err(|failed| FailedTry { row: Some(failed.place), error: self.explain(failed.error) })?;
        drop(statements);
        self.refuse_inexact(&results, records)?;
        let committed = |error| FailedTry { row: (rows.len() == 1).then_some(0), error };
        finish_all(commit).await.map_err(|failed| committed(PostgresError::database(true, failed.error)))?;
        let taken: Vec<bool> = results.into_iter().map(|result| result.taken).collect();
        let verdicts = self.verdicts(client, rows, &taken).await?;
        if rows.len() > 1 {
            let failed = |source| committed(PostgresError::database(true, source));
            client.batch_execute("COMMIT").await.map_err(failed)?;
        }
        Ok(verdicts)
    }

    /// The statement that writes a record.
    pub(crate) fn statement(&self, record: &Record<'_>, columns: &Columns) -> String {
        let fields: Vec<&str> = record.fields().collect();
        self.names.write(fields.into_iter(), |field| columns.rounds(field))
    }

    /// Prepares what several rows share; a row alone is faster without.
    async fn prepare(&self, client: &Client, texts: Vec<String>) -> Result<Vec<WriteStatement>, FailedTry> {
        if texts.len() == 1 {
            return Ok(texts.into_iter().map(WriteStatement::Text).collect());
        }
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut distinct = Vec::new();
        for text in &texts {
            places.entry(text).or_insert_with(|| {
                distinct.push(text.as_str());
                distinct.len() - 1
            });
        }
        let preparing = start_all(distinct.into_iter().map(|text| client.prepare(text)).collect());
        let prepared = finish_all(preparing).await.map_err(|failed| self.explain(failed.error))?;
        let statement = |text: &String| places.get(text.as_str()).and_then(|place| prepared.get(*place));
        let statements = texts.iter().filter_map(|text| statement(text).cloned());
        Ok(statements.map(WriteStatement::Prepared).collect())
    }

    fn refuse_inexact(&self, results: &[WriteResult], records: &[Record<'_>]) -> Result<(), FailedTry> {
        for (place, (result, record)) in results.iter().zip(records).enumerate() {
            if let Some(field) = &result.inexact {
                let error = PostgresError::Inexact {
                    table: self.names.table.shown().to_string(),
                    value: events::shorten(record.value(field)).into_owned(),
                    field: field.clone(),
                };
                return Err(FailedTry { error, row: Some(place) });
            }
        }
        Ok(())
    }

    /// Sends one row.
    async fn send(
        &self,
        client: &Client,
        statement: &WriteStatement,
        row: &Row<'_>,
        record: &Record<'_>,
    ) -> Result<WriteResult, tokio_postgres::Error> {
        let raw_seq = signed(row.version.raw_seq);
        let generation = i64::from(row.version.generation);
        let content = row.content.to_string();
        let text = record.text();
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&self.scope, &row.key, &row.version.updated_at, &raw_seq, &generation, &content, &text];
        let rows = match statement {
            WriteStatement::Prepared(statement) => client.query(statement, &parameters).await?,
            WriteStatement::Text(sql) => {
                let types =
                    [Type::TEXT, Type::TEXT, Type::INT8, Type::INT8, Type::INT8, Type::TEXT, Type::TEXT];
                let typed: Vec<_> = parameters.into_iter().zip(types).collect();
                client.query_typed(sql, &typed).await?
            }
        };
        let Some(row) = rows.first() else { return Ok(WriteResult { inexact: None, taken: false }) };
        Ok(WriteResult { inexact: row.try_get(0)?, taken: row.try_get(1)? })
    }

    /// Whether this row would be written, in the transaction that has begun.
    pub(crate) async fn try_row(
        &self,
        client: &Client,
        sql: String,
        row: &Row<'_>,
        record: &Record<'_>,
    ) -> Result<bool, tokio_postgres::Error> {
        let statement = WriteStatement::Text(sql);
        self.send(client, &statement, row, record).await.map(|result| result.taken)
    }

    /// What was not taken is there already, or something newer is. Asked for in a statement of its own: the one that wrote
    /// sees the versions as they were when it began, which may be before another writer's came to stand in its way.
    async fn verdicts(
        &self,
        client: &Client,
        rows: &[&Row<'_>],
        taken: &[bool],
    ) -> Result<Vec<Verdict>, PostgresError> {
        let failed = |source| PostgresError::database(true, source);
        let asked: Vec<&str> =
            rows.iter().zip(taken).filter(|(_, taken)| !**taken).map(|(row, _)| row.key).collect();
        let mut versions = HashMap::new();
        if !asked.is_empty() {
            let parameters: [(&(dyn ToSql + Sync), Type); 2] =
                [(&self.scope, Type::TEXT), (&asked, Type::TEXT_ARRAY)];
            for found in client.query_typed(&self.names.held(), &parameters).await.map_err(failed)? {
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
    fn explain(&self, source: tokio_postgres::Error) -> PostgresError {
        let table = self.names.table.shown().to_string();
        let said = source.as_db_error().map(tokio_postgres::error::DbError::message);
        if source.code() == Some(&SqlState::INVALID_TEXT_REPRESENTATION)
            && said.is_some_and(|said| said.contains(SWALLOWED))
        {
            return PostgresError::Swallowed { table };
        }
        if source.code() != Some(&SqlState::INVALID_COLUMN_REFERENCE) {
            return PostgresError::database(true, source);
        }
        PostgresError::NotUnique {
            table,
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

/// A future that was polled once, so that what it sends is on its way.
type Started<F> = Pin<Box<MaybeDone<F>>>;

/// The first failure of several.
struct FirstFailure<E> {
    place: usize,
    error: E,
}

/// Starts all of them in their order, without waiting in between.
fn start_all<F: Future>(all: Vec<F>) -> Vec<Started<F>> {
    let mut all: Vec<_> = all.into_iter().map(|one| Box::pin(maybe_done(one))).collect();
    for one in &mut all {
        let _ = futures::FutureExt::now_or_never(one.as_mut());
    }
    all
}

/// Waits for all of them; the first failure in their order is the one that counts, for those behind
/// it only say that the transaction has failed.
async fn finish_all<F, T, E>(all: Vec<Started<F>>) -> Result<Vec<T>, FirstFailure<E>>
where
    F: Future<Output = Result<T, E>>,
{
    let mut done = Vec::with_capacity(all.len());
    for (place, mut one) in all.into_iter().enumerate() {
        one.as_mut().await;
        if let Some(output) = MaybeDone::take_output(one.as_mut()) {
            done.push(output.map_err(|error| FirstFailure { place, error })?);
        }
    }
    Ok(done)
}
