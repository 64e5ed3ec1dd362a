//! A request that brought no answer.

use crate::Class;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request cannot be made at all: the address or a header is not one. Both come from the
    /// configuration, and no order is at fault.
    #[error("the request to {url} cannot be made: correct the address and the headers in the configuration")]
    Build {
        /// Where it was going, without query.
        url: String,
        /// What reqwest said.
        #[source]
        source: reqwest::Error,
    },
    /// The environment names a proxy that is none. To go past it is not ours to decide.
    #[error("{variable} names no proxy: expected an address such as http://proxy:3128; correct the variable")]
    Proxy {
        /// The variable.
        variable: String,
    },
    /// Nobody answers there; nothing was sent.
    #[error("no connection to {url}")]
    Connect {
        /// Where it was going, without query.
        url: String,
        /// What reqwest said.
        #[source]
        source: reqwest::Error,
    },
    /// No answer in time; the request may have been served.
    #[error("no answer from {url} within {seconds} s")]
    Timeout {
        /// Where it was going, without query.
        url: String,
        /// How long was waited.
        seconds: f32,
        /// What reqwest said.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke after the request was sent; it may have been served.
    #[error("the connection to {url} broke before the answer was complete")]
    Interrupted {
        /// Where it was going, without query.
        url: String,
        /// What reqwest said.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is larger than we take.
    #[error("the answer of {url} has more than {limit} bytes")]
    TooLarge {
        /// Where it came from, without query.
        url: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The answer is packed (gzip, br, ...) although we did not ask for it, and cannot be unpacked.
    #[error(
        "the answer of {url} is packed as {encoding:?} and cannot be unpacked ({why}): have the server, or the proxy \
         before it, send it plain"
    )]
    Packed {
        /// Where it came from, without query.
        url: String,
        /// How it is packed.
        encoding: String,
        /// Why it cannot be unpacked.
        why: String,
    },
}

impl HttpError {
    /// What it means for the work the request was made for.
    pub fn class(&self) -> Class {
        match self {
            Self::Build { .. } | Self::Proxy { .. } | Self::Connect { .. } => Class::Outage,
            Self::Timeout { .. } | Self::Interrupted { .. } | Self::TooLarge { .. } | Self::Packed { .. } => {
                Class::Uncertain
            }
        }
    }

    pub(crate) fn of(url: &str, timeout: std::time::Duration, source: reqwest::Error) -> Self {
        let url = url.to_string();
        if source.is_builder() {
            Self::Build { url, source }
        } else if source.is_connect() {
            // Also a connect time-out: nothing was sent.
            Self::Connect { url, source }
        } else if source.is_timeout() {
            Self::Timeout { url, seconds: timeout.as_secs_f32(), source }
        } else {
            Self::Interrupted { url, source }
        }
    }
}
