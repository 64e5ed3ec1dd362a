//! The statements: one that writes a version once, and those around the table of versions.

use crate::name::{TableName, literal, quoted};

/// What the statements are about.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) table: TableName,
    pub(crate) key: String,
    pub(crate) ledger: TableName,
}

/// A version as something that compares as [`events::Version`] does: no update time is older than any.
fn version(of: &str) -> String {
    format!("({of}.updated_at IS NOT NULL, coalesce({of}.updated_at, 0), {of}.raw_seq, {of}.generation)")
}

impl Names {
    /// Writes one record when its version is newer than the one that is held. Parameters: scope, key, update time, sequence,
    /// generation, content, record. Gives one row: the first field that its column would round (then nothing is written), and
    /// whether the version was taken. Fails with [`SWALLOWED`] in its message when the table stored
    /// no row although the version was taken: then the version is not taken either.
    ///
    /// An equal version with other content counts as newer: the order was mapped again by another mapping before its message
    /// was settled, and what is written last is what the receipts will say.
    pub(crate) fn write<'a>(
        &self,
        fields: impl Iterator<Item = &'a str> + Clone,
        rounds: impl Fn(&str) -> bool,
    ) -> String {
        let (table, ledger, key) = (self.table.sql(), self.ledger.sql(), quoted(&self.key));
        let columns: Vec<String> = fields.clone().map(quoted).collect();
        let news: Vec<String> = columns.iter().map(|column| format!("new.{column}")).collect();
        let (columns, news) = (columns.join(", "), news.join(", "));
        let sets: Vec<String> = fields
            .clone()
            .filter(|field| *field != self.key)
            .map(|field| format!("{0} = excluded.{0}", quoted(field)))
            .collect();
        let update = match sets.is_empty() {
            true => "NOTHING".to_string(),
            false => format!("UPDATE SET {}", sets.join(", ")),
        };
        let whens: String = fields
            .filter(|field| rounds(field))
            .map(|field| {
                let (column, text) = (quoted(field), literal(field));
                format!(
                    " WHEN new.{column}::numeric IS DISTINCT FROM (doc.j ->> {text})::numeric THEN {text}"
                )
            })
            .collect();
        let inexact = match whens.is_empty() {
            true => "NULL".to_string(),
            false => format!("CASE{whens} END"),
        };
        let held = version("held");
        let excluded = version("excluded");
        // A row of nothing but its key that is there already is left as it is, and not returned.
        let is_there = match sets.is_empty() {
            true => {
                format!(" AND NOT EXISTS (SELECT FROM {table} AS there, new WHERE there.{key} = new.{key})")
            }
            false => String::new(),
        };
        format!(
            "WITH doc AS MATERIALIZED (SELECT $7::text::jsonb AS j), \
             new AS MATERIALIZED (SELECT r.* FROM doc, jsonb_populate_record(NULL::{table}, doc.j) AS r), \
             checked AS MATERIALIZED (SELECT ({inexact})::text AS inexact FROM doc, new), \
             moved AS (INSERT INTO {ledger} AS held (scope, key, updated_at, raw_seq, generation, content) \
             SELECT $1::text, $2::text, $3::bigint, $4::bigint, $5::bigint, $6::text FROM checked \
             WHERE checked.inexact IS NULL \
             ON CONFLICT (scope, key) DO UPDATE SET updated_at = excluded.updated_at, raw_seq = excluded.raw_seq, \
             generation = excluded.generation, content = excluded.content, written_at = now() \
             WHERE {held} < {excluded} OR ({held} = {excluded} AND held.content <> excluded.content) \
             RETURNING 1), \
             written AS (INSERT INTO {table} ({columns}) SELECT {news} FROM new, moved \
             ON CONFLICT ({key}) DO {update} RETURNING 1), \
             stored AS (SELECT (SELECT count(*) FROM moved) AS versions, (SELECT count(*) FROM written) AS rows) \
             SELECT checked.inexact, stored.versions > 0, \
             CASE WHEN stored.versions > stored.rows{is_there} \
             THEN ('{SWALLOWED}' || repeat('!', stored.versions::int))::int END FROM checked, stored"
        )
    }

    /// The versions that are held of some keys. Parameters: scope, keys.
    pub(crate) fn held(&self) -> String {
        format!(
            "SELECT key, updated_at, raw_seq, generation FROM {} WHERE scope = $1::text AND key = ANY ($2::text[])",
            self.ledger.sql()
        )
    }

    /// Makes the table of versions.
    pub(crate) fn create_ledger(&self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS {} (scope text NOT NULL, key text NOT NULL, updated_at bigint, \
             raw_seq bigint NOT NULL, generation bigint NOT NULL, content text NOT NULL, \
             written_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (scope, key));",
            self.ledger.sql()
        )
    }

    /// Makes the key what `ON CONFLICT` needs.
    pub(crate) fn make_unique(&self) -> String {
        format!("ALTER TABLE {} ADD UNIQUE ({});", self.table.sql(), quoted(&self.key))
    }
}

