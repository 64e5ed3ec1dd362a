//! One order's whole story. Receipts are its index: their subject holds the key, each names its message in MAPPED, and that its
//! page in RAW. What has no receipt is in DEAD, whose headers hold keys, or not settled yet, behind the first message of its
//! partition that is not. So the cost is that of the order's own events, of the headers of DEAD, and of what is under way.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    DeadLetter, MappedEvent, MappedOrder, Micros, OrderDeleted, OrderKey, Receipt, Stage, TargetName,
};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Mask;
use crate::letters::Selection;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Happened {
    /// Its page was fetched.
    Fetched,
    /// It was mapped.
    Mapped,
    /// A deletion was mapped.
    Deleted,
    /// An attempt failed.
    Attempt,
    /// It has an outcome at a target.
    Outcome,
    /// It became a dead letter.
    Dead,
    /// Somebody, or another mapping, dealt with its dead letter.
    DealtWith,
}

/// One thing that happened to an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
pub struct Step {
    /// When, microseconds since the Unix epoch.
    pub at: Micros,
    /// What.
    pub happened: Happened,
    /// The stream that says so.
    pub stream: String,
    /// The sequence there.
    pub seq: u64,
    /// The same for a person.
    pub told: String,
}

/// The story of one order.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Story {
    /// Its key.
    pub key: String,
    /// The number people use.
    pub number: Option<String>,
    /// What happened, in time order.
    pub steps: Vec<Step>,
    /// Messages in MAPPED that have neither an outcome nor a letter at some target yet.
    pub under_way: Vec<u64>,
}

