//! One dead letter of the write stage, corrected by hand: the corrected record goes to MAPPED as a newer state of its order.

use events::{ContentHash, DeadLetter, MappedEvent, MappedOrder, OrderDeleted, Stage, TargetName, now};
use journal::{Journal, JournalError, Label, Record, Stream, Topology};

use crate::letters::{letter, resolve};
use crate::run::{begun, finished, who};

/// The order of a letter, as it is in MAPPED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Editable {
    /// The letter's number.
    pub letter: u64,
    /// The order.
    pub order: MappedOrder,
    deleted: bool,
    retries: u32,
    subject: String,
    origin: Option<String>,
    target: Option<TargetName>,
}

/// Why a letter cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotEditable {
    /// There is none of this number.
    NoLetter,
    /// Only what was refused at a target has a record; this is of another stage.
    Stage(Stage),
    /// Its message is not in MAPPED any more.
    Gone,
    /// Its message cannot be read; why.
    Unreadable(String),
}

/// Finds the order of a letter; `Err` says why it cannot be edited.
///
/// # Errors
/// When the server does not answer.
pub async fn editable(
    journal: &Journal,
    names: &Topology,
    seq: u64,
) -> Result<Result<Editable, NotEditable>, JournalError> {
    let Some(DeadLetter { stage, retries, origin, target, .. }) = letter(journal, names, seq).await? else {
        return Ok(Err(NotEditable::NoLetter));
    };
    if stage != Stage::Write {
        return Ok(Err(NotEditable::Stage(stage)));
    }
    let Some(message) = journal.find(names, Stream::Mapped, origin.sequence).await? else {
        return Ok(Err(NotEditable::Gone));
    };
    let (order, deleted) = match MappedEvent::decode(&message.payload) {
        Ok(MappedEvent::Order(order)) => (order, false),
        Ok(MappedEvent::Deleted(OrderDeleted(order))) => (order, true),
        Err(error) => return Ok(Err(NotEditable::Unreadable(error.to_string()))),
    };
    let (subject, origin) = (message.subject.clone(), message.label(Label::Origin).map(str::to_string));
    Ok(Ok(Editable { letter: seq, order, deleted, retries, subject, origin, target }))
}

/// Sends `record` in place of what was refused, closes the letter, and keeps who said so and why. Returns the name of the
/// operation; `Err` when somebody else closed the letter at the same moment.
///
/// # Errors
/// When it cannot be stored.
pub async fn edit(
    journal: &Journal,
    names: &Topology,
    editable: Editable,
    record: Vec<u8>,
    reason: &str,
) -> Result<Result<String, String>, JournalError> {
    let Editable { letter, mut order, deleted, retries, subject, origin, target } = editable;
    let plan = format!("send order {} of letter {letter} with a corrected record: {reason}", order.key);
    let id = format!("edit-{}", now());
    let begun = begun(journal, names, id.clone(), "edit", plan, 0).await?;
    // Newer than what was refused and than any replay before, and older than whatever the source says next.
    order.version.generation = u32::try_from(begun).unwrap_or(u32::MAX);
    order.content = ContentHash::of(&record);
    order.record = record;
    let message = format!("edit:{letter}:{}", order.content);
    let copy = match deleted {
        false => Record::new(subject, message, &order)?,
        true => Record::new(subject, message, &OrderDeleted(order))?,
    };
    let copy = match &origin {
        Some(origin) => copy.labelled(Label::Origin, origin),
        None => copy,
    };
    let copy = match &target {
        Some(target) => copy.labelled(Label::Target, target.token()),
        None => copy,
    };
    journal.publish(&copy.labelled(Label::Letter, letter).labelled(Label::Retries, retries + 1)).await?;
    let closed = resolve(journal, names, letter, "edited", (&who(), reason, &id)).await?;
    let result = match &closed {
        Ok(()) => "the corrected record is on its way".to_string(),
        Err(why) => format!("the corrected record is on its way, but the letter is closed otherwise: {why}"),
    };
    finished(journal, names, &id, closed.is_ok(), result).await?;
    Ok(closed.map(|()| id))
}
