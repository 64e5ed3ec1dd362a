//! One order's whole story. Receipts are its index: their subject holds the key, each names its message in MAPPED, and that its
//! page in RAW. What has no receipt is in DEAD, whose headers hold keys, or not settled yet, behind the first message of its
//! partition that is not. So the cost is that of the order's own events, of the headers of DEAD, and of what is under way; to find
//! the key of a number comes to that (`numbers.rs`).

use std::collections::{BTreeMap, BTreeSet};

use events::{
    DeadLetter, MappedEvent, MappedOrder, Micros, OrderDeleted, OrderKey, Outcome, Receipt, Stage, TargetName,
};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Label, Stream, Topology};
use memchr::memmem::Finder;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Mask;
use crate::letters::{LetterLine, Resolution, Selection};
use crate::numbers;

/// What happened, with what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", tag = "happened")]
pub enum Happened {
    /// Its page was fetched.
    Fetched {
        /// The window.
        window: String,
        /// The page, from 1.
        page: u32,
        /// The row on it, from 0.
        row: u32,
    },
    /// It was mapped.
    Mapped(Made),
    /// A deletion was mapped.
    Deleted(Made),
    /// An attempt failed.
    Attempt {
        /// The stage.
        stage: Stage,
        /// The target, of the write stage.
        target: Option<String>,
        /// Why.
        message: String,
    },
    /// It has an outcome at a target.
    Outcome {
        /// The target.
        target: String,
        /// The outcome.
        outcome: Outcome,
        /// The message in MAPPED.
        mapped_seq: u64,
        /// The HTTP status of the answer.
        status: Option<u16>,
        /// How many attempts it took; 0 when nothing was sent.
        attempts: u32,
        /// The two update times, of a state that was read later than what the target holds and carries an older one.
        times: Option<UpdateTimes>,
    },
    /// It became a dead letter.
    Dead {
        /// The stage.
        stage: Stage,
        /// The target, of the write stage.
        target: Option<String>,
        /// What kind of failure.
        kind: String,
        /// Why.
        message: String,
    },
    /// Somebody, or another mapping, dealt with its dead letter.
    DealtWith {
        /// The letter.
        letter: u64,
        /// How.
        how: String,
        /// Why.
        reason: String,
    },
}

/// Two update times, as the source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
pub struct UpdateTimes {
    /// That of the state that was read, microseconds since the Unix epoch.
    pub read: Option<Micros>,
    /// That of the state that the target holds.
    pub held: Option<Micros>,
}

/// A message in MAPPED.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
pub struct Made {
    /// The version of the mapping.
    pub mapping: String,
    /// The hash of the record.
    pub content: String,
    /// Of the messages of one state of the order, a later one has a higher number.
    pub generation: u32,
    /// The letter that was tried again with it.
    pub letter: Option<String>,
}

/// One thing that happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
pub struct Step {
    /// When, microseconds since the Unix epoch.
    pub at: Micros,
    /// What.
    #[serde(flatten)]
    pub happened: Happened,
    /// The stream that says so.
    pub stream: String,
    /// The sequence there.
    pub seq: u64,
}

/// The story of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// Its key.
    pub key: String,
    /// The number people use.
    pub number: Option<String>,
    /// What happened, in time order.
    pub steps: Vec<Step>,
    /// Messages in MAPPED that have neither an outcome nor a letter at some target yet.
    pub under_way: Vec<u64>,
    /// The keys of other orders that have, or had, the number that was asked for, of the latest page first. None when the
    /// order was asked for by its key.
    pub others: Vec<String>,
}

