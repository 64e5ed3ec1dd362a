//! Publishing one message: done when the server has acknowledged its storage.

use async_nats::Request;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use events::DeadLetter;

use crate::record::Record;
use crate::{Journal, JournalError, Label, Topology, TraceParent};

/// A message is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its sequence in the stream.
    pub seq: u64,
    /// It was stored before, under the same id; `seq` is that of the first time.
    pub duplicate: bool,
}

impl Journal {
    /// Publishes one message and waits until it is stored.
    ///
    /// # Errors
    /// [`JournalError::Conflict`] when the record expected another last sequence; [`JournalError::Unavailable`] when no
    /// answer came (it may be stored all the same: publish it again, its id makes that harmless).
    pub async fn publish(&self, record: &Record) -> Result<Stored, JournalError> {
        self.check_size(record)?;
        let request = Request::new().headers(record.headers()).payload(record.payload.clone());
        let ack = self.request_ack(&record.subject, request, "store a message").await?;
        Ok(Stored { seq: ack.sequence, duplicate: ack.duplicate })
    }

    /// Stores a dead letter; the same failure of the same message is stored once.
    ///
    /// # Errors
    /// As [`Journal::publish`].
    pub async fn bury(
        &self,
        topology: &Topology,
        letter: &DeadLetter,
        trace: Option<TraceParent>,
    ) -> Result<Stored, JournalError> {
        let origin = &letter.origin;
        let row = origin.row.map_or_else(|| "-".to_string(), |row| row.to_string());
        let target = letter.target.as_ref().map_or("-", |target| target.as_str());
        let id = format!(
            "dead:{}:{}:{}:{row}:{target}:{}",
            letter.stage, origin.stream, origin.sequence, letter.kind
        );
        let mut record = Record::new(topology.dead(letter.stage, &letter.kind), id, letter)?.traced(trace);
        record = match (origin.raw_seq, origin.row) {
            (Some(raw), Some(row)) => record.labelled(Label::Origin, format!("{raw}/{row}")),
            (Some(raw), None) => record.labelled(Label::Page, raw),
            _ => record,
        };
        if let Some(target) = &letter.target {
            record = record.labelled(Label::Mapped, origin.sequence).labelled(Label::Target, target.token());
        }
        self.publish(&record).await
    }

    pub(crate) fn check_size(&self, record: &Record) -> Result<(), JournalError> {
        let (size, limit) = (record.size(), self.max_payload());
        if size <= limit {
            return Ok(());
        }
        Err(JournalError::TooLarge { subject: record.subject.clone(), size, limit })
    }

    pub(crate) async fn request_ack(
        &self,
        subject: &str,
        request: Request,
        what: &str,
    ) -> Result<PublishAck, JournalError> {
        let answer = self
            .client()
            .send_request(subject.to_string(), request)
            .await
            .map_err(|error| JournalError::unavailable(what, error))?;
        let answer: Response<PublishAck> = serde_json::from_slice(&answer.payload)
            .map_err(|error| JournalError::unavailable(what, error))?;
        match answer {
            Response::Ok(ack) => Ok(ack),
            Response::Err { error } => Err(match error.error_code() {
                ErrorCode::STREAM_WRONG_LAST_SEQUENCE | ErrorCode::STREAM_WRONG_LAST_SEQUENCE_CONSTANT => {
                    JournalError::Conflict { subject: subject.into() }
                }
                ErrorCode::ATOMIC_PUBLISH_CONTAINS_DUPLICATE_MESSAGE => JournalError::DuplicateInBatch,
                // Everything the server calls its own trouble passes; a bad request does not.
                _ if error.code() >= 500 || error.code() == 408 => JournalError::unavailable(what, error),
                code => JournalError::Refused { what: what.into(), code: code.0, source: Box::new(error) },
            }),
        }
    }
}
