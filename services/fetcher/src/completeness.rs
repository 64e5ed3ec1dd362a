//! When is a slice of time complete? A pure fold of the pages that were read of it (rule 4 of ARCHITECTURE.md).
//!
//! The source pages by number over a set that changes while it is read: a row that is edited leaves the window and all
//! rows behind it move up, so that one row is skipped although every page was full. Counting finds that, as long as
//! nothing enters meanwhile: when one row leaves and another one becomes visible, the total stays the same and as many
//! distinct ids are read, and yet a row may have been skipped.
//!
//! So what is proved is a moment: that at which page 1 of a pass was read and the source counted T orders. It is
//! complete when T different orders are known to have been there: those on that page, and those met both before it and
//! after it (an order that has left a range of the past does not come back to it). One page that holds everything is
//! its own proof; several pages take a second pass. Page 1 of a pass is asked for alone, when all of the pass before has
//! been read, so that before and after are certain whoever reads.
//!
//! What does not settle is split by time (`window.rs`), down to slices that one page holds.

use std::collections::{BTreeMap, BTreeSet};

use events::{OrderDigest, Slice, SliceProof};
use indexmap::IndexMap;

mod facts;
mod places;

pub(crate) use facts::PageFacts;
use facts::{Moment, PageRead};
use places::Places;

