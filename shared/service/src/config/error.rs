//! What is wrong with a configuration: where, what was found, what is expected.

use std::path::PathBuf;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{what} {} cannot be read", path.display())]
    File {
        /// Which file: `configuration`, `source.client_secret_file`, ...
        what: String,
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is not TOML.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        message: String,
    },
    /// A key is unknown, missing, or has a wrong value.
    #[error("{place}: {message}")]
    Key {
        /// The file and line, or the environment variable.
        place: String,
        /// What was found and what is expected.
        message: String,
    },
}

impl ConfigError {
    pub(super) fn key(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Key { place: place.into(), message: message.into() }
    }
}
