//! The fetch history, folded from SYNC: the lanes and their windows, the backfills, what is in RAW already, and the
//! source's clock. Shared between the planner, which follows the log, and the tasks that fetch pages.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use events::{
    BackfillEnded, BackfillRequested, DELETED, LIVE, Listing, Micros, PageFetched, PageJob, WatermarkMoved,
    WindowEvent, WindowId, WindowOpened,
};
use journal::{Entry, JournalError, Topology};

use crate::contents::{Contents, Known};
use crate::granularity::Granularity;
use crate::window::{End, Window};

/// A lane: a sequence of windows, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// How far it is proved, and the sequence of the message that says so.
    pub(crate) watermark: Option<(Micros, u64)>,
    /// When the watermark moved last.
    pub(crate) moved_at: Option<Micros>,
    /// The furthest end of a window that closed, whatever of it is proved.
    pub(crate) reached: Micros,
    /// The number of its newest window.
    pub(crate) newest: u64,
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

    /// When its newest window was opened. After a restart that is known only by when it moved the watermark.
    pub(crate) fn opened_at(&self) -> Option<Micros> {
        self.window.as_ref().map(|window| window.opened_at).or(self.moved_at)
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
    /// How far the source's clock is ahead of ours, as the newest page showed it.
    pub(crate) clock: Option<Micros>,
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
            clock: None,
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
            lane.newest = lane.newest.max(window.opened.window.number());
            (lane.window, lane.moved_at) = (Some(window), None);
            return Ok(Told::Nothing);
        }
        if let WindowEvent::Page(page) = &event {
            self.page(page);
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
        let told = match &window.end {
            None => Told::Nothing,
            Some(end) => {
                match end {
                    End::Closed(_) => {
                        (lane.failed, lane.reached) = (0, lane.reached.max(window.opened.until));
                    }
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
        let lane = self.lane(moved.body.window.lane());
        (lane.watermark, lane.moved_at) = (Some((moved.body.to, entry.seq)), Some(moved.at));
        (lane.reached, lane.newest) =
            (lane.reached.max(moved.body.to), lane.newest.max(moved.body.window.number()));
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
            self.clock = Some(source - ours);
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
            _ => Err(job.window.number() <= lane.newest),
        }
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
