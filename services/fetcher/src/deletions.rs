//! Which rows of a list of deletions are deletions: a source may list living orders beside deleted ones. The list of orders is
//! asked whether it shows them, at the times that their rows give.

use std::collections::HashSet;

use events::{Listing, Micros, Slice};
use okki::{OkkiError, Page};

use crate::contents::{hash, name_of};
use crate::granularity::{Granularity, SECOND};
use crate::history::Shared;
use crate::settings::Settings;
use crate::slice_reader::{PageAnswer, SliceReader};
use crate::source::Source;

/// A row of a list of deletions that may be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: String,
    /// When the list of orders would show it; `None` when its row does not say.
    at: Option<Slice>,
    /// A hash of its row.
    row: u64,
}

/// Asks the source which orders live.
pub(crate) struct Living<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) source: &'a Source,
    pub(crate) history: &'a Shared,
    /// Whether this is on behalf of sweeps and backfills.
    pub(crate) background: bool,
}

impl Living<'_> {
    /// The row of a page as a candidate; `None` when it has no id, or is no deletion by `schedule.deleted.when`.
    pub(crate) fn candidate(&self, page: &Page, at: usize) -> Option<Candidate> {
        let id = page.ids.get(at)?.clone()?;
        let bytes = page.body.get(page.rows.get(at)?.clone())?;
        if !self.settings.is_deletion(bytes) {
            return None;
        }
        let moments = std::str::from_utf8(bytes).ok().and_then(|row| self.settings.orders().moments_of(row));
        Some(Candidate { id, at: moments, row: hash(bytes) })
    }

    /// The ids of those that the list of orders shows, and of those of which that cannot be said: they are looked at again when
    /// they are listed again.
    pub(crate) async fn among(&self, candidates: &[Candidate]) -> Result<HashSet<String>, OkkiError> {
        let mut living = HashSet::new();
        for candidate in candidates.iter().filter(|candidate| candidate.at.is_none()) {
            // Its row is, byte for byte, that of a living order, and nobody said what makes it a deletion.
            let known = self.history.lock().known_order(&name_of(&candidate.id));
            if self.settings.deleted_when.is_none() && known.is_some_and(|known| known.row == candidate.row) {
                living.insert(candidate.id.clone());
            }
        }
        let mut dated: Vec<&Candidate> =
            candidates.iter().filter(|candidate| candidate.at.is_some()).collect();
        dated.sort_by_key(|candidate| candidate.at);
        let mut groups = vec![&dated[..]];
        while let Some(group) = groups.pop() {
            let Some(slice) = range(group, self.margin()) else { continue };
            let first = match self.reader().ask(slice, 1).await? {
                PageAnswer::Page(page) => page,
                PageAnswer::Refused(error) => return Err(error),
            };
            if (first.rows.len() as u64) >= first.total {
                let shown: HashSet<&str> = first.ids.iter().flatten().map(String::as_str).collect();
                living.extend(
                    group.iter().map(|one| &one.id).filter(|id| shown.contains(id.as_str())).cloned(),
                );
            } else if group.first().map(|one| one.at) == group.last().map(|one| one.at) {
                self.look_through(slice, first, group, &mut living).await?;
            } else {
                let (before, after) = group.split_at(group.len() / 2);
                groups.push(before);
                groups.push(after);
            }
        }
        Ok(living)
    }

    /// Looks for orders of one moment that fill several pages. Rows may move meanwhile, so only a pass that met as many orders as
    /// the source counts says that one is not there.
    async fn look_through(
        &self,
        slice: Slice,
        first: Page,
        group: &[&Candidate],
        living: &mut HashSet<String>,
    ) -> Result<(), OkkiError> {
        let mut page = first;
        for _ in 0..self.settings.max_passes.max(2) {
            let total = page.total;
            let mut shown = HashSet::new();
            let mut number = 1;
            loop {
                shown.extend(page.ids.into_iter().flatten());
                let all = u64::from(number) * u64::from(self.settings.page_size) >= total;
                if page.rows.is_empty() || page.total != total || all {
                    break;
                }
                number += 1;
                page = match self.reader().ask(slice, number).await? {
                    PageAnswer::Page(page) => page,
                    PageAnswer::Refused(_) => {
                        living.extend(group.iter().map(|one| one.id.clone()));
                        return Ok(());
                    }
                };
            }
            living.extend(group.iter().map(|one| &one.id).filter(|id| shown.contains(*id)).cloned());
            if shown.len() as u64 == total {
                return Ok(());
            }
            let PageAnswer::Page(first) = self.reader().ask(slice, 1).await? else { break };
            page = first;
        }
        living.extend(group.iter().map(|one| one.id.clone()));
        Ok(())
    }

    fn reader(&self) -> SliceReader<'_> {
        SliceReader::new(self.settings, self.source, Listing::Orders, self.background)
    }

    /// By how much more than the moments of the candidates is asked for: a filter may leave out one of its ends.
    fn margin(&self) -> Micros {
        match self.settings.granularity {
            Granularity::Second(_) => SECOND,
            Granularity::Day(_) => 0,
        }
    }
}

/// From the first moment of some candidates to the last, and so much more at both ends.
fn range(group: &[&Candidate], margin: Micros) -> Option<Slice> {
    let since = group.iter().filter_map(|one| one.at).map(|at| at.since).min()?;
    let until = group.iter().filter_map(|one| one.at).map(|at| at.until).max()?;
    Some(Slice { since: since.saturating_sub(margin), until: until.saturating_add(margin) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_candidate_is_asked_for_with_time_around_it() {
        let candidate = |since: Micros, until: Micros| Candidate {
            id: "1".into(),
            at: Some(Slice { since: since * SECOND, until: until * SECOND }),
            row: 1,
        };
        let lone = candidate(100, 100);
        let asked = |group: &[&Candidate]| {
            range(group, SECOND).map(|slice| (slice.since / SECOND, slice.until / SECOND))
        };
        assert_eq!(asked(&[&lone]), Some((99, 101)));
        assert_eq!(asked(&[&lone, &candidate(70, 140)]), Some((69, 141)));
        assert_eq!(asked(&[]), None);
    }
}
