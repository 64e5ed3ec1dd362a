//! The one table that decides what an error of the server means.

use http::Class;

/// What a SQLSTATE means, as far as it says so alone. [`class_of_error`] looks at who said it.
pub(crate) fn class_of(state: &str) -> Class {
    match state {
        // Two that met (serialisation, deadlock, a lock), and patience of the server that ran out: another try may pass.
        "40001" | "40P01" | "55P03" | "57014" | "25P03" | "25P04" => Class::Retryable,
        "40003" => Class::Uncertain,
        "42501" => Class::Credentials,
        // The table is of a kind that does not take our statement: it has rules, for example. No
        // order is at fault.
        "0A000" => Class::Outage,
        _ => match state.get(..2).unwrap_or_default() {
            "28" => Class::Credentials,
            // Data that the table or the view (44) does not take, or that no table would (54:
            // beyond the limits of the program).
            "22" | "23" | "44" | "54" => Class::Permanent,
            // The connection, the transaction, the session and its statements, the server's
            // resources, an operator, the machine: states that a row comes upon and did not make.
            "08" | "25" | "26" | "40" | "53" | "57" | "58" | "XX" => Class::Outage,
            // Configuration: no such table, column, database. No order is at fault, and it heals when somebody mends it.
            "42" | "3D" | "3F" => Class::Outage,
            _ => Class::Refusing,
        },
    }
}

/// What the server says of itself in an error, in fields that no language changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ServerError<'a> {
    /// The SQLSTATE.
    pub(crate) state: &'a str,
    /// The function of the server that said no; empty when the server does not tell.
    pub(crate) routine: &'a str,
    /// It ended the session.
    pub(crate) fatal: bool,
}

/// What is known about other rows when a row is refused with an error that sounds as if it were
/// about all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Others pass: the error is this row's.
    Pass,
    /// Nobody has passed since.
    Unknown,
}

/// The functions of the server that report what somebody's own code raised (`RAISE`, `ASSERT`, and
/// the same in Python, Perl and Tcl): any SQLSTATE may stand there, and it says nothing about the
/// server.
const RAISED_BY_CODE: [&str; 6] = [
    "exec_stmt_raise",
    "exec_stmt_assert",
    "PLy_elog_impl",
    "PLy_output",
    "plperl_call_perl_func",
    "throw_tcl_error",
];

/// The function of the server that reports a row which row-level security does not let in.
const ROW_POLICY: &str = "ExecWithCheckOptions";

impl ServerError<'_> {
    /// Whether row-level security refused this very row.
    pub(crate) fn is_of_row_policy(&self) -> bool {
        self.state == "42501" && self.routine == ROW_POLICY
    }

    /// Whether the SQLSTATE alone would make all orders wait, so that it matters whether others
    /// pass.
    pub(crate) fn stops_all(&self) -> bool {
        !self.fatal && matches!(class_of(self.state), Class::Outage | Class::Credentials)
    }

    /// Whether the error is the machine's, whoever else passes: the connection, the credentials, what the server has of memory,
    /// disk and connections, an operator, the system. No row makes such a state, but code of the table can raise its name.
    pub(crate) fn is_of_the_machine(&self) -> bool {
        let class = self.state.get(..2).unwrap_or_default();
        matches!(class, "08" | "28" | "53" | "57" | "58") && !self.is_raised_by_code()
    }

    fn is_raised_by_code(&self) -> bool {
        RAISED_BY_CODE.contains(&self.routine)
    }

    /// What the error means for the orders it was said about.
    pub(crate) fn class(&self, others: Others) -> Class {
        let class = class_of(self.state);
        if !self.stops_all() {
            return class;
        }
        if self.is_of_row_policy() {
            return Class::Permanent;
        }
        // The target answers, and not this row's content but what is done with it is refused: that
        // may change.
        let is_the_rows = others == Others::Pass && !self.is_of_the_machine();
        if is_the_rows || self.is_raised_by_code() { Class::Refusing } else { class }
    }
}

