//! Exit statuses, the same for every command.

use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use fetcher::{FetchError, SurveyError};
use journal::{JournalError, PrivateError, ServerError};
use service::ConfigError;
use transformer::TransformError;
use writer::WriterError;

/// There is no server to ask.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoServer(pub String);

/// A person has paused what the command would have to wait for.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Paused(pub String);

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
        let private = match error.downcast_ref() {
            Some(ServerError::Private(error)) => Some(error),
            _ => error.downcast_ref::<PrivateError>(),
        };
        match private {
            None => {}
            Some(PrivateError::NoIdentity { .. }) => return Self::Unreachable,
            Some(PrivateError::Io { .. }) => return Self::Failure,
            Some(PrivateError::Link { .. } | PrivateError::Foreign { .. } | PrivateError::Open { .. }) => {
                return Self::Usage;
            }
        }
        if error.is::<Paused>() {
            return Self::Refused;
        }
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
            (
                _,
                Some(TransformError::Config(_) | TransformError::Mapping(_) | TransformError::Case { .. }),
                _,
            ) => return Self::Usage,
            (_, _, Some(WriterError::Config(_) | WriterError::Postgres(_))) => return Self::Usage,
            (Some(FetchError::Journal(error)), _, _)
            | (_, Some(TransformError::Journal(error)), _)
            | (_, _, Some(WriterError::Journal(error))) => Some(error),
            _ => error.downcast_ref(),
        };
        match journal {
            Some(JournalError::TooOld { .. } | JournalError::NoJetStream { .. }) => Self::Unreachable,
            Some(
                JournalError::Topology { .. }
                | JournalError::Unauthorized { .. }
                | JournalError::NotPermitted { .. }
                | JournalError::Credentials { .. }
                | JournalError::Address { .. },
            ) => Self::Usage,
            // There is a server, and it cannot be used as it is.
            Some(JournalError::Full { .. }) => Self::Failure,
            Some(error) if error.is_retryable() => Self::Unreachable,
            _ => Self::Failure,
        }
    }
}

/// Whether something that was to be printed is lost.
static LOST: AtomicBool = AtomicBool::new(false);

/// Prints for people to stdout: nothing in it acts on their terminal, whoever wrote it. A reader
/// that has seen enough (`| head`) is no error; a full disk is, see [`Exit::printed`].
pub fn print(text: &str) {
    write_out(&service::escape_lines(text));
}

/// A colour on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// All is well.
    Green,
    /// There is something to know.
    Yellow,
    /// Something is wrong.
    Red,
}

/// Prints a text in colour where stdout is a terminal and `NO_COLOR` is not set, and a line's rest behind it.
pub fn print_coloured(colour: Colour, text: &str, rest: &str) {
    let text = service::escape_lines(text);
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = match (wanted && std::io::stdout().is_terminal(), colour) {
        (false, _) => text.into_owned(),
        (true, Colour::Green) => format!("\x1b[32m{text}\x1b[0m"),
        (true, Colour::Yellow) => format!("\x1b[33m{text}\x1b[0m"),
        (true, Colour::Red) => format!("\x1b[31m{text}\x1b[0m"),
    };
    write_out(&format!("{text}{}\n", service::escape_lines(rest)));
}

/// Prints a line for people to stdout.
pub fn print_line(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints JSON to stdout: its values are what they are, and written so that none of them acts on a
/// terminal.
pub fn print_json(json: &str) {
    write_out(&service::escape_json(json));
}

/// Clears the terminal that stdout is.
pub fn clear_screen() {
    write_out("\x1b[H\x1b[2J");
}

/// Says a line to people on stderr, with nothing in it that acts on their terminal.
pub fn say_line(text: &str) {
    // Nobody could be told that nobody listens.
    let _ = writeln!(std::io::stderr().lock(), "{}", service::escape_lines(text));
}

/// Asks a person at the terminal; returns the line they type, `None` at the end of the input.
///
/// # Errors
/// When the terminal cannot be read.
pub fn ask_line(question: &str) -> std::io::Result<Option<String>> {
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{}", service::escape_lines(question))?;
    stderr.flush()?;
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then_some(line))
}

fn write_out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe && !LOST.swap(true, Ordering::Relaxed) => {
            say_line(&t!("error: the output cannot be written: %{why}", why = error));
        }
        _ => {}
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                sources(&entry, found);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                found.push(entry);
            }
        }
    }

    #[test]
    fn only_this_file_writes_for_people() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut files = Vec::new();
        sources(&folder, &mut files);
        assert!(files.len() > 50, "the sources are found");
        for file in files.iter().filter(|file| !file.ends_with("exit.rs")) {
            let text = std::fs::read_to_string(file).expect("a file");
            for direct in ["println!(", "eprint!(", " print!(", "stdout().lock(", "stderr().lock("] {
                assert!(!text.contains(direct), "{} writes past exit.rs: {direct}", file.display());
            }
        }
    }
}
