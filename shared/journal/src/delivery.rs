//! A stored message as a handler sees it.

use async_nats::HeaderMap;
use bytes::Bytes;
use events::{Decoded, Event, Micros, decode};

use crate::{JournalError, TraceParent};

/// A fact that is repeated in a header, so that a fold can read headers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// `<raw sequence>/<row>`, or `<raw sequence>/<row>/<element>` where the mapping makes a record of each element of a
    /// list: where a mapped order or a dead letter came from.
    Origin,
    /// What became of an order.
    Outcome,
    /// The sequence in MAPPED a receipt or a dead letter is about.
    Mapped,
    /// How many rows a raw page holds; on its first part.
    Rows,
    /// The target a dead letter is about, or the only one that a message is for.
    Target,
    /// The sequence in RAW of a whole page that became a dead letter.
    Page,
    /// Which dead letters are the same failure.
    Fingerprint,
    /// The version of the mapping a dead letter's order was mapped with, or failed under.
    Mapping,
    /// The order's key, on a dead letter.
    Key,
    /// How often a dead letter, or a message that was made of one, has been retried.
    Retries,
    /// The sequence in DEAD of the letter that a message was made of.
    Letter,
    /// The operation that stored a message again.
    Operation,
    /// The sequence of the message that a copy was made of.
    Copied,
    /// A message is to be written also when the target holds it already.
    Force,
}

impl Label {
    /// The header's name.
    pub fn header(self) -> &'static str {
        match self {
            Self::Origin => "Orderflow-Origin",
            Self::Outcome => "Orderflow-Outcome",
            Self::Mapped => "Orderflow-Mapped",
            Self::Rows => "Orderflow-Rows",
            Self::Target => "Orderflow-Target",
            Self::Page => "Orderflow-Page",
            Self::Fingerprint => "Orderflow-Fingerprint",
            Self::Mapping => "Orderflow-Mapping",
            Self::Key => "Orderflow-Key",
            Self::Retries => "Orderflow-Retries",
            Self::Letter => "Orderflow-Letter",
            Self::Operation => "Orderflow-Operation",
            Self::Copied => "Orderflow-Copied",
            Self::Force => "Orderflow-Force",
        }
    }
}

/// A message delivered to a handler.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The stream it lies in.
    pub stream: String,
    /// Its sequence there.
    pub seq: u64,
    /// When the server stored it, by its clock; microseconds since the Unix epoch.
    pub stored_at: Micros,
    /// How often its handler has panicked in this process.
    pub panics: usize,
    /// How often it has been delivered, from 1. Counts crashes and lost acks too, so it is no count of attempts.
    pub delivered: u64,
    /// Its subject.
    pub subject: String,
    /// The encoded event.
    pub payload: Bytes,
    pub(crate) headers: Option<HeaderMap>,
}

impl Delivery {
    /// The event.
    ///
    /// # Errors
    /// [`JournalError::Codec`] when the message holds something else.
    pub fn event<E: Event>(&self) -> Result<Decoded<E>, JournalError> {
        decode(&self.payload).map_err(|source| JournalError::Codec {
            stream: self.stream.clone(),
            seq: self.seq,
            source,
        })
    }

    /// A fact from its headers.
    pub fn label(&self, label: Label) -> Option<&str> {
        self.headers.as_ref()?.get(label.header()).map(|value| value.as_str())
    }

    /// The trace the message belongs to.
    pub fn trace(&self) -> Option<TraceParent> {
        trace_of(self.headers.as_ref())
    }

    /// The pin under which it was delivered: another one each time that a pinned consumer changes hands.
    pub fn pin(&self) -> Option<&str> {
        pin_of(self.headers.as_ref())
    }
}

pub(crate) fn pin_of(headers: Option<&HeaderMap>) -> Option<&str> {
    Some(headers?.get("Nats-Pin-Id")?.as_str())
}

pub(crate) fn trace_of(headers: Option<&HeaderMap>) -> Option<TraceParent> {
    headers?.get("traceparent")?.as_str().parse().ok()
}
