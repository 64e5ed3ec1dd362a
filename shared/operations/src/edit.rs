//! One dead letter, corrected by hand: a record that a target refused goes to MAPPED as a newer state of its order, and so does
//! what today's mapping makes of a row that could not be mapped.

use events::{
    ContentHash, DeadLetter, Listing, MappedEvent, MappedOrder, OrderDeleted, Origin, Stage, TargetName, now,
};
use journal::{Journal, JournalError, Label, Record, Stream, Topology};

use crate::letters::{letter, resolve};
use crate::run::{begun, finished, who};

/// What failed, as a text that can be corrected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Editable {
    /// The letter's number.
    pub letter: u64,
    /// The record, or the row: JSON.
    pub text: Vec<u8>,
    /// Which of them it is.
    pub about: About,
    retries: u32,
}

/// What a letter is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A record that a target refused.
    Record(Box<Refused>),
    /// A row of the source that could not be mapped.
    Row(Origin, Listing),
}

/// A message of MAPPED that a target refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The order.
    pub order: MappedOrder,
    deleted: bool,
    subject: String,
    origin: Option<String>,
    target: Option<TargetName>,
}

/// Why a letter cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotEditable {
    /// There is none of this number.
    NoLetter,
    /// It failed at the source: there is nothing to correct.
    Fetch,
    /// It is about a whole page.
    Page,
    /// Its row is too large to be in the letter.
    TooLarge,
    /// Its message is not in MAPPED any more.
    Gone,
    /// Its message cannot be read; why.
    Unreadable(String),
}

/// Maps a row, as an operation of that name and generation; `Ok(Err)` says why it cannot be mapped. What can do it lies above
/// this crate.
pub type MapRow<'a> =
    dyn Fn(&[u8], &Origin, Listing, (&str, u32)) -> Result<Result<Vec<Record>, String>, JournalError> + 'a;

/// Finds what a letter is about; `Err` says why it cannot be edited.
///
/// # Errors
/// When the server does not answer.
pub async fn editable(
    journal: &Journal,
    names: &Topology,
    seq: u64,
) -> Result<Result<Editable, NotEditable>, JournalError> {
    let Some(found) = letter(journal, names, seq).await? else {
        return Ok(Err(NotEditable::NoLetter));
    };
    let retries = found.retries;
    let about = match found.stage {
        Stage::Write => refused(journal, names, found).await?,
        Stage::Transform => row(found),
        Stage::Fetch => Err(NotEditable::Fetch),
    };
    Ok(about.map(|(text, about)| Editable { letter: seq, text, about, retries }))
}

async fn refused(
    journal: &Journal,
    names: &Topology,
    letter: DeadLetter,
) -> Result<Result<(Vec<u8>, About), NotEditable>, JournalError> {
    let Some(message) = journal.find(names, Stream::Mapped, letter.origin.sequence).await? else {
        return Ok(Err(NotEditable::Gone));
    };
    let (order, deleted) = match MappedEvent::decode(&message.payload) {
        Ok(MappedEvent::Order(order)) => (order, false),
        Ok(MappedEvent::Deleted(OrderDeleted(order))) => (order, true),
        Err(error) => return Ok(Err(NotEditable::Unreadable(error.to_string()))),
    };
    let (subject, origin) = (message.subject.clone(), message.label(Label::Origin).map(str::to_string));
    let text = order.record.clone();
    let refused = Refused { order, deleted, subject, origin, target: letter.target };
    Ok(Ok((text, About::Record(Box::new(refused)))))
}

fn row(letter: DeadLetter) -> Result<(Vec<u8>, About), NotEditable> {
    let at = letter.origin;
    let (Some(window), Some(page), Some(row), Some(raw_seq)) = (at.window, at.page, at.row, at.raw_seq)
    else {
        return Err(NotEditable::Page);
    };
    match letter.payload.unpack() {
        Ok(text) if !text.is_empty() && letter.kind != "too_large" => {
            Ok((text, About::Row(Origin { window, page, row, raw_seq }, at.listing)))
        }
        _ => Err(NotEditable::TooLarge),
    }
}

/// Sends `text` in place of what failed, closes the letter, and keeps who said so and why. Returns the name of the operation;
/// `Err` when it cannot be mapped, or somebody else closed the letter at the same moment.
///
/// # Errors
/// When it cannot be stored.
pub async fn edit(
    journal: &Journal,
    names: &Topology,
    editable: Editable,
    text: Vec<u8>,
    reason: &str,
    map: &MapRow<'_>,
) -> Result<Result<String, String>, JournalError> {
    let Editable { letter, about, retries, .. } = editable;
    let plan = match &about {
        About::Record(refused) => {
            format!("send order {} of letter {letter} with a corrected record: {reason}", refused.order.key)
        }
        About::Row(..) => format!("map the order of letter {letter} from a corrected row: {reason}"),
    };
    let id = format!("edit-{}", now());
    let begun = begun(journal, names, id.clone(), "edit", plan, 0).await?;
    // Newer than what failed and than any replay before, and older than whatever the source says next.
    let generation = u32::try_from(begun).unwrap_or(u32::MAX);
    let records = match about {
        About::Record(refused) => Ok(vec![refused.corrected(letter, text, generation)?]),
        About::Row(origin, listing) => map(&text, &origin, listing, (&id, generation))?,
    };
    let records = match records {
        Ok(records) => records,
        Err(why) => {
            finished(journal, names, &id, false, why.clone()).await?;
            return Ok(Err(why));
        }
    };
    for record in records {
        let record = record.labelled(Label::Letter, letter).labelled(Label::Retries, retries + 1);
        let record = record.labelled(Label::Operation, &id);
        journal.publish(&record).await?;
    }
    let closed = resolve(journal, names, letter, "edited", (&who(), reason, &id)).await?;
    let result = match &closed {
        Ok(()) => "what was corrected is on its way".to_string(),
        Err(why) => format!("what was corrected is on its way, but the letter is closed otherwise: {why}"),
    };
    finished(journal, names, &id, closed.is_ok(), result.clone()).await?;
    Ok(closed.map(|()| id).map_err(|_| result))
}

impl Refused {
    /// Whether it stands for a deleted order.
    pub fn is_deletion(&self) -> bool {
        self.deleted
    }

    /// The message with another record, of the same order and for the same target.
    fn corrected(self, letter: u64, record: Vec<u8>, generation: u32) -> Result<Record, JournalError> {
        let Self { mut order, deleted, subject, origin, target } = self;
        order.version.generation = generation;
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
        Ok(match &target {
            Some(target) => copy.labelled(Label::Target, target.token()),
            None => copy,
        })
    }
}
