//! The fold of one window's events: its slices, and what it needs next.

mod outcome;

use std::collections::{BTreeMap, HashMap, HashSet};

use events::{Micros, News, OrderDigest, PageFetched, PageRefused, Proof, Slice, WindowEvent, WindowOpened};

use crate::clock::{CLOCKS, SourceTimes};
use crate::completeness::{MOST_PAGES, PageFacts, Reading, State};
use crate::contents::{Contents, find_twice, fingerprint, hash_of_ids};
use crate::granularity::Granularity;

pub(crate) use outcome::{End, Next, SplitSlice};

/// How far a window is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// The window; `None` before the first.
    pub window: Option<String>,
    /// Orders read in the current passes.
    pub orders: u64,
    /// The total the source reported first, when known.
    pub total: Option<u64>,
    /// Pages read, in all passes.
    pub pages: u64,
    /// The most passes over any of its slices, from 1.
    pub pass: u32,
    /// How many slices it is read in.
    pub slices: usize,
    /// Whether it has ended.
    pub ended: bool,
}

/// A page of a window.
pub(crate) type Wanted = (Slice, u32, u32);

/// A window may read so many pages beyond those it would take without any drift; a source that never settles must not
/// keep us busy for ever.
const FREE_PAGES: u64 = 1_000;
const PAGES_PER_PAGE: u64 = 20;

/// A window of more pages is not begun: no source has so many orders, and no memory holds them.
const MOST_WINDOW_PAGES: u64 = 10 * MOST_PAGES;

/// A window, folded from its events.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) opened: WindowOpened,
    /// When it was opened.
    pub(crate) opened_at: Micros,
    /// The sequence of its newest event: what an append has to expect.
    pub(crate) last_seq: u64,
    readings: BTreeMap<Slice, Reading>,
    /// Slices that have pages to ask for.
    asking: Vec<Slice>,
    first_total: Option<u64>,
    pages_read: u64,
    /// The times the source's clock showed on its pages.
    source_times: SourceTimes,
    /// The first page number behind the first that was refused, and why: pages from there on are not asked for.
    refused_from: Option<(u32, String)>,
    /// The pages that were read, by a hash of all that is on them, each with its slices.
    pages: HashMap<u64, Vec<Slice>>,
    /// The pages that held orders, by a hash of their ids: how large the source shows itself to be,
    /// whatever it counts.
    listed: HashSet<u64>,
    /// The first order that a page lists more than once, with its page, for whoever reads why nothing is proved.
    listed_twice: Option<String>,
    failure: Option<String>,
    proof: Option<Proof>,
    /// How far it was when it ended.
    at_end: Option<Progress>,
    /// The slices that were split and of which nobody has been told.
    splits: Vec<SplitSlice>,
    /// What this window itself has read, when it does not go by what was read before.
    pub(crate) contents: Contents,
    pub(crate) end: Option<End>,
}

impl Window {
    pub(crate) fn new(opened: WindowOpened, seq: u64, at: Micros, granularity: &Granularity) -> Self {
        let mut window = Self {
            opened,
            opened_at: at,
            last_seq: seq,
            readings: BTreeMap::new(),
            asking: Vec::new(),
            first_total: None,
            pages_read: 0,
            source_times: SourceTimes::default(),
            refused_from: None,
            pages: HashMap::new(),
            listed: HashSet::new(),
            listed_twice: None,
            failure: None,
            proof: None,
            at_end: None,
            splits: Vec::new(),
            contents: Contents::default(),
            end: None,
        };
        window.read(window.whole(), granularity);
        window
    }

    /// The window as one slice.
    pub(crate) fn whole(&self) -> Slice {
        Slice { since: self.opened.since, until: self.opened.until }
    }

    fn read(&mut self, slice: Slice, granularity: &Granularity) {
        let (size, passes) = (self.opened.page_size, self.opened.max_passes);
        let reading = Reading::new(slice, size, passes, granularity.halves(slice).is_some());
        self.readings.insert(slice, reading);
        self.asking.push(slice);
    }

    pub(crate) fn apply(&mut self, event: WindowEvent, seq: u64, granularity: &Granularity) {
        self.last_seq = seq;
        match event {
            WindowEvent::Opened(_) => {}
            WindowEvent::Page(page) => self.page(page, granularity),
            WindowEvent::Part(part) => {
                if self.opened.news != News::Changed {
                    self.contents.note_part(&part);
                }
            }
            WindowEvent::Refused(refused) => self.refuse(refused, granularity),
            WindowEvent::Closed(closed) => self.ended(End::Closed(closed.proof)),
            WindowEvent::Failed(failed) => self.ended(End::Failed(failed.reason)),
        }
    }

    fn ended(&mut self, end: End) {
        self.end = Some(end);
        self.at_end = Some(self.progress());
        // The window stays as the newest of its lane; what was read of it is not needed any more.
        (self.readings, self.contents) = (BTreeMap::new(), Contents::default());
        self.asking.clear();
        self.pages = HashMap::new();
        self.listed = HashSet::new();
    }

