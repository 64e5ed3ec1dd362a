//! The one table that decides what an error of the server means.

use http::Class;

/// What a SQLSTATE means for the orders it was said about.
pub(crate) fn class_of(state: &str) -> Class {
    match state {
        // Two that met (serialisation, deadlock, a lock), and patience of the server that ran out: another try may pass.
        "40001" | "40P01" | "55P03" | "57014" | "25P03" | "25P04" => Class::Retryable,
        "40003" => Class::Uncertain,
        "42501" => Class::Credentials,
        // Writable again when the server that we are led to is the primary.
        "25006" => Class::Outage,
        _ => match state.get(..2).unwrap_or_default() {
            "28" => Class::Credentials,
            // Data that the table does not take, or that no table would (54: beyond the limits of the program).
            "22" | "23" | "54" => Class::Permanent,
            "08" | "53" | "58" | "XX" => Class::Outage,
            // Configuration: no such table, column, database. No order is at fault, and it heals when somebody mends it.
            "42" | "3D" | "3F" => Class::Outage,
            "57" if state.starts_with("57P0") => Class::Outage,
            _ => Class::Refusing,
        },
    }
}

/// Whether the error may come from what we remember of the tables: they have been changed since.
pub(crate) fn is_about_the_tables(state: &str) -> bool {
    // 0A000 is also "cached plan must not change result type".
    state.starts_with("42") || state.starts_with("3F") || state == "0A000"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        for (class, states) in [
            (Class::Outage, &["08006", "53300", "53100", "57P01", "57P03", "25006", "XX000", "58030"][..]),
            (Class::Outage, &["42P01", "42703", "42P10", "42601", "3D000", "3F000"]),
            (Class::Retryable, &["40001", "40P01", "55P03", "57014"]),
            (Class::Credentials, &["28P01", "28000", "42501"]),
            (Class::Permanent, &["22P02", "22003", "22P05", "23502", "23514", "54001"]),
            (Class::Uncertain, &["40003"]),
            (Class::Refusing, &["P0001", "0A000", "55000", "57000", "", "4"]),
        ] {
            for state in states {
                assert_eq!(class_of(state), class, "{state}");
            }
        }
    }

    #[test]
    fn what_is_remembered_is_doubted_when_the_tables_may_have_changed() {
        assert!(["42P01", "42703", "42P10", "0A000", "3F000"].into_iter().all(is_about_the_tables));
        assert!(!["23505", "40001", "57P01", ""].into_iter().any(is_about_the_tables));
    }
}
