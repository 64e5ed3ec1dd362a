//! Why the source gave no page.

use http::{Class, HttpError};

/// What went wrong at the source.
#[derive(Debug, thiserror::Error)]
pub enum OkkiError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer with a bad HTTP status.
    #[error("the source answered {request} with HTTP {status}: {excerpt}")]
    Status {
        /// What was asked.
        request: String,
        /// HTTP status.
        status: u16,
        /// The start of the body.
        excerpt: String,
        /// What it means.
        class: Class,
    },
    /// HTTP 200, but the body says no.
    #[error("the source answered {request} with code {code}: {message}")]
    Business {
        /// What was asked.
        request: String,
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
        /// HTTP status.
        status: u16,
        /// The whole answer, for the dead letter.
        body: bytes::Bytes,
    },
    /// The source does not accept the client id and secret, or the token made of them.
    #[error(
        "the source does not accept our credentials: {said}. Check source.client_id, the client secret and source.scope"
    )]
    Credentials {
        /// What it said.
        said: String,
    },
    /// The answer is not a page of orders.
    #[error("the source answered {request} with {found}, expected {expected}")]
    Malformed {
        /// What was asked.
        request: String,
        /// What was found.
        found: String,
        /// What was expected.
        expected: &'static str,
        /// HTTP status.
        status: u16,
        /// The whole answer, for the dead letter.
        body: bytes::Bytes,
    },
}

impl OkkiError {
    /// What it means for the page that was asked for.
    pub fn class(&self) -> Class {
        match self {
            // Asking for the same page again would bring the same bytes.
            Self::Http(HttpError::TooLarge { .. }) => Class::Permanent,
            Self::Http(error) => error.class(),
            Self::Status { class, .. } => *class,
            Self::Credentials { .. } => Class::Credentials,
            Self::Business { code: 429, .. } => Class::Throttled(None),
            Self::Business { code: 401 | 403, .. } => Class::Credentials,
            // A bad request parameter is configuration, not something that passes.
            Self::Business { code: 400 | 404 | 422, .. } => Class::Permanent,
            Self::Business { .. } | Self::Malformed { .. } => Class::Retryable,
        }
    }

    /// The part of the message that the source wrote, which may name a person.
    pub fn theirs(&self) -> Option<&str> {
        match self {
            Self::Status { excerpt: theirs, .. }
            | Self::Business { message: theirs, .. }
            | Self::Malformed { found: theirs, .. } => Some(theirs),
            Self::Http(_) | Self::Credentials { .. } => None,
        }
    }

    /// A snake_case word for dead letters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::Business { .. } => "business",
            other => other.class().name(),
        }
    }
}
