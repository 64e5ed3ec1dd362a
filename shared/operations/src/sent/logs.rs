//! Reads the logs for the fold: MAPPED for what was sent, RECEIPTS and DEAD for what came of it.

use events::{DeadLetter, Micros, Outcome, Stage, TargetName, Work};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Label, Stream, Topology};

use super::{FailedAgain, SentMessages};
use crate::Mask;
use crate::operation::Operation;

/// The server's clock may differ from that of the process by this much.
const CLOCKS: Micros = 60_000_000;

impl SentMessages {
    /// Finds what an operation has sent so far. Reads the headers of MAPPED from when it began to when it was heard of last.
    ///
    /// # Errors
    /// When MAPPED cannot be read.
    pub async fn of(
        journal: &Journal,
        names: &Topology,
        targets: &[TargetName],
        operation: &Operation,
    ) -> Result<Self, JournalError> {
        let targets = targets.iter().map(|target| (target.token(), target.to_string())).collect();
        let from = From::Time(operation.stored_at);
        let mut sent = Self::new(targets, from);
        let mut log = journal.read(names, Stream::Mapped, None, from, true).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            if entry.stored_at > operation.moved.saturating_add(CLOCKS) {
                break;
            }
            if is_of(&entry, operation) {
                sent.add(entry.seq, entry.label(Label::Target), letter_of(&entry));
            }
        }
        Ok(sent)
    }

    /// Reads what RECEIPTS and DEAD say now, as far as it takes to know all.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub async fn read(
        &mut self,
        journal: &Journal,
        names: &Topology,
        mask: &Mask,
    ) -> Result<(), JournalError> {
        // Letters first: an outcome holds against a letter, and ends the reading.
        let (letters, receipts) = (names.dead(Stage::Write, "*"), receipts(names));
        let mut log = journal.read(names, Stream::Dead, Some(&letters), self.dead_from, false).await?;
        while let Some(entry) = log.next().await {
            self.apply_letter(&entry?, mask);
        }
        let mut log =
            journal.read(names, Stream::Receipts, Some(&receipts), self.receipts_from, true).await?;
        while let Some(entry) = log.next().await {
            self.apply_receipt(&entry?);
            // A letter may have an outcome further on.
            if self.under_way == 0 && self.failed == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Follows RECEIPTS and DEAD until all is known; `seen` is told whenever something is. Waits as long as it takes, so whoever
    /// calls it says how long that may be: what was learned before stays.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub async fn follow(
        &mut self,
        journal: &Journal,
        names: &Topology,
        mask: &Mask,
        mut seen: impl FnMut(&Self),
    ) -> Result<(), JournalError> {
        let (letters, receipts) = (names.dead(Stage::Write, "*"), receipts(names));
        while self.under_way() > 0 {
            let written =
                journal.follow(names, Stream::Receipts, Some(&receipts), self.receipts_from).await?;
            let died = journal.follow(names, Stream::Dead, Some(&letters), self.dead_from).await?;
            let mut log = futures::stream::select(
                written.map(|entry| (entry, Stream::Receipts)),
                died.map(|entry| (entry, Stream::Dead)),
            );
            while self.under_way() > 0 {
                let (entry, stream) = match log.next().await {
                    None => break,
                    Some((Ok(entry), stream)) => (entry, stream),
                    Some((Err(error), _)) => {
                        tracing::debug!(%error, "following the logs was interrupted");
                        continue;
                    }
                };
                let before = self.under_way();
                match stream {
                    Stream::Dead => self.apply_letter(&entry, mask),
                    _ => self.apply_receipt(&entry),
                }
                if self.under_way() < before {
                    seen(self);
                }
            }
        }
        Ok(())
    }

    fn apply_receipt(&mut self, entry: &Entry) {
        self.receipts_from = From::Seq(entry.seq + 1);
        let token = entry.subject.split('.').nth(2).unwrap_or_default();
        let outcome =
            Outcome::ALL.into_iter().find(|outcome| Some(outcome.name()) == entry.label(Label::Outcome));
        if let (Some(place), Some(outcome)) = (self.place_of(entry, token), outcome) {
            self.settle(place, outcome);
        }
    }

    fn apply_letter(&mut self, entry: &Entry, mask: &Mask) {
        self.dead_from = From::Seq(entry.seq + 1);
        let token = entry.label(Label::Target).unwrap_or_default();
        let Some(place) = self.place_of(entry, token) else { return };
        // One that cannot be read is a letter all the same.
        let letter = entry.event::<DeadLetter>().ok().map(|letter| letter.body);
        let failed = FailedAgain {
            letter: entry.seq,
            of_letter: self.of_letter.get(&place.0).copied(),
            target: self.targets[place.1].1.clone(),
            key: letter.as_ref().and_then(|letter| letter.key.clone()),
            number: letter.as_ref().and_then(|letter| letter.number.clone()),
            kind: entry.subject.rsplit('.').next().unwrap_or_default().to_string(),
            message: letter
                .as_ref()
                .map_or_else(String::new, |letter| mask.text(&letter.message, &mask.values_of(letter))),
            fingerprint: entry.label(Label::Fingerprint).unwrap_or_default().to_string(),
        };
        self.fail(place, failed);
    }

    fn place_of(&self, entry: &Entry, token: &str) -> Option<(u64, usize)> {
        self.place(entry.label(Label::Mapped)?.parse().ok()?, token)
    }
}

/// Whether a message of MAPPED was stored by an operation.
fn is_of(entry: &Entry, operation: &Operation) -> bool {
    if entry.label(Label::Operation) == Some(&operation.id) {
        return true;
    }
    // A retried message says which letter it repeats.
    let Some(Work::Retry { letters, .. }) = &operation.work else { return false };
    letter_of(entry)
        .is_some_and(|letter| letters.iter().any(|(first, last)| (*first..=*last).contains(&letter)))
}

fn letter_of(entry: &Entry) -> Option<u64> {
    entry.label(Label::Letter)?.parse().ok()
}

/// The receipts of all targets.
fn receipts(names: &Topology) -> String {
    format!("{}.receipt.>", names.flow())
}
