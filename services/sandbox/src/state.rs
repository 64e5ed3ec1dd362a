//! Everything the routes share: both sides' holdings, the faults in force and the counters.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::Faults;
use crate::apply::Done;
use crate::at_once::AtOnce;
use crate::civil::{self, Seconds};
use crate::dial::Dial;
use crate::draw::Dice;
use crate::faults::SourceFaults;
use crate::in_hand::InHand;
use crate::key::Key;
use crate::ledger::Ledger;
use crate::limit::Gate;
use crate::lock::{read, write};
use crate::log::Log;
use crate::options::{Options, SandboxError};
use crate::orders::Book;
use crate::orders::change::Change;
use crate::orders::listing::{Collected, Window};
use crate::persist;
use crate::report::{Report, SourceReport, TargetReport};
use crate::token::Tokens;

/// Counts of calls; rows are counted by the ledger.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    pub(crate) list: AtomicU64,
    pub(crate) lists_at_once: AtOnce,
    pub(crate) info: AtomicU64,
    pub(crate) token: AtomicU64,
    pub(crate) source_limited: AtomicU64,
    pub(crate) write: AtomicU64,
    pub(crate) refused_rows: AtomicU64,
    pub(crate) target_limited: AtomicU64,
    pub(crate) lost_answers: AtomicU64,
}

/// One running sandbox.
pub(crate) struct State {
    pub(crate) book: RwLock<Book>,
    pub(crate) collected: Collected,
    pub(crate) ledger: Ledger,
    pub(crate) in_hand: InHand,
    pub(crate) source_log: Option<Log>,
    pub(crate) target_log: Option<Log>,
    pub(crate) dial: Dial,
    pub(crate) dice: Dice,
    /// Pages cut from a shuffled list; each has an order of its own.
    pub(crate) shuffles: AtomicU64,
    pub(crate) calls: Calls,
    /// What was answered under each idempotency key, where keys stand for requests: whether the rows were a list, too.
    pub(crate) answers: Mutex<HashMap<u64, (Done, bool)>>,
    pub(crate) source_gate: Gate,
    pub(crate) target_gate: Gate,
    pub(crate) source_tokens: Tokens,
    pub(crate) target_tokens: Tokens,
    pub(crate) zone: TimeZone,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) page_limit: u32,
    pub(crate) brief_rows: bool,
    pub(crate) started: Instant,
    pub(crate) shutdown: CancellationToken,
}

/// What an operator asks the source to do to its orders.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Alteration {
    Edit,
    /// The content changes, the update time does not.
    SilentEdit,
    /// The content changes, and the update time goes back by so many seconds.
    BackdatedEdit(Seconds),
    Insert,
    /// New orders with times in the past.
    InsertLate,
    Remove,
}

pub(crate) fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

impl State {
    /// Loads the orders and what the data directory kept.
    pub(crate) fn load(options: Options, shutdown: CancellationToken) -> Result<Self, SandboxError> {
        options.faults.check().map_err(SandboxError::Faults)?;
        let mut book = Book::load(&options.orders, options.seed)?;
        let ledger = Ledger::new();
        let (source_log, target_log) = match &options.data_dir {
            Some(directory) => {
                std::fs::create_dir_all(directory)
                    .map_err(|source| SandboxError::File { path: directory.clone(), source })?;
                // The source first: what was written to the target is judged by the source's revisions.
                let source = persist::open_source(&directory.join("source.log"), &mut book)?;
                let zone = &options.time_zone;
                let target = persist::open_target(&directory.join("target.log"), &ledger, &book, zone)?;
                (Some(source), Some(target))
            }
            None => (None, None),
        };
        let token = |side: &str, seconds| {
            Tokens::new(format!("{side}-{}", options.seed), Duration::from_secs(seconds))
        };
        Ok(Self {
            book: RwLock::new(book),
            collected: Collected::default(),
            ledger,
            in_hand: InHand::new(),
            source_log,
            target_log,
            dial: Dial::new(options.faults),
            dice: Dice::new(options.seed),
            shuffles: AtomicU64::new(0),
            calls: Calls::default(),
            answers: Mutex::default(),
            source_gate: Gate::default(),
            target_gate: Gate::default(),
            source_tokens: token("okki", SOURCE_TOKEN_SECONDS),
            target_tokens: token("qeasy", TARGET_TOKEN_SECONDS),
            zone: options.time_zone,
            client_id: options.client_id,
            client_secret: options.client_secret,
            page_limit: options.page_limit.max(1),
            brief_rows: options.brief_rows,
            started: Instant::now(),
            shutdown,
        })
    }

    /// Replaces all faults. Limits start afresh, so that lifting one also lifts its penalty.
    pub(crate) fn set_faults(&self, faults: Faults) {
        self.dial.set(faults);
        self.source_gate.reset();
        self.target_gate.reset();
    }

    /// Merges a part of the faults in; see [`Dial::patch`].
    pub(crate) fn patch_faults(&self, part: serde_json::Value) -> Result<Faults, String> {
        let before = self.dial.now();
        let faults = self.dial.patch(part)?;
        let (source, target) = (&before.faults.source, &before.faults.target);
        if source.rate_limit_per_second != faults.source.rate_limit_per_second {
            self.source_gate.reset();
        }
        if (target.rate_limit_per_minute, target.penalty_seconds)
            != (faults.target.rate_limit_per_minute, faults.target.penalty_seconds)
        {
            self.target_gate.reset();
        }
        Ok(faults)
    }

