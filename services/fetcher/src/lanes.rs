//! Which windows are due. Pure: the history and the clock in, windows to open out.

use events::{DELETED, LIVE, Listing, Micros, News, WindowId, WindowOpened};

use crate::Mode;
use crate::clock::CLOCKS;
use crate::granularity::SECOND;
use crate::history::{Backfill, History, Lane, SWEEP};
use crate::settings::{Settings, Sweep};
use crate::step::BACKFILL_FAILURES;

/// What is due.
pub(crate) struct Due {
    /// Windows to open.
    pub(crate) open: Vec<WindowOpened>,
    /// Backfills that cannot be completed.
    pub(crate) give_up: Vec<Backfill>,
    /// For [`Mode::Once`]: whether nothing is left to do.
    pub(crate) rest: bool,
}

/// The times that the plan goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) now: Micros,
    /// With [`Mode::Once`], everything up to here is wanted and nothing is waited for.
    pub(crate) goal: Micros,
    /// Where a window that is opened now ends by our clock.
    pub(crate) ours: Micros,
    /// Where it ends by the source's clock, when that is behind.
    pub(crate) source: Micros,
}

/// The windows that are due.
pub(crate) fn due(history: &History, settings: &Settings, mode: Mode, times: Times) -> Due {
    let none = Lane::default();
    let lane = |name: &str| history.lanes.get(name).unwrap_or(&none);
    let mut due = Due { open: Vec::new(), give_up: Vec::new(), rest: true };
    let mut consider = |wanted: Option<WindowOpened>, busy: bool| {
        due.rest &= !busy && (wanted.is_none() || mode == Mode::Forever);
        due.open.extend(wanted.filter(|_| !busy));
    };
    let timed = [
        (LIVE, Listing::Orders, Some(&settings.cadence)),
        (DELETED, Listing::Deleted, settings.deleted.as_ref()),
    ];
    for (name, listing, cadence) in timed {
        let Some(cadence) = cadence else { continue };
        let lane = lane(name);
        let wanted = match mode {
            // What failed in this run is left to the next.
            Mode::Once => !lane.has_reached(times.goal, times.now) && lane.failed == 0,
            Mode::Forever => cadence.due(lane.opened_at(times.now)) <= times.now,
        };
        let opened = timed_window(settings, name, lane, listing, mode, times);
        consider(opened.filter(|_| wanted), !lane.is_idle());
    }
    // Sweeps begin when the live windows have had their turn: what both read is then known, and goes on once.
    let first = lane(LIVE).watermark.is_none() || !lane(LIVE).is_idle();
    for (number, sweep) in (1..).zip(&settings.sweeps) {
        let name = format!("{SWEEP}{number}");
        let lane = lane(&name);
        // A run sweeps once, however long it takes.
        let at = if mode == Mode::Once { times.goal } else { times.now };
        // By its time and not by its count, so that another `every` goes on behind what there is.
        let slot = u64::try_from((at - at.rem_euclid(sweep.every)) / SECOND).unwrap_or(0);
        let opened = swept(settings, &name, slot, *sweep, times.source);
        consider(opened.filter(|_| !lane.has_swept(slot, times.now) && !first), !lane.is_idle());
    }
    let mut give_up = Vec::new();
    for backfill in history.backfills.values().filter(|backfill| backfill.ended.is_none()) {
        let lane = lane(&backfill.requested.id);
        let hopeless = lane.is_idle() && lane.failed >= BACKFILL_FAILURES;
        give_up.extend(hopeless.then(|| backfill.clone()));
        let opened = filled(settings, backfill, lane, times.source);
        consider(opened.filter(|_| !hopeless), !lane.is_idle() || hopeless);
    }
    Due { give_up, ..due }
}

/// The next window of a lane that goes with the time: from what is proved to now. It ends earlier where the source's clock is
/// behind, but no reading of that clock keeps a window from being opened: it shows the clock anew.
fn timed_window(
    settings: &Settings,
    name: &str,
    lane: &Lane,
    listing: Listing,
    mode: Mode,
    times: Times,
) -> Option<WindowOpened> {
    let proved = lane.proved(times.now);
    let since = proved.map_or(settings.since.as_microsecond(), |to| to - settings.overlap);
    let until = match mode {
        // Another fetcher may be ahead of the goal already.
        Mode::Once => times.goal,
        // Either it is later than that there, or will be in a moment.
        Mode::Forever if times.source + CLOCKS >= since => times.source,
        Mode::Forever => times.ours,
    };
    window(settings, WindowId::new(name, lane.newest + 1), since, until, listing, News::Changed)
}

fn window(
    settings: &Settings,
    window: WindowId,
    since: Micros,
    until: Micros,
    listing: Listing,
    news: News,
) -> Option<WindowOpened> {
    let (page_size, max_passes) = (settings.page_size, settings.max_passes);
    (since < until).then_some(WindowOpened { window, since, until, page_size, max_passes, listing, news })
}

/// The window of a slot of time: its number is the same for every fetcher, so that one of them opens it.
fn swept(settings: &Settings, name: &str, slot: u64, sweep: Sweep, end: Micros) -> Option<WindowOpened> {
    let id = WindowId::new(name, slot);
    let since = (end - sweep.reach).max(settings.since.as_microsecond());
    let news = if sweep.details { News::Details } else { News::Changed };
    window(settings, id, since, end, Listing::Orders, news)
}

/// The next step of a backfill; none while its range is not over at the source.
fn filled(settings: &Settings, backfill: &Backfill, lane: &Lane, end: Micros) -> Option<WindowOpened> {
    let range = backfill.requested.range;
    let since = lane.watermark.map_or(range.since, |(to, _)| to);
    let until = since.saturating_add(backfill.requested.step).min(range.until);
    let id = WindowId::new(&backfill.requested.id, lane.newest + 1);
    window(settings, id, since, until, Listing::Orders, News::All).filter(|_| until <= end)
}

#[cfg(test)]
mod tests;