impl Story {
    /// The story of the order with this key, or else with this number, without the values that `mask` hides; `None` when no stream
    /// knows one. A key that is also the number of another order is taken for the key. To find a number costs reading a message
    /// of some kB for each page that was mapped; when these do not know it, also the letters and the last receipt of every order.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn of(
        journal: &Journal,
        names: &Topology,
        targets: &[TargetName],
        text: &str,
        mask: &Mask,
    ) -> Result<Option<Self>, JournalError> {
        let own = OrderKey::new(text);
        // Most keys have a receipt: then it is no number.
        let mut keys = match &own {
            Some(key) if has_receipt(journal, names, targets, key).await? => Vec::new(),
            _ => numbers::indexed(journal, names, text).await?,
        };
        let letters = Self::letters(journal, names, own.iter().chain(&keys)).await?;
        if let Some(key) = &own
            && let Some(story) = Self::of_key(journal, names, targets, key, &letters, mask).await?
        {
            return Ok(Some(story));
        }
        for at in 0..keys.len() {
            if let Some(story) = Self::of_key(journal, names, targets, &keys[at], &letters, mask).await? {
                keys.remove(at);
                return Ok(Some(Self { others: keys.iter().map(ToString::to_string).collect(), ..story }));
            }
        }
        let Some(key) = numbers::searched(journal, names, targets, text).await? else { return Ok(None) };
        let letters = Self::letters(journal, names, [&key]).await?;
        Self::of_key(journal, names, targets, &key, &letters, mask).await
    }

    /// The letters of these orders: the headers of all letters are read for it, so once for all orders.
    async fn letters<'a>(
        journal: &Journal,
        names: &Topology,
        keys: impl IntoIterator<Item = &'a OrderKey>,
    ) -> Result<Vec<LetterLine>, JournalError> {
        let keys: Vec<String> = keys.into_iter().map(ToString::to_string).collect();
        match keys.is_empty() {
            true => Ok(Vec::new()),
            false => Selection { keys, closed: true, ..Selection::default() }.read(journal, names).await,
        }
    }

    async fn of_key(
        journal: &Journal,
        names: &Topology,
        targets: &[TargetName],
        key: &OrderKey,
        letters: &[LetterLine],
        mask: &Mask,
    ) -> Result<Option<Self>, JournalError> {
        let mut found = Found { mask: mask.clone(), ..Found::default() };
        for target in targets {
            let filter = names.receipt(target, key);
            let mut log = journal.read(names, Stream::Receipts, Some(&filter), From::Start, false).await?;
            while let Some(entry) = log.next().await {
                found.receipt(&entry?)?;
            }
        }
        for line in letters.iter().filter(|line| line.key.as_deref() == Some(key.as_str())) {
            let Some(entry) = journal.find(names, Stream::Dead, line.letter).await? else { continue };
            found.letter(&entry)?;
            if let Some(resolution) = line.resolution.clone() {
                let Resolution { how, reason, at, .. } = resolution;
                found.step(at, Happened::DealtWith { letter: line.letter, how, reason }, &entry);
            }
        }
        let settled: Vec<u64> = found.settled.keys().copied().collect();
        let mut under_way = Vec::new();
        for entry in open(journal, names, targets, key).await? {
            let at = found.settled.get(&entry.seq).map_or(0, BTreeSet::len);
            if at < targets.len() {
                under_way.push(entry.seq);
            }
            found.mapped(journal, names, &entry).await?;
        }
        for seq in settled {
            if let Some(entry) = journal.find(names, Stream::Mapped, seq).await? {
                found.mapped(journal, names, &entry).await?;
            }
        }
        let Found { steps, number, hidden, .. } = found;
        // A message may repeat a value that only a later one names as personal.
        let steps = steps.into_iter().map(|step| step.masked(mask, &hidden)).collect();
        let story = Self { key: key.to_string(), number, steps, under_way, others: Vec::new() };
        Ok((!story.steps.is_empty()).then_some(story))
    }
}

impl Step {
    /// Without what is not to be seen: texts that others wrote may repeat it.
    fn masked(mut self, mask: &Mask, hidden: &[String]) -> Self {
        match &mut self.happened {
            Happened::Attempt { message: text, .. }
            | Happened::Dead { message: text, .. }
            | Happened::DealtWith { reason: text, .. } => *text = mask.text(text, hidden),
            Happened::Fetched { .. }
            | Happened::Mapped(_)
            | Happened::Deleted(_)
            | Happened::Outcome { .. } => {}
        }
        self
    }
}

#[derive(Default)]
struct Found {
    steps: BTreeSet<Step>,
    number: Option<String>,
    mask: Mask,
    /// The values of the order that are not to be shown.
    hidden: Vec<String>,
    /// The targets at which a message of MAPPED has an outcome or a letter.
    settled: BTreeMap<u64, BTreeSet<String>>,
}

impl Found {
    fn step(&mut self, at: Micros, happened: Happened, entry: &Entry) {
        let (stream, seq) = (entry.stream.clone(), entry.seq);
        self.steps.insert(Step { at, happened, stream, seq });
    }

