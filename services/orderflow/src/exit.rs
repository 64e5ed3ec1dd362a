//! Exit statuses, the same for every command.

use std::io::Write;
use std::process::ExitCode;

use fetcher::FetchError;
use journal::{JournalError, ServerError};
use service::ConfigError;
use transformer::TransformError;
use writer::WriterError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// It failed.
    Failure = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// There is nothing that was asked for.
    NothingMatched = 3,
    /// Some of it was done, and something waits for a person.
    Partial = 4,
    /// NATS cannot be reached, or is too old.
    Unreachable = 7,
}

impl Exit {
    /// The status for an error, by what caused it.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<ServerError>() {
            return Self::Unreachable;
        }
        if error.is::<ConfigError>() || error.is::<mapping::MappingErrors>() {
            return Self::Usage;
        }
        let journal = match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
            (Some(FetchError::Config(_)), _, _) => return Self::Usage,
            (_, Some(TransformError::Config(_) | TransformError::Mapping(_)), _) => return Self::Usage,
            (_, _, Some(WriterError::Config(_))) => return Self::Usage,
            (Some(FetchError::Journal(error)), _, _)
            | (_, Some(TransformError::Journal(error)), _)
            | (_, _, Some(WriterError::Journal(error))) => Some(error),
            _ => error.downcast_ref(),
        };
        match journal {
            Some(JournalError::TooOld { .. } | JournalError::NoJetStream { .. }) => Self::Unreachable,
            Some(JournalError::Topology { .. }) => Self::Usage,
            Some(error) if error.is_retryable() => Self::Unreachable,
            _ => Self::Failure,
        }
    }
}

/// Prints to stdout. A reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
