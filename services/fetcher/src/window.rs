//! The fold of one window's events: its slices, and what it needs next.

use std::collections::BTreeMap;

use events::{Micros, News, OrderDigest, PageFetched, Proof, Slice, WindowEvent, WindowOpened};

use crate::completeness::{PageFacts, Reading, State};
use crate::contents::Contents;
use crate::granularity::Granularity;

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

/// How a window ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Closed(Proof),
    Failed(String),
}

/// What an open window needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Pages that are under way or still to be asked for.
    Pages,
    /// To be closed: proved up to this moment.
    Close(Proof, Micros),
    /// To be given up.
    Fail(String),
}

/// A page of a window.
pub(crate) type Wanted = (Slice, u32, u32);

/// A window may read so many pages beyond those it would take without any drift; a source that never settles must not
/// keep us busy for ever.
const FREE_PAGES: u64 = 1_000;
const PAGES_PER_PAGE: u64 = 20;

/// The source's clock may be so far behind ours before we believe that it is another time there.
pub(crate) const CLOCKS: Micros = 5_000_000;

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
    /// The earliest time the source's clock showed on a page.
    source_now: Option<Micros>,
    failure: Option<String>,
    proof: Option<Proof>,
    /// How far it was when it ended.
    at_end: Option<Progress>,
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
            source_now: None,
            failure: None,
            proof: None,
            at_end: None,
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
    }

    fn page(&mut self, page: PageFetched, granularity: &Granularity) {
        if self.opened.news != News::Changed {
            self.contents.note(self.opened.listing, &page);
        }
        self.pages_read += 1;
        self.first_total.get_or_insert(page.total);
        self.source_now = match (self.source_now, page.source_now) {
            (Some(known), Some(now)) => Some(known.min(now)),
            (known, now) => known.or(now),
        };
        let slice = page.slice.unwrap_or_else(|| self.whole());
        let Some(reading) = self.readings.get_mut(&slice).filter(|one| one.wants(page.pass, page.page))
        else {
            return;
        };
        let had = (0_u32..).zip(&page.ids).filter(|(row, _)| page.gone.binary_search(row).is_err());
        let ids = had.map(|(_, id)| OrderDigest::of(id)).collect();
        let facts = PageFacts { total: page.total, ids, gone: page.gone.len() as u64 };
        reading.page(page.pass, page.page, facts);
        match reading.state.clone() {
            State::Reading => self.asking.push(slice),
            State::Proved(_) => {}
            State::Split(why) => {
                tracing::info!(window = %self.opened.window, since = granularity.shown(slice.since),
                    until = granularity.shown(slice.until), why, "a slice does not settle; its halves are read");
                if let Some((first, second)) = granularity.halves(slice) {
                    self.read(first, granularity);
                    self.read(second, granularity);
                }
            }
            State::Failed(reason) => {
                let passes = self.opened.max_passes;
                let (since, until) = (granularity.shown(slice.since), granularity.shown(slice.until));
                self.failure.get_or_insert(format!(
                    "{since} to {until} is not proved complete in {passes} passes; the last: {reason}"
                ));
            }
        }
        let calm = self.first_total.unwrap_or(0).div_ceil(u64::from(self.opened.page_size.max(1)));
        let most = FREE_PAGES.saturating_add(calm.saturating_mul(PAGES_PER_PAGE));
        if self.pages_read > most {
            self.failure.get_or_insert(format!(
                "it did not settle within {most} pages ({} slices): does the source honour start_time and end_time to the \
                 second? If it counts whole days, set source.granularity = \"day\"",
                self.slices()
            ));
        }
        if self.leaves().all(|reading| matches!(reading.state, State::Proved(_))) {
            self.proof = Some(self.proved());
        }
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

    /// What the window needs, `settle` being how far short of now its end has to lie.
    pub(crate) fn next(&self, settle: Micros, granularity: &Granularity) -> Next {
        if let Some(reason) = &self.failure {
            return Next::Fail(reason.clone());
        }
        let Some(proof) = &self.proof else { return Next::Pages };
        // What the source stamps after its own clock's time can still come: the proof reaches no further.
        let until = match self.source_now {
            Some(now) if now + CLOCKS < self.opened.until + settle => now - settle,
            _ => self.opened.until,
        };
        if until <= self.opened.since {
            let shown = granularity.shown(until + settle);
            return Next::Fail(format!(
                "the source's clock shows {shown}: nothing of this window is over there yet"
            ));
        }
        Next::Close(proof.clone(), until.min(self.opened.until))
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

    /// The pages to ask for now; each is handed out once.
    pub(crate) fn take_unasked(&mut self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for slice in std::mem::take(&mut self.asking) {
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