    fn settle(&mut self, mapped_seq: u64, target: &TargetName) {
        self.settled.entry(mapped_seq).or_default().insert(target.to_string());
    }

    fn receipt(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let receipt = entry.event::<Receipt>()?.body;
        self.settle(receipt.mapped_seq, &receipt.target);
        self.number = receipt.number.or(self.number.take());
        let Receipt { target, outcome, mapped_seq, status, attempts, at, version, held, .. } = receipt;
        let target = target.to_string();
        let times = (outcome == Outcome::OlderStamp)
            .then_some(UpdateTimes { read: version.updated_at, held: held.updated_at });
        self.step(at, Happened::Outcome { target, outcome, mapped_seq, status, attempts, times }, entry);
        Ok(())
    }

    fn letter(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let letter = entry.event::<DeadLetter>()?.body;
        self.hidden.extend(self.mask.values_of(&letter));
        self.number = letter.number.clone().or(self.number.take());
        if let (Stage::Write, Some(target)) = (letter.stage, &letter.target) {
            self.settle(letter.origin.sequence, target);
        }
        let DeadLetter { stage, target, kind, message, attempts, .. } = letter;
        let target = target.map(|target| target.to_string());
        for attempt in attempts {
            let (target, message) = (target.clone(), attempt.message);
            self.step(attempt.at, Happened::Attempt { stage, target, message }, entry);
        }
        self.step(entry.stored_at, Happened::Dead { stage, target, kind, message }, entry);
        Ok(())
    }

    async fn mapped(
        &mut self,
        journal: &Journal,
        names: &Topology,
        entry: &Entry,
    ) -> Result<(), JournalError> {
        let (order, happened): (_, fn(Made) -> Happened) = match MappedEvent::decode(&entry.payload) {
            Ok(MappedEvent::Order(order)) => (order, Happened::Mapped),
            Ok(MappedEvent::Deleted(OrderDeleted(order))) => (order, Happened::Deleted),
            Err(_) => return Ok(()), // its letter says so
        };
        let MappedOrder { origin, mapping, content, version, record, .. } = &order;
        self.hidden.extend(self.mask.json(&String::from_utf8_lossy(record)).1);
        let made = Made {
            mapping: mapping.clone(),
            content: content.to_string(),
            generation: version.generation,
            letter: entry.label(Label::Letter).map(str::to_string),
        };
        self.step(entry.stored_at, happened(made), entry);
        self.number = order.number.clone().or(self.number.take());
        if let Some(page) = journal.find(names, Stream::Raw, origin.raw_seq).await? {
            let window = origin.window.to_string();
            let fetched = Happened::Fetched { window, page: origin.page, row: origin.row };
            self.step(page.stored_at, fetched, &page);
        }
        Ok(())
    }
}

async fn has_receipt(
    journal: &Journal,
    names: &Topology,
    targets: &[TargetName],
    key: &OrderKey,
) -> Result<bool, JournalError> {
    for target in targets {
        if journal.last(names, Stream::Receipts, &names.receipt(target, key)).await?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The messages of an order that lie behind the first of its partition that some target has not settled.
async fn open(
    journal: &Journal,
    names: &Topology,
    targets: &[TargetName],
    key: &OrderKey,
) -> Result<Vec<Entry>, JournalError> {
    let partition = key.partition(names.partitions());
    let mut from = u64::MAX;
    for target in targets {
        let lag = journal.lag(names, Stream::Mapped, &names.writer(target, partition)).await?;
        from = from.min(lag.map_or(0, |lag| lag.ack_floor) + 1);
    }
    let (_, last, _) = journal.size(names, Stream::Mapped).await?;
    if from > last {
        return Ok(Vec::new());
    }
    let filter = names.mapped(partition);
    let mut log = journal.read(names, Stream::Mapped, Some(&filter), From::Seq(from), false).await?;
    let (mut open, named) = (Vec::new(), Finder::new(key.as_str()));
    while let Some(entry) = log.next().await {
        let entry = entry?;
        // To search is much cheaper than to decode, and a text stands in the message as it is.
        if named.find(&entry.payload).is_none() {
            continue;
        }
        if let Ok(MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order))) =
            MappedEvent::decode(&entry.payload)
            && order.key == *key
        {
            open.push(entry);
        }
    }
    Ok(open)
}
