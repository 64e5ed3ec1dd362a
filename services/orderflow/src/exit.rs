//! Exit statuses, the same for every command.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use fetcher::{FetchError, SurveyError};
use journal::{JournalError, ServerError};
use service::ConfigError;
use transformer::TransformError;
use writer::WriterError;

/// There is no server to ask.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoServer(pub String);

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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
    /// It is not allowed, as things are.
    Refused = 5,
    /// NATS cannot be reached, or is too old.
    Unreachable = 7,
}

impl Exit {
    /// This status, or failure when the output is not complete.
    pub fn printed(self) -> Self {
        if LOST.load(Ordering::Relaxed) { Self::Failure } else { self }
    }

    /// The status for an error, by what caused it.
    pub fn of(error: &anyhow::Error) -> Self {
        if error.is::<ServerError>() || error.is::<NoServer>() {
            return Self::Unreachable;
        }
        if error.is::<ConfigError>() || error.is::<mapping::MappingErrors>() {
            return Self::Usage;
        }
        match error.downcast_ref() {
            Some(SurveyError::Source(_)) => return Self::Unreachable,
            Some(SurveyError::Moving { .. }) => return Self::Partial,
            Some(SurveyError::Fetch(FetchError::Config(_))) => return Self::Usage,
            _ => {}
        }
        let journal = match (error.downcast_ref(), error.downcast_ref(), error.downcast_ref()) {
            (Some(FetchError::Config(_)), _, _) => return Self::Usage,
            (_, Some(TransformError::Config(_) | TransformError::Mapping(_)), _) => return Self::Usage,
            (_, _, Some(WriterError::Config(_) | WriterError::Postgres(_))) => return Self::Usage,
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

/// Whether something that was to be printed is lost.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints to stdout. A reader that has seen enough (`| head`) is no error; a full disk is, see [`Exit::printed`].
pub fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) => {
            eprintln!("{}", t!("error: the output cannot be written: %{why}", why = error));
        }
        _ => {}
    }
}

/// Prints a line to stdout.
pub fn print_line(text: &str) {
    print(&format!("{text}\n"));
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
