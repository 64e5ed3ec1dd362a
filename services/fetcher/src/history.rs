//! The fetch history, folded from SYNC: the lanes and their windows, the backfills, what is in RAW already, and the
//! source's clock. Shared between the planner, which follows the log, and the tasks that fetch pages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use events::{
    BackfillEnded, BackfillRequested, DELETED, LIVE, Listing, Micros, PageFetched, PageJob, WatermarkMoved,
    WindowEvent, WindowFailed, WindowId, WindowOpened,
};
use journal::{Entry, JournalError, Topology};

use crate::clock::{ClockOffset, is_future};
use crate::contents::{Contents, Known};
use crate::granularity::{Granularity, SECOND};
use crate::window::{End, SplitSlice, Window};

/// So many numbers of windows are kept of a lane.
const NUMBERS: usize = 256;

/// So many earlier watermarks are kept of a lane, one an hour.
const EARLIER: usize = 4_096;

/// A lane: a sequence of windows, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// How far it is proved, and the sequence of the message that says so.
    pub(crate) watermark: Option<(Micros, u64)>,
    /// When the watermark moved last.
    pub(crate) moved_at: Option<Micros>,
    /// Earlier watermarks, the lowest of each hour: the newest may have been written by a clock that was ahead.
    earlier: BTreeMap<i64, Micros>,
    /// The end of the window that closed last, whatever of it is proved.
    pub(crate) reached: Micros,
    /// The number of its newest window.
    pub(crate) newest: u64,
    /// The highest numbers of its windows: those of sweeps are times, and may be of the future.
    numbers: BTreeSet<u64>,
    /// Its newest window, as far as it was read.
    pub(crate) window: Option<Window>,
    /// Windows in a row that failed.
    pub(crate) failed: u32,
}

impl Lane {
    /// The window that is open.
    pub(crate) fn open(&mut self) -> Option<&mut Window> {
        self.window.as_mut().filter(|window| window.end.is_none())
    }

    /// Whether a next window may be opened: none is open, and what the last one proved has been read.
    pub(crate) fn is_idle(&self) -> bool {
        match self.window.as_ref().map(|window| &window.end) {
            None | Some(Some(End::Failed(_))) => true,
            // Its watermark was written in the same batch, right behind it.
            Some(Some(End::Closed(_))) => self.moved_at.is_some(),
            Some(None) => false,
        }
    }

    /// When its newest window was opened. After a restart that is known only by when it moved the watermark. None when that
    /// lies in the future: it was written by a clock that was ahead.
    pub(crate) fn opened_at(&self, now: Micros) -> Option<Micros> {
        let at = self.window.as_ref().map(|window| window.opened_at).or(self.moved_at);
        at.filter(|at| !is_future(*at, now))
    }

    /// How far it is proved. A watermark that lies in the future was written by a clock that was ahead: then it is the one
    /// before, or the beginning.
    pub(crate) fn proved(&self, now: Micros) -> Option<Micros> {
        let newest = self.watermark.map(|(to, _)| to).filter(|to| !is_future(*to, now));
        newest.or_else(|| self.earlier.values().rev().find(|to| !is_future(**to, now)).copied())
    }

    /// Whether a window up to `goal` has closed.
    pub(crate) fn has_reached(&self, goal: Micros, now: Micros) -> bool {
        self.reached >= goal && !is_future(self.reached, now)
    }

    /// Whether a window of this slot of time, or of a later one that has come, was opened.
    pub(crate) fn has_swept(&self, slot: u64, now: Micros) -> bool {
        let now = u64::try_from(now / SECOND).unwrap_or(0);
        self.numbers.range(slot..=now.max(slot)).next().is_some()
    }

    /// Takes note of a watermark that the window of this number moved; `stored` is the sequence of the message and when it was
    /// written.
    pub(crate) fn note_watermark(&mut self, to: Micros, number: u64, stored: (u64, Micros)) {
        let (seq, at) = stored;
        if self.watermark.is_some_and(|(before, _)| to < before) {
            // It was put back: what stood there was written by a clock that was ahead.
            self.earlier.retain(|_, known| *known <= to);
        }
        self.watermark = Some((to, seq));
        self.moved_at = Some(at);
        self.note_number(number);
        let lowest = self.earlier.entry(to.div_euclid(3_600 * SECOND)).or_insert(to);
        *lowest = to.min(*lowest);
        if self.earlier.len() > EARLIER {
            self.earlier.pop_first();
        }
        if self.window.is_none() {
            self.reached = to;
        }
    }

