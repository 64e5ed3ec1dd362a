//! The fold itself, without reading: events in, a reconciliation out.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use events::{
    ContentHash, DeadResolved, MappedEvent, OrderDeleted, OrderKey, Outcome, Receipt, TargetName, Version,
};

use super::messages::Tally;
use super::{Difference, Reconciliation};

/// The newest that was mapped of an order.
#[derive(Debug, Clone, Copy)]
struct Newest {
    version: Version,
    content: ContentHash,
    seq: u64,
}

/// What the last receipt says of an order.
#[derive(Debug, Clone, Copy)]
struct Held {
    version: Version,
    content: ContentHash,
    known: bool,
}

/// What was written last: of which version and content, and a hash of the idempotency key.
#[derive(Debug, Clone, Copy)]
struct Written {
    content: ContentHash,
    key: u64,
    mapped_seq: u64,
}

#[derive(Debug, Default)]
struct Order {
    newest: Option<Newest>,
    /// The last message that was mapped, and which of them had other content than the one before.
    content: Option<ContentHash>,
    changes: Vec<u64>,
    held: Option<Held>,
    /// The newest version that was written.
    written: Option<Version>,
    /// `None` also when it is not known any more what the target holds.
    last: Option<Written>,
}

/// A letter: the message it is about, and what was done about it.
#[derive(Debug)]
struct Letter {
    mapped_seq: u64,
    state: LetterState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LetterState {
    Open,
    Discarded,
    /// Tried again, in whichever way: what came of it is an outcome or a letter of its own.
    Closed,
}

/// MAPPED, then RECEIPTS, then DEAD; each in its order.
#[derive(Debug, Default)]
pub(super) struct Fold {
    orders: HashMap<OrderKey, Order>,
    messages: Tally,
    letters: HashMap<u64, Letter>,
    overwritten: Vec<String>,
    sent_twice: Vec<String>,
    /// Messages that a person wanted written whatever the target holds.
    forced: HashSet<u64>,
    /// Messages that are for another target.
    elsewhere: HashSet<u64>,
}

impl Fold {
    /// A message of MAPPED that is to be written also when the target holds it.
    pub(super) fn forced(&mut self, seq: u64) {
        self.forced.insert(seq);
    }

    /// A message of MAPPED that is for another target alone.
    pub(super) fn elsewhere(&mut self, seq: u64) {
        self.elsewhere.insert(seq);
    }

    /// A message of MAPPED.
    pub(super) fn mapped(&mut self, seq: u64, event: &MappedEvent) {
        self.messages.mapped(seq);
        let (mapped, deleted) = match event {
            MappedEvent::Order(mapped) => (mapped, false),
            MappedEvent::Deleted(OrderDeleted(mapped)) => (mapped, true),
        };
        let order = self.orders.entry(mapped.key.clone()).or_default();
        // Of a deletion without a record the target is not to hear.
        if deleted && mapped.record.is_empty() {
            return;
        }
        if order.content.replace(mapped.content).is_some_and(|before| before != mapped.content) {
            order.changes.push(seq);
        }
        // Of equal versions the later one counts: the same reading, mapped again.
        if order.newest.is_none_or(|newest| newest.version <= mapped.version) {
            order.newest = Some(Newest { version: mapped.version, content: mapped.content, seq });
        }
    }

    /// A message of MAPPED that no build can read.
    pub(super) fn unreadable(&mut self, seq: u64) {
        self.messages.mapped(seq);
    }