/// What the statement fails with when no row was stored. A failed cast is the one way to fail that
/// a statement has without a function of its own, and failing is what takes the version back,
/// whoever shares the transaction.
pub(crate) const SWALLOWED: &str = "orderflow: the table stored no row";

/// Whether row-level security lets no row in, or no change, because a policy is missing that our statement needs: it inserts, it
/// updates what is there, and it looks for the key. Parameter: the name of the table as it stands in a statement.
pub(crate) const LACKS_POLICY: &str = "\
    SELECT row_security_active(c.oid) AND EXISTS ( \
        SELECT FROM unnest(ARRAY['a', 'w', 'r']::\"char\"[]) AS needed(command) \
        WHERE NOT EXISTS ( \
            SELECT FROM pg_catalog.pg_policy p \
            WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('*', needed.command) \
              AND (p.polroles = '{0}' \
                   OR EXISTS (SELECT FROM unnest(p.polroles) AS role WHERE pg_has_role(role, 'USAGE'))))) \
    FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1::text)";

/// What our user may do with a table, and whether its key is unique. One row; none when the table is not there. Parameters: the
/// name as it stands in a statement, the key.
pub(crate) const TABLE_RIGHTS: &str = "\
    SELECT has_any_column_privilege(c.oid, 'SELECT'), has_any_column_privilege(c.oid, 'INSERT'), \
           has_any_column_privilege(c.oid, 'UPDATE'), \
           EXISTS (SELECT FROM pg_catalog.pg_index i \
                   JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
                   WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
                     AND i.indnkeyatts = 1 AND a.attname = $2::text) \
    FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1::text)";

/// What our user may do with the table of versions. One row; none when it is not there. Parameter: the name as it stands in a
/// statement.
pub(crate) const LEDGER_RIGHTS: &str = "\
    SELECT has_table_privilege(c.oid, 'SELECT'), has_table_privilege(c.oid, 'INSERT'), \
           has_table_privilege(c.oid, 'UPDATE') \
    FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1::text)";

/// Whether there is a table of that name. Parameter: the name as it stands in a statement.
pub(crate) const EXISTS: &str = "SELECT to_regclass($1::text) IS NOT NULL";

/// The columns of a table, and whether each may round a number it is given: a numeric with a scale, a float, money.
/// Parameter: the name as it stands in a statement.
pub(crate) const COLUMNS: &str = "\
    SELECT a.attname::text, \
           coalesce(b.oid, t.oid) IN ('float4'::regtype, 'float8'::regtype, 'money'::regtype) \
           OR (coalesce(b.oid, t.oid) = 'numeric'::regtype \
               AND (CASE WHEN b.oid IS NULL THEN a.atttypmod ELSE t.typtypmod END) <> -1) \
    FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
    LEFT JOIN pg_catalog.pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype \
    WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_names() {
        let names = Names {
            table: TableName::new("table", r#"or"ders"#).expect("a name"),
            key: "id".into(),
            ledger: TableName::new("ledger", "v").expect("a name"),
        };
        let hostile = r#"x" = 1; DROP TABLE y; --'"#;
        let sql = names.write(["id", hostile].into_iter(), |field| field == hostile);
        assert!(sql.contains(r#"INSERT INTO "or""ders" ("id", "x"" = 1; DROP TABLE y; --'")"#), "{sql}");
        assert!(sql.contains(r#"(doc.j ->> 'x" = 1; DROP TABLE y; --''')::numeric"#), "{sql}");
    }

    #[test]
    fn a_record_of_nothing_but_its_key_updates_nothing() {
        let names = Names {
            table: TableName::new("table", "t").expect("a name"),
            key: "id".into(),
            ledger: TableName::new("ledger", "v").expect("a name"),
        };
        assert!(names.write(["id"].into_iter(), |_| false).contains(r#"ON CONFLICT ("id") DO NOTHING"#));
    }
}
