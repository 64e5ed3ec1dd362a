//! Why the source gave no page.

use http::foreign::Code;
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
    #[error("the source answered {request} with {code}: {message}")]
    Business {
        /// What was asked.
        request: String,
        /// Its code.
        code: Code,
        /// What it means.
        class: Class,
        /// Its message.
        message: Box<str>,
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
    /// The answer to the request for an access token is none. It is not repeated, for it may hold a token.
    #[error(
        "the source answered the request for an access token with {outline}, {found}; its text is not shown, for it may hold \
         a token"
    )]
    Token {
        /// Status, type and length.
        outline: String,
        /// What is wrong, in our words.
        found: String,
        /// What it means.
        class: Class,
    },
    /// The source does not give one order, although the same credentials were good for the list that names it.
    #[error("the source gives us the list, and not the detail of order {id}: {said}")]
    Withheld {
        /// The order.
        id: String,
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
            Self::Http(HttpError::TooLarge { .. } | HttpError::Packed { .. }) => Class::Permanent,
            Self::Http(error) => error.class(),
            Self::Status { class, .. } | Self::Business { class, .. } | Self::Token { class, .. } => *class,
            Self::Credentials { .. } => Class::Credentials,
            Self::Malformed { .. } | Self::Withheld { .. } => Class::Retryable,
        }
    }

    /// The part of the message that the source wrote, which may name a person.
    pub fn theirs(&self) -> Option<&str> {
        match self {
            Self::Status { excerpt: theirs, .. }
            | Self::Malformed { found: theirs, .. }
            | Self::Withheld { said: theirs, .. } => Some(theirs),
            Self::Business { message, .. } => Some(message),
            Self::Http(_) | Self::Credentials { .. } | Self::Token { .. } => None,
        }
    }

    /// A snake_case word for dead letters.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::Withheld { .. } => "withheld",
            Self::Business { .. } => "business",
            other => other.class().name(),
        }
    }
}
