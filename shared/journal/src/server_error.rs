//! Why there is no nats-server of our own.

use std::path::PathBuf;

use crate::private::PrivateError;

/// Why there is no server of our own.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// None was found and none could be installed.
    #[error("no nats-server could be found or installed:\n{tried}")]
    NotFound {
        /// What was tried, as the script said it.
        tried: String,
    },
    /// It ended while it was needed.
    #[error("{0}")]
    Died(String),
    /// A file or process could not be handled.
    #[error("{what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Its folder, or a file in it, is not ours alone.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// The key pair by which it and we know each other could not be made.
    #[error("no key pair could be made for our nats-server")]
    Identity(#[source] rcgen::Error),
    /// It ended before it listened.
    #[error("nats-server ended before it was ready; the end of {}:\n{tail}", log.display())]
    Ended {
        /// Its log.
        log: PathBuf,
        /// The last lines of it.
        tail: String,
    },
    /// One that was left running does not answer, and a second one on the same streams would damage
    /// them.
    #[error(
        "the nats-server (process {pid}) that was left running in {} does not answer: end it (kill {pid}), then \
         start again; what it acknowledged is on disk",
        folder.display()
    )]
    Silent {
        /// Its process id.
        pid: u32,
        /// Its folder.
        folder: PathBuf,
    },
}
