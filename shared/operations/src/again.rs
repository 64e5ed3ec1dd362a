//! One dead letter of the write stage goes back to where it failed: the very bytes of its message in MAPPED are stored
//! again, behind everything that is there. The writers treat the copy as any other order: something newer still wins.

use events::{DeadLetter, MappedEvent, Stage};
use journal::{Journal, JournalError, Label, Stream, Topology};

use crate::letters::letter;
use crate::replay::copy;

/// Why a letter is not for a retry; as it is kept of one that was to be retried all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Unfit {
    /// It would only come back.
    #[error("it was retried {retries} times (--max-replays {max_replays})")]
    Often {
        /// So often it was.
        retries: u32,
        /// So often it may be.
        max_replays: u32,
    },
    /// It is of the transform stage.
    #[error(
        "it failed in the mapping: the transformers try it again by themselves once the mapping is another"
    )]
    Mapping,
    /// It is of the fetch stage.
    #[error("it failed at the source: a backfill of its window reads it again")]
    Source,
}

/// Why a letter is not for [`retry`]; `None` when it is.
pub fn unfit(stage: Stage, retries: u32, max_replays: u32) -> Option<Unfit> {
    match stage {
        Stage::Write if retries >= max_replays => Some(Unfit::Often { retries, max_replays }),
        Stage::Write => None,
        Stage::Transform => Some(Unfit::Mapping),
        Stage::Fetch => Some(Unfit::Source),
    }
}

/// Stores the message of a letter again; `Err` says why not.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn retry(
    journal: &Journal,
    names: &Topology,
    seq: u64,
    max_replays: u32,
) -> Result<Result<(), String>, JournalError> {
    let Some(DeadLetter { stage, retries, origin, target, .. }) = letter(journal, names, seq).await? else {
        return Ok(Err("it cannot be read".into()));
    };
    if let Some(why) = unfit(stage, retries, max_replays) {
        return Ok(Err(why.to_string()));
    }
    let Some(message) = journal.find(names, Stream::Mapped, origin.sequence).await? else {
        let why = "its message is not in MAPPED any more: a backfill of its window reads it again";
        return Ok(Err(why.into()));
    };
    if MappedEvent::decode(&message.payload).is_err() {
        return Ok(Err("its message cannot be read, and would fail again".into()));
    }
    let mut copy = copy(&message, format!("retry:{seq}"));
    if let Some(force) = message.label(Label::Force) {
        copy = copy.labelled(Label::Force, force);
    }
    // Only for the target that gave up: what became of it elsewhere is settled there.
    if let Some(target) = &target {
        copy = copy.labelled(Label::Target, target.token());
    }
    journal.publish(&copy.labelled(Label::Letter, seq).labelled(Label::Retries, retries + 1)).await?;
    Ok(Ok(()))
}
