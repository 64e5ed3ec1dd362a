//! What a target holds of every order, and the last dead letter of each, read from the logs.

use std::collections::{HashMap, HashSet};

use events::{
    ContentHash, MappedEvent, MappedOrder, OrderDeleted, Outcome, Receipt, Stage, TargetName, Version,
};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Label, Stream, Topology};

use super::finding::{HeldContent, HeldState, LastLetter, LetterStanding};
use crate::letters::Selection;

/// What the last receipt of an order says.
#[derive(Debug, Clone)]
pub(super) struct LastReceipt {
    pub(super) state: HeldState,
    /// The content that the receipt names, known or not.
    content: ContentHash,
    mapped_seq: u64,
    /// The last receipt that says the target took something; 0 for none.
    last_write: u64,
    outcome: Outcome,
}

/// The message that made what a target holds.
pub(super) struct HeldMessage {
    pub(super) order: MappedOrder,
    /// A person corrected the record by hand.
    pub(super) is_edited: bool,
}

/// Reads the last receipt of every order at a target, by key.
pub(super) async fn read_last_receipts(
    journal: &Journal,
    names: &Topology,
    target: &TargetName,
) -> Result<HashMap<String, LastReceipt>, JournalError> {
    let mut last = HashMap::new();
    let filter = names.receipts_of(target);
    let mut log = journal.read(names, Stream::Receipts, Some(&filter), From::LastPerSubject, false).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        let receipt = entry.event::<Receipt>()?.body;
        let took = matches!(receipt.outcome, Outcome::Written | Outcome::Repeat);
        let state = HeldState {
            version: receipt.held,
            content: content_of(&receipt),
            stored_at: entry.stored_at,
            has_older_stamp: receipt.older_stamp.is_some(),
        };
        let held = LastReceipt {
            state,
            content: receipt.content,
            mapped_seq: receipt.mapped_seq,
            last_write: if took { entry.seq } else { receipt.last_write },
            outcome: receipt.outcome,
        };
        last.insert(receipt.key.to_string(), held);
    }
    // Only a receipt that says written says by itself what the target took.
    if last.values().any(|held| held.outcome != Outcome::Written && held.last_write > 0) {
        let repeats = read_repeats(journal, names, &filter).await?;
        let kept = |held: &&mut LastReceipt| {
            repeats.contains(&held.last_write) && matches!(held.state.content, HeldContent::Taken(_))
        };
        for held in last.values_mut().filter(kept) {
            held.state.content = HeldContent::Kept(kept_content(journal, names, held.last_write).await?);
        }
    }
    Ok(last)
}

/// What one receipt says by itself.
fn content_of(receipt: &Receipt) -> HeldContent {
    let no_content = receipt.outcome == Outcome::Superseded && receipt.content == ContentHash::of(b"");
    match receipt.known {
        false => HeldContent::NotKnown,
        true if no_content => HeldContent::Newer,
        true => HeldContent::Taken(receipt.content),
    }
}

/// The sequences of the receipts that say REPEAT.
async fn read_repeats(
    journal: &Journal,
    names: &Topology,
    filter: &str,
) -> Result<HashSet<u64>, JournalError> {
    let mut repeats = HashSet::new();
    let mut log = journal.read(names, Stream::Receipts, Some(filter), From::Start, true).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        if entry.label(Label::Outcome) == Some(Outcome::Repeat.name()) {
            repeats.insert(entry.seq);
        }
    }
    Ok(repeats)
}

/// The content that a target had when it said REPEAT: what it took before, as far as a receipt says so.
async fn kept_content(
    journal: &Journal,
    names: &Topology,
    repeat: u64,
) -> Result<Option<ContentHash>, JournalError> {
    let mut seq = repeat;
    while seq > 0 {
        let Some(entry) = journal.find(names, Stream::Receipts, seq).await? else { return Ok(None) };
        let receipt = entry.event::<Receipt>()?.body;
        match receipt.outcome {
            Outcome::Written => return Ok(Some(receipt.content)),
            Outcome::Repeat if receipt.last_write < seq => seq = receipt.last_write,
            _ => return Ok(None),
        }
    }
    Ok(None)
}

impl LastReceipt {
    /// Whether the order was deleted at the source, and the target was told so or is not to hear of it.
    pub(super) async fn is_deleted(&self, journal: &Journal, names: &Topology) -> Result<bool, JournalError> {
        for seq in self.messages(journal, names).await? {
            let message = journal.find(names, Stream::Mapped, seq).await?;
            let event = message.and_then(|message| MappedEvent::decode(&message.payload).ok());
            if let Some(MappedEvent::Deleted(OrderDeleted(order))) = event
                && (order.record.is_empty() || order.content == self.content)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The message that made what the target holds; `None` when MAPPED does not have it any more.
    pub(super) async fn message(
        &self,
        journal: &Journal,
        names: &Topology,
        letters: &KnownLetters,
    ) -> Result<Option<HeldMessage>, JournalError> {
        for seq in self.messages(journal, names).await? {
            let Some(entry) = journal.find(names, Stream::Mapped, seq).await? else { continue };
            let Ok(MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order))) =
                MappedEvent::decode(&entry.payload)
            else {
                continue;
            };
            if order.content == self.content {
                let letter = entry.label(Label::Letter).and_then(|letter| letter.parse().ok());
                let is_edited = letter.is_some_and(|letter: u64| letters.edited.contains(&letter));
                return Ok(Some(HeldMessage { order, is_edited }));
            }
        }
        Ok(None)
    }

    /// The messages in MAPPED that may have made it: that of the last receipt, and that of the last one that says the target
    /// took something.
    async fn messages(&self, journal: &Journal, names: &Topology) -> Result<Vec<u64>, JournalError> {
        let mut messages = vec![self.mapped_seq];
        if !matches!(self.outcome, Outcome::Written | Outcome::Repeat) && self.last_write > 0 {
            let written = journal.find(names, Stream::Receipts, self.last_write).await?;
            if let Some(written) = written {
                messages.push(written.event::<Receipt>()?.body.mapped_seq);
            }
        }
        Ok(messages)
    }

    /// The version that the target was given.
    pub(super) fn version(&self) -> Version {
        self.state.version
    }
}

/// What the dead letters of a target say.
#[derive(Debug, Default)]
pub(super) struct KnownLetters {
    /// The last letter of each order that is about this target or about no target, and was not tried again.
    pub(super) last: HashMap<String, LastLetter>,
    /// Letters whose order a person corrected by hand.
    edited: HashSet<u64>,
}

/// Reads the dead letters of a target.
pub(super) async fn read_letters(
    journal: &Journal,
    names: &Topology,
    target: &TargetName,
) -> Result<KnownLetters, JournalError> {
    let token = target.token();
    let mut letters = KnownLetters::default();
    let all = Selection { closed: true, ..Selection::default() };
    for line in all.read(journal, names).await? {
        let ours = line.stage != Stage::Write || line.target.as_ref() == Some(&token);
        let standing = match &line.resolution {
            None => LetterStanding::Open,
            Some(resolution) if resolution.how == "discarded" => LetterStanding::Discarded,
            Some(resolution) => {
                if resolution.how == "edited" {
                    letters.edited.insert(line.letter);
                }
                continue;
            }
        };
        if let (true, Some(key)) = (ours, line.key) {
            letters.last.insert(key, LastLetter { standing, at: line.at });
        }
    }
    Ok(letters)
}
