//! Dead letters one by one: which there are, and what was done about them.

use std::collections::HashMap;

use events::{Actor, DeadLetter, DeadResolved, Micros, Stage, TargetName};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Label, Record, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

/// Which dead letters are meant: those that everything given here is true of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// These, by their sequence in DEAD; any when empty.
    pub letters: Vec<u64>,
    /// Of the group whose fingerprint begins so.
    pub group: Option<String>,
    /// Of this stage.
    pub stage: Option<Stage>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this target.
    pub target: Option<TargetName>,
    /// About one of the orders with these keys; any when empty.
    pub keys: Vec<String>,
    /// Also those that somebody, or another mapping, has dealt with.
    pub closed: bool,
}

/// What was done about a letter.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Resolution {
    /// `retried`, `edited`, `discarded`; or `mapped`, `superseded` and `failed again`, by another mapping.
    pub how: String,
    /// Who did it and why.
    pub reason: String,
    /// The operation, when it was one.
    pub operation: Option<String>,
    /// When, microseconds since the Unix epoch.
    pub at: Micros,
}

/// A dead letter without what it holds.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LetterLine {
    /// Its sequence in DEAD: its number.
    pub letter: u64,
    /// When it was stored, microseconds since the Unix epoch.
    pub at: Micros,
    /// The stage that gave up.
    pub stage: Stage,
    /// What kind of failure.
    pub kind: String,
    /// The target, for the write stage, as subjects have it.
    pub target: Option<String>,
    /// The order's key, when it has one.
    pub key: Option<String>,
    /// Which group it belongs to.
    pub fingerprint: String,
    /// The version of the mapping, where one was involved.
    pub mapping: Option<String>,
    /// How often what failed had been retried before.
    pub retries: u32,
    /// What was done about it; `None` while it is open.
    pub resolution: Option<Resolution>,
}

impl Selection {
    /// The letters, oldest first. Reads the headers of DEAD, and the letters themselves only where the headers do not say
    /// enough (those stored by an older build).
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn read(&self, journal: &Journal, names: &Topology) -> Result<Vec<LetterLine>, JournalError> {
        // A kind is one word of a subject: another one names nothing.
        if self
            .kind
            .as_ref()
            .is_some_and(|kind| !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
        {
            return Ok(Vec::new());
        }
        let resolved = resolutions(journal, names, 1).await?;
        let filter = match (self.stage, &self.kind) {
            (None, None) => None,
            (stage, kind) => {
                let stage = stage.map_or("*", Stage::name);
                Some(format!("{}.dead.{stage}.{}", names.flow(), kind.as_deref().unwrap_or("*")))
            }
        };
        let mut log = journal.read(names, Stream::Dead, filter.as_deref(), From::Start, true).await?;
        let mut lines = Vec::new();
        while let Some(entry) = log.next().await {
            let entry = entry?;
            let known = self.letters.is_empty() || self.letters.contains(&entry.seq);
            let open = !resolved.contains_key(&entry.seq);
            if !known || !(open || self.closed) || entry.subject == names.dead_resolved() {
                continue;
            }
            let Some(mut line) = line(journal, names, &entry).await? else { continue };
            if self.selects(&line) {
                line.resolution = resolved.get(&line.letter).cloned();
                lines.push(line);
            }
        }
        Ok(lines)
    }

    fn selects(&self, line: &LetterLine) -> bool {
        let target = self.target.as_ref().map(TargetName::token);
        self.group.as_ref().is_none_or(|group| line.fingerprint.starts_with(group.as_str()))
            && (target.is_none() || line.target == target)
            && (self.keys.is_empty() || line.key.as_ref().is_some_and(|key| self.keys.contains(key)))
    }
}

/// What was done about letters, by letter, in DEAD from `from` on. What was said first holds.
///
/// # Errors
/// When the stream cannot be read.
pub(crate) async fn resolutions(
    journal: &Journal,
    names: &Topology,
    from: u64,
) -> Result<HashMap<u64, Resolution>, JournalError> {
    let filter = names.dead_resolved();
    let mut log = journal.read(names, Stream::Dead, Some(&filter), From::Seq(from), false).await?;
    let mut resolved = HashMap::new();
    while let Some(entry) = log.next().await {
        // What cannot be read (put there by hand, or by a newer build) must not hide the others.
        if let Ok(event) = entry?.event::<DeadResolved>() {
            let DeadResolved { letter, how, reason, operation } = event.body;
            resolved.entry(letter).or_insert(Resolution { how, reason, operation, at: event.at });
        }
    }
    Ok(resolved)
}

/// Closes a letter, for whoever wanted it, why, and in which operation. `Err` when somebody else did so first.
///
/// # Errors
/// When it cannot be stored.
pub(crate) async fn resolve(
    journal: &Journal,
    names: &Topology,
    letter: u64,
    how: &str,
    (actor, reason, operation): (&Actor, &str, &str),
) -> Result<Result<(), String>, JournalError> {
    let event = DeadResolved {
        letter,
        how: how.to_string(),
        reason: format!("{}@{}: {reason}", actor.user, actor.host),
        operation: Some(operation.to_string()),
    };
    let record = Record::new(names.dead_resolved(), format!("resolved:{letter}"), &event)?;
    let stored = journal.publish(&record).await?;
    if !stored.duplicate {
        return Ok(Ok(()));
    }
    let first = journal.get(names, Stream::Dead, stored.seq).await?.event::<DeadResolved>()?.body;
    let ours = first.operation.as_deref() == Some(operation);
    Ok(if ours { Ok(()) } else { Err(format!("it was {} at the same moment: {}", first.how, first.reason)) })
}

/// The letter with this number; `None` when there is none, or it cannot be read.
///
/// # Errors
/// When the server does not answer.
pub async fn letter(
    journal: &Journal,
    names: &Topology,
    seq: u64,
) -> Result<Option<DeadLetter>, JournalError> {
    let Some(entry) = journal.find(names, Stream::Dead, seq).await? else { return Ok(None) };
    if entry.subject == names.dead_resolved() || names.receipt_of_older_stamp(&entry.subject).is_some() {
        return Ok(None);
    }
    let letter = entry.event::<DeadLetter>();
    if let Err(error) = &letter {
        tracing::warn!(%error, letter = seq, "a dead letter cannot be read");
    }
    Ok(letter.ok().map(|letter| letter.body))
}

async fn line(
    journal: &Journal,
    names: &Topology,
    entry: &Entry,
) -> Result<Option<LetterLine>, JournalError> {
    let label = |label| entry.label(label).map(str::to_string);
    let parts: Vec<&str> = entry.subject.split('.').collect();
    let [_, _, stage, kind] = parts[..] else { return Ok(None) };
    let stages = [Stage::Fetch, Stage::Transform, Stage::Write];
    let Some(stage) = stages.into_iter().find(|known| known.name() == stage) else { return Ok(None) };
    let mut line = LetterLine {
        letter: entry.seq,
        at: entry.stored_at,
        stage,
        kind: kind.to_string(),
        target: label(Label::Target),
        key: label(Label::Key),
        fingerprint: label(Label::Fingerprint).unwrap_or_default(),
        mapping: label(Label::Mapping),
        retries: entry.label(Label::Retries).and_then(|retries| retries.parse().ok()).unwrap_or(0),
        resolution: None,
    };
    if line.fingerprint.is_empty() || line.key.is_none() {
        let Some(letter) = letter(journal, names, entry.seq).await? else { return Ok(None) };
        line.fingerprint = letter.fingerprint();
        line.key = letter.key;
        line.mapping = letter.mapping;
    }
    Ok(Some(line))
}
