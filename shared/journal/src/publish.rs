//! Publishing one message: done when the server has acknowledged its storage.

use std::borrow::Cow;

use async_nats::Request;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::response::Response;
use events::{DeadLetter, Payload, Stage, bounded_token, encode, now};

use crate::connect::ACK_TIMEOUT;
use crate::record::Record;
use crate::storage_trouble::store_always;
use crate::{Journal, JournalError, Label, Stream, Topology, TraceParent};

/// A dead letter to be stored.
#[derive(Debug, Clone)]
pub struct LetterToStore {
    /// The letter.
    pub letter: DeadLetter,
    /// What the log may say of its error: nothing that `[operators]` keeps out of it.
    pub said: String,
}

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
        record.check(self.max_payload())?;
        let request = Request::new().headers(record.headers()).payload(record.payload.clone());
        let ack = self.request_ack(&record.subject, request, "store a message").await?;
        Ok(Stored { seq: ack.sequence, duplicate: ack.duplicate })
    }

    /// Stores a dead letter; the same failure of the same message is stored once (within a day). One that does not fit into a
    /// message is stored without its payload, which stays where it came from, and if it must be with shorter texts: a letter is
    /// never given up.
    ///
    /// # Errors
    /// As [`Journal::publish`].
    pub async fn bury(
        &self,
        topology: &Topology,
        letter: &DeadLetter,
        trace: Option<TraceParent>,
    ) -> Result<Stored, JournalError> {
        let letter = &without_secrets(letter);
        let record = letter_record(topology, letter, trace)?;
        let refused = match self.publish(&record).await {
            Err(error) if error.is_about_the_record() => error,
            other => return other,
        };
        let mut without = letter.clone();
        if letter.payload.size > 0 {
            leave_payload_out(&mut without, topology, &refused);
        }
        let record = Record { payload: encode(&without, now())?, ..record };
        match self.publish(&record).await {
            Err(error) if error.is_about_the_record() => {
                shorten(&mut without);
                self.publish(&letter_record(topology, &without, trace)?).await
            }
            other => other,
        }
    }

    /// As [`Journal::bury`], and waits for as long as it cannot be stored; [`Journal::trouble`]
    /// says why. The log has a line of it.
    pub async fn store_letter_patiently(
        &self,
        topology: &Topology,
        letter: &LetterToStore,
        trace: Option<TraceParent>,
    ) -> Stored {
        let LetterToStore { letter, said } = letter;
        // Whatever the error: what it is about must not be lost. So there is none that ends the waiting.
        let stored = store_always(self.trouble(), || self.bury(topology, letter, trace)).await;
        // What was stored before is no news.
        if !stored.duplicate {
            let target = letter.target.as_ref().map(|target| target.as_str());
            tracing::warn!(
                letter = stored.seq,
                stage = letter.stage.name(),
                kind = letter.kind,
                target_name = target,
                key = letter.key,
                window = letter.origin.window.as_ref().map(|window| window.as_str()),
                page = letter.origin.page,
                row = letter.origin.row,
                raw_seq = letter.origin.raw_seq,
                error = said,
                "a dead letter is stored"
            );
        }
        stored
    }

    pub(crate) async fn request_ack(
        &self,
        subject: &str,
        request: Request,
        what: &str,
    ) -> Result<PublishAck, JournalError> {
        // The client's own time-out begins when the request has left; while the connection is away it may not leave.
        let asking = self.client().send_request(subject.to_string(), request);
        let answer = tokio::select! {
            biased;
            answer = tokio::time::timeout(ACK_TIMEOUT, asking) => answer,
            // There will be no answer.
            words = self.refusals().of_publishing(subject) => {
                return Err(JournalError::NotPermitted { what: what.into(), words });
            }
        };
        let answer = answer
            .map_err(|error| self.unavailable(what, error))?
            .map_err(|error| self.unavailable(what, error))?;
        let answer: Response<PublishAck> =
            serde_json::from_slice(&answer.payload).map_err(|error| self.unavailable(what, error))?;
        match answer {
            Response::Ok(ack) => Ok(ack),
            Response::Err { error } => Err(JournalError::of_storing(what, subject, error)),
        }
    }
}

/// The kind of the letters of the fetch stage whose payload is a page of orders, and no answer that
/// is none.
const PAGE_OF_ORDERS: &str = "too_large";