/// What a pass shows.
enum Shown {
    /// Pages of it are still to be read.
    Unread,
    /// As many distinct ids as one unchanged total: worth another look.
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

/// A slice of more pages is split whatever it shows.
pub(crate) const MOST_PAGES: u64 = 100_000;

/// So many pages are asked for ahead of those that were read: a total that is nonsense must not
/// fill the memory with page numbers.
pub(crate) const PAGES_AHEAD: u32 = 1_000;

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
    pages: BTreeMap<u32, PageRead>,
    /// The least and the most that the pages of the current pass gave as their total.
    totals: Option<(u64, u64)>,
    /// How many orders the pages of the current pass hold.
    rows: u64,
    /// Two pages of the current pass that hold the very same orders.
    twins: Option<(u32, u32)>,
    /// Pages of the current pass that are not read yet.
    wanted: BTreeSet<u32>,
    /// The last page of the current pass, as far as its totals tell.
    last: u32,
    /// The last page that was wanted until now.
    wanted_up_to: u32,
    /// The last page of the current pass that was read.
    read_up_to: u32,
    /// Those of the wanted pages that were not handed out by [`Reading::take_unasked`].
    unasked: Vec<u32>,
    moments: Vec<Moment>,
    /// The orders met, in the order of their first meeting, with its pass. A large window has a million of them: what else
    /// is known of them goes by their place here.
    met: IndexMap<OrderDigest, u32>,
    /// Of a proved slice, the orders it holds.
    proved: Vec<OrderDigest>,
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
            totals: None,
            rows: 0,
            twins: None,
            wanted: BTreeSet::new(),
            last: 0,
            wanted_up_to: 0,
            read_up_to: 0,
            unasked: Vec::new(),
            moments: Vec::new(),
            met: IndexMap::new(),
            proved: Vec::new(),
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
        if page == 1 {
            self.moments.push(Moment { pass, total: facts.total, here: Places::default() });
        }
        let mut orders = Vec::with_capacity(facts.ids.len());
        for id in facts.ids {
            let met = self.met.entry(id);
            // More would not fit into any memory.
            let place = u32::try_from(met.index()).unwrap_or(u32::MAX);
            let first = *met.or_insert(pass);
            for moment in &mut self.moments {
                if first < moment.pass || (page == 1 && pass == moment.pass) {
                    moment.here.insert(place);
                }
            }
            orders.push(place);
        }
        if let Some(twin) = self.twin_of(page, &orders) {
            self.twins.get_or_insert(twin);
        }
        let last = facts.total.div_ceil(u64::from(self.page_size)).clamp(1, MOST_PAGES);
        self.last = self.last.max(u32::try_from(last).unwrap_or(u32::MAX));
        self.read_up_to = self.read_up_to.max(page);
        self.want_ahead();
        self.wanted.remove(&page);
        let (least, most) = self.totals.unwrap_or((facts.total, facts.total));
        self.totals = Some((least.min(facts.total), most.max(facts.total)));
        self.rows += orders.len() as u64;
        self.pages.insert(page, PageRead { total: facts.total, gone: facts.gone, orders });
        self.assess();
    }

    /// The pages of this pass, if any, that hold the very same orders; a page with few orders may by chance.
    fn twin_of(&self, page: u32, orders: &[u32]) -> Option<(u32, u32)> {
        let is_full = orders.len() as u64 >= u64::from(self.page_size);
        let twin = self.pages.iter().find(|(_, other)| is_full && other.orders == orders);
        twin.map(|(other, _)| (page.min(*other), page.max(*other)))
    }

    /// Wants the pages up to the last one, or so many as are asked for ahead. None is wanted only
    /// when the last one was read: until then, the bound lies beyond all that were wanted.
    fn want_ahead(&mut self) {
        let up_to = self.last.min(self.read_up_to.saturating_add(PAGES_AHEAD));
        if up_to > self.wanted_up_to {
            self.wanted.extend(self.wanted_up_to + 1..=up_to);
            self.unasked.extend(self.wanted_up_to + 1..=up_to);
            self.wanted_up_to = up_to;
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
        let complete = |moment: &&Moment| moment.here.count() == moment.total;
        let one_page = self.moments.last().filter(|moment| moment.pass == self.pass && self.pages.len() == 1);
        // Looked at when a pass is over: a total that is too low would be met on the way.
        let whole = self.moments.iter().filter(|_| self.wanted.is_empty());
        if let Some(moment) = one_page.into_iter().chain(whole).find(complete) {
            return self.prove(moment.clone());
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
            Shown::Counted => match self.moments.last() {
                Some(moment) if moment.pass > 1 => {
                    let (total, here) = (moment.total, moment.here.count());
                    self.nothing(format!(
                        "of {total} orders only {here} were met before and after: rows moved while the pages were read"
                    ));
                }
                _ => self.again(),
            },
            // Another pass may complete this moment, or one of its own.
            Shown::Nothing(reason) => self.nothing(reason),
        }
    }

    /// What the pages of the current pass show by themselves.
    fn shown(&self) -> Shown {
        let Some(first) = self.pages.get(&1) else {
            return Shown::Unread;
        };
        let (rows, total) = (first.orders.len() as u64, first.total);
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
        match self.distinct_so_far() {
            distinct if distinct == total => Shown::Counted,
            distinct => {
                let why = self.twins.map_or_else(|| "rows moved".to_string(), shown_twins);
                Shown::Nothing(format!(
                    "{distinct} distinct orders were read where the source counts {total}: {why}"
                ))
            }
        }
    }

    /// Why this pass will hardly prove anything, whatever its other pages hold.
    fn hopeless(&self) -> Option<String> {
        if let Some(twins) = self.twins {
            return Some(shown_twins(twins));
        }
        let (least, most) = self.totals?;
        let moment = self.moments.last()?;
        match moment.pass {
            1 if least != most => Some(format!("the total was {least} and {most} while the pages were read")),
            // Orders that enter while the counted ones are looked for do no harm.
            2.. if least < moment.total => {
                Some(format!("the total fell from {} to {least} while the pages were read", moment.total))
            }
            _ => None,
        }
    }

    /// Takes note that a page is not given, whoever asks, or holds more than can be recorded:
    /// halves have fewer pages, and orders.
    pub(crate) fn refuse(&mut self, pass: u32, page: u32, reason: String) {
        if !self.wants(pass, page) {
            return;
        }
        self.end(if self.splittable { State::Split(reason) } else { State::Failed(reason) });
    }

    /// Has its halves read when it has so many pages that some of them are known to be refused.
    pub(crate) fn shrink(&mut self, refused_from: u32, reason: &str) {
        if self.splittable && self.state == State::Reading && self.last >= refused_from {
            self.end(State::Split(reason.to_string()));
        }
    }

    /// Takes note that a page contradicts what was read elsewhere: the pass proves nothing.
    pub(crate) fn contradict(&mut self, pass: u32, page: u32, reason: String) {
        if self.wants(pass, page) {
            self.nothing(reason);
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
        self.pass += 1;
        self.last = 1;
        self.wanted_up_to = 0;
        self.read_up_to = 0;
        self.pages.clear();
        self.totals = None;
        self.rows = 0;
        self.twins = None;
        self.wanted.clear();
        self.unasked.clear();
        self.want_ahead();
    }

    fn end(&mut self, state: State) {
        if matches!(state, State::Split(_)) {
            self.forget();
        }
        self.state = state;
        self.wanted.clear();
        self.unasked.clear();
    }

    fn prove(&mut self, Moment { pass, total, here }: Moment) {
        let pages = total.div_ceil(u64::from(self.page_size)).max(1);
        let alone = self.pages.len() == 1 && pass == self.pass;
        let proof = SliceProof {
            slice: self.slice,
            pass,
            confirmed_by: (!alone).then_some(self.pass),
            pages: if alone { 1 } else { u32::try_from(pages).unwrap_or(u32::MAX) },
            total,
            distinct: here.count(),
        };
        self.proved = here.iter().filter_map(|place| self.met.get_index(place)).map(|(id, _)| *id).collect();
        self.forget();
        self.end(State::Proved(proof));
    }

    /// What was read to prove it is not needed any more.
    fn forget(&mut self) {
        (self.pages, self.moments, self.met) = (BTreeMap::new(), Vec::new(), IndexMap::new());
        (self.totals, self.rows) = (None, 0);
    }

    /// The orders of a slice that is proved.
    pub(crate) fn orders(&self) -> &[OrderDigest] {
        &self.proved
    }

    /// Orders the current pass has read; of a proved slice, those it holds.
    pub(crate) fn rows(&self) -> u64 {
        match &self.state {
            State::Proved(proof) => proof.distinct,
            _ => self.rows,
        }
    }

    /// Distinct orders the current pass has read.
    pub(crate) fn distinct_so_far(&self) -> u64 {
        let mut distinct = Places::default();
        self.pages.values().flat_map(|page| &page.orders).for_each(|place| distinct.insert(*place));
        distinct.count()
    }
}

fn shown_twins((page, other): (u32, u32)) -> String {
    format!(
        "pages {page} and {other} hold the same orders: does the source, or a cache before it, read start_index?"
    )
}

#[cfg(test)]
mod tests;
