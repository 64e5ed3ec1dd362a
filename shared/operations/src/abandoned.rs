//! Edits whose process ended on the way. They have no steps that another process could carry on, but how far they came can be told
//! from the logs: so whoever looks at the operations ends them there, and none is under way for ever.

use events::{MappedEvent, Micros, OrderDeleted, now};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Label, Stream, Topology};

use crate::letters::{resolutions, resolve};
use crate::operation::Operation;
use crate::run::finished;

/// An edit of which nothing was heard for so long has no process any more: it stores a handful of messages, one after the other. Should
/// one wake up all the same, what it says of its end counts.
const SILENT: Micros = 600_000_000;

/// The server's clock may differ from that of the process by this much.
const CLOCKS: Micros = 60_000_000;

/// Ends the edits whose process has ended, as far as they came: a letter of which the correction is on its way is closed, and of one
/// that sent nothing the letter stays open. Returns their names.
///
/// # Errors
/// When the server does not answer.
pub async fn end_abandoned_edits(journal: &Journal, names: &Topology) -> Result<Vec<String>, JournalError> {
    let mut ended = Vec::new();
    for operation in Operation::all(journal, names).await? {
        let silent = now().saturating_sub(operation.moved) > SILENT;
        if operation.verb != "edit" || operation.is_over() || operation.work.is_some() || !silent {
            continue;
        }
        let (complete, result) = end(journal, names, &operation).await?;
        finished(journal, names, &operation.id, complete, result).await?;
        ended.push(operation.id);
    }
    Ok(ended)
}

/// Does what is left of it; whether all of it is done now, and how it ended.
async fn end(
    journal: &Journal,
    names: &Topology,
    operation: &Operation,
) -> Result<(bool, String), JournalError> {
    let ended = "its process ended before it said so";
    let closed = resolutions(journal, names, 1).await?;
    if closed.values().any(|resolution| resolution.operation.as_ref() == Some(&operation.id)) {
        return Ok((true, format!("what was corrected is on its way; {ended}")));
    }
    let Some(letter) = sent(journal, names, operation).await? else {
        return Ok((false, "its process ended before anything was sent: nothing was changed".into()));
    };
    let why = "what was corrected is on its way, and the process ended before it closed the letter";
    let closed = resolve(journal, names, letter, "edited", (&operation.actor, why, &operation.id)).await?;
    Ok(match closed {
        Ok(()) => (true, format!("what was corrected is on its way; {ended}")),
        Err(why) => {
            (false, format!("what was corrected is on its way, but the letter is closed otherwise: {why}"))
        }
    })
}

/// The letter of which this edit has stored the correction in MAPPED: its messages are of the generation that the operation has as
/// its place in OPS. `None` when it stored none.
async fn sent(
    journal: &Journal,
    names: &Topology,
    operation: &Operation,
) -> Result<Option<u64>, JournalError> {
    let generation = u32::try_from(operation.first_seq).unwrap_or(u32::MAX);
    let from = From::Time(operation.began.saturating_sub(CLOCKS));
    let mut log = journal.read(names, Stream::Mapped, None, from, true).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        if entry.stored_at > operation.began + SILENT + CLOCKS {
            break;
        }
        // Few messages say that they are again of a letter; the others need not be read.
        let Some(letter) = entry.label(Label::Letter).and_then(|letter| letter.parse().ok()) else {
            continue;
        };
        let Some(message) = journal.find(names, Stream::Mapped, entry.seq).await? else { continue };
        if let Ok(MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order))) =
            MappedEvent::decode(&message.payload)
            && order.version.generation == generation
        {
            return Ok(Some(letter));
        }
    }
    Ok(None)
}
