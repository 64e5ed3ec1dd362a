//! Whether the first pass over deletions may go on: one that would delete a large share of the orders known is more likely a
//! source that lists other things as deleted. Nothing of it is stored before that is known.

use std::collections::{HashMap, HashSet};

use events::{Listing, Slice, WindowId};
use okki::OkkiError;
use tokio::sync::Mutex;

use crate::contents::{hash, name_of};
use crate::deletions::{Candidate, Living};
use crate::page::{Pages, Task};
use crate::slice_reader::{SlicePlace, SliceReader, SliceStep};

/// So few deletions need nobody's word, whatever their share.
const FEW: u64 = 10;

/// So many times as much as is allowed need not be counted to the end, when it is so many times a few as well.
const CLEARLY: u64 = 2;
const CLEARLY_MANY: u64 = 10 * FEW;

/// What was found of each window, by this process.
#[derive(Debug, Default)]
pub(crate) struct FirstDeletions(Mutex<HashMap<WindowId, Result<(), String>>>);

/// What a first pass would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FirstPass {
    /// Orders known that it would delete.
    deletions: u64,
    /// Orders known.
    known: u64,
    counted: Counted,
}

/// How much of a first pass was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Partly,
    Whole,
}

/// What was counted so far.
#[derive(Debug, Default)]
struct DeletionTally {
    /// The ids of the orders known that were met, as hashes.
    met: HashSet<u64>,
    /// Those of them for which the list of orders was not asked yet.
    pending: Vec<Candidate>,
    /// Those that the list of orders does not show.
    deletions: u64,
}

impl FirstPass {
    /// Whether it is more than `share` of the orders known, and more than a few.
    fn is_too_much(self, share: f64) -> bool {
        self.deletions > FEW && self.deletions as f64 > share * self.known as f64
    }

    /// Whether it is so much more that the rest need not be counted.
    fn is_clearly_too_much(self, share: f64) -> bool {
        let allowed = share * self.known as f64;
        self.deletions > CLEARLY_MANY && self.deletions as f64 > CLEARLY as f64 * allowed
    }
}

impl Pages {
    /// Whether deletions may go on: `Err` with the reason when somebody has to say so first. Asked of each window until one has
    /// closed, before anything of it is stored.
    pub(crate) async fn may_delete(&self, task: &Task<'_>) -> Result<Result<(), String>, OkkiError> {
        if !self.history.lock().is_first_of_deletions() {
            return Ok(Ok(()));
        }
        let share = self.settings.max_share;
        if share >= 1.0 {
            return Ok(Ok(())); // no pass deletes more than all
        }
        let window = &task.window.window;
        let mut found = self.first_deletions.0.lock().await;
        if let Some(known) = found.get(window) {
            return Ok(known.clone());
        }
        let pass = self.count_first_pass(task).await?;
        let verdict = if pass.is_too_much(share) { Err(too_much(pass, share)) } else { Ok(()) };
        found.clear(); // a lane has one window at a time
        found.insert(window.clone(), verdict.clone());
        Ok(verdict)
    }

    async fn count_first_pass(&self, task: &Task<'_>) -> Result<FirstPass, OkkiError> {
        let living = Living {
            settings: &self.settings,
            source: &self.source,
            history: &self.history,
            background: task.is_background(),
        };
        let share = self.settings.max_share;
        let background = task.is_background();
        let mut reader = SliceReader::new(&self.settings, &self.source, Listing::Deleted, background);
        let mut tally = DeletionTally::default();
        let mut places =
            vec![SlicePlace::begin(Slice { since: task.window.since, until: task.window.until })];
        while let Some(mut place) = places.pop() {
            match reader.step(&mut place).await? {
                SliceStep::End => continue,
                SliceStep::Halves(first, second) => {
                    places.extend([second, first].map(SlicePlace::begin));
                    continue;
                }
                SliceStep::Page(_, page) => {
                    let rows = 0..page.rows.len();
                    self.add_known(&mut tally, rows.filter_map(|at| living.candidate(&page, at)));
                }
            }
            places.push(place);
            if self.first_pass(&tally, Counted::Partly).is_clearly_too_much(share) {
                self.ask_for_pending(&mut tally, &living).await?;
                let pass = self.first_pass(&tally, Counted::Partly);
                if pass.is_clearly_too_much(share) {
                    return Ok(pass);
                }
            }
        }
        if self.first_pass(&tally, Counted::Whole).is_too_much(share) {
            self.ask_for_pending(&mut tally, &living).await?;
        }
        Ok(self.first_pass(&tally, Counted::Whole))
    }

