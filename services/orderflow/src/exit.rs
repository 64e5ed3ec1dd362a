//! Exit statuses, the same for every command.

use std::process::ExitCode;

use journal::{JournalError, ServerError};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// It failed.
    Failure = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// Some of it was done, and something waits for a person.
    Partial = 4,
    /// NATS cannot be reached, or is too old.
    Unreachable = 7,
}

impl Exit {
    /// The status for an error, by what caused it.
    pub fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if cause.is::<ServerError>() {
                return Self::Unreachable;
            }
            if cause.is::<service::ConfigError>() || cause.is::<mapping::MappingError>() {
                return Self::Usage;
            }
            match cause.downcast_ref::<JournalError>() {
                Some(
                    JournalError::Connect { .. }
                    | JournalError::TooOld { .. }
                    | JournalError::NoJetStream { .. },
                ) => return Self::Unreachable,
                Some(error) if error.is_retryable() => return Self::Unreachable,
                _ => {}
            }
        }
        Self::Failure
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
