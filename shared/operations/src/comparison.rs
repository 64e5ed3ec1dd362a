//! What a source has in a range of time, against what a target was given: the proof that nothing is missing, order by order.

use std::collections::{BTreeMap, HashMap};

use events::{MappedEvent, Micros, Receipt, Slice, Stage, TargetName, Version};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::letters::Selection;

/// What the source, and the mapping of today, say of one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its key by the mapping; `None` when it has none.
    pub key: Option<String>,
    /// When it was changed last, as the source says.
    pub updated_at: Option<Micros>,
    /// Whether the mapping's filters keep it from being sent.
    pub skipped: bool,
}

/// An order of which the target does not hold what the source has.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Unlike {
    /// Its id at the source, or its key for one that the source does not list.
    pub order: String,
    /// Its key.
    pub key: String,
    /// When it was changed last, as the source says.
    pub source: Option<Micros>,
    /// The state that the target was given, by the source's update time.
    pub target: Option<Micros>,
}

/// The comparison. Every order of the source is counted once: `source` is the sum of all but `extra`.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Comparison {
    /// The target.
    pub target: String,
    /// Orders that the source lists.
    pub source: u64,
    /// Of these: the target was given this state, or a newer one.
    pub up_to_date: u64,
    /// Of these: kept back by the mapping's filters.
    pub skipped: u64,
    /// Of these: the target was never given them.
    pub missing: Vec<Unlike>,
    /// Of these: the target was given an older state.
    pub stale: Vec<Unlike>,
    /// Of these: it is not known whether the target took them.
    pub unknown: Vec<Unlike>,
    /// Of these: an open dead letter waits for a person.
    pub dead: Vec<Unlike>,
    /// Of these: a dead letter that a person closed for good.
    pub discarded: Vec<Unlike>,
    /// The target was given them in this range, and the source does not list them (any more).
    pub extra: Vec<Unlike>,
}

/// What the last receipt of an order says.
struct Held {
    version: Version,
    known: bool,
    mapped_seq: u64,
}

impl Comparison {
    /// Compares. Reads the last receipt of every order, and the headers of DEAD.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn of(
        journal: &Journal,
        names: &Topology,
        target: &TargetName,
        range: Slice,
        listed: &BTreeMap<String, Listed>,
    ) -> Result<Self, JournalError> {
        let mut held: HashMap<String, Held> = HashMap::new();
        let filter = names.receipts_of(target);
        let mut log =
            journal.read(names, Stream::Receipts, Some(&filter), From::LastPerSubject, false).await?;
        while let Some(entry) = log.next().await {
            let Receipt { key, held: version, known, mapped_seq, .. } = entry?.event::<Receipt>()?.body;
            held.insert(key.to_string(), Held { version, known, mapped_seq });
        }
        let token = target.token();
        // Whether the last letter of each order is open, or was closed for good.
        let mut dead: HashMap<String, (bool, Micros)> = HashMap::new();
        let all = Selection { closed: true, ..Selection::default() };
        for line in all.read(journal, names).await? {
            let ours = line.stage != Stage::Write || line.target.as_ref() == Some(&token);
            let open = match &line.resolution {
                None => true,
                Some(resolution) if resolution.how == "discarded" => false,
                Some(_) => continue,
            };
            if let (true, Some(key)) = (ours, line.key) {
                dead.insert(key, (open, line.at));
            }
        }
        let mut found = Self { target: target.to_string(), ..Self::default() };
        for (id, order) in listed {
            // Listed to be known, and not to be compared.
            if order.updated_at.is_some_and(|at| at >= range.until) {
                held.remove(order.key.as_ref().unwrap_or(id));
                continue;
            }
            found.source += 1;
            // Of an order without a key nothing can have been written: its letter has the id, if any.
            let key = order.key.as_ref().unwrap_or(id);
            let given = held.remove(key).filter(|held| held.version > Version::OLDEST);
            let unlike = || Unlike {
                order: id.clone(),
                key: key.clone(),
                source: order.updated_at,
                target: given.as_ref().and_then(|held| held.version.updated_at),
            };
            let behind = |held: &Held| held.version.updated_at < order.updated_at;
            // A letter that is older than the order's last change is about something before it.
            let letter =
                dead.get(key).filter(|(_, at)| order.updated_at.is_none_or(|changed| changed <= *at));
            let letter = letter.map(|(open, _)| *open);
            match &given {
                Some(held) if held.known && !behind(held) => found.up_to_date += 1,
                _ if order.skipped => found.skipped += 1,
                _ if letter == Some(true) => found.dead.push(unlike()),
                _ if letter == Some(false) => found.discarded.push(unlike()),
                None => found.missing.push(unlike()),
                Some(held) if behind(held) => found.stale.push(unlike()),
                Some(_) => found.unknown.push(unlike()),
            }
        }
        let within = |at: Micros| range.since <= at && at < range.until;
        for (key, held) in held {
            let Some(at) = held.version.updated_at.filter(|at| within(*at)) else { continue };
            // An order that was deleted at the source is not listed, and the target was told so.
            let message = journal.find(names, Stream::Mapped, held.mapped_seq).await?;
            let deleted = message
                .and_then(|message| MappedEvent::decode(&message.payload).ok())
                .is_some_and(|event| matches!(event, MappedEvent::Deleted(_)));
            if !deleted {
                found.extra.push(Unlike { order: key.clone(), key, source: None, target: Some(at) });
            }
        }
        found.extra.sort_by(|a, b| a.order.cmp(&b.order));
        Ok(found)
    }

    /// Whether the target holds what the source has, or it is said why not.
    pub fn is_even(&self) -> bool {
        self.missing.is_empty() && self.stale.is_empty() && self.unknown.is_empty() && self.extra.is_empty()
    }

    /// What a repair is about.
    pub fn to_repair(&self) -> impl Iterator<Item = &Unlike> {
        self.missing.iter().chain(&self.stale).chain(&self.unknown)
    }
}
