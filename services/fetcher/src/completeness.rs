//! When is a slice of time complete? A pure fold of the pages that were read of it (rule 4 of ARCHITECTURE.md).
//!
//! The source pages by number over a set that changes while it is read: a row that is edited leaves the window and all
//! rows behind it move up, so that one row is skipped although every page was full. Counting finds that, as long as
//! nothing enters meanwhile: when one row leaves and another one becomes visible, the total stays the same and as many
//! distinct ids are read, and yet a row may have been skipped. So counting is half of the proof:
//!
//! - **One page** that holds as many distinct ids as the total it reports is one moment of the source: complete.
//! - **Several pages** under one unchanged total with as many distinct ids name a set of orders; when every one of them
//!   is found again by reading on, they were all there at the moment of the last counting page (an order that has left a
//!   range of the past does not come back to it), and the source counted no more than them: complete.
//!
//! What does not settle is split by time (`window.rs`), down to slices that one page holds.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use events::{Slice, SliceProof};

/// An order, as 128 bits of a hash of its id: a million of them are held while a large window is read.
pub(crate) type Id = u128;

/// What one page said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFacts {
    /// The total the source reported with it.
    pub(crate) total: u64,
    /// The orders on it, without those that were gone when their detail was asked for.
    pub(crate) ids: Vec<Id>,
    /// How many were gone: listed, but not had. They prove nothing until they are not listed any more.
    pub(crate) gone: u64,
}

/// A pass that counted: its orders wait to be found again.
#[derive(Debug, Clone)]
struct Counted {
    pass: u32,
    pages: u32,
    ids: HashSet<Id>,
    /// Those that the current pass has not found yet.
    missing: HashSet<Id>,
}

/// What a pass shows.
enum Shown {
    /// Pages of it are still to be read.
    Unread,
    /// One page holds everything.
    OnePage,
    /// One unchanged total and as many distinct ids, over several pages.
    Counted,
    /// It proves nothing, for this reason.
    Nothing(String),
}

/// Where the reading of a slice is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Pages of the current pass are wanted.
    Reading,
    /// It is complete.
    Proved(SliceProof),
    /// Its halves are read instead, for this reason.
    Split(String),
    /// It cannot be proved, for this reason.
    Failed(String),
}

/// A slice of more pages is split whatever it shows: this many are asked for at once, and a total that is nonsense must
/// not fill the memory with page numbers.
const MOST_PAGES: u64 = 100_000;

/// One slice, as far as it has been read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) slice: Slice,
    page_size: u32,
    /// Passes that may prove nothing.
    max_passes: u32,
    /// Whether its halves can be read instead.
    splittable: bool,
    /// The current pass, from 1.
    pub(crate) pass: u32,
    pages: BTreeMap<u32, PageFacts>,
    /// Pages of the current pass that are not read yet.
    wanted: BTreeSet<u32>,
    /// The last page of the current pass, as far as its totals tell.
    last: u32,
    /// Those of the wanted pages that were not handed out by [`Reading::take_unasked`].
    unasked: Vec<u32>,
    counted: Option<Counted>,
    unproved: u32,
    pub(crate) state: State,
}

impl Reading {
    pub(crate) fn new(slice: Slice, page_size: u32, max_passes: u32, splittable: bool) -> Self {
        let mut reading = Self {
            slice,
            page_size: page_size.max(1),
            max_passes,
            splittable,
            pass: 0,
            pages: BTreeMap::new(),
            wanted: BTreeSet::new(),
            last: 0,
            unasked: Vec::new(),
            counted: None,
            unproved: 0,
            state: State::Reading,
        };
        reading.again();
        reading
    }

    /// Takes a page of pass `pass`; a page of another pass, or one that is known, changes nothing.
    pub(crate) fn page(&mut self, pass: u32, page: u32, facts: PageFacts) {
        if !self.wants(pass, page) {
            return;
        }
        if let Some(counted) = &mut self.counted {
            facts.ids.iter().for_each(|id| {
                counted.missing.remove(id);
            });
        }
        let last = facts.total.div_ceil(u64::from(self.page_size)).clamp(1, MOST_PAGES);
        self.want(u32::try_from(last).unwrap_or(u32::MAX));
        self.wanted.remove(&page);
        self.pages.insert(page, facts);
        self.assess();
    }

    fn want(&mut self, last: u32) {
        if last > self.last {
            self.wanted.extend(self.last + 1..=last);
            self.unasked.extend(self.last + 1..=last);
            self.last = last;
        }
    }

    /// Whether this page is still to be read.
    pub(crate) fn wants(&self, pass: u32, page: u32) -> bool {
        self.state == State::Reading && pass == self.pass && self.wanted.contains(&page)
    }

    /// Whether this page may be wanted later: its pass has not begun yet, or the total that calls for it is not known yet.
    pub(crate) fn may_want(&self, pass: u32, page: u32) -> bool {
        let unread = pass > self.pass || (pass == self.pass && !self.pages.contains_key(&page));
        self.state == State::Reading && unread
    }

