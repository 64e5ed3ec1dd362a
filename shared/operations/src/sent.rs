//! What the targets made of the messages that an operation stored in MAPPED. This is the fold, without I/O: who was sent what, and
//! which of it has a receipt or a dead letter by now.

mod hindrance;
mod logs;

pub use hindrance::{Hindrance, HindranceKind, hindrances};

use std::collections::BTreeMap;

use events::Outcome;
use journal::From;
use schemars::JsonSchema;
use serde::Serialize;

/// What the targets made of what an operation sent. A message for several targets counts once for each of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct SentResult {
    /// How many messages were sent.
    pub sent: u64,
    /// Of these, how many need nothing more: the target took them, or already holds the same or something newer.
    pub succeeded: u64,
    /// How many messages have each outcome, by its name; without those that no message has.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// How many failed again: each has a new dead letter.
    pub failed: u64,
    /// These new letters, in the order of the messages.
    pub failures: Vec<FailedAgain>,
    /// How many were sent to the target without an answer that says whether it took them.
    pub unknown: u64,
    /// How many were not written because they carry an older update time than what the target holds.
    pub older_stamp: u64,
    /// How many have neither an outcome nor a dead letter yet.
    pub under_way: u64,
}

/// A message that failed again.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct FailedAgain {
    /// Its new dead letter.
    pub letter: u64,
    /// The letter that was retried or edited; `null` for a replay.
    pub of_letter: Option<u64>,
    /// The target.
    pub target: String,
    /// The order's key.
    pub key: Option<String>,
    /// The number people use.
    pub number: Option<String>,
    /// What kind of failure.
    pub kind: String,
    /// Why.
    pub message: String,
    /// The group that the new letter belongs to.
    pub fingerprint: String,
}

/// What is known of one message at one target.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    UnderWay,
    Outcome(Outcome),
    Failed(Box<FailedAgain>),
}

/// The messages that an operation sent, and what is known of each.
#[derive(Debug)]
pub struct SentMessages {
    /// The targets, as subjects and headers have them, with their names.
    targets: Vec<(String, String)>,
    /// By sequence in MAPPED and position of the target.
    fates: BTreeMap<(u64, usize), Fate>,
    /// The letter that a message repeats, by sequence in MAPPED.
    of_letter: BTreeMap<u64, u64>,
    under_way: u64,
    failed: u64,
    /// Where reading RECEIPTS and DEAD goes on.
    receipts_from: From,
    dead_from: From,
}

impl SentResult {
    /// Whether nobody has to wait for anything or to do anything.
    pub fn is_settled(&self) -> bool {
        self.failed == 0 && self.unknown == 0 && self.older_stamp == 0 && self.under_way == 0
    }
}

impl SentMessages {
    fn new(targets: Vec<(String, String)>, from: From) -> Self {
        Self {
            targets,
            fates: BTreeMap::new(),
            of_letter: BTreeMap::new(),
            under_way: 0,
            failed: 0,
            receipts_from: from,
            dead_from: from,
        }
    }

    /// Notes that a message was sent: to the target with this token, or to all of them.
    fn add(&mut self, mapped_seq: u64, only: Option<&str>, of_letter: Option<u64>) {
        if let Some(letter) = of_letter {
            self.of_letter.insert(mapped_seq, letter);
        }
        let to: Vec<usize> = match only {
            None => (0..self.targets.len()).collect(),
            Some(token) => {
                let known = self.targets.iter().position(|(known, _)| known == token);
                vec![known.unwrap_or_else(|| {
                    // No target of today's configuration: nobody writes to it, and it counts all the same.
                    self.targets.push((token.to_string(), token.to_string()));
                    self.targets.len() - 1
                })]
            }
        };
        for target in to {
            if self.fates.insert((mapped_seq, target), Fate::UnderWay).is_none() {
                self.under_way += 1;
            }
        }
    }

    /// Whether a message with this sequence, at the target with this token, is one of those that were sent.
    fn place(&self, mapped_seq: u64, token: &str) -> Option<(u64, usize)> {
        let target = self.targets.iter().position(|(known, _)| known == token)?;
        self.fates.contains_key(&(mapped_seq, target)).then_some((mapped_seq, target))
    }

    /// Notes an outcome. The last one holds, also where there is a letter: the writer ended after it had stored that, and what came
    /// again went better.
    fn settle(&mut self, place: (u64, usize), outcome: Outcome) {
        self.note(place, Fate::Outcome(outcome));
    }

    /// Notes a new letter, unless there is an outcome.
    fn fail(&mut self, place: (u64, usize), failed: FailedAgain) {
        if !matches!(self.fates.get(&place), Some(Fate::Outcome(_))) {
            self.note(place, Fate::Failed(Box::new(failed)));
        }
    }

    fn note(&mut self, place: (u64, usize), fate: Fate) {
        self.failed += u64::from(matches!(fate, Fate::Failed(_)));
        match self.fates.insert(place, fate) {
            Some(Fate::UnderWay) => self.under_way -= 1,
            Some(Fate::Failed(_)) => self.failed -= 1,
            Some(Fate::Outcome(_)) | None => {}
        }
    }

    /// How many messages have neither an outcome nor a letter.
    pub fn under_way(&self) -> u64 {
        self.under_way
    }

    /// How many messages were sent; once for each target.
    pub fn sent(&self) -> u64 {
        self.fates.len() as u64
    }

    /// The names of the targets of what is under way.
    pub fn awaited(&self) -> Vec<&str> {
        let mut waits = vec![false; self.targets.len()];
        for ((_, target), fate) in &self.fates {
            waits[*target] |= *fate == Fate::UnderWay;
        }
        let named = self.targets.iter().zip(waits);
        named.filter(|(_, waits)| *waits).map(|((_, name), _)| name.as_str()).collect()
    }

    /// What is known by now.
    pub fn result(&self) -> SentResult {
        let mut result = SentResult { sent: self.sent(), ..SentResult::default() };
        for fate in self.fates.values() {
            match fate {
                Fate::UnderWay => result.under_way += 1,
                Fate::Failed(failed) => {
                    result.failed += 1;
                    result.failures.push((**failed).clone());
                }
                Fate::Outcome(outcome) => {
                    *result.outcomes.entry(outcome.name()).or_default() += 1;
                    match outcome {
                        Outcome::Written
                        | Outcome::Unchanged
                        | Outcome::Superseded
                        | Outcome::Repeat
                        | Outcome::Ignored => result.succeeded += 1,
                        Outcome::Unknown => result.unknown += 1,
                        Outcome::OlderStamp => result.older_stamp += 1,
                    }
                }
            }
        }
        result
    }
}

#[cfg(test)]
mod tests;