    /// A message of RECEIPTS.
    pub(super) fn receipt(&mut self, receipt: &Receipt) {
        if self.elsewhere.contains(&receipt.mapped_seq) {
            return;
        }
        self.messages.outcome(receipt.mapped_seq, receipt.outcome);
        // An order that MAPPED does not hold (any more) cannot be judged.
        let Some(order) = self.orders.get_mut(&receipt.key) else { return };
        order.held = Some(Held { version: receipt.held, content: receipt.content, known: receipt.known });
        match receipt.outcome {
            Outcome::Written => {
                if order.written.is_some_and(|written| receipt.version < written) {
                    self.overwritten.push(receipt.key.to_string());
                }
                let (content, mapped_seq) = (receipt.content, receipt.mapped_seq);
                let now = Written { content, key: hash(&receipt.idempotency_key), mapped_seq };
                // Where something else was mapped in between, a writer that was lost may have sent that.
                let changed = |last: &Written| {
                    order.changes.iter().any(|change| last.mapped_seq < *change && *change <= mapped_seq)
                };
                let again =
                    |last: Written| last.content == now.content && last.key != now.key && !changed(&last);
                if order.last.is_some_and(again) && !self.forced.contains(&mapped_seq) {
                    self.sent_twice.push(receipt.key.to_string());
                }
                order.written = order.written.max(Some(receipt.version));
                order.last = Some(now);
            }
            // Whatever comes next may have to replace something else.
            Outcome::Unknown => order.last = None,
            Outcome::Unchanged
            | Outcome::Superseded
            | Outcome::OlderStamp
            | Outcome::Repeat
            | Outcome::Ignored => {}
        }
    }

    /// A letter about this target.
    pub(super) fn letter(&mut self, letter: u64, mapped_seq: u64) {
        self.messages.letter(mapped_seq);
        self.letters.insert(letter, Letter { mapped_seq, state: LetterState::Open });
    }

    /// What was done about a letter; those of other targets and stages are passed over.
    pub(super) fn resolved(&mut self, resolved: &DeadResolved) {
        if let Some(letter) = self.letters.get_mut(&resolved.letter) {
            let discarded = resolved.how == "discarded";
            letter.state = if discarded { LetterState::Discarded } else { LetterState::Closed };
        }
    }

    /// The judgement.
    pub(super) fn end(self, target: &TargetName) -> Reconciliation {
        let mut result = Reconciliation {
            target: target.to_string(),
            messages: self.messages.end(),
            orders: self.orders.len() as u64,
            overwritten: self.overwritten,
            sent_twice: self.sent_twice,
            ..Reconciliation::default()
        };
        let mut letters: HashMap<u64, LetterState> = HashMap::new();
        for letter in self.letters.values() {
            result.open_letters += u64::from(letter.state == LetterState::Open);
            // Of several letters about one message the one that still waits counts, then the one that was discarded.
            let state = letters.entry(letter.mapped_seq).or_insert(letter.state);
            if letter.state == LetterState::Open || *state == LetterState::Closed {
                *state = letter.state;
            }
        }
        for (key, order) in self.orders {
            let Some(newest) = order.newest else {
                result.nothing_to_hold += 1;
                continue;
            };
            let Some(list) = result.list(newest, order.held, letters.get(&newest.seq).copied()) else {
                result.up_to_date += 1;
                continue;
            };
            // What is not known is not held, and "nothing" is written as the oldest version.
            let held = order.held.map(|held| held.version).filter(|version| *version > Version::OLDEST);
            list.push(Difference {
                key: key.to_string(),
                mapped_seq: newest.seq,
                newest: newest.version,
                held,
            });
        }
        let lists = [
            &mut result.missing,
            &mut result.stale,
            &mut result.unknown,
            &mut result.dead,
            &mut result.discarded,
        ];
        lists.into_iter().for_each(|list| list.sort_by(|a, b| a.key.cmp(&b.key)));
        result
    }
}

impl Reconciliation {
    /// The list an order belongs on; `None` when it is up to date.
    fn list(
        &mut self,
        newest: Newest,
        held: Option<Held>,
        letter: Option<LetterState>,
    ) -> Option<&mut Vec<Difference>> {
        let given = held.filter(|held| held.version >= newest.version);
        // At the same version the content decides: a slower writer may have put something older over it.
        let same = |held: &Held| held.version > newest.version || held.content == newest.content;
        if given.is_some_and(|held| held.known && same(&held)) {
            return None;
        }
        Some(match (letter, given, held) {
            (Some(LetterState::Open), _, _) => &mut self.dead,
            (Some(LetterState::Discarded), None, _) => &mut self.discarded,
            (_, Some(held), _) if !held.known => &mut self.unknown,
            (_, Some(_), _) => &mut self.stale,
            (_, None, Some(held)) if held.version > Version::OLDEST => &mut self.stale,
            (_, None, _) => &mut self.missing,
        })
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
