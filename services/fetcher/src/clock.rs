//! The clocks: ours, which can be given, and the source's, as its pages show it. No reading of either may stop the flow:
//! one that is wrong is outvoted, or is corrected by the next page.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use events::Micros;

use crate::granularity::SECOND;

/// Two clocks may be so far apart before we believe that it is another time there.
pub(crate) const CLOCKS: Micros = 5 * SECOND;

/// The most that two zones differ by: a clock that is further behind does not tell the time.
const FURTHEST: Micros = 26 * 3_600 * SECOND;

/// So many of the newest readings of the source's clock are kept for the plan.
const READINGS: usize = 9;

/// Our clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Micros + Send + Sync>);

impl Clock {
    /// A clock of one's own, for tests.
    pub fn new(now: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now, in microseconds since the Unix epoch.
    pub fn now(&self) -> Micros {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(events::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Whether a moment lies in the future: it was written by a clock that was wrong.
pub(crate) fn is_future(moment: Micros, now: Micros) -> bool {
    moment > now.saturating_add(CLOCKS)
}

/// How far the source's clock is ahead of ours, by the newest pages of all windows. The middle of them counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClockOffset(VecDeque<Micros>);

impl ClockOffset {
    pub(crate) fn note(&mut self, source: Micros, ours: Micros) {
        self.0.push_back(source.saturating_sub(ours));
        if self.0.len() > READINGS {
            self.0.pop_front();
        }
    }

    /// How far behind ours the source's clock is, 0 where it is not: at most as far as two zones differ.
    pub(crate) fn behind(&self) -> Micros {
        let offset = middle(self.0.iter().copied()).unwrap_or(0);
        if offset < -CLOCKS { offset.saturating_neg().min(FURTHEST) } else { 0 }
    }
}

/// The times that the source's clock showed on the pages of one window.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceTimes(Vec<Micros>);

impl SourceTimes {
    pub(crate) fn note(&mut self, now: Micros) {
        // The pages of a window are many; the earliest and the middle of the first thousand say enough.
        if self.0.len() < 1_000 {
            self.0.push(now);
        } else if let Some(earliest) = self.0.iter_mut().min() {
            *earliest = now.min(*earliest);
        }
    }

    /// How far a window that ends at `until` is over at the source, `settle` being how far short of its clock that is.
    ///
    /// The earliest time that was shown counts, for what the source stamps later can still come. When nothing after `since` is
    /// over by that clock, a few pages were answered by a clock that is wrong, or all were: then the middle one counts.
    pub(crate) fn reach(&self, since: Micros, until: Micros, settle: Micros) -> Micros {
        let reach = |now: Micros| {
            let is_behind = now.saturating_add(CLOCKS) < until.saturating_add(settle);
            if is_behind { now.saturating_sub(settle).min(until) } else { until }
        };
        let earliest = self.0.iter().min().map_or(until, |now| reach(*now));
        if earliest <= since {
            return middle(self.0.iter().copied()).map_or(until, reach);
        }
        earliest
    }
}

/// The lower one in the middle.
fn middle(readings: impl Iterator<Item = Micros>) -> Option<Micros> {
    let mut sorted: Vec<Micros> = readings.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests;