    /// Whether the window of this number has been opened, and another one after it.
    fn has_passed(&self, number: u64) -> bool {
        self.numbers.contains(&number) || self.numbers.first().is_some_and(|first| number < *first)
    }

    /// Takes note of the number of a window.
    pub(crate) fn note_number(&mut self, number: u64) {
        self.newest = self.newest.max(number);
        self.numbers.insert(number);
        if self.numbers.len() > NUMBERS {
            self.numbers.pop_first();
        }
    }
}

/// A backfill that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Backfill {
    pub(crate) requested: BackfillRequested,
    /// The sequence of the newest message about it.
    pub(crate) seq: u64,
    pub(crate) ended: Option<BackfillEnded>,
}

/// The fold of SYNC.
#[derive(Debug)]
pub(crate) struct History {
    granularity: Granularity,
    pub(crate) lanes: BTreeMap<String, Lane>,
    pub(crate) backfills: BTreeMap<String, Backfill>,
    contents: Contents,
    /// How far the source's clock is ahead of ours, as the newest pages showed it.
    pub(crate) offset: ClockOffset,
    /// The last page in RAW that SYNC knows of.
    pub(crate) raw_seq: u64,
}

/// What an entry of SYNC told.
#[derive(Debug)]
pub(crate) enum Told {
    /// A window has ended.
    Ended(WindowId, End),
    /// A backfill has ended.
    Backfill(BackfillEnded),
    /// Slices of a window do not settle, and are read in halves.
    Split(WindowId, Vec<SplitSlice>),
    /// Something else.
    Nothing,
}

impl History {
    pub(crate) fn new(granularity: Granularity) -> Self {
        Self {
            granularity,
            lanes: BTreeMap::new(),
            backfills: BTreeMap::new(),
            contents: Contents::default(),
            offset: ClockOffset::default(),
            raw_seq: 0,
        }
    }

    pub(crate) fn lane(&mut self, name: &str) -> &mut Lane {
        self.lanes.entry(name.to_string()).or_default()
    }

