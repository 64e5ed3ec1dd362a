//! What the target holds, and the honest count of how it got there.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rust_decimal::Decimal;

use crate::civil::Seconds;
use crate::draw::{hash_text, mix};
use crate::key::Key;
use crate::lock::lock;
use crate::log::Log;

/// Enough that two requests rarely meet at one lock.
const SHARDS: usize = 64;

/// The total a record carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    Missing,
    /// Present, but no number.
    Garbage,
    Amount(Decimal),
}

/// One record to be written.
pub(crate) struct Write<'a> {
    pub(crate) key: Key,
    /// The record's JSON text.
    pub(crate) record: &'a str,
    pub(crate) total: Total,
    pub(crate) updated: Option<Seconds>,
    /// Which revision of the source it shows, where that can be told.
    pub(crate) revision: Option<u32>,
    /// The order is gone: a total is neither needed nor looked at.
    pub(crate) deletion: bool,
    /// The call's idempotency key, unless it is ignored.
    pub(crate) idempotency: Option<&'a str>,
    /// An order that is already there is refused.
    pub(crate) id_check: bool,
    /// The total is not that of the revision at the source.
    pub(crate) wrong_total: bool,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Applied,
    /// This key wrote this order before: the first answer is given again.
    Retried,
    /// Refused, because the order is already there.
    Repeat,
}

/// Counts of rows; see [`crate::report::TargetReport`] for their meaning.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    pub(crate) duplicates: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) repeats: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) wrong_totals: AtomicU64,
    pub(crate) missing_totals: AtomicU64,
    pub(crate) deletions: AtomicU64,
}

/// The newest version of an order that was ever written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Newest update time written.
    pub(crate) updated: Option<Seconds>,
    /// The total that came with it.
    pub(crate) total: Option<Decimal>,
    /// The revision of the source that it shows.
    pub(crate) revision: Option<u32>,
    pub(crate) deletion: bool,
}

/// One order at the target.
pub(crate) struct Held {
    /// As written last.
    record: Box<str>,
    newest: Newest,
    /// A deletion record was written once.
    ever_deleted: bool,
    /// Hash of what was written last, and of everything different before it.
    content: u64,
    earlier: Vec<u64>,
    /// Hashes of the idempotency keys that wrote it.
    key: Option<u64>,
    earlier_keys: Vec<u64>,
}

impl Newest {
    /// Takes a write in; `true` when it is stale, that is, older than what was written before. A later revision with an older
    /// update time is not: the source set the time back.
    fn merge(&mut self, written: Self) -> bool {
        let set_back = !self.deletion && self.revision.is_some() && written.revision > self.revision;
        if written.deletion {
            // The end of an order may carry the time of a version it never wrote: it is the newest all the same.
            self.updated = self.updated.max(written.updated);
            self.deletion = true;
        } else if written.updated.is_some() && written.updated < self.updated && !set_back {
            return true;
        } else if written.updated.is_some() || self.updated.is_none() || self.deletion {
            *self = written;
        }
        false
    }
}

/// All orders at the target.
pub(crate) struct Ledger {
    shards: [Mutex<HashMap<Key, Held>>; SHARDS],
    pub(crate) counts: Counts,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), counts: Counts::default() }
    }

    /// Decides and applies one write. The line for `log` is queued under the same lock, so the log has the writes of
    /// one order in the order they were applied; the caller flushes it before answering.
    pub(crate) fn write(&self, write: Write<'_>, log: Option<&Log>) -> Outcome {
        let add = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        let content = fingerprint(write.record);
        let idempotency = write.idempotency.map(hash_text);
        let amount = if let Total::Amount(amount) = write.total { Some(amount) } else { None };
        let Write { updated, revision, deletion, .. } = write;
        let written = Newest { updated, total: amount, revision, deletion };
        let mut shard = lock(self.shard(&write.key));
        match shard.entry(write.key) {
            Entry::Occupied(mut entry) => {
                let held = entry.get_mut();
                if idempotency.is_some_and(|key| held.key == Some(key) || held.earlier_keys.contains(&key)) {
                    add(&self.counts.retried);
                    return Outcome::Retried;
                }
                if write.id_check {
                    add(&self.counts.repeats);
                    return Outcome::Repeat;
                }
                let same = held.content == content || held.earlier.contains(&content);
                // Whatever else it carries: gone is gone.
                if same || (write.deletion && held.newest.deletion) {
                    add(&self.counts.duplicates);
                }
                if held.content != content {
                    if !held.earlier.contains(&held.content) {
                        held.earlier.push(held.content);
                    }
                    held.content = content;
                    held.record = write.record.into();
                }
                if held.newest.merge(written) {
                    add(&self.counts.stale);
                }
                if write.deletion && !std::mem::replace(&mut held.ever_deleted, true) {
                    add(&self.counts.deletions);
                }
                if let Some(before) = idempotency.and_then(|key| held.key.replace(key)) {
                    held.earlier_keys.push(before);
                }
            }
            Entry::Vacant(entry) => {
                if write.deletion {
                    add(&self.counts.deletions);
                }
                entry.insert(Held {
                    record: write.record.into(),
                    newest: written,
                    ever_deleted: write.deletion,
                    content,
                    earlier: Vec::new(),
                    key: idempotency,
                    earlier_keys: Vec::new(),
                });
            }
        }
        if let Some(log) = log {
            push_line(log, write.idempotency, write.record);
        }
        drop(shard);
        add(&self.counts.accepted);
        match write.total {
            _ if write.deletion => 0,
            Total::Missing => add(&self.counts.missing_totals),
            Total::Garbage => add(&self.counts.wrong_totals),
            Total::Amount(_) if write.wrong_total => add(&self.counts.wrong_totals),
            Total::Amount(_) => 0,
        };
        Outcome::Applied
    }

    /// The record held for an order, as JSON text.
    pub(crate) fn record(&self, key: &Key) -> Option<Box<str>> {
        lock(self.shard(key)).get(key).map(|held| held.record.clone())
    }

    /// Every id held, ascending.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> =
            self.shards.iter().flat_map(|shard| lock(shard).keys().cloned().collect::<Vec<_>>()).collect();
        keys.sort_unstable();
        keys
    }

    /// Shows every order held with its newest version.
    pub(crate) fn each(&self, mut see: impl FnMut(&Key, &Newest)) {
        for shard in &self.shards {
            for (key, held) in &*lock(shard) {
                see(key, &held.newest);
            }
        }
    }

    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, Held>> {
        let hash = match key {
            Key::Number(number) => mix(*number),
            Key::Text(text) => hash_text(text),
        };
        &self.shards[hash as usize % SHARDS]
    }
}

/// 64 bits of the content's hash are plenty: they are only compared within one order.
fn fingerprint(record: &str) -> u64 {
    let hash = blake3::hash(record.as_bytes());
    hash.as_bytes()[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// One line of the log: `{"key":...,"row":...}`.
fn push_line(log: &Log, idempotency: Option<&str>, record: &str) {
    let quoted = idempotency.map(crate::fields::quote);
    let key = quoted.as_deref().unwrap_or("null").as_bytes();
    // Line breaks can stand only between the tokens of a record: within its texts they are escaped.
    let one_line = record.contains(['\n', '\r']).then(|| record.replace(['\n', '\r'], " "));
    let row = one_line.as_deref().unwrap_or(record).as_bytes();
    log.push(&[b"{\"key\":", key, b",\"row\":", row, b"}"]);
}

#[cfg(test)]
mod tests;