impl Story {
    /// The story of the order with this key, or else with this number, without the values that `mask` hides; `None` when no stream
    /// knows one. To find a number costs
    /// reading the last receipt of every order.
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
        if let Some(key) = OrderKey::new(text)
            && let Some(story) = Self::of_key(journal, names, targets, &key, mask).await?
        {
            return Ok(Some(story));
        }
        match key_of_number(journal, names, targets, text).await? {
            Some(key) => Self::of_key(journal, names, targets, &key, mask).await,
            None => Ok(None),
        }
    }

    async fn of_key(
        journal: &Journal,
        names: &Topology,
        targets: &[TargetName],
        key: &OrderKey,
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
        let selection = Selection { key: Some(key.to_string()), closed: true, ..Selection::default() };
        for line in selection.read(journal, names).await? {
            let Some(entry) = journal.find(names, Stream::Dead, line.letter).await? else { continue };
            found.letter(&entry)?;
            if let Some(resolution) = line.resolution {
                let told = format!("letter {} {}: {}", line.letter, resolution.how, resolution.reason);
                found.step(resolution.at, Happened::DealtWith, &entry, told);
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
        let masked = |step: Step| Step { told: mask.text(&step.told, &hidden), ..step };
        let steps = steps.into_iter().map(masked).collect();
        let story = Self { key: key.to_string(), number, steps, under_way };
        Ok((!story.steps.is_empty()).then_some(story))
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
    fn step(&mut self, at: Micros, happened: Happened, entry: &Entry, told: String) {
        let (stream, seq) = (entry.stream.clone(), entry.seq);
        self.steps.insert(Step { at, happened, stream, seq, told });
    }

    fn settle(&mut self, mapped_seq: u64, target: &TargetName) {
        self.settled.entry(mapped_seq).or_default().insert(target.to_string());
    }

    fn receipt(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let receipt = entry.event::<Receipt>()?.body;
        self.settle(receipt.mapped_seq, &receipt.target);
        self.number = receipt.number.or(self.number.take());
        let status = receipt.status.map(|status| format!(", HTTP {status}")).unwrap_or_default();
        let attempts = match receipt.attempts {
            0 => ", nothing sent".to_string(),
            1 => String::new(),
            attempts => format!(", attempt {attempts}"),
        };
        let told = format!(
            "{} {}: message {}{status}{attempts}",
            receipt.target,
            receipt.outcome.name(),
            receipt.mapped_seq
        );
        self.step(receipt.at, Happened::Outcome, entry, told);
        Ok(())
    }

    fn letter(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let letter = entry.event::<DeadLetter>()?.body;
        self.hidden.extend(self.mask.values_of(&letter));
        self.number = letter.number.clone().or(self.number.take());
        if let (Stage::Write, Some(target)) = (letter.stage, &letter.target) {
            self.settle(letter.origin.sequence, target);
        }
        let who = letter.target.map_or_else(|| letter.stage.to_string(), |target| target.to_string());
        for attempt in &letter.attempts {
            self.step(attempt.at, Happened::Attempt, entry, format!("{who}: {}", attempt.message));
        }
        let told = format!("{who}: letter {}, {}: {}", entry.seq, letter.kind, letter.message);
        self.step(entry.stored_at, Happened::Dead, entry, told);
        Ok(())
    }

    async fn mapped(
        &mut self,
        journal: &Journal,
        names: &Topology,
        entry: &Entry,
    ) -> Result<(), JournalError> {
        let (order, happened) = match MappedEvent::decode(&entry.payload) {
            Ok(MappedEvent::Order(order)) => (order, Happened::Mapped),
            Ok(MappedEvent::Deleted(OrderDeleted(order))) => (order, Happened::Deleted),
            Err(_) => return Ok(()), // its letter says so
        };
        let MappedOrder { origin, mapping, content, version, record, .. } = &order;
        self.hidden.extend(self.mask.json(&String::from_utf8_lossy(record)).1);
        let generation = match version.generation {
            0 => String::new(),
            generation => format!(", generation {generation}"),
        };
        let mapping = mapping.get(..8).unwrap_or(mapping);
        let content = &content.to_string()[..8];
        let again = entry.label(journal::Label::Letter).map(|letter| format!(", again of letter {letter}"));
        let told = format!(
            "message {}: mapping {mapping}, content {content}{generation}{}",
            entry.seq,
            again.unwrap_or_default()
        );
        self.step(entry.stored_at, happened, entry, told);
        self.number = order.number.clone().or(self.number.take());
        if let Some(page) = journal.find(names, Stream::Raw, origin.raw_seq).await? {
            let told = format!("window {}, page {}, row {}", origin.window, origin.page, origin.row);
            self.step(page.stored_at, Happened::Fetched, &page, told);
        }
        Ok(())
    }
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
    let mut open = Vec::new();
    while let Some(entry) = log.next().await {
        let entry = entry?;
        if let Ok(MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order))) =
            MappedEvent::decode(&entry.payload)
            && order.key == *key
        {
            open.push(entry);
        }
    }
    Ok(open)
}

/// The key of the order with this number: the receipts know it, and the letters.
async fn key_of_number(
    journal: &Journal,
    names: &Topology,
    targets: &[TargetName],
    number: &str,
) -> Result<Option<OrderKey>, JournalError> {
    for target in targets {
        let filter = names.receipts_of(target);
        let mut log =
            journal.read(names, Stream::Receipts, Some(&filter), From::LastPerSubject, false).await?;
        while let Some(entry) = log.next().await {
            let receipt = entry?.event::<Receipt>()?.body;
            if receipt.number.as_deref() == Some(number) {
                return Ok(Some(receipt.key));
            }
        }
    }
    let filter = format!("{}.dead.*.*", names.flow());
    let mut log = journal.read(names, Stream::Dead, Some(&filter), From::Start, false).await?;
    while let Some(entry) = log.next().await {
        if let Ok(letter) = entry?.event::<DeadLetter>()
            && letter.body.number.as_deref() == Some(number)
            && let Some(key) = letter.body.key.and_then(OrderKey::new)
        {
            return Ok(Some(key));
        }
    }
    Ok(None)
}
