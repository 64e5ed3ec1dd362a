//! Commands that somebody starts again and again, as cron does: whether one is overdue.

use events::{Micros, RunsState, now};
use journal::{Cell, Journal, JournalError, Topology};
use schemars::JsonSchema;
use serde::Serialize;

/// The commands that may be started so.
pub const COMMANDS: [&str; 2] = ["fetch", "up"];

/// So many good ends are kept.
const KEPT: usize = 12;

/// The gaps between so many of the newest good ends have to be alike, or nobody can say what is usual.
const ALIKE: usize = 4;

/// Shorter gaps are those of somebody who tries something.
const SHORTEST: Micros = 30 * 1_000_000;

/// After so long without a run nobody is expected to start one any more.
const GIVEN_UP: Micros = 7 * 86_400 * 1_000_000;

/// A command that has not ended well for more than twice as long as usual.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct OverdueRun {
    /// The command: `up --once`, `fetch --once`.
    pub command: String,
    /// When it last ended with exit status 0, in microseconds since the Unix epoch.
    pub last: Micros,
    /// How long it usually takes from one good end to the next, in seconds.
    pub usual_seconds: i64,
}

/// Notes that a run of a command ended well. It did also when that cannot be noted: then somebody may be told that it is
/// overdue.
pub async fn ended_well(journal: &Journal, names: &Topology, command: &str) {
    if let Err(error) = note_end(journal, names, command).await {
        tracing::warn!(%error, command, "that this run ended well is not noted");
    }
}

async fn note_end(journal: &Journal, names: &Topology, command: &str) -> Result<(), JournalError> {
    let cell = Cell::new(journal.clone(), names.clone(), names.runs(command));
    loop {
        let (mut state, seq) = cell.get::<RunsState>().await?;
        state.ended_well.push(now());
        let surplus = state.ended_well.len().saturating_sub(KEPT);
        state.ended_well.drain(..surplus);
        match cell.set(&state, seq).await {
            Err(JournalError::Conflict { .. }) => {}
            set => return set.map(drop),
        }
    }
}

/// The commands that are overdue. When the newest good end of any command is not, none is: they do the same work.
///
/// # Errors
/// When the server does not answer.
pub async fn overdue_runs(journal: &Journal, names: &Topology) -> Result<Vec<OverdueRun>, JournalError> {
    let mut overdue = Vec::new();
    for command in COMMANDS {
        let cell = Cell::new(journal.clone(), names.clone(), names.runs(command));
        let (state, _) = cell.get::<RunsState>().await?;
        let found = usual(&state.ended_well).and_then(|gap| late(&state.ended_well, gap, now()));
        overdue.extend(found.map(|(last, gap)| OverdueRun {
            command: format!("{command} --once"),
            last,
            usual_seconds: gap / 1_000_000,
        }));
    }
    Ok(overdue)
}

/// The usual gap between good ends, when the newest are about as far from one another.
fn usual(ends: &[Micros]) -> Option<Micros> {
    let newest = ends.get(ends.len().checked_sub(ALIKE)?..)?;
    let mut gaps: Vec<Micros> = newest.windows(2).map(|two| two[1] - two[0]).collect();
    gaps.sort_unstable();
    let (shortest, median, longest) = (gaps[0], gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
    (median >= SHORTEST && shortest > median / 2 && longest < median * 2).then_some(median)
}

/// When the last good end was, if that is more than two gaps ago.
fn late(ends: &[Micros], gap: Micros, now: Micros) -> Option<(Micros, Micros)> {
    let last = *ends.last()?;
    (now - last > 2 * gap && now - last < GIVEN_UP.max(8 * gap)).then_some((last, gap))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Micros = 60_000_000;

    #[test]
    fn a_command_that_runs_as_regularly_as_a_clock_is_missed_when_it_does_not() {
        let ends: Vec<Micros> = (0..6).map(|run| run * 10 * MINUTE + run * 1_000_000).collect();
        let gap = usual(&ends).expect("regular");
        let last = ends[5];
        assert_eq!(gap / MINUTE, 10);
        assert_eq!(late(&ends, gap, last + 2 * gap), None);
        assert_eq!(late(&ends, gap, last + 2 * gap + 1), Some((last, gap)));
        assert_eq!(late(&ends, gap, last + GIVEN_UP), None, "nobody starts it any more");
    }

    #[test]
    fn what_somebody_tries_is_not_expected_again() {
        assert_eq!(usual(&[0, 10 * MINUTE, 20 * MINUTE]), None, "too few");
        assert_eq!(usual(&[0, MINUTE, 2 * MINUTE, 40 * MINUTE]), None, "now and then");
        assert_eq!(usual(&[0, 1_000_000, 2_000_000, 3_000_000]), None, "in a row");
    }
}
