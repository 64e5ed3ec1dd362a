//! Names and texts as SQL takes them literally.

use crate::PostgresError;

/// An identifier in quotes, so that it means exactly itself: capitals, blanks and reserved words included.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text in quotes. A backslash stays one: every session has `standard_conforming_strings` on.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name of a table, perhaps with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableName {
    shown: String,
    sql: String,
}

impl TableName {
    /// Reads `orders` or `schema.orders`.
    ///
    /// # Errors
    /// [`PostgresError::Settings`] when it is neither.
    pub(crate) fn new(what: &str, name: &str) -> Result<Self, PostgresError> {
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() > 2 || parts.iter().any(|part| part.is_empty() || part.contains('\0')) {
            let what = format!("{what} {name:?} is no name of a table: expected `orders` or `schema.orders`");
            return Err(PostgresError::Settings { what });
        }
        let sql = parts.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".");
        Ok(Self { shown: name.to_string(), sql })
    }

    /// As it was configured, for a person.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// As it stands in a statement.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_exactly_themselves() {
        assert_eq!(quoted("orderId"), r#""orderId""#);
        assert_eq!(quoted(r#"a"; DROP TABLE x; --"#), r#""a""; DROP TABLE x; --""#);
        assert_eq!(quoted("订单"), r#""订单""#);
        assert_eq!(literal(r"it's a \ "), r"'it''s a \ '");
    }

    #[test]
    fn a_table_has_at_most_a_schema() {
        let sql = |name| TableName::new("table", name).map(|name| name.sql().to_string());
        assert_eq!(sql("orders").expect("a name"), r#""orders""#);
        assert_eq!(sql("shop.Orders").expect("a name"), r#""shop"."Orders""#);
        assert_eq!(sql(r#"a"b"#).expect("a name"), r#""a""b""#);
        for wrong in ["", ".", "a.", ".a", "a.b.c", "a\0"] {
            assert!(sql(wrong).is_err(), "{wrong:?}");
        }
    }
}