    /// Adds those candidates whose orders are known, each once.
    fn add_known(&self, tally: &mut DeletionTally, candidates: impl Iterator<Item = Candidate>) {
        let history = self.history.lock();
        for candidate in candidates {
            let is_known = history.known_order(&name_of(&candidate.id)).is_some();
            if is_known && tally.met.insert(hash(candidate.id.as_bytes())) {
                tally.pending.push(candidate);
            }
        }
    }

    /// Counts those that the list of orders does not show: the others would not be deleted.
    async fn ask_for_pending(&self, tally: &mut DeletionTally, living: &Living<'_>) -> Result<(), OkkiError> {
        let pending = std::mem::take(&mut tally.pending);
        let shown = living.among(&pending).await?;
        tally.deletions += (pending.len() as u64).saturating_sub(shown.len() as u64);
        Ok(())
    }

    /// What was counted, each candidate that was not asked for yet being a deletion.
    fn first_pass(&self, tally: &DeletionTally, counted: Counted) -> FirstPass {
        let deletions = tally.deletions + tally.pending.len() as u64;
        FirstPass { deletions, known: self.history.lock().orders_known(), counted }
    }
}

fn too_much(FirstPass { deletions, known, counted }: FirstPass, share: f64) -> String {
    let at_least = if counted == Counted::Whole { "" } else { "at least " };
    format!(
        "the first pass over deletions would delete {at_least}{deletions} of the {known} orders known, more than \
         schedule.deleted.max_share = {share} allows: nothing was deleted. If not every row of that list is a deletion, say with \
         schedule.deleted.when which are; if all are, set schedule.deleted.max_share = 1 until the first pass has closed"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_deletions_and_a_small_share_need_nobodys_word() {
        for (deletions, known, share, too_much) in [
            (1, 3, 0.2, false),
            (10, 10, 0.0, false),
            (11, 55, 0.2, false),
            (12, 55, 0.2, true),
            (11, 0, 0.2, true),
            (100, 100, 1.0, false),
            (0, 0, 0.2, false),
        ] {
            let pass = FirstPass { deletions, known, counted: Counted::Whole };
            assert_eq!(pass.is_too_much(share), too_much, "{pass:?} {share}");
        }
    }

    #[test]
    fn the_reason_gives_both_numbers_and_what_to_do() {
        let said = super::too_much(FirstPass { deletions: 150, known: 300, counted: Counted::Whole }, 0.2);
        for part in ["150 of the 300", "max_share = 0.2", "schedule.deleted.when", "max_share = 1 "] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[test]
    fn what_is_clearly_too_much_is_not_counted_to_the_end() {
        for (deletions, known, share, is_clear) in [
            (100, 100, 0.0, false),
            (101, 1_000, 0.0, true),
            (400, 1_000, 0.2, false),
            (401, 1_000, 0.2, true),
            (60, 100, 0.2, false),
        ] {
            let pass = FirstPass { deletions, known, counted: Counted::Partly };
            assert_eq!(pass.is_clearly_too_much(share), is_clear, "{pass:?} {share}");
            assert!(!is_clear || pass.is_too_much(share), "{pass:?} {share}");
        }
        let pass = FirstPass { deletions: 401, known: 1_000, counted: Counted::Partly };
        assert!(super::too_much(pass, 0.2).contains("delete at least 401 of the 1000"));
    }
}
