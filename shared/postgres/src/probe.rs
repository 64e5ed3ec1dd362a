//! Looking at the tables of a target without writing: columns, rights, keys.

use tokio::time::timeout;
use tokio_postgres::types::Type;

use crate::catalog::look;
use crate::error::PostgresError;
use crate::pool::Session;
use crate::statement::{LEDGER_RIGHTS, TABLE_RIGHTS};
use crate::write::Postgres;

/// What is missing for orders to be written; all of it empty when nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableReport {
    /// Whether the table is there.
    pub exists: bool,
    /// The fields of the record without a column.
    pub missing_columns: Vec<String>,
    /// The rights on the table that our user lacks: SELECT, INSERT, UPDATE.
    pub missing_rights: Vec<&'static str>,
    /// Whether the key column is the primary key, or unique.
    pub is_key_unique: bool,
    /// The rights that our user lacks on the table of versions, or CREATE on its schema where it has to be made.
    pub missing_ledger_rights: Vec<&'static str>,
}

impl TableReport {
    /// Whether orders can be written.
    pub fn is_sound(&self) -> bool {
        let lacks = [self.missing_columns.len(), self.missing_rights.len(), self.missing_ledger_rights.len()];
        self.exists && self.is_key_unique && lacks == [0; 3]
    }
}

/// The rights that writing needs, in the order in which the statements answer them.
const RIGHTS: [&str; 3] = ["SELECT", "INSERT", "UPDATE"];

impl Postgres {
    /// Looks whether records with these fields can be written. Nothing is written or made.
    ///
    /// # Errors
    /// [`PostgresError`] when the server cannot be asked.
    pub async fn probe(&self, fields: &[String]) -> Result<TableReport, PostgresError> {
        let (server, after) = (self.server().to_string(), self.timeout());
        let looking = async {
            let session = self.session().await?;
            let report = self.report(&session, fields).await;
            self.put_back(session);
            report
        };
        timeout(after, looking).await.unwrap_or(Err(PostgresError::Timeout { server, after, sent: false }))
    }

    async fn report(&self, session: &Session, fields: &[String]) -> Result<TableReport, PostgresError> {
        let failed = |source| PostgresError::database(false, source);
        let columns = look(session, &self.names).await?;
        let (table, key) = (self.names.table.sql(), self.names.key.as_str());
        let asked = [(&table as &(dyn tokio_postgres::types::ToSql + Sync), Type::TEXT), (&key, Type::TEXT)];
        let found = session.client().query_typed(TABLE_RIGHTS, &asked).await.map_err(failed)?;
        let Some(row) = found.first() else { return Ok(TableReport::default()) };
        let ledger = self.names.ledger.sql();
        let rights = session.client().query_typed(LEDGER_RIGHTS, &[(&ledger, Type::TEXT)]).await;
        let missing_columns = fields.iter().filter(|field| !columns.has(field)).cloned().collect();
        Ok(TableReport {
            exists: true,
            missing_columns,
            missing_rights: missing(row, &RIGHTS).map_err(failed)?,
            is_key_unique: row.try_get(RIGHTS.len()).map_err(failed)?,
            missing_ledger_rights: match rights.map_err(failed)?.first() {
                Some(row) => missing(row, &RIGHTS).map_err(failed)?,
                None => self.missing_right_to_create(session).await.map_err(failed)?,
            },
        })
    }

    /// CREATE, unless our user may make the table of versions.
    async fn missing_right_to_create(
        &self,
        session: &Session,
    ) -> Result<Vec<&'static str>, tokio_postgres::Error> {
        let shown = self.names.ledger.shown();
        let schema = shown.split_once('.').map(|(schema, _)| schema);
        let sql =
            "SELECT coalesce(has_schema_privilege(coalesce($1::text, current_schema()), 'CREATE'), false)";
        let rows = session.client().query_typed(sql, &[(&schema, Type::TEXT)]).await?;
        let may = rows.first().map_or(Ok(false), |row| row.try_get(0))?;
        Ok(if may { Vec::new() } else { vec!["CREATE"] })
    }
}

/// The rights that a row says our user lacks.
fn missing(
    row: &tokio_postgres::Row,
    rights: &[&'static str],
) -> Result<Vec<&'static str>, tokio_postgres::Error> {
    let mut missing = Vec::new();
    for (at, right) in rights.iter().enumerate() {
        if !row.try_get::<_, bool>(at)? {
            missing.push(*right);
        }
    }
    Ok(missing)
}