/// The letter without secrets of ours in what others said. An order stays exactly what it is; an answer of the source that is
/// no page is none.
fn without_secrets(letter: &DeadLetter) -> DeadLetter {
    let mut letter = letter.clone();
    let clean = |text: &mut String| {
        if let Cow::Owned(redacted) = secrets::redact(text) {
            *text = redacted;
        }
    };
    clean(&mut letter.message);
    letter.causes.iter_mut().for_each(clean);
    letter.attempts.iter_mut().for_each(|attempt| clean(&mut attempt.message));
    letter.answer.iter_mut().for_each(|answer| clean(&mut answer.excerpt));
    if letter.stage == Stage::Fetch
        && letter.kind != PAGE_OF_ORDERS
        && let Ok(answer) = letter.payload.unpack()
        && let Cow::Owned(redacted) = secrets::redact_bytes(&answer)
    {
        letter.payload = Payload::pack(&redacted);
    }
    letter
}

/// Texts of a letter that does not fit are cut to so many characters.
const SHORT: usize = 1_000;

/// So many causes and attempts of such a letter are kept, the last ones.
const FEW: usize = 5;

/// A key is repeated in the headers up to this length, in bytes.
const LONGEST_KEY: usize = 1_000;

/// The message of a letter.
fn letter_record(
    topology: &Topology,
    letter: &DeadLetter,
    trace: Option<TraceParent>,
) -> Result<Record, JournalError> {
    let origin = &letter.origin;
    let row = origin.row.map_or_else(|| "-".to_string(), |row| row.to_string());
    let target = letter.target.as_ref().map_or("-", |target| target.as_str());
    let kind = bounded_token(&letter.kind);
    let mut id = format!("dead:{}:{}:{}:{row}:{target}:{kind}", letter.stage, origin.stream, origin.sequence);
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
    // A key may be any text of any length, a header may not.
    let fits = |key: &&String| key.len() <= LONGEST_KEY && key.bytes().all(|byte| byte.is_ascii_graphic());
    if let Some(key) = letter.key.as_ref().filter(fits) {
        record = record.labelled(Label::Key, key);
    }
    if letter.retries > 0 {
        record = record.labelled(Label::Retries, letter.retries);
    }
    if let Some(target) = &letter.target {
        record = record.labelled(Label::Mapped, origin.sequence).labelled(Label::Target, target.token());
    }
    Ok(record)
}

fn leave_payload_out(letter: &mut DeadLetter, topology: &Topology, refused: &JournalError) {
    letter.payload = Payload::pack(&[]);
    let origin = &letter.origin;
    let why = match refused {
        JournalError::TooLarge { size, limit, .. } => {
            format!("the letter would have {size} bytes, NATS takes {limit}")
        }
        other => other.with_causes(),
    };
    let stream = if origin.raw_seq.is_some() { topology.stream(Stream::Raw) } else { origin.stream.clone() };
    let seq = origin.raw_seq.unwrap_or(origin.sequence);
    letter.causes.push(format!("the payload is left out: {why}; it is in message {seq} of {stream}"));
}

/// Cuts the texts of a letter, so that it fits into a message whatever it says.
fn shorten(letter: &mut DeadLetter) {
    let cut = |text: &mut String| {
        if let Some((end, _)) = text.char_indices().nth(SHORT) {
            text.truncate(end);
            text.push('…');
        }
    };
    cut(&mut letter.message);
    cut(&mut letter.kind);
    letter.causes.drain(..letter.causes.len().saturating_sub(FEW));
    letter.causes.iter_mut().for_each(cut);
    letter.attempts.drain(..letter.attempts.len().saturating_sub(FEW));
    letter.attempts.iter_mut().for_each(|attempt| cut(&mut attempt.message));
    letter.key.iter_mut().chain(&mut letter.number).for_each(cut);
    letter.answer.iter_mut().for_each(|answer| cut(&mut answer.excerpt));
}

#[cfg(test)]
mod tests {
    use events::{LetterOrigin, Listing};

    use super::*;

    #[test]
    fn a_page_of_orders_stays_exact_and_another_answer_loses_our_secrets() {
        secrets::remember("secret-of-a-letter");
        let body = br#"{"remark":"secret-of-a-letter"}"#;
        let payload_of = |kind: &str| {
            let origin = LetterOrigin {
                stream: "f-JOBS".into(),
                sequence: 1,
                window: None,
                page: Some(1),
                row: None,
                raw_seq: None,
                listing: Listing::Orders,
            };
            let letter = DeadLetter {
                stage: Stage::Fetch,
                kind: kind.into(),
                message: "it says secret-of-a-letter".into(),
                causes: Vec::new(),
                origin,
                target: None,
                key: None,
                number: None,
                payload: Payload::pack(body),
                answer: None,
                attempts: Vec::new(),
                mapping: None,
                trace_id: None,
                retries: 0,
            };
            let clean = without_secrets(&letter);
            assert_eq!(clean.message, "it says ***");
            clean.payload.unpack().expect("packed")
        };
        assert_eq!(payload_of(PAGE_OF_ORDERS), body);
        assert_eq!(payload_of("malformed"), br#"{"remark":"***"}"#);
    }
}
