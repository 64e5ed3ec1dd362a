//! The dead letters of the fetch stage.

use events::{Attempt, DeadLetter, LetterOrigin, Payload, Stage};
use journal::Delivery;

use crate::page::Task;

/// A letter about a page, without what was answered.
pub(crate) fn letter_of_page(
    job: &Delivery,
    task: &Task<'_>,
    kind: &str,
    message: String,
    attempts: Vec<Attempt>,
) -> DeadLetter {
    DeadLetter {
        stage: Stage::Fetch,
        kind: kind.to_string(),
        message,
        causes: Vec::new(),
        origin: LetterOrigin {
            stream: job.stream.clone(),
            sequence: job.seq,
            window: Some(task.window.window.clone()),
            page: Some(task.job.page),
            row: None,
            raw_seq: None,
            listing: task.window.listing,
        },
        target: None,
        key: None,
        number: None,
        payload: Payload::pack(&[]),
        answer: None,
        attempts,
        mapping: None,
        trace_id: Some(task.trace.trace_id()),
        retries: 0,
    }
}