    fn page(&mut self, page: PageFetched, granularity: &Granularity) {
        if self.opened.news != News::Changed {
            self.contents.note(self.opened.listing, &page);
        }
        self.pages_read += 1;
        self.listed.extend(hash_of_ids(&page));
        if self.listed_twice.is_none() {
            self.listed_twice = find_twice(&page);
        }
        self.first_total.get_or_insert(page.total);
        if self.counted_pages(page.total) > MOST_WINDOW_PAGES {
            let (total, size) = (page.total, self.opened.page_size);
            self.failure.get_or_insert(format!(
                "the source counts {total} orders, more than {MOST_WINDOW_PAGES} pages of {size}: is that a total?"
            ));
        }
        if let Some(now) = page.source_now {
            self.source_times.note(now);
        }
        let slice = page.slice.unwrap_or_else(|| self.whole());
        let (pass, number) = (page.pass, page.page);
        let elsewhere = self.seen_elsewhere(slice, &page, granularity);
        let Some(reading) = self.readings.get_mut(&slice).filter(|one| one.wants(pass, number)) else {
            return;
        };
        if let Some(other) = elsewhere {
            reading.contradict(pass, number, other);
        } else {
            let had = (0_u32..).zip(&page.ids).filter(|(row, _)| page.gone.binary_search(row).is_err());
            let ids = had.map(|(_, id)| OrderDigest::of(id)).collect();
            reading.page(pass, number, PageFacts { total: page.total, ids, gone: page.gone.len() as u64 });
        }
        if let Some((from, reason)) = &self.refused_from {
            reading.shrink(*from, reason);
        }
        self.follow(slice, granularity);
    }

    /// Says so when this very page, row by row, was read of another slice that has no moment and no local time in common
    /// with this one: one of the two answers belongs to another question.
    fn seen_elsewhere(
        &mut self,
        slice: Slice,
        page: &PageFetched,
        granularity: &Granularity,
    ) -> Option<String> {
        let known = self.pages.entry(fingerprint(page)?).or_default();
        let is_apart = |other: &&Slice| {
            (other.until < slice.since || slice.until < other.since)
                && !granularity.share_local_times(**other, slice)
        };
        let other = known.iter().find(is_apart).copied();
        if !known.contains(&slice) {
            known.push(slice);
        }
        let other = other?;
        let (since, until) = (granularity.shown(other.since), granularity.shown(other.until));
        let number = page.page;
        Some(format!(
            "page {number} is, row by row, a page of {since} to {until}: does a cache answer for the source?"
        ))
    }

    /// Has a slice read in halves of which a page is refused, where it can be.
    fn refuse(&mut self, refused: PageRefused, granularity: &Granularity) {
        let slice = refused.slice.unwrap_or_else(|| self.whole());
        let (pass, page) = (refused.pass, refused.page);
        let wanting = self.readings.get_mut(&slice).filter(|one| one.wants(pass, page));
        let Some(reading) = wanting else { return };
        reading.refuse(pass, page, refused.reason.clone());
        if page > 1 && self.refused_from.as_ref().is_none_or(|(from, _)| page < *from) {
            self.refused_from = Some((page, refused.reason));
        }
        self.follow(slice, granularity);
    }

    /// Does what the new state of a slice asks for.
    fn follow(&mut self, slice: Slice, granularity: &Granularity) {
        match self.readings.get(&slice).map(|reading| reading.state.clone()) {
            None | Some(State::Proved(_)) => {}
            Some(State::Reading) => self.asking.push(slice),
            Some(State::Split(why)) => {
                self.splits.push(SplitSlice { slice, why });
                if let Some((first, second)) = granularity.halves(slice) {
                    self.read(first, granularity);
                    self.read(second, granularity);
                }
            }
            Some(State::Failed(reason)) => {
                let passes = self.opened.max_passes;
                let (since, until) = (granularity.shown(slice.since), granularity.shown(slice.until));
                let twice = self.listed_twice.as_deref().unwrap_or_default();
                self.failure.get_or_insert(format!(
                    "{since} to {until} is not proved complete in {passes} passes; the last: {reason}{twice}"
                ));
            }
        }
        // A total is a foreign number: what it allows is held against the pages that were really
        // there.
        let calm = self.counted_pages(self.first_total.unwrap_or(0)).min(self.listed.len() as u64);
        let most = FREE_PAGES.saturating_add(calm.saturating_mul(PAGES_PER_PAGE));
        if self.pages_read > most {
            let slices = self.slices();
            self.failure.get_or_insert(format!(
                "it did not settle within {most} pages ({slices} slices): does the source honour start_time and end_time to the \
                 second? If it counts whole days, set source.granularity = \"day\""
            ));
        }
        if self.leaves().all(|reading| matches!(reading.state, State::Proved(_))) {
            self.proof = Some(self.proved());
        }
    }

    /// How many pages so many orders take.
    fn counted_pages(&self, total: u64) -> u64 {
        total.div_ceil(u64::from(self.opened.page_size.max(1)))
    }

