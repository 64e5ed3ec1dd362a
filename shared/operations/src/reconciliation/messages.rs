//! The equation of messages: each message of MAPPED has one outcome or one letter at a target, or is in flight.

use std::collections::BTreeMap;

use events::Outcome;
use serde::Serialize;

/// What became of the messages of MAPPED at one target:
/// `mapped = written + unchanged + superseded + repeat + unknown + ignored + older_stamp + dead +
/// in_flight`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Messages {
    /// Messages for writers.
    pub mapped: u64,
    /// Messages by their outcome, the first one where there are several.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Messages with a letter, open or dealt with, and no outcome.
    pub dead: u64,
    /// Messages with neither.
    pub in_flight: u64,
    /// Of those with an outcome: how many have a letter as well. The writer ended between letter and settlement, and what
    /// came again went better; the letter stays open until somebody deals with it.
    pub also_dead: u64,
    /// Further outcomes of messages that had one: delivered again, because an ack was lost.
    pub outcomes_again: u64,
}

impl Messages {
    /// Whether the sum is right and nothing is in flight.
    pub fn is_balanced(&self) -> bool {
        let outcomes: u64 = self.outcomes.values().sum();
        self.in_flight == 0 && self.mapped == outcomes + self.dead
    }

    /// Messages with this outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome.name()).copied().unwrap_or_default()
    }
}

/// Not for writers, or not read: skipped orders lie between.
const NONE: u8 = 0;
/// A message for writers.
const MAPPED: u8 = 1;
/// It has a letter.
const DEAD: u8 = 2;
/// It has an outcome: its place in [`Outcome::ALL`] and one, shifted to here.
const OUTCOME: u32 = 2;

/// One byte a message, by its sequence.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The sequence of the first; older messages may be gone.
    first: u64,
    marks: Vec<u8>,
    outcomes_again: u64,
}

impl Tally {
    /// Notes a message of MAPPED. They come in order.
    pub(super) fn mapped(&mut self, seq: u64) {
        if self.marks.is_empty() {
            self.first = seq;
        }
        let Some(index) = seq.checked_sub(self.first).and_then(|index| usize::try_from(index).ok()) else {
            return;
        };
        if index >= self.marks.len() {
            self.marks.resize(index + 1, NONE);
        }
        self.marks[index] |= MAPPED;
    }

    /// Notes an outcome; of a message that was not read it is not noted.
    pub(super) fn outcome(&mut self, seq: u64, outcome: Outcome) {
        let place = Outcome::ALL.iter().position(|other| *other == outcome).unwrap_or_default();
        let mark = u8::try_from(place + 1).unwrap_or(u8::MAX) << OUTCOME;
        let Some(found) = self.find(seq) else { return };
        if *found >> OUTCOME == 0 {
            *found |= mark;
        } else {
            self.outcomes_again += 1;
        }
    }

    /// Notes a letter.
    pub(super) fn letter(&mut self, seq: u64) {
        if let Some(found) = self.find(seq) {
            *found |= DEAD;
        }
    }

    fn find(&mut self, seq: u64) -> Option<&mut u8> {
        let index = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.marks.get_mut(index).filter(|mark| **mark != NONE)
    }

    /// The sums.
    pub(super) fn end(&self) -> Messages {
        let mut messages = Messages { outcomes_again: self.outcomes_again, ..Messages::default() };
        for outcome in Outcome::ALL {
            messages.outcomes.insert(outcome.name(), 0);
        }
        for mark in self.marks.iter().filter(|mark| **mark != NONE) {
            messages.mapped += 1;
            let (letter, place) = (mark & DEAD != 0, usize::from(mark >> OUTCOME));
            match place.checked_sub(1).and_then(|place| Outcome::ALL.get(place)) {
                Some(outcome) => {
                    *messages.outcomes.entry(outcome.name()).or_default() += 1;
                    messages.also_dead += u64::from(letter);
                }
                None if letter => messages.dead += 1,
                None => messages.in_flight += 1,
            }
        }
        messages
    }
}
