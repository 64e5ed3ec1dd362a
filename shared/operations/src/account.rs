//! The account: every order that was read, and what became of it. Counted message by message from the logs, not summed
//! from counters that a crash would forget.

use std::collections::{BTreeMap, HashMap, HashSet};

use events::{
    LONGEST_QUOTING, Micros, OrdersSkipped, Outcome, Proof, Stage, TargetName, WindowEvent, WindowId,
    WindowOpened, shorten_to,
};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Label, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

/// The server's clock may differ from the clock that wrote a window's opening by this much.
const CLOCKS: Micros = 60_000_000;

/// A record: the sequence of its page in RAW, its row, and the element of the row where that has several.
type Place = (u64, u32, u32);

/// Where a window is.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum WindowState {
    /// Its pages are being read.
    Open,
    /// It is proved complete.
    Closed {
        /// The total the source reported throughout.
        total: u64,
        /// Distinct orders read; equal to `total`.
        distinct: u64,
        /// The most passes it took to count any slice of it.
        passes: u32,
        /// How many slices it was proved in.
        slices: usize,
        /// How many pages were read for it.
        pages_read: u64,
    },
    /// It could not be proved.
    Failed {
        /// Why.
        reason: String,
    },
}

impl WindowState {
    /// A window that failed. What was recorded before reasons were cut is cut here.
    pub(crate) fn failed(reason: &str) -> Self {
        Self::Failed { reason: shorten_to(reason, LONGEST_QUOTING).into_owned() }
    }

    /// What a proof says.
    pub fn closed(proof: &Proof) -> Self {
        Self::Closed {
            total: proof.total,
            distinct: proof.distinct,
            passes: proof.pass,
            slices: proof.slices.len().max(1),
            pages_read: proof.pages_read,
        }
    }
}

/// One window of the account.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct WindowLine {
    /// Its name.
    pub window: String,
    /// Its start, microseconds since the Unix epoch.
    pub since: Micros,
    /// Its end, microseconds since the Unix epoch.
    pub until: Micros,
    /// Where it is.
    #[serde(flatten)]
    pub state: WindowState,
}

/// What became of the mapped orders at one target.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct TargetAccount {
    /// The target.
    pub target: String,
    /// Orders by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Orders that became dead letters here.
    pub dead: u64,
    /// Orders that have no outcome yet.
    pub in_flight: u64,
}

/// Every order read in some windows, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Account {
    /// The windows.
    pub windows: Vec<WindowLine>,
    /// Rows the source listed, on all pages of all passes.
    pub listed: u64,
    /// Orders that were listed and deleted before their detail could be fetched.
    pub gone: u64,
    /// Raw pages: those that held something new.
    pub pages: u64,
    /// Rows on them that were new or had changed; the others lay in RAW already.
    pub read: u64,
    /// Rows that were mapped.
    pub mapped: u64,
    /// Records that they became: more than rows where the mapping makes one of each element of a list.
    pub records: u64,
    /// Rows that the mapping's filters kept from being sent, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Rows that became dead letters instead.
    pub dead: u64,
    /// Pages that became dead letters instead: their rows cannot be told apart.
    pub dead_pages: u64,
    /// Rows that are neither, yet.
    pub in_flight: u64,
    /// What became of the mapped orders.
    pub targets: Vec<TargetAccount>,
}

