//! Publishing one message: done when the server has acknowledged its storage.

use async_nats::Request;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use events::{DeadLetter, Payload, Stage, encode, now};

use crate::connect::ACK_TIMEOUT;
use crate::record::Record;
use crate::{Journal, JournalError, Label, Stream, Topology, TraceParent};

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

    /// Stores a dead letter; the same failure of the same message is stored once (within a day). A payload that does not
    /// fit into a message stays where it came from: the letter names the place.
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
        let mut id = format!(
            "dead:{}:{}:{}:{row}:{target}:{}",
            letter.stage, origin.stream, origin.sequence, letter.kind
        );
        // The same failure under another mapping is another letter.
        if let (Stage::Transform, Some(mapping)) = (letter.stage, &letter.mapping) {
            id = format!("{id}:{mapping}");
        }
        let mut record = Record::new(topology.dead(letter.stage, &letter.kind), id, letter)?.traced(trace);
        record = match (origin.raw_seq, origin.row) {
            (Some(raw), Some(row)) => record.labelled(Label::Origin, format!("{raw}/{row}")),
            (Some(raw), None) => record.labelled(Label::Page, raw),
            _ => record,
        };
        record = record.labelled(Label::Fingerprint, letter.fingerprint());
        if let Some(mapping) = &letter.mapping {
            record = record.labelled(Label::Mapping, mapping);
        }
        // A key may be any text, a header may not.
        if let Some(key) = letter.key.as_ref().filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic())) {
            record = record.labelled(Label::Key, key);
        }
        if letter.retries > 0 {
            record = record.labelled(Label::Retries, letter.retries);
        }
        if let Some(target) = &letter.target {
            record = record.labelled(Label::Mapped, origin.sequence).labelled(Label::Target, target.token());
        }
        match self.publish(&record).await {
            Err(JournalError::TooLarge { size, limit, .. }) if letter.payload.size > 0 => {
                let mut without = letter.clone();
                without.payload = Payload::pack(&[]);
                without.causes.push(format!(
                    "the payload is left out: the letter would have {size} bytes, NATS takes {limit}; it is in message {} \
                     of {}",
                    origin.raw_seq.unwrap_or(origin.sequence),
                    if origin.raw_seq.is_some() { topology.stream(Stream::Raw) } else { origin.stream.clone() },
                ));
                self.publish(&Record { payload: encode(&without, now())?, ..record }).await
            }
            other => other,
        }
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
        // The client's own time-out begins when the request has left; while the connection is away it may not leave.
        let asking = self.client().send_request(subject.to_string(), request);
        let answer = tokio::time::timeout(ACK_TIMEOUT, asking)
            .await
            .map_err(|error| JournalError::unavailable(what, error))?
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
                // A batch that was cut off by a reconnect, or one too many at a time: the same again may pass.
                ErrorCode::ATOMIC_PUBLISH_INCOMPLETE_BATCH | ErrorCode::ATOMIC_PUBLISH_TOO_MANY_INFLIGHT => {
                    JournalError::unavailable(what, error)
                }
                // Everything the server calls its own trouble passes; a bad request does not.
                _ if error.code() >= 500 || error.code() == 408 => JournalError::unavailable(what, error),
                code => JournalError::Refused { what: what.into(), code: code.0, source: Box::new(error) },
            }),
        }
    }
}