    /// Changes `n` orders of the source and returns their ids. The change is with the system when this returns.
    pub(crate) fn alter(&self, what: Alteration, n: u64) -> Vec<String> {
        let now = self.source_now(&self.dial.now().faults.source);
        self.change(|book| match what {
            Alteration::Edit => book.plan_edits(n, now),
            Alteration::SilentEdit => book.plan_silent_edits(n),
            Alteration::BackdatedEdit(seconds) => book.plan_backdated_edits(n, seconds),
            Alteration::Insert => book.plan_inserts(n, now),
            Alteration::InsertLate => book.plan_late_inserts(n, Seconds::MIN, Seconds::MAX),
            Alteration::Remove => book.plan_removals(n, now),
        })
    }

    /// What happens behind a reader's back once it has read a page: all of it at once, so that no other reader sees
    /// an order gone and the one in its stead not there yet.
    pub(crate) fn after_page(&self, faults: &SourceFaults, window: &Window) {
        if [faults.moving_rows, faults.late_inserts, faults.removing_rows] == [0; 3] {
            return;
        }
        let now = self.source_now(faults);
        self.change(|book| {
            let mut changes = book.plan_edits(faults.moving_rows, now);
            changes.extend(book.plan_late_inserts(faults.late_inserts, window.start, window.end));
            changes.extend(book.plan_removals(faults.removing_rows, now));
            changes
        });
    }

    /// The time on the source's own clock.
    pub(crate) fn source_now(&self, faults: &SourceFaults) -> Seconds {
        civil::now(&self.zone).saturating_add(faults.clock_offset_seconds)
    }

    fn change(&self, plan: impl FnOnce(&Book) -> Vec<Change>) -> Vec<String> {
        let mut book = write(&self.book);
        let changes = plan(&book);
        if let Some(log) = &self.source_log {
            persist::push_changes(log, &changes);
        }
        let keys = book.apply(changes);
        drop(book);
        if let Some(Err(error)) = self.source_log.as_ref().map(Log::flush) {
            tracing::error!(%error, "a change of the source's orders could not be kept in the data directory");
        }
        keys.iter().map(Key::to_string).collect()
    }

    /// Counts everything. Takes a pass over all orders held.
    pub(crate) fn report(&self) -> Report {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (calls, counts) = (&self.calls, &self.ledger.counts);
        let book = read(&self.book);
        let (mut distinct, mut extra, mut outdated, mut undeleted, mut live_held) = (0, 0, 0, 0, 0);
        self.ledger.each(|key, newest| {
            distinct += 1;
            match book.find(key) {
                None => extra += 1,
                Some(index) if book.is_live(index) => {
                    live_held += 1;
                    let current = !newest.deletion && book.is_current(index, newest.updated, newest.total);
                    outdated += u64::from(!current);
                }
                Some(_) => undeleted += u64::from(!newest.deletion),
            }
        });
        Report {
            source: SourceReport {
                orders: book.len(),
                live: book.live_count(),
                removed: book.len() - book.live_count(),
                list_requests: get(&calls.list),
                most_lists_at_once: calls.lists_at_once.most(),
                info_requests: get(&calls.info),
                token_requests: get(&calls.token),
                rate_limited: get(&calls.source_limited),
                edits: book.edits(),
            },
            target: TargetReport {
                requests: get(&calls.write),
                accepted_rows: get(&counts.accepted),
                distinct_orders: distinct,
                missing: book.live_count() - live_held,
                extra,
                duplicates: get(&counts.duplicates),
                retried_same_key: get(&counts.retried),
                repeats_refused: get(&counts.repeats),
                stale_overwrites: get(&counts.stale),
                outdated,
                deletions: get(&counts.deletions),
                undeleted,
                wrong_totals: get(&counts.wrong_totals),
                missing_totals: get(&counts.missing_totals),
                refused_rows: get(&calls.refused_rows),
                rate_limited: get(&calls.target_limited),
                lost_answers: get(&calls.lost_answers),
                overlapping_requests: self.in_hand.overlapping(),
            },
        }
    }

    /// The ids of the orders that [`Report`] counts as missing, outdated or undeleted.
    pub(crate) fn behind(&self) -> Vec<String> {
        let book = read(&self.book);
        let (mut held, mut behind) = (HashSet::new(), Vec::new());
        self.ledger.each(|key, newest| {
            let Some(index) = book.find(key) else { return };
            held.insert(index);
            let as_it_should = match book.is_live(index) {
                true => !newest.deletion && book.is_current(index, newest.updated, newest.total),
                false => newest.deletion,
            };
            if !as_it_should {
                behind.push(key.to_string());
            }
        });
        let missing = book.live_keys().filter(|(index, _)| !held.contains(index));
        behind.extend(missing.map(|(_, key)| key.to_string()));
        behind.sort_unstable();
        behind
    }
}

/// Life of a source token: 8 hours.
pub(crate) const SOURCE_TOKEN_SECONDS: u64 = 28_800;
/// Life of a target token: 2 hours.
pub(crate) const TARGET_TOKEN_SECONDS: u64 = 7_200;
