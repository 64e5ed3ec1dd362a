//! Why rows were not written, or are not known to be.

use std::error::Error;
use std::time::Duration;

use http::Class;
use tokio_postgres::error::Severity;

use crate::sqlstate::{Others, ServerError, class_of};

/// How much of what the server says is passed on: it may quote a whole value.
const SAID: usize = 600;

/// Why rows were not written, or are not known to be. No variant holds the URL or the password.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The settings cannot be used.
    #[error("{what}")]
    Settings {
        /// What is wrong with them.
        what: String,
    },
    /// TLS cannot be set up on this machine.
    #[error("TLS cannot be set up: {what}")]
    Tls {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Nobody answers there, or not to us; nothing was sent.
    #[error("no connection to {server}: {said}")]
    Connect {
        /// Host, port and database.
        server: String,
        /// What was said, for a person.
        said: String,
        /// What the driver said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// All connections were in use all the time; nothing was sent.
    #[error("none of the connections to {server} was free within {after:?}")]
    Busy {
        /// Host, port and database.
        server: String,
        /// How long was waited.
        after: Duration,
    },
    /// No answer in time.
    #[error("no answer from {server} within {after:?}")]
    Timeout {
        /// Host, port and database.
        server: String,
        /// How long was waited.
        after: Duration,
        /// Whether rows were on their way by then, so that they may have been written.
        sent: bool,
    },
    /// There is no such table.
    #[error("the table {table} does not exist; to have one for these orders: {create}")]
    NoTable {
        /// The table.
        table: String,
        /// A statement that makes one.
        create: String,
    },
    /// A field of the record has nowhere to go.
    #[error(
        "the table {table} has no column {field:?} for the field {field:?} of the record; to have one: {alter}"
    )]
    NoColumn {
        /// The table.
        table: String,
        /// The field, which is also the name of the column.
        field: String,
        /// A statement that makes one.
        alter: String,
    },
    /// The column that identifies an order is not among the fields of the record.
    #[error("the record has no field {key:?}, the column that identifies an order in {table}")]
    NoKey {
        /// The table.
        table: String,
        /// The column.
        key: String,
    },
    /// Nothing keeps the table from holding an order twice.
    #[error("the column {key:?} of {table} is neither a primary key nor unique; to make it one: {alter}")]
    NotUnique {
        /// The table.
        table: String,
        /// The column.
        key: String,
        /// A statement that makes it so.
        alter: String,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The table of versions is missing and could not be made.
    #[error(
        "the table of versions {ledger} does not exist and could not be made ({said}); its owner may run: {create}"
    )]
    NoLedger {
        /// The table.
        ledger: String,
        /// The statement that makes it.
        create: String,
        /// What was said, for a person.
        said: String,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A version that the server has just refused as known is not there: somebody is emptying the table.
    #[error("the versions in {ledger} are being removed while orders are written")]
    Vanished {
        /// The table of versions.
        ledger: String,
    },
    /// The record is not one that a table can hold.
    #[error("the record {what}")]
    Record {
        /// What is wrong with it.
        what: &'static str,
        /// Why, when a parser said so.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// The column would round a number, which PostgreSQL does without a word.
    #[error("the column {field:?} of {table} cannot hold {value} exactly")]
    Inexact {
        /// The table.
        table: String,
        /// The field and column.
        field: String,
        /// The number, as the record has it.
        value: String,
    },
    /// The table stored no row of the order, and said nothing.
    #[error(
        "the table {table} stored no row for this order and reported no error: a trigger or a rule of the table discarded \
         it (a BEFORE trigger that returns NULL does)"
    )]
    Swallowed {
        /// The table.
        table: String,
    },
    /// The server said no, or the connection broke.
    #[error("{said}")]
    Database {
        /// What was said, for a person.
        said: String,
        /// Whether rows were on their way by then.
        sent: bool,
        /// What it means, where more than the error was looked at.
        judged: Option<Class>,
        /// What the driver said.
        #[source]
        source: tokio_postgres::Error,
    },
}

impl PostgresError {
    /// What it means for the orders.
    pub fn class(&self) -> Class {
        match self {
            Self::Record { .. } | Self::Inexact { .. } | Self::Swallowed { .. } => Class::Permanent,
            Self::Vanished { .. } => Class::Retryable,
            Self::Timeout { sent: true, .. } => Class::Uncertain,
            // Before anything was sent no order can be at fault, whatever is said.
            Self::Connect { source, .. } | Self::NoLedger { source, .. } => {
                match self.sqlstate().map(class_of) {
                    Some(Class::Credentials) => Class::Credentials,
                    None if is_about_credentials(source) => Class::Credentials,
                    _ => Class::Outage,
                }
            }
            Self::Database { judged: Some(class), .. } => *class,
            Self::Database { sent, source, .. } => match server_error(source) {
                Some(error) => error.class(Others::Unknown),
                None if *sent => Class::Uncertain,
                None => Class::Outage,
            },
            Self::Settings { .. }
            | Self::Tls { .. }
            | Self::Busy { .. }
            | Self::Timeout { sent: false, .. }
            | Self::NoTable { .. }
            | Self::NoColumn { .. }
            | Self::NoKey { .. }
            | Self::NotUnique { .. } => Class::Outage,
        }
    }

    /// The SQLSTATE, when the server said one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Connect { source, .. }
            | Self::NoLedger { source, .. }
            | Self::NotUnique { source, .. }
            | Self::Database { source, .. } => source.code().map(tokio_postgres::error::SqlState::code),
            _ => None,
        }
    }

    /// The part of the message that the server wrote, or that stood in the record: it may name a person.
    pub fn theirs(&self) -> Option<&str> {
        match self {
            Self::Database { said, .. } => match self.sqlstate() {
                Some(state) => Some(said.strip_prefix(state).unwrap_or(said).trim_start_matches(": ")),
                None => None,
            },
            Self::Inexact { value, .. } => Some(value),
            _ => None,
        }
    }

    pub(crate) fn connect(server: &str, source: tokio_postgres::Error) -> Self {
        Self::Connect { server: server.to_string(), said: said(&source), source }
    }

    pub(crate) fn database(sent: bool, source: tokio_postgres::Error) -> Self {
        Self::Database { said: said(&source), sent, judged: None, source }
    }

    /// What the server said of itself, when it was the server that said no.
    pub(crate) fn server_error(&self) -> Option<ServerError<'_>> {
        match self {
            Self::Database { source, .. } => server_error(source),
            _ => None,
        }
    }
}

fn server_error(error: &tokio_postgres::Error) -> Option<ServerError<'_>> {
    let said = error.as_db_error()?;
    let fatal = match said.parsed_severity() {
        Some(severity) => matches!(severity, Severity::Fatal | Severity::Panic),
        // Poolers leave it out; theirs is in English.
        None => matches!(said.severity(), "FATAL" | "PANIC"),
    };
    Some(ServerError { state: said.code().code(), routine: said.routine().unwrap_or_default(), fatal })
}

/// The driver has no public word for "no password, or not the right proof of it"; its texts tell them apart.
fn is_about_credentials(error: &tokio_postgres::Error) -> bool {
    error.code().is_none()
        && ["authentication error", "invalid configuration"].contains(&error.to_string().as_str())
}

/// What an error of the driver says, in one line.
pub(crate) fn said(error: &tokio_postgres::Error) -> String {
    let text = match error.as_db_error() {
        Some(db) => {
            let detail = db.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{}: {}{detail}", db.code().code(), db.message())
        }
        None => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            text
        }
    };
    let text = secrets::redact(&text);
    match text.char_indices().nth(SAID) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.into_owned(),
    }
}
