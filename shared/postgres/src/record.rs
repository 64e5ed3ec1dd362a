//! The fields of a record: their names, and what kind of column each would need.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::PostgresError;
use crate::name::{TableName, quoted};

/// A record, looked at only as far as its fields. By name, so that records with the same fields share a statement.
pub(crate) struct Record<'a> {
    text: &'a str,
    fields: BTreeMap<String, &'a RawValue>,
}

impl<'a> Record<'a> {
    /// Reads one JSON object whose `key` has a value.
    ///
    /// # Errors
    /// [`PostgresError::Record`] when it is something else, [`PostgresError::NoKey`] when there is no such field.
    pub(crate) fn read(bytes: &'a [u8], table: &TableName, key: &str) -> Result<Self, PostgresError> {
        let text = std::str::from_utf8(bytes)
            .map_err(|_| PostgresError::Record { what: "is not UTF-8", source: None })?;
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(text).map_err(|source| {
            PostgresError::Record { what: "is not one JSON object", source: Some(source) }
        })?;
        match fields.get(key).map(|value| value.get()) {
            // Unique columns take any number of nulls, so the server would not refuse the second one.
            Some("null") => {
                Err(PostgresError::Record { what: "has null for the key of the table", source: None })
            }
            Some(_) => Ok(Self { text, fields }),
            None => Err(PostgresError::NoKey { table: table.shown().to_string(), key: key.to_string() }),
        }
    }

    /// As it is sent.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The names of its fields, sorted.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(String::as_str)
    }

    /// The value of a field as it stands in the record.
    pub(crate) fn value(&self, field: &str) -> &str {
        self.fields.get(field).map_or("null", |value| value.get())
    }

    fn column(&self, field: &str) -> String {
        let kind = match self.value(field).as_bytes().first() {
            Some(b'{' | b'[') => "jsonb",
            Some(b't' | b'f') => "boolean",
            Some(b'-' | b'0'..=b'9') => "numeric",
            // A null says nothing of the values to come.
            _ => "text",
        };
        format!("{} {kind}", quoted(field))
    }

    /// A statement that makes a table for records like this one.
    pub(crate) fn create(&self, table: &TableName, key: &str) -> String {
        let columns: Vec<String> = self
            .fields()
            .map(|field| format!("{}{}", self.column(field), if field == key { " PRIMARY KEY" } else { "" }))
            .collect();
        format!("CREATE TABLE {} ({});", table.sql(), columns.join(", "))
    }

    /// A statement that gives a table the column for a field.
    pub(crate) fn alter(&self, table: &TableName, field: &str) -> String {
        format!("ALTER TABLE {} ADD COLUMN {};", table.sql(), self.column(field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Class;

    fn read(text: &[u8]) -> Result<Record<'_>, PostgresError> {
        Record::read(text, &TableName::new("table", "orders").expect("a name"), "orderId")
    }

    #[test]
    fn a_table_is_suggested_by_the_kinds_of_the_values() {
        let record = read(
            br#"{"orderId":"1","sum":-1.50,"n":9,"paid":true,"open":false,"lines":[{}],"to":{},"note":null}"#,
        );
        let record = record.unwrap_or_else(|error| panic!("{error}"));
        let table = TableName::new("table", "shop.orders").expect("a name");
        assert_eq!(
            record.create(&table, "orderId"),
            r#"CREATE TABLE "shop"."orders" ("lines" jsonb, "n" numeric, "note" text, "open" boolean, "orderId" text PRIMARY KEY, "paid" boolean, "sum" numeric, "to" jsonb);"#
        );
        assert_eq!(record.alter(&table, "sum"), r#"ALTER TABLE "shop"."orders" ADD COLUMN "sum" numeric;"#);
    }

    #[test]
    fn only_an_object_with_a_key_is_a_record() {
        for wrong in
            [&b"[]"[..], b"", b"{", b"1", b"{} {}", b"{\"orderId\":null}", b"\xff", b"{\"orderId\":1,\0}"]
        {
            assert_eq!(read(wrong).err().expect("no record").class(), Class::Permanent, "{wrong:?}");
        }
        let error = read(b"{\"order_id\":1}").err().expect("no key");
        assert_eq!(error.class(), Class::Outage, "configuration: {error}");
        assert!(error.to_string().contains("orderId"), "{error}");
        assert!(read(b" {\"orderId\" : 1} ").is_ok());
    }
}
