//! What the table looks like: looked up, remembered for a moment, and doubted when the server says otherwise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;

use crate::error::{PostgresError, said};
use crate::pool::Session;
use crate::record::Record;
use crate::statement::{COLUMNS, EXISTS, Names};

/// How long a look is good for. A changed column shows itself by an error, except one that begins to round.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// The columns of the table, by name: whether each may round a number.
pub(crate) struct Columns(HashMap<String, bool>);

impl Columns {
    /// Whether the column may round a number.
    pub(crate) fn rounds(&self, column: &str) -> bool {
        self.0.get(column).copied().unwrap_or(false)
    }

    /// Whether there is a column of that name.
    pub(crate) fn has(&self, column: &str) -> bool {
        self.0.contains_key(column)
    }

    /// Finds a place for every field.
    ///
    /// # Errors
    /// [`PostgresError::NoTable`], [`PostgresError::NoColumn`].
    fn fit(&self, record: &Record<'_>, names: &Names) -> Result<(), PostgresError> {
        let table = names.table.shown().to_string();
        if self.0.is_empty() {
            return Err(PostgresError::NoTable { table, create: record.create(&names.table, &names.key) });
        }
        match record.fields().find(|field| !self.0.contains_key(*field)) {
            Some(field) => Err(PostgresError::NoColumn {
                table,
                field: field.to_string(),
                alter: record.alter(&names.table, field),
            }),
            None => Ok(()),
        }
    }
}

/// The last look.
#[derive(Default)]
pub(crate) struct Catalog(Mutex<Option<(Instant, Arc<Columns>)>>);

impl Catalog {
    /// Columns with a place for every field of the records; the table of versions is there as well.
    ///
    /// # Errors
    /// What [`PostgresError`] has about tables, or that of the server.
    pub(crate) async fn columns(
        &self,
        session: &Session,
        names: &Names,
        records: &[Record<'_>],
    ) -> Result<Arc<Columns>, PostgresError> {
        let remembered = self.remembered();
        if let Some(columns) = remembered
            && records.iter().all(|record| columns.fit(record, names).is_ok())
        {
            return Ok(columns);
        }
        let columns = Arc::new(look(session, names).await?);
        for record in records {
            columns.fit(record, names)?;
        }
        make_ledger(session, names).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), columns.clone()));
        Ok(columns)
    }

    /// Looks again next time.
    pub(crate) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn remembered(&self) -> Option<Arc<Columns>> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(when, _)| when.elapsed() < GOOD_FOR).map(|(_, columns)| columns.clone())
    }
}

/// Asks the server for the columns of the table; none when it is not there.
pub(crate) async fn look(session: &Session, names: &Names) -> Result<Columns, PostgresError> {
    let failed = |source| PostgresError::database(false, source);
    let table = names.table.sql();
    let rows = session.client().query_typed(COLUMNS, &[(&table, Type::TEXT)]).await.map_err(failed)?;
    let columns = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, _>>();
    Ok(Columns(columns.map_err(failed)?))
}

/// Makes the table of versions unless it is there: to look first needs no right to create, and says nothing.
async fn make_ledger(session: &Session, names: &Names) -> Result<(), PostgresError> {
    if ledger_exists(session, names).await? {
        return Ok(());
    }
    let create = names.create_ledger();
    if let Err(source) = session.client().batch_execute(&create).await {
        // Of several that make it at once, all but one may be told that its name or its type is taken.
        if !session.client().is_closed() && ledger_exists(session, names).await? {
            return Ok(());
        }
        let ledger = names.ledger.shown().to_string();
        return Err(PostgresError::NoLedger { ledger, create, said: said(&source), source });
    }
    tracing::info!(ledger = names.ledger.shown(), "made the table of versions");
    Ok(())
}

async fn ledger_exists(session: &Session, names: &Names) -> Result<bool, PostgresError> {
    let failed = |source| PostgresError::database(false, source);
    let ledger = names.ledger.sql();
    let rows = session.client().query_typed(EXISTS, &[(&ledger, Type::TEXT)]).await.map_err(failed)?;
    rows.first().map_or(Ok(false), |row| row.try_get(0)).map_err(failed)
}
