//! What is going to be published.

use std::borrow::Cow;

use async_nats::{HeaderMap, HeaderName};
use bytes::Bytes;
use events::{CodecError, Event, Micros, encode, now};

use crate::{JournalError, Label, TraceParent};

/// The longest subject that we use, in bytes. The server takes 4,096 for the line of a message (`max_control_line`), which also
/// names where the answer goes, and ends the connection over a longer one.
pub(crate) const LONGEST_SUBJECT: usize = 3_072;

/// Bytes of headers in one message, at most: the server takes 64 KiB, and a batch adds some of its own.
const LONGEST_HEADERS: usize = 60 << 10;

/// So much of a text that is too long is quoted, in characters.
const EXCERPT: usize = 80;

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
        Self::happened(subject, id, event, now())
    }

    /// A message holding an event that happened `at`.
    ///
    /// # Errors
    /// When the event cannot be encoded.
    pub fn happened<E: Event>(
        subject: impl Into<String>,
        id: impl Into<String>,
        event: &E,
        at: Micros,
    ) -> Result<Self, CodecError> {
        Ok(Self {
            subject: subject.into(),
            id: id.into(),
            payload: encode(event, at)?,
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

    /// Checks that the server can take the message, before it reaches the connection: a subject that is too long ends it, with all
    /// else that is under way on it.
    ///
    /// # Errors
    /// [`JournalError::TooLong`] and [`JournalError::TooLarge`]: it can never be stored as it is.
    pub fn check(&self, max_payload: usize) -> Result<(), JournalError> {
        check_subject(&self.subject)?;
        let headers = self.header_size();
        if headers > LONGEST_HEADERS {
            let excerpt = self.subject.chars().take(EXCERPT).collect();
            let what = "what the headers of a message hold";
            return Err(JournalError::TooLong { what, found: headers, limit: LONGEST_HEADERS, excerpt });
        }
        if self.size() > max_payload {
            let subject = self.subject.clone();
            return Err(JournalError::TooLarge { subject, size: self.size(), limit: max_payload });
        }
        Ok(())
    }

    pub(crate) fn headers(&self) -> HeaderMap {
        // Names that are known when this is compiled are neither checked nor copied for each message.
        const ID: HeaderName = HeaderName::from_static("Nats-Msg-Id");
        const EXPECTED: HeaderName = HeaderName::from_static("Nats-Expected-Last-Subject-Sequence");
        const TRACE: HeaderName = HeaderName::from_static("traceparent");
        let mut headers = HeaderMap::new();
        headers.insert(ID, header_value(&self.id).as_ref());
        if let Some(expected) = self.expected {
            headers.insert(EXPECTED, expected.to_string());
        }
        if let Some(trace) = self.trace {
            headers.insert(TRACE, trace.to_string());
        }
        for (label, value) in &self.labels {
            headers.insert(HeaderName::from_static(label.header()), header_value(value).as_ref());
        }
        headers
    }

    /// An upper bound of what the message takes of `max_payload`, in bytes.
    pub fn size(&self) -> usize {
        self.payload.len() + self.header_size()
    }

    /// An upper bound of what its headers take, in bytes.
    fn header_size(&self) -> usize {
        let labels: usize =
            self.labels.iter().map(|(label, value)| label.header().len() + value.len() + 4).sum();
        self.id.len() + labels + 256
    }
}

/// Checks that the server can take a subject, be it to store there or to ask for.
///
/// # Errors
/// [`JournalError::TooLong`].
pub(crate) fn check_subject(subject: &str) -> Result<(), JournalError> {
    if subject.len() <= LONGEST_SUBJECT {
        return Ok(());
    }
    let excerpt = subject.chars().take(EXCERPT).collect();
    Err(JournalError::TooLong { what: "a subject", found: subject.len(), limit: LONGEST_SUBJECT, excerpt })
}

/// The value of a header without what would end it: line breaks become spaces.
fn header_value(text: &str) -> Cow<'_, str> {
    if text.contains(['\r', '\n']) {
        Cow::Owned(text.replace(['\r', '\n'], " "))
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{PageJob, WindowId};

    fn record(subject: &str, id: &str) -> Record {
        let job = PageJob { window: WindowId::live(1), pass: 1, page: 1, slice: None };
        Record::new(subject, id, &job).expect("encodes")
    }

    #[test]
    fn what_the_server_can_never_take_is_refused_before_it_is_sent() {
        let limit = 1 << 20;
        assert!(record(&"s".repeat(LONGEST_SUBJECT), "id").check(limit).is_ok());
        let subject = record(&"s".repeat(LONGEST_SUBJECT + 1), "id").check(limit).expect_err("too long");
        assert!(subject.to_string().starts_with("a subject has 3073 bytes, NATS takes at most 3072: ssss"));
        let id = record("s", &"i".repeat(LONGEST_HEADERS)).check(limit).expect_err("too long");
        assert!(matches!(id, JournalError::TooLong { .. }) && !id.is_retryable());
        let label = record("s", "id").labelled(Label::Key, "k".repeat(LONGEST_HEADERS)).check(limit);
        assert!(matches!(label, Err(JournalError::TooLong { .. })));
        assert!(matches!(record("s", "id").check(300), Err(JournalError::TooLarge { .. })));
    }

    #[test]
    fn a_line_break_does_not_end_a_header() {
        let headers = record("s", "a\r\nNats-Rollup: all").labelled(Label::Key, "k\nx").headers();
        assert_eq!(headers.get("Nats-Msg-Id").map(|id| id.as_str()), Some("a  Nats-Rollup: all"));
        assert_eq!(headers.get("Orderflow-Key").map(|key| key.as_str()), Some("k x"));
    }
}
