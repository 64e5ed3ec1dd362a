//! Why the journal could not do something, and whether trying again can help.

use async_nats::jetstream::{self, ErrorCode};
use events::CodecError;

/// What went wrong between us and NATS JetStream.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// No server answered.
    #[error("no NATS server answers at {url}: start one, or correct nats.url")]
    Connect {
        /// Where it was looked for, without credentials.
        url: String,
        /// What the client said.
        #[source]
        source: async_nats::ConnectError,
    },
    /// The server knows us and does not let us in.
    #[error(
        "NATS at {url} refuses our credentials ({words}): correct nats.user and nats.password, nats.token, nats.nkey_file or \
         nats.credentials_file, or let the server accept them"
    )]
    Unauthorized {
        /// Where it is, without credentials.
        url: String,
        /// What the server said.
        words: String,
    },
    /// The server does not let us use a subject.
    #[error("NATS does not permit us to {what} ({words}): give the user of this connection that permission")]
    NotPermitted {
        /// What was tried.
        what: String,
        /// What the server said; it names the subject.
        words: String,
    },
    /// No encrypted connection came about.
    #[error("no TLS connection to NATS at {url}: {advice}")]
    Tls {
        /// Where it is, without credentials.
        url: String,
        /// What to do.
        advice: &'static str,
        /// What the client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file that the connection needs cannot be used.
    #[error("{key}: {} cannot be used: {advice}", path.display())]
    Credentials {
        /// The key of the configuration that names it.
        key: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// What was expected.
        advice: &'static str,
        /// What the system said.
        #[source]
        source: Option<std::io::Error>,
    },
    /// An address of the server cannot be read.
    #[error(
        "nats.url: {what}, expected nats://host:4222 or tls://host:4222, several of them separated by commas"
    )]
    Address {
        /// What was found, without credentials.
        what: String,
    },
    /// The server is too old: it would accept what we rely on and silently ignore it.
    #[error(
        "nats-server {found} at {url} is too old: orderflow needs {needed} or newer, because older servers accept atomic \
         batches and pinned consumers and silently ignore them"
    )]
    TooOld {
        /// Where it is.
        url: String,
        /// Its version.
        found: String,
        /// The oldest version that will do.
        needed: String,
    },
    /// The server runs without JetStream.
    #[error(
        "the NATS server at {url} runs without JetStream: start it with `jetstream {{ store_dir: ... }}`"
    )]
    NoJetStream {
        /// Where it is.
        url: String,
        /// What the server said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stream is there, but is not what we need.
    #[error(
        "stream {stream}: {what} is {found}, expected {expected}; it is fixed once the flow has run, so set it back"
    )]
    Topology {
        /// The stream.
        stream: String,
        /// Which setting.
        what: &'static str,
        /// What was found.
        found: String,
        /// What is needed.
        expected: String,
    },
    /// Somebody else appended first: read again and decide again.
    #[error("{subject} has moved on: somebody else appended first")]
    Conflict {
        /// The subject.
        subject: String,
    },
    /// A message of an atomic batch was stored before, so the server refused the batch whole.
    #[error("a message of the batch is already stored")]
    DuplicateInBatch,
    /// A message is larger than the server takes.
    #[error("a message for {subject} has {size} bytes, the server takes {limit} (max_payload)")]
    TooLarge {
        /// The subject.
        subject: String,
        /// Its size with headers, in bytes.
        size: usize,
        /// The server's limit, in bytes.
        limit: usize,
    },
    /// A subject, or the headers of a message, are longer than the server takes.
    #[error("{what} has {found} bytes, NATS takes at most {limit}: {excerpt}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length, in bytes.
        found: usize,
        /// The limit, in bytes.
        limit: usize,
        /// How it begins.
        excerpt: String,
    },
    /// There is no room for the message: a quota, a limit of the stream, or the disk is used up.
    #[error(
        "NATS has no room to {what}: {words}. Raise the limit of the account or the stream, or make room on the disk"
    )]
    Full {
        /// What was tried.
        what: String,
        /// JetStream's error code.
        code: u64,
        /// What the server said.
        words: String,
    },
    /// Messages of an atomic batch did not reach the stream: the connection came back meanwhile, or the server refused one of them.
    #[error("NATS did not {what}: a part of the batch is missing")]
    BatchIncomplete {
        /// What was tried.
        what: String,
    },
    /// The server refused, and will refuse again.
    #[error("NATS refused to {what} (error {code})")]
    Refused {
        /// What was tried.
        what: String,
        /// JetStream's error code.
        code: u64,
        /// What the server said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server did not answer, or the connection is gone: the same call may succeed later.
    #[error("NATS did not {what}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// What the client said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A stored message is not the event it should be.
    #[error("message {seq} of {stream} cannot be read")]
    Codec {
        /// The stream.
        stream: String,
        /// Its sequence there.
        seq: u64,
        /// What the codec said.
        #[source]
        source: CodecError,
    },
    /// Of a page that was cut into parts, one is missing.
    #[error("page {seq} of {stream} is not whole: a part of it is missing")]
    Incomplete {
        /// The stream.
        stream: String,
        /// The sequence of its first part.
        seq: u64,
    },
    /// An event could not be encoded.
    #[error(transparent)]
    Encode(#[from] CodecError),
}

impl JournalError {
    /// Whether the same call may succeed later, unchanged: it is the server, or our access to it, that has to change.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Connect { .. }
                | Self::Unauthorized { .. }
                | Self::NotPermitted { .. }
                | Self::Tls { .. }
                | Self::Full { .. }
                | Self::BatchIncomplete { .. }
        )
    }

    /// Whether a message can never be stored as it is, wherever it goes.
    pub fn is_about_the_record(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::TooLong { .. } | Self::Refused { .. })
    }

    /// Whether no answer came, so that it is not known what became of the call.
    pub fn is_unanswered(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::BatchIncomplete { .. })
    }

    /// The error and its causes, outermost first, without repeating what an outer one has said already.
    pub fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(inner) = cause {
            let said = inner.to_string();
            if !text.contains(&said) {
                text = format!("{text}: {said}");
            }
            cause = inner.source();
        }
        text
    }

    /// The same error once more, where it concerns several callers; its causes become text.
    pub(crate) fn duplicate(&self) -> Self {
        let causes = || {
            let causes = std::error::Error::source(self).map(ToString::to_string);
            causes.unwrap_or_else(|| self.to_string()).into()
        };
        match self {
            Self::Full { what, code, words } => {
                Self::Full { what: what.clone(), code: *code, words: words.clone() }
            }
            Self::NotPermitted { what, words } => {
                Self::NotPermitted { what: what.clone(), words: words.clone() }
            }
            Self::Unauthorized { url, words } => {
                Self::Unauthorized { url: url.clone(), words: words.clone() }
            }
            Self::Refused { what, code, .. } => {
                Self::Refused { what: what.clone(), code: *code, source: causes() }
            }
            Self::Unavailable { what, .. } => Self::Unavailable { what: what.clone(), source: causes() },
            other => Self::Unavailable { what: "answer".into(), source: other.to_string().into() },
        }
    }

    pub(crate) fn unavailable(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { what: what.into(), source: source.into() }
    }

    /// What an error of JetStream means for a message that was to be stored.
    pub(crate) fn of_storing(what: &str, subject: &str, error: jetstream::Error) -> Self {
        match error.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT => {
                Self::Conflict { subject: subject.into() }
            }
            ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE => Self::DuplicateInBatch,
            ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH => Self::BatchIncomplete { what: what.into() },
            // One too many at a time: the same again may pass.
            ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT => Self::unavailable(what, error),
            // Some of these come with status 400, others with 500.
            code if NO_ROOM.contains(&code) => {
                Self::Full { what: what.into(), code: code.0, words: error.to_string() }
            }
            // Everything the server calls its own trouble passes; a bad request does not.
            _ if error.code() >= 500 || error.code() == 408 => Self::unavailable(what, error),
            code => Self::Refused { what: what.into(), code: code.0, source: Box::new(error) },
        }
    }
}

/// The errors that say that a quota, a limit or the disk is used up.
const NO_ROOM: [ErrorCode; 6] = [
    ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
    ErrorCode::INSUFFICIENT_RESOURCES,
    ErrorCode::MEMORY_RESOURCES_EXCEEDED,
    ErrorCode::STORAGE_RESOURCES_EXCEEDED,
    ErrorCode::STREAM_STORE_FAILED,
    ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED,
];