/// Whether the error may come from what we remember of the tables: they have been changed since.
pub(crate) fn is_about_the_tables(state: &str) -> bool {
    state.starts_with("42") || state.starts_with("3F") || state == "0A000"
}

/// Whether another connection may do better at once: this one is in a state that it should not be
/// in, or two transactions met and the server ended ours.
pub(crate) fn is_of_the_session(state: &str) -> bool {
    match state {
        "25006" | "25P03" | "25P04" => false,
        "40001" | "40P01" => true,
        _ => state.starts_with("25") || state.starts_with("26"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error<'a>(state: &'a str, routine: &'a str) -> ServerError<'a> {
        ServerError { state, routine, fatal: false }
    }

    #[test]
    fn the_table() {
        for (class, states) in [
            (Class::Outage, &["08006", "53300", "53100", "57P01", "57P03", "57000", "XX000", "58030"][..]),
            (Class::Outage, &["42P01", "42703", "42P10", "42601", "3D000", "3F000", "0A000"]),
            (Class::Outage, &["25006", "25001", "25P02", "26000", "40000", "08P01", "57P05"]),
            (Class::Retryable, &["40001", "40P01", "55P03", "57014", "25P03"]),
            (Class::Credentials, &["28P01", "28000", "42501"]),
            (Class::Permanent, &["22P02", "22003", "22P05", "23502", "23514", "44000", "54001"]),
            (Class::Uncertain, &["40003"]),
            (Class::Refusing, &["P0001", "55000", "AB123", "", "4"]),
        ] {
            for state in states {
                assert_eq!(class_of(state), class, "{state}");
                assert_eq!(error(state, "").class(Others::Unknown), class, "{state}");
            }
        }
    }

    #[test]
    fn a_row_that_a_policy_refuses_is_that_orders_and_a_table_that_is_forbidden_is_not() {
        assert_eq!(error("42501", "ExecWithCheckOptions").class(Others::Unknown), Class::Permanent);
        assert_eq!(error("42501", "aclcheck_error").class(Others::Unknown), Class::Credentials);
        assert_eq!(error("42501", "aclcheck_error").class(Others::Pass), Class::Refusing);
    }

    #[test]
    fn code_that_raises_any_state_speaks_of_its_row() {
        for state in ["57P01", "08006", "XX000", "28000", "53100", "25006", "3D000"] {
            assert_eq!(error(state, "exec_stmt_raise").class(Others::Unknown), Class::Refusing, "{state}");
            let fatal = ServerError { fatal: true, ..error(state, "other") };
            assert_eq!(fatal.class(Others::Pass), class_of(state), "{state} ended the session");
        }
        assert_eq!(error("40001", "exec_stmt_raise").class(Others::Unknown), Class::Retryable);
        assert_eq!(error("23514", "exec_stmt_raise").class(Others::Unknown), Class::Permanent);
    }

    #[test]
    fn what_only_one_row_meets_is_that_rows_unless_it_is_the_machines() {
        for state in ["XX000", "25006", "26000", "3D000", "42P01", "0A000", "42501"] {
            assert_eq!(error(state, "other").class(Others::Pass), Class::Refusing, "{state}");
        }
        for state in ["53100", "53200", "53300", "57P01", "57000", "58030", "08006", "28000", "28P01"] {
            assert_eq!(error(state, "other").class(Others::Pass), class_of(state), "{state}");
            let raised = error(state, "exec_stmt_raise");
            assert_eq!(raised.class(Others::Pass), Class::Refusing, "{state}");
        }
    }

    #[test]
    fn what_is_remembered_is_doubted_when_the_tables_may_have_changed() {
        assert!(["42P01", "42703", "42P10", "0A000", "3F000"].into_iter().all(is_about_the_tables));
        assert!(!["23505", "40001", "57P01", ""].into_iter().any(is_about_the_tables));
    }

    #[test]
    fn a_session_in_a_wrong_state_is_left_for_another() {
        assert!(["26000", "25P02", "25001", "40P01"].into_iter().all(is_of_the_session));
        assert!(!["25006", "25P03", "23505", "57014", "53300", ""].into_iter().any(is_of_the_session));
    }
}
