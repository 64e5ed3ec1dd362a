//! Replay: messages of a log go through the later stages again. Which ones is decided when the replay is planned.

use std::collections::{BTreeMap, BTreeSet};

use events::{Log, MappedEvent, Micros, OrderDeleted, OrderKey, WindowEvent, WindowId};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Label, Record, Stream, Topology};

use crate::operation::Operation;

/// The server's clock may differ from that of the process by this much.
const CLOCKS: Micros = 60_000_000;

/// Which messages of a log: those that all of this is true of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Range {
    /// Stored at this time or later.
    pub since: Option<Micros>,
    /// Stored before this time.
    pub until: Option<Micros>,
    /// With a sequence from the first of these to the last.
    pub seqs: Option<(u64, u64)>,
    /// Of this window.
    pub window: Option<WindowId>,
    /// About this order.
    pub key: Option<OrderKey>,
}

/// What a replay is going to act on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Sequences in the log, ascending, each with how many orders its message holds.
    pub messages: BTreeMap<u64, u64>,
}

impl Replayed {
    /// Finds what the range holds now.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn plan(
        journal: &Journal,
        names: &Topology,
        log: Log,
        range: &Range,
    ) -> Result<Self, JournalError> {
        let pages = match &range.window {
            Some(window) => Some(pages_of(journal, names, window).await?),
            None => None,
        };
        let mapped = match (log, &range.key) {
            (Log::Raw, None) => None,
            // Only MAPPED knows keys: a page holds an order if some message says that it came from there.
            (Log::Raw, Some(key)) => Some(origins(journal, names, key).await?),
            (Log::Mapped, _) => None,
        };
        let (stream, filter) = match (log, &range.key) {
            (Log::Raw, _) => (Stream::Raw, names.raw()),
            (Log::Mapped, Some(key)) => (Stream::Mapped, names.mapped_of(key)),
            (Log::Mapped, None) => (Stream::Mapped, format!("{}.mapped.*", names.flow())),
        };
        let from = match (range.since, range.seqs) {
            (Some(since), _) => From::Time(since),
            (None, Some((first, _))) => From::Seq(first),
            (None, None) => From::Start,
        };
        let headers_only = log == Log::Raw || range.key.is_none();
        let mut entries = journal.read(names, stream, Some(&filter), from, headers_only).await?;
        let mut found = Self::default();
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            if range.seqs.is_some_and(|(_, last)| entry.seq > last)
                || range.until.is_some_and(|until| entry.stored_at >= until)
            {
                break;
            }
            let within = range.seqs.is_none_or(|(first, _)| entry.seq >= first);
            let raw_seq = match log {
                Log::Raw => Some(entry.seq),
                Log::Mapped => origin(&entry),
            };
            let of_pages = |pages: &BTreeSet<u64>| raw_seq.is_some_and(|seq| pages.contains(&seq));
            if within && pages.as_ref().is_none_or(of_pages) && mapped.as_ref().is_none_or(of_pages) {
                found
                    .messages
                    .extend(orders(log, &entry, range.key.as_ref()).map(|orders| (entry.seq, orders)));
            }
        }
        Ok(found)
    }

    /// How many orders it is about.
    pub fn orders(&self) -> u64 {
        self.messages.values().sum()
    }
}

/// How many orders a message holds; `None` when it is not one to replay.
fn orders(log: Log, entry: &Entry, key: Option<&OrderKey>) -> Option<u64> {
    match (log, key) {
        // Only the first part of a page says how many rows it has; the others go with it.
        (Log::Raw, Some(_)) => entry.label(Label::Rows).map(|_| 1),
        (Log::Raw, None) => entry.label(Label::Rows)?.parse().ok().filter(|rows| *rows > 0),
        // What filters kept back, and what was put there by hand, has no origin.
        (Log::Mapped, None) => origin(entry).map(|_| 1),
        (Log::Mapped, Some(key)) => (order_of(entry).as_ref() == Some(key)).then_some(1),
    }
}

/// The page in RAW of a message of MAPPED, as its headers say.
fn origin(entry: &Entry) -> Option<u64> {
    entry.label(Label::Origin)?.split('/').next()?.parse().ok()
}