    /// The slices that count: those that were not split.
    fn leaves(&self) -> impl Iterator<Item = &Reading> {
        self.readings.values().filter(|reading| !matches!(reading.state, State::Split(_)))
    }

    fn slices(&self) -> usize {
        self.leaves().count()
    }

    /// Adds the proofs of all slices up. An order on the second that two slices share counts once.
    fn proved(&self) -> Proof {
        let (mut ids, mut slices) = (Vec::new(), Vec::new());
        for reading in self.leaves() {
            ids.extend_from_slice(reading.orders());
            if let State::Proved(proof) = &reading.state {
                slices.push(proof.clone());
            }
        }
        ids.sort_unstable();
        ids.dedup();
        let twice = slices.iter().map(|proof| proof.distinct).sum::<u64>() - ids.len() as u64;
        Proof {
            pass: slices.iter().map(|proof| proof.pass).max().unwrap_or(1),
            pages: slices.iter().map(|proof| proof.pages).sum(),
            total: slices.iter().map(|proof| proof.total).sum::<u64>() - twice,
            distinct: ids.len() as u64,
            slices,
            pages_read: self.pages_read,
        }
    }

    /// What the window needs at `now`, `settle` being how far short of now its end has to lie.
    pub(crate) fn next(&self, settle: Micros, now: Micros, granularity: &Granularity) -> Next {
        if let Some(reason) = &self.failure {
            return Next::Fail(reason.clone());
        }
        let Some(proof) = &self.proof else { return Next::Pages };
        let Slice { since, until } = self.whole();
        let over = now.saturating_sub(settle);
        if over.saturating_add(CLOCKS) < since {
            let (begins, now) = (granularity.shown(since), granularity.shown(now));
            return Next::Fail(format!(
                "it begins at {begins}, and it is {now}: the clock of the fetcher that opened it was ahead"
            ));
        }
        // Two fetchers whose clocks differ a little close a window at the same moment, its end.
        let over = if over.saturating_add(CLOCKS) >= until { until } else { over };
        // What the source stamps after its own clock's time can still come: the proof reaches no further. And no proof reaches
        // beyond now, also when a clock that was ahead opened the window.
        let reach = self.source_times.reach(since, until, settle).min(over);
        if reach <= since {
            let shown = granularity.shown(reach.saturating_add(settle));
            return Next::Fail(format!(
                "the source's clock shows {shown}: nothing of this window is over there yet. Each page shows that clock \
                 anew, so one that was wrong passes; if it stays, is source.time_zone right?"
            ));
        }
        Next::Close(proof.clone(), reach)
    }

    /// Whether this page is still to be read.
    pub(crate) fn wants(&self, (slice, pass, page): Wanted) -> bool {
        self.end.is_none()
            && self.failure.is_none()
            && self.readings.get(&slice).is_some_and(|reading| reading.wants(pass, page))
    }

    /// Whether this page may be wanted later, as far as has been read: who asked for it has read further.
    pub(crate) fn may_want(&self, (slice, pass, page): Wanted) -> bool {
        let open = self.end.is_none() && self.failure.is_none();
        open && self.readings.get(&slice).is_none_or(|reading| reading.may_want(pass, page))
    }

    /// The slices that were split since this was asked last.
    pub(crate) fn take_splits(&mut self) -> Vec<SplitSlice> {
        std::mem::take(&mut self.splits)
    }

    /// The pages to ask for now; each is handed out once.
    pub(crate) fn take_unasked(&mut self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        let asking = std::mem::take(&mut self.asking);
        if self.failure.is_some() {
            return wanted;
        }
        for slice in asking {
            if let Some(reading) = self.readings.get_mut(&slice) {
                let pass = reading.pass;
                wanted.extend(reading.take_unasked().into_iter().map(|page| (slice, pass, page)));
            }
        }
        wanted
    }

    /// Has every page that is still wanted handed out again.
    pub(crate) fn ask_again(&mut self) {
        for (slice, reading) in &mut self.readings {
            if reading.state == State::Reading {
                reading.ask_again();
                self.asking.push(*slice);
            }
        }
    }

    #[cfg(test)]
    fn pass_of(&self, slice: Slice) -> u32 {
        self.readings.get(&slice).map_or(1, |reading| reading.pass)
    }

    pub(crate) fn progress(&self) -> Progress {
        if let Some(progress) = &self.at_end {
            return progress.clone();
        }
        Progress {
            window: Some(self.opened.window.to_string()),
            orders: self.leaves().map(Reading::rows).sum(),
            total: self.first_total,
            pages: self.pages_read,
            pass: self.leaves().map(|reading| reading.pass).max().unwrap_or(1),
            slices: self.slices(),
            ended: self.end.is_some(),
        }
    }

    /// The most passes, the first total, and the distinct orders of the current passes: what WindowFailed reports.
    pub(crate) fn account(&self) -> (u32, Option<u64>, u64) {
        let Progress { pass, total, .. } = self.progress();
        (pass, total, self.leaves().map(Reading::distinct_so_far).sum())
    }
}

#[cfg(test)]
mod tests;