impl Account {
    /// Accounts for the windows in SYNC from sequence `from_sync` on.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn of(
        journal: &Journal,
        names: &Topology,
        targets: &[TargetName],
        from_sync: u64,
    ) -> Result<Self, JournalError> {
        let mut account = Self {
            windows: Vec::new(),
            listed: 0,
            gone: 0,
            pages: 0,
            read: 0,
            mapped: 0,
            records: 0,
            skipped: BTreeMap::new(),
            dead: 0,
            dead_pages: 0,
            in_flight: 0,
            targets: Vec::new(),
        };
        let Some((first_raw, opened_at)) = account.fold_windows(journal, names, from_sync).await? else {
            account.targets = targets.iter().map(|target| TargetAccount::new(target.as_str())).collect();
            return Ok(account);
        };
        let after = From::Time(opened_at - CLOCKS);
        let rows = account.fold_raw(journal, names, first_raw).await?;
        let mut settled: HashSet<(u64, u32)> = HashSet::new();
        let mut orders: HashMap<u64, (Place, Option<String>)> = HashMap::new();
        let mut records: HashSet<Place> = HashSet::new();
        let mut log = journal.read(names, Stream::Mapped, None, after, true).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            if let Some(place) = place(entry.label(Label::Origin)).filter(|place| rows.contains_key(&place.0))
            {
                orders.insert(entry.seq, (place, entry.label(Label::Target).map(str::to_string)));
                account.records += u64::from(records.insert(place));
                account.mapped += u64::from(settled.insert((place.0, place.1)));
            }
        }
        account.fold_skipped(journal, names, after, &rows, &mut settled).await?;
        let dead = account.fold_dead(journal, names, after, &rows, &mut settled).await?;
        account.in_flight = account.read.saturating_sub(settled.len() as u64);
        for target in targets {
            let dead = dead.get(&target.token()).cloned().unwrap_or_default();
            account.targets.push(TargetAccount::fold(journal, names, target, after, &orders, &dead).await?);
        }
        Ok(account)
    }

    /// Whether every order that was read has an outcome, and every window its proof.
    pub fn is_complete(&self) -> bool {
        self.in_flight == 0
            && self.targets.iter().all(|target| target.in_flight == 0)
            && self.unproved().next().is_none()
    }

    /// The windows that are neither proved nor covered by one that is. A window that failed is read again as part of the
    /// next, because the watermark stayed: when that one closes, nothing is left to prove.
    pub fn unproved(&self) -> impl Iterator<Item = &WindowLine> {
        let closed = |line: &WindowLine| matches!(line.state, WindowState::Closed { .. });
        let lane = |line: &WindowLine| WindowId::named(&line.window).lane().to_string();
        self.windows.iter().filter(move |line| {
            let covers = |other: &&WindowLine| other.since <= line.since && line.until <= other.until;
            !closed(line)
                && !self
                    .windows
                    .iter()
                    .filter(|other| closed(other) && lane(other) == lane(line))
                    .any(|other| covers(&other))
        })
    }

    /// Orders that did not arrive and wait for a person.
    pub fn dead_letters(&self) -> u64 {
        self.dead + self.dead_pages + self.targets.iter().map(|target| target.dead).sum::<u64>()
    }

    /// Orders that were read later than what a target holds, differ from it, and carry an older update time: not written.
    pub fn older_stamps(&self) -> u64 {
        self.targets.iter().map(|target| target.of(Outcome::OlderStamp)).sum()
    }

    /// Folds SYNC; returns the first raw page and the time the first window was opened, `None` without pages.
    async fn fold_windows(
        &mut self,
        journal: &Journal,
        names: &Topology,
        from_sync: u64,
    ) -> Result<Option<(u64, Micros)>, JournalError> {
        let filter = names.windows();
        let mut log = journal.read(names, Stream::Sync, Some(&filter), From::Seq(from_sync), false).await?;
        let (mut first_raw, mut opened_at) = (None::<u64>, None::<Micros>);
        while let Some(entry) = log.next().await {
            let entry = entry?;
            match WindowEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))? {
                WindowEvent::Opened(WindowOpened { window, since, until, .. }) => {
                    let at = entry.event::<WindowOpened>()?.at;
                    opened_at = Some(opened_at.map_or(at, |known| known.min(at)));
                    let window = window.to_string();
                    self.windows.push(WindowLine { window, since, until, state: WindowState::Open });
                }
                WindowEvent::Page(page) => {
                    self.listed += page.ids.len() as u64;
                    self.gone += page.gone.len() as u64;
                    if page.raw_seq > 0 {
                        first_raw = Some(first_raw.map_or(page.raw_seq, |seq| seq.min(page.raw_seq)));
                    }
                }
                WindowEvent::Part(part) if part.raw_seq > 0 => {
                    first_raw = Some(first_raw.map_or(part.raw_seq, |seq| seq.min(part.raw_seq)));
                }
                WindowEvent::Part(_) | WindowEvent::Refused(_) => {}
                WindowEvent::Closed(closed) => {
                    self.end(closed.window.as_str(), WindowState::closed(&closed.proof));
                }
                WindowEvent::Failed(failed) => {
                    self.end(failed.window.as_str(), WindowState::failed(&failed.reason));
                }
            }
        }
        Ok(first_raw.zip(opened_at))
    }

    fn end(&mut self, window: &str, state: WindowState) {
        if let Some(line) = self.windows.iter_mut().find(|line| line.window == window) {
            line.state = state;
        }
    }

    async fn fold_raw(
        &mut self,
        journal: &Journal,
        names: &Topology,
        first: u64,
    ) -> Result<HashMap<u64, u64>, JournalError> {
        let mut rows = HashMap::new();
        let mut log = journal.read(names, Stream::Raw, None, From::Seq(first), true).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            if let Some(count) = entry.label(Label::Rows).and_then(|count| count.parse::<u64>().ok()) {
                self.pages += 1;
                self.read += count;
                rows.insert(entry.seq, count);
            }
        }
        Ok(rows)
    }

    /// Folds what filters kept back. A row that was mapped as well, under another mapping, counts as mapped.
    async fn fold_skipped(
        &mut self,
        journal: &Journal,
        names: &Topology,
        after: From,
        rows: &HashMap<u64, u64>,
        settled: &mut HashSet<(u64, u32)>,
    ) -> Result<(), JournalError> {
        let filter = names.skipped();
        let mut log = journal.read(names, Stream::Mapped, Some(&filter), after, false).await?;
        while let Some(entry) = log.next().await {
            let skipped = entry?.event::<OrdersSkipped>()?.body;
            if rows.contains_key(&skipped.raw_seq) {
                for order in skipped.orders {
                    if settled.insert((skipped.raw_seq, order.row)) {
                        *self.skipped.entry(order.reason).or_default() += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Folds DEAD; returns the orders that died at each target, by target token.
    async fn fold_dead(
        &mut self,
        journal: &Journal,
        names: &Topology,
        after: From,
        rows: &HashMap<u64, u64>,
        settled: &mut HashSet<(u64, u32)>,
    ) -> Result<HashMap<String, HashSet<u64>>, JournalError> {
        let mut at_targets: HashMap<String, HashSet<u64>> = HashMap::new();
        let transform = names.dead(Stage::Transform, "");
        let mut log = journal.read(names, Stream::Dead, None, after, true).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            if let (Some(target), Some(mapped)) = (entry.label(Label::Target), entry.label(Label::Mapped)) {
                at_targets.entry(target.to_string()).or_default().extend(mapped.parse::<u64>());
            } else if let Some((raw, row, _)) = place(entry.label(Label::Origin)) {
                // A row that died and was mapped after all (an edited mapping) counts once, as mapped.
                self.dead += u64::from(rows.contains_key(&raw) && settled.insert((raw, row)));
            } else if entry.subject.starts_with(transform.trim_end_matches('.')) {
                let raw = entry.label(Label::Page).and_then(|raw| raw.parse::<u64>().ok()).unwrap_or(0);
                if let Some(count) = rows.get(&raw) {
                    self.dead_pages += 1;
                    settled.extend((0..u32::try_from(*count).unwrap_or(u32::MAX)).map(|row| (raw, row)));
                }
            }
        }
        Ok(at_targets)
    }
}

impl TargetAccount {
    fn new(target: &str) -> Self {
        let outcomes = Outcome::ALL.iter().map(|outcome| (outcome.name(), 0)).collect();
        Self { target: target.to_string(), outcomes, dead: 0, in_flight: 0 }
    }

    async fn fold(
        journal: &Journal,
        names: &Topology,
        target: &TargetName,
        after: From,
        orders: &HashMap<u64, (Place, Option<String>)>,
        dead: &HashSet<u64>,
    ) -> Result<Self, JournalError> {
        let (mut account, token) = (Self::new(target.as_str()), target.token());
        // A replay may be for another target alone.
        let ours = |(place, only): &(Place, Option<String>)| {
            only.as_ref().is_none_or(|only| *only == token).then_some(*place)
        };
        // By place, not by message: a page that was mapped again long after has its rows in MAPPED twice.
        let mut settled: HashSet<Place> = HashSet::new();
        let filter = names.receipts_of(target);
        let mut log = journal.read(names, Stream::Receipts, Some(&filter), after, true).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            let mapped = entry.label(Label::Mapped).and_then(|seq| seq.parse::<u64>().ok());
            let outcome =
                Outcome::ALL.iter().find(|outcome| Some(outcome.name()) == entry.label(Label::Outcome));
            if let (Some(place), Some(outcome)) =
                (mapped.and_then(|seq| orders.get(&seq)).and_then(ours), outcome)
                && settled.insert(place)
            {
                *account.outcomes.entry(outcome.name()).or_default() += 1;
            }
        }
        for place in dead.iter().filter_map(|seq| orders.get(seq)).filter_map(ours) {
            account.dead += u64::from(settled.insert(place));
        }
        let rows: HashSet<Place> = orders.values().filter_map(ours).collect();
        account.in_flight = (rows.len() - settled.len()) as u64;
        Ok(account)
    }

    /// Orders with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome.name()).copied().unwrap_or_default()
    }
}

/// Reads `<raw sequence>/<row>`, or `<raw sequence>/<row>/<element>`.
fn place(text: Option<&str>) -> Option<Place> {
    let (raw, row) = text?.split_once('/')?;
    let (row, element) = row.split_once('/').unwrap_or((row, "0"));
    Some((raw.parse().ok()?, row.parse().ok()?, element.parse().ok()?))
}
