//! Why the journal could not do something, and whether trying again can help.

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
    /// Whether the same call may succeed later, unchanged.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Connect { .. })
    }

    pub(crate) fn unavailable(
        what: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { what: what.into(), source: source.into() }
    }
}