fn order_of(entry: &Entry) -> Option<OrderKey> {
    match MappedEvent::decode(&entry.payload).ok()? {
        MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order)) => Some(order.key),
    }
}

/// The pages in RAW of a window.
async fn pages_of(
    journal: &Journal,
    names: &Topology,
    window: &WindowId,
) -> Result<BTreeSet<u64>, JournalError> {
    let filter = names.window(window);
    let mut log = journal.read(names, Stream::Sync, Some(&filter), From::Start, false).await?;
    let mut pages = BTreeSet::new();
    while let Some(entry) = log.next().await {
        let entry = entry?;
        match WindowEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))? {
            WindowEvent::Page(page) => pages.insert(page.raw_seq),
            WindowEvent::Part(part) => pages.insert(part.raw_seq),
            _ => false,
        };
    }
    Ok(pages)
}

/// The pages in RAW that hold an order.
async fn origins(journal: &Journal, names: &Topology, key: &OrderKey) -> Result<BTreeSet<u64>, JournalError> {
    let filter = names.mapped_of(key);
    let mut log = journal.read(names, Stream::Mapped, Some(&filter), From::Start, false).await?;
    let mut pages = BTreeSet::new();
    while let Some(entry) = log.next().await {
        let entry = entry?;
        if order_of(&entry).as_ref() == Some(key) {
            pages.extend(origin(&entry));
        }
    }
    Ok(pages)
}

/// What is said of every message of a replay.
pub fn labels(operation: &str, target: Option<&str>, force: bool) -> Vec<(Label, String)> {
    let mut labels = vec![(Label::Operation, operation.to_string())];
    labels.extend(target.map(|target| (Label::Target, target.to_string())));
    labels.extend(force.then(|| (Label::Force, "true".to_string())));
    labels
}

/// Which messages of MAPPED an operation has copied since it was heard of last: the step in which its process died.
///
/// # Errors
/// When MAPPED cannot be read.
pub(crate) async fn copied(
    journal: &Journal,
    names: &Topology,
    operation: &Operation,
) -> Result<BTreeSet<u64>, JournalError> {
    let from = From::Time(operation.moved.saturating_sub(CLOCKS));
    let mut log = journal.read(names, Stream::Mapped, None, from, true).await?;
    let mut copied = BTreeSet::new();
    while let Some(entry) = log.next().await {
        let entry = entry?;
        if entry.label(Label::Operation) == Some(&operation.id) {
            copied.extend(entry.label(Label::Copied).and_then(|seq| seq.parse::<u64>().ok()));
        }
    }
    Ok(copied)
}

/// Stores a message of MAPPED again, for a target or for all; `Err` says why not.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn again(
    journal: &Journal,
    names: &Topology,
    seq: u64,
    operation: &Operation,
    said: Vec<(Label, String)>,
) -> Result<Result<(), String>, JournalError> {
    let Some(message) = journal.find(names, Stream::Mapped, seq).await? else {
        return Ok(Err("it is not in MAPPED any more".into()));
    };
    let mut labels = said;
    // What was for one target stays so.
    if let Some(only) = message.label(Label::Target) {
        match labels.iter().find(|(label, _)| *label == Label::Target) {
            Some((_, target)) if target != only => return Ok(Err(format!("it is for target {only} alone"))),
            Some(_) => {}
            None => labels.push((Label::Target, only.to_string())),
        }
    }
    labels.push((Label::Copied, seq.to_string()));
    let mut copy = copy(&message, format!("replay:{}:{seq}", operation.id));
    copy.labels.extend(labels);
    journal.publish(&copy).await?;
    Ok(Ok(()))
}

/// A message of MAPPED, byte for byte, as another one of the same row.
pub(crate) fn copy(message: &Entry, id: String) -> Record {
    let origin = message.label(Label::Origin).map(|origin| (Label::Origin, origin.to_string()));
    Record {
        subject: message.subject.clone(),
        id,
        payload: message.payload.clone(),
        expected: None,
        trace: message.trace(),
        labels: origin.into_iter().collect(),
    }
}
