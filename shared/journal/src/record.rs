//! What is going to be published.

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use events::{CodecError, Event, encode, now};

use crate::{Label, TraceParent};

/// One message on its way into a stream.
#[derive(Debug, Clone)]
pub struct Record {
    /// The subject.
    pub subject: String,
    /// The deterministic `Nats-Msg-Id`: the same fact always has the same id.
    pub id: String,
    /// The encoded event.
    pub payload: Bytes,
    /// The sequence the subject's last message must have (0: none yet), or the append is refused.
    pub expected: Option<u64>,
    /// The trace it belongs to.
    pub trace: Option<TraceParent>,
    /// Small facts repeated in headers, so that a fold can read headers only.
    pub labels: Vec<(Label, String)>,
}

impl Record {
    /// A message holding `event`.
    ///
    /// # Errors
    /// When the event cannot be encoded.
    pub fn new<E: Event>(
        subject: impl Into<String>,
        id: impl Into<String>,
        event: &E,
    ) -> Result<Self, CodecError> {
        Ok(Self {
            subject: subject.into(),
            id: id.into(),
            payload: encode(event, now())?,
            expected: None,
            trace: None,
            labels: Vec::new(),
        })
    }

    /// Makes the append conditional on the subject's last sequence.
    #[must_use]
    pub fn expecting(self, last: u64) -> Self {
        Self { expected: Some(last), ..self }
    }

    /// Ties the message to a trace.
    #[must_use]
    pub fn traced(self, trace: Option<TraceParent>) -> Self {
        Self { trace, ..self }
    }

    /// Repeats a fact in the headers.
    #[must_use]
    pub fn labelled(mut self, label: Label, value: impl ToString) -> Self {
        self.labels.push((label, value.to_string()));
        self
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        // Names that are known when this is compiled are neither checked nor copied for each message.
        const ID: HeaderName = HeaderName::from_static("Nats-Msg-Id");
        const EXPECTED: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence");
        const TRACE: HeaderName = HeaderName::from_static("traceparent");
        let mut headers = HeaderMap::new();
        headers.insert(ID, self.id.as_str());
        if let Some(expected) = self.expected {
            headers.insert(EXPECTED, expected.to_string());
        }
        if let Some(trace) = self.trace {
            headers.insert(TRACE, trace.to_string());
        }
        for (label, value) in &self.labels {
            headers.insert(HeaderName::from_static(label.header()), value.as_str());
        }
        headers
    }

    /// An upper bound of what the message takes of `max_payload`, in bytes.
    pub fn size(&self) -> usize {
        let labels: usize =
            self.labels.iter().map(|(label, value)| label.header().len() + value.len() + 4).sum();
        self.payload.len() + self.id.len() + labels + 256
    }
}