    /// Folds one entry.
    ///
    /// # Errors
    /// When it is not what its subject says.
    pub(crate) fn apply(&mut self, names: &Topology, entry: &Entry) -> Result<Told, JournalError> {
        let kind = entry.subject.strip_prefix(names.flow()).unwrap_or_default();
        if kind.starts_with(".sync.watermark") {
            self.moved(entry)?;
            return Ok(Told::Nothing);
        }
        if kind.starts_with(".sync.backfill.") {
            return self.backfill(entry);
        }
        let event = WindowEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))?;
        let Some(id) = entry.subject.rsplit('.').next() else { return Ok(Told::Nothing) };
        if let WindowEvent::Opened(opened) = event {
            let at = entry.event::<WindowOpened>()?.at;
            let window = Window::new(opened, entry.seq, at, &self.granularity);
            let lane = self.lanes.entry(window.opened.window.lane().to_string()).or_default();
            lane.note_number(window.opened.window.number());
            (lane.window, lane.moved_at) = (Some(window), None);
            return Ok(Told::Nothing);
        }
        match &event {
            WindowEvent::Page(page) => self.page(page),
            WindowEvent::Part(part) => {
                self.contents.note_part(part);
                self.raw_seq = self.raw_seq.max(part.raw_seq);
            }
            _ => {}
        }
        let known = self.lanes.values_mut().find(|lane| {
            lane.window
                .as_ref()
                .is_some_and(|window| window.opened.window.as_str() == id && window.end.is_none())
        });
        let Some((lane, window)) = known.and_then(|lane| lane.window.take().map(|window| (lane, window)))
        else {
            return Ok(Told::Nothing);
        };
        let mut window = window;
        window.apply(event, entry.seq, &self.granularity);
        let splits = window.take_splits();
        let told = match &window.end {
            None if !splits.is_empty() => Told::Split(window.opened.window.clone(), splits),
            None => Told::Nothing,
            Some(end) => {
                match end {
                    End::Closed(_) => {
                        lane.failed = 0;
                        lane.reached = window.opened.until;
                    }
                    // One that a clock that was ahead opened says nothing about the source.
                    End::Failed(_) if is_future(window.opened.since, written_at(entry)) => {}
                    End::Failed(_) => lane.failed += 1,
                }
                Told::Ended(window.opened.window.clone(), end.clone())
            }
        };
        lane.window = Some(window);
        Ok(told)
    }

    /// Takes note of a watermark.
    pub(crate) fn moved(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let moved = entry.event::<WatermarkMoved>()?;
        let WatermarkMoved { to, window } = moved.body;
        self.lane(window.lane()).note_watermark(to, window.number(), (entry.seq, moved.at));
        Ok(())
    }

    /// Takes note of a backfill's request or end.
    pub(crate) fn backfill(&mut self, entry: &Entry) -> Result<Told, JournalError> {
        if let Ok(requested) = entry.event::<BackfillRequested>() {
            let backfill = Backfill { requested: requested.body, seq: entry.seq, ended: None };
            self.backfills.insert(backfill.requested.id.clone(), backfill);
            return Ok(Told::Nothing);
        }
        let ended = entry.event::<BackfillEnded>()?.body;
        if let Some(backfill) = self.backfills.get_mut(&ended.id) {
            (backfill.seq, backfill.ended) = (entry.seq, Some(ended.clone()));
        }
        Ok(Told::Backfill(ended))
    }

    fn page(&mut self, page: &PageFetched) {
        self.contents.note(listing_of(&page.window), page);
        if let (Some(source), Some(ours)) = (page.source_now, page.read_at) {
            self.offset.note(source, ours);
        }
        self.raw_seq = self.raw_seq.max(page.raw_seq);
    }

    /// Forgets what lies in RAW: everything that is read again goes on.
    pub(crate) fn forget(&mut self) {
        self.contents = Contents::default();
    }

    /// The window of a job while the job is still wanted; `Err(true)` when the log is known to have moved past it, and
    /// `Err(false)` when we have not read that far yet.
    pub(crate) fn wanted(&self, job: &PageJob) -> Result<(WindowOpened, events::Slice), bool> {
        let Some(lane) = self.lanes.get(job.window.lane()) else { return Err(false) };
        match &lane.window {
            Some(known) if known.opened.window == job.window => {
                let slice = job.slice.unwrap_or_else(|| known.whole());
                let page = (slice, job.pass, job.page);
                if known.wants(page) { Ok((known.opened.clone(), slice)) } else { Err(!known.may_want(page)) }
            }
            _ => Err(lane.has_passed(job.window.number())),
        }
    }

    /// Whether a window is open now, as far as has been read.
    pub(crate) fn is_open(&mut self, window: &WindowId) -> bool {
        self.lane(window.lane()).open().is_some_and(|open| open.opened.window == *window)
    }

    /// How many orders were read, and not deleted since, as far back as the history was read.
    pub(crate) fn orders_known(&self) -> u64 {
        self.contents.orders()
    }

    /// What the list of orders said last of an order.
    pub(crate) fn known_order(&self, id: &str) -> Option<Known> {
        self.contents.get(Listing::Orders, id)
    }

    /// Whether no window over deletions has closed yet.
    pub(crate) fn is_first_of_deletions(&self) -> bool {
        self.lanes.get(DELETED).is_none_or(|lane| lane.watermark.is_none())
    }

    /// What was read last of an order before, and within this window.
    pub(crate) fn known(&self, window: &WindowOpened, id: &str) -> (Option<Known>, Option<Known>) {
        let lane = self.lanes.get(window.window.lane());
        let own = lane.and_then(|lane| lane.window.as_ref()).filter(|own| own.opened.window == window.window);
        let within = own.and_then(|own| own.contents.get(window.listing, id));
        (self.contents.get(window.listing, id), within)
    }
}

/// What a window lists tells its lane: a page is noted without its window, which may have been opened long before.
fn listing_of(window: &WindowId) -> Listing {
    match window.lane() {
        DELETED => Listing::Deleted,
        _ => Listing::Orders,
    }
}

/// When an event was written, by its writer's clock.
fn written_at(entry: &Entry) -> Micros {
    entry.event::<WindowFailed>().map_or(entry.stored_at, |failed| failed.at)
}

/// The lanes of sweeps are called so, with a number.
pub(crate) const SWEEP: &str = "sweep";

/// Whether the windows of a lane are not to hold up the timed ones.
pub(crate) fn is_background(lane: &str) -> bool {
    !matches!(lane, LIVE | DELETED)
}

/// The history, shared.
#[derive(Debug)]
pub(crate) struct Shared(Mutex<History>);

impl Shared {
    pub(crate) fn new(granularity: Granularity) -> Self {
        Self(Mutex::new(History::new(granularity)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