    /// The pages of the current pass that nobody was asked for yet; each is handed out once.
    pub(crate) fn take_unasked(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.unasked)
    }

    /// Has every page that is still wanted handed out again.
    pub(crate) fn ask_again(&mut self) {
        self.unasked = self.wanted.iter().copied().collect();
    }

    fn assess(&mut self) {
        if let Some(counted) = self.counted.take_if(|counted| counted.missing.is_empty()) {
            let (confirmed_by, distinct) = (Some(self.pass), counted.ids.len() as u64);
            let Counted { pass, pages, ids, .. } = counted;
            let slice = self.slice;
            let proof = SliceProof { slice, pass, confirmed_by, pages, total: distinct, distinct };
            return self.prove(proof, ids);
        }
        match self.shown() {
            Shown::Unread => {
                // Reading on would prove nothing; where halves can be read instead, that is the faster way. Where not,
                // the rows on the other pages are worth having all the same.
                if self.splittable
                    && let Some(reason) = self.hopeless()
                {
                    self.end(State::Split(reason));
                }
            }
            Shown::OnePage => {
                let ids = self.distinct();
                let (slice, pass, distinct) = (self.slice, self.pass, ids.len() as u64);
                let proof =
                    SliceProof { slice, pass, confirmed_by: None, pages: 1, total: distinct, distinct };
                self.prove(proof, ids);
            }
            Shown::Counted => {
                let (pass, ids) = (self.pass, self.distinct());
                let pages = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
                match self.counted.take() {
                    Some(before) => self.nothing(format!(
                        "{} of {} orders left while the pages were read",
                        before.missing.len(),
                        before.ids.len()
                    )),
                    None => self.again(),
                }
                if self.state == State::Reading {
                    self.counted = Some(Counted { pass, pages, missing: ids.clone(), ids });
                }
            }
            // What counted before may still be found again in the next pass.
            Shown::Nothing(reason) => self.nothing(reason),
        }
    }

    /// What the pages of the current pass show by themselves.
    fn shown(&self) -> Shown {
        let Some(first) = self.pages.get(&1) else {
            return Shown::Unread;
        };
        let (rows, total) = (first.ids.len() as u64, first.total);
        let on_first = first.ids.iter().collect::<HashSet<_>>().len() as u64;
        if on_first == total {
            return Shown::OnePage;
        }
        if rows + first.gone < u64::from(self.page_size).min(total) {
            let hint = match rows {
                0 => "",
                _ => ": if it never gives more rows a page, lower source.request.count to that",
            };
            return Shown::Nothing(format!("page 1 holds {rows} rows where the source counts {total}{hint}"));
        }
        if total > MOST_PAGES * u64::from(self.page_size) {
            return Shown::Nothing(format!("the source counts {total} orders, more than {MOST_PAGES} pages"));
        }
        if !self.wanted.is_empty() {
            return Shown::Unread;
        }
        if let Some((page, other)) = self.pages.iter().find(|(_, facts)| facts.total != total) {
            let other = other.total;
            return Shown::Nothing(format!(
                "the total changed from {total} to {other} at page {page} while the pages were read"
            ));
        }
        let gone: u64 = self.pages.values().map(|facts| facts.gone).sum();
        if gone > 0 {
            return Shown::Nothing(format!(
                "{gone} orders were listed and gone when their detail was asked for"
            ));
        }
        match self.distinct().len() as u64 {
            distinct if distinct == total => Shown::Counted,
            distinct => Shown::Nothing(format!(
                "{distinct} distinct orders were read where the source counts {total}: rows moved"
            )),
        }
    }

    /// Why this pass cannot prove anything any more, whatever its other pages hold.
    fn hopeless(&self) -> Option<String> {
        let totals = || self.pages.values().map(|facts| facts.total);
        let (least, most) = (totals().min()?, totals().max()?);
        match &self.counted {
            // Orders that enter while the counted ones are looked for do no harm.
            Some(counted) if least < counted.ids.len() as u64 => Some(format!(
                "the total fell from {} to {least} while the pages were read",
                counted.ids.len()
            )),
            None if least != most => {
                Some(format!("the total was {least} and {most} while the pages were read"))
            }
            _ => None,
        }
    }

    fn nothing(&mut self, reason: String) {
        self.unproved += 1;
        // One page is one moment: what contradicts itself there is no drift, and halves would not help.
        let drift = self.pages.values().any(|facts| facts.total > u64::from(self.page_size));
        if self.splittable && drift {
            self.end(State::Split(reason));
        } else if self.unproved >= self.max_passes {
            self.end(State::Failed(reason));
        } else {
            self.again();
        }
    }

    fn again(&mut self) {
        (self.pass, self.last) = (self.pass + 1, 0);
        self.pages.clear();
        self.wanted.clear();
        self.unasked.clear();
        self.want(1);
    }

    fn end(&mut self, state: State) {
        if matches!(state, State::Split(_)) {
            (self.pages, self.counted) = (BTreeMap::new(), None);
        }
        self.state = state;
        self.wanted.clear();
        self.unasked.clear();
    }

    fn prove(&mut self, proof: SliceProof, ids: HashSet<Id>) {
        self.pages.clear();
        self.counted = Some(Counted { pass: proof.pass, pages: proof.pages, ids, missing: HashSet::new() });
        self.end(State::Proved(proof));
    }

    fn distinct(&self) -> HashSet<Id> {
        self.pages.values().flat_map(|facts| facts.ids.iter().copied()).collect()
    }

    /// The orders of a slice that is proved.
    pub(crate) fn orders(&self) -> impl Iterator<Item = Id> {
        let proved = self.counted.as_ref().filter(|_| matches!(self.state, State::Proved(_)));
        proved.into_iter().flat_map(|counted| counted.ids.iter().copied())
    }

    /// Orders the current pass has read; of a proved slice, those it holds.
    pub(crate) fn rows(&self) -> u64 {
        match &self.state {
            State::Proved(proof) => proof.distinct,
            _ => self.pages.values().map(|facts| facts.ids.len() as u64).sum(),
        }
    }

    /// Distinct orders the current pass has read.
    pub(crate) fn distinct_so_far(&self) -> u64 {
        self.distinct().len() as u64
    }
}

#[cfg(test)]
mod tests;
