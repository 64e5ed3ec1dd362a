//! What came into the logs in some time: the numbers of the daily summary. Reads headers only.

use std::collections::BTreeMap;

use events::{Micros, Outcome, Stage, TargetName, TargetSummary};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Label, Stream, Topology};

/// What was read, and what became of it at each target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayTally {
    /// Orders that were read, new or changed.
    pub read: u64,
    /// Each target, in the order of the configuration. What waits is not counted here.
    pub targets: Vec<TargetSummary>,
}

impl DayTally {
    /// Counts what was stored from `since` to `until`, by the server's clock.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn count(
        journal: &Journal,
        names: &Topology,
        targets: &[TargetName],
        (since, until): (Micros, Micros),
    ) -> Result<Self, JournalError> {
        let mut tally = Self::default();
        let from = From::Time(since);
        let mut pages = journal.read(names, Stream::Raw, None, from, true).await?;
        while let Some(entry) = pages.next().await {
            let entry = entry?;
            if entry.stored_at < until {
                let rows = entry.label(Label::Rows).and_then(|rows| rows.parse::<u64>().ok());
                tally.read += rows.unwrap_or(0);
            }
        }
        let mut refused: BTreeMap<String, u64> = BTreeMap::new();
        let filter = names.dead(Stage::Write, "*");
        let mut letters = journal.read(names, Stream::Dead, Some(&filter), from, true).await?;
        while let Some(entry) = letters.next().await {
            let entry = entry?;
            if let Some(target) = entry.label(Label::Target).filter(|_| entry.stored_at < until) {
                *refused.entry(target.to_string()).or_default() += 1;
            }
        }
        for target in targets {
            let mut summary = TargetSummary {
                target: target.to_string(),
                refused: refused.get(&target.token()).copied().unwrap_or(0),
                ..TargetSummary::default()
            };
            let filter = names.receipts_of(target);
            let mut receipts = journal.read(names, Stream::Receipts, Some(&filter), from, true).await?;
            while let Some(entry) = receipts.next().await {
                let entry = entry?;
                if entry.stored_at < until {
                    note_outcome(&mut summary, entry.label(Label::Outcome).unwrap_or_default());
                }
            }
            tally.targets.push(summary);
        }
        Ok(tally)
    }
}

fn note_outcome(summary: &mut TargetSummary, outcome: &str) {
    let count = if outcome == Outcome::Written.name() {
        &mut summary.written
    } else if outcome == Outcome::Unchanged.name() {
        &mut summary.unchanged
    } else {
        &mut summary.other
    };
    *count += 1;
}
