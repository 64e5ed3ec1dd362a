//! The dead letters of the transform stage.

use events::{Attempt, DeadLetter, LetterOrigin, Listing, Origin, Payload, RawPage, Stage, now};
use journal::{Delivery, JournalError, LetterToStore, PANIC, Stream, Topology, TraceParent};

/// The kind of letter for a row that is no JSON: there is nothing in it that another mapping could map.
pub(crate) const DAMAGED: &str = "damaged_row";

/// The kind of letter for an order that has the key of another one.
pub(crate) const SAME_KEY: &str = "same_key";

/// Why an order cannot go on, for its letter.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) message: String,
    /// What caused it, outermost first.
    pub(crate) causes: Vec<String>,
    pub(crate) key: Option<String>,
    pub(crate) number: Option<String>,
}

impl Failure {
    /// Mapping the order made us panic.
    pub(crate) fn panicked(said: &str) -> Self {
        let message = format!("mapping the order ended with a panic: {said}");
        let causes = vec!["this is a fault of orderflow: please report it with this letter".into()];
        Self { kind: PANIC.to_string(), message, causes, key: None, number: None }
    }

    /// The order was mapped, and NATS will never take its message.
    pub(crate) fn refused(error: &JournalError) -> Self {
        let message = format!("the mapped order cannot be stored: {}", service::chain(error));
        Self { kind: "unstorable".to_string(), message, causes: Vec::new(), key: None, number: None }
    }
}

/// The letter of an order that cannot be mapped: its payload is the source's row, whatever is wrong, so that it can be
/// mapped again.
pub(crate) fn of_row(
    failure: Failure,
    row: &[u8],
    (origin, listing): (Origin, Listing),
    mapping: &str,
    names: &Topology,
    trace: TraceParent,
) -> DeadLetter {
    DeadLetter {
        attempts: once(&failure.message),
        stage: Stage::Transform,
        kind: failure.kind,
        message: failure.message,
        causes: failure.causes,
        origin: LetterOrigin {
            stream: names.stream(Stream::Raw),
            sequence: origin.raw_seq,
            window: Some(origin.window),
            page: Some(origin.page),
            row: Some(origin.row),
            raw_seq: Some(origin.raw_seq),
            listing,
        },
        target: None,
        key: failure.key,
        number: failure.number,
        payload: Payload::pack(row),
        answer: None,
        mapping: Some(mapping.to_string()),
        trace_id: Some(trace.trace_id()),
        retries: 0,
    }
}

/// The letter of a page that is no page: it was one when it was fetched, so its bytes are damaged, or it was put there by
/// hand.
pub(crate) fn of_page(
    raw: &Delivery,
    page: Option<&RawPage>,
    bytes: &[u8],
    error: &dyn std::error::Error,
    mapping: &str,
    trace: TraceParent,
) -> DeadLetter {
    let message = service::chain(error);
    // Without what was found in the page: that is in the letter.
    tracing::error!(raw_seq = raw.seq, error = events::pattern(&message, &[]), "a raw page cannot be read");
    DeadLetter {
        attempts: once(&message),
        stage: Stage::Transform,
        kind: "malformed".into(),
        message: format!("raw page {} cannot be read: {message}", raw.seq),
        causes: std::iter::once(error.to_string()).chain(service::causes(error)).collect(),
        origin: LetterOrigin {
            stream: raw.stream.clone(),
            sequence: raw.seq,
            window: page.map(|page| page.window.clone()),
            page: page.map(|page| page.page),
            row: None,
            raw_seq: Some(raw.seq),
            listing: page.map(|page| page.listing).unwrap_or_default(),
        },
        target: None,
        key: None,
        number: None,
        payload: Payload::pack(bytes),
        answer: None,
        mapping: Some(mapping.to_string()),
        trace_id: Some(trace.trace_id()),
        retries: 0,
    }
}

/// The letter with what the log may say of it: not what was found in the order, which is in the
/// letter.
pub(crate) fn to_store(letter: DeadLetter) -> LetterToStore {
    LetterToStore { said: letter.pattern(), letter }
}

/// The same bytes map to the same under the same mapping: there is one attempt.
fn once(message: &str) -> Vec<Attempt> {
    vec![Attempt { at: now(), message: message.to_string() }]
}
