//! Backfills: a range of the past is read again, beside the live windows. A request in SYNC is all it takes; the fetchers
//! that run take it up, and what they write tells how far it is.

use events::{BackfillEnded, BackfillRequested, Micros, Slice, WatermarkMoved, WindowEvent, WindowId};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Record, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::account::{WindowLine, WindowState};
use crate::run::begun;

const SECOND: Micros = 1_000_000;

/// Why there is no such backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// It ends before it begins.
    #[error("the range is empty")]
    Empty,
    /// Steps that do not get anywhere.
    #[error("a step has at least a second, and whole seconds only")]
    Step,
}

/// A backfill as it is going to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct BackfillPlan {
    /// The operation, and the lane of its windows.
    pub id: String,
    /// What is read again.
    pub range: Slice,
    /// How much of it one window covers, in microseconds.
    pub step: Micros,
    /// How many windows that makes, if none has to be read twice.
    pub windows: u64,
}

impl BackfillPlan {
    /// The backfill of `range` that is asked for at `at`.
    ///
    /// # Errors
    /// When it would never end, or never begin.
    pub fn new(range: Slice, step: Micros, at: Micros) -> Result<Self, PlanError> {
        if range.since >= range.until {
            return Err(PlanError::Empty);
        }
        if step < SECOND || step % SECOND != 0 {
            return Err(PlanError::Step);
        }
        // Each window begins where the one before it ended; the last one may be shorter.
        let windows = range.until.abs_diff(range.since).div_ceil(step.unsigned_abs());
        Ok(Self { id: format!("backfill-{at}"), range, step, windows })
    }

    /// The step, in the largest unit that divides it: `1d`, `90m`.
    pub fn step_text(&self) -> String {
        let seconds = self.step / SECOND;
        let units = [("d", 86_400), ("h", 3_600), ("m", 60)];
        let (unit, size) = units.into_iter().find(|(_, size)| seconds % size == 0).unwrap_or(("s", 1));
        format!("{}{unit}", seconds / size)
    }

    fn text(&self, reason: &str) -> String {
        let Slice { since, until } = self.range;
        let windows = if self.windows == 1 { "window" } else { "windows" };
        format!(
            "read {} to {} again, in {} {windows} of {}: {reason}",
            at(since),
            at(until),
            self.windows,
            self.step_text()
        )
    }
}

fn at(micros: Micros) -> String {
    jiff::Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |at| at.to_string())
}

/// Asks for a backfill: writes down who does and why, then the request itself. Returns the sequence of the request in SYNC,
/// from which [`watch`] follows it.
///
/// # Errors
/// When it cannot be stored. The request is the last thing stored: without it nothing happens.
pub async fn request(
    journal: &Journal,
    names: &Topology,
    plan: &BackfillPlan,
    reason: &str,
) -> Result<u64, JournalError> {
    let (_, last, _) = journal.size(names, Stream::Sync).await?;
    begun(journal, names, plan.id.clone(), "backfill", plan.text(reason), last + 1).await?;
    let event = BackfillRequested { id: plan.id.clone(), range: plan.range, step: plan.step };
    let record = Record::new(names.backfill(&plan.id), format!("backfill:{}", plan.id), &event)?;
    Ok(journal.publish(&record.expecting(0)).await?.seq)
}

/// How far a backfill is.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct BackfillProgress {
    /// Windows opened: 0 until a fetcher has taken it up.
    pub opened: u64,
    /// Windows proved complete.
    pub closed: u64,
    /// Windows that failed; what they cover is read again by the next.
    pub failed: u64,
    /// Orders in the windows that are proved. One whose second two windows share counts in both.
    pub orders: u64,
    /// Pages read, in all windows.
    pub pages: u64,
    /// How far it is proved; `None` before the first window closed.
    pub watermark: Option<Micros>,
    /// Its newest window.
    pub window: Option<WindowLine>,
    /// The window that failed last, also when a later one proved what it covers.
    pub failure: Option<WindowLine>,
    /// How it ended.
    pub ended: Option<BackfillEnded>,
}

impl BackfillProgress {
    /// Folds one entry of SYNC; tells whether it was about this backfill.
    ///
    /// # Errors
    /// When it is not what its subject says.
    pub fn apply(&mut self, names: &Topology, id: &str, entry: &Entry) -> Result<bool, JournalError> {
        if entry.subject == names.watermark_of(id) {
            self.watermark = Some(entry.event::<WatermarkMoved>()?.body.to);
            return Ok(true);
        }
        if entry.subject == names.backfill(id) {
            // The subject holds the request as well.
            self.ended = entry.event::<BackfillEnded>().ok().map(|ended| ended.body);
            return Ok(true);
        }
        let window = WindowId::named(entry.subject.rsplit('.').next().unwrap_or_default());
        if window.lane() != id || entry.subject != names.window(&window) {
            return Ok(false);
        }
        match WindowEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))? {
            WindowEvent::Opened(opened) => {
                self.opened += 1;
                let (window, state) = (window.to_string(), WindowState::Open);
                self.window = Some(WindowLine { window, since: opened.since, until: opened.until, state });
            }
            WindowEvent::Page(_) => self.pages += 1,
            WindowEvent::Part(_) | WindowEvent::Refused(_) => {}
            WindowEvent::Closed(closed) => {
                self.closed += 1;
                self.orders += closed.proof.distinct;
                self.end(&window, WindowState::closed(&closed.proof));
            }
            WindowEvent::Failed(failed) => {
                self.failed += 1;
                self.end(&window, WindowState::failed(&failed.reason));
                self.failure.clone_from(&self.window);
            }
        }
        Ok(true)
    }

    fn end(&mut self, id: &WindowId, state: WindowState) {
        if let Some(line) = self.window.as_mut().filter(|line| line.window == id.as_str()) {
            line.state = state;
        }
    }

    /// Whether the whole range is proved.
    pub fn is_complete(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.complete)
    }
}

/// Follows a backfill from its request at sequence `requested` of SYNC to its end, and shows how far it is whenever
/// something of it has happened. Waits as long as it takes: nothing happens while no fetcher runs.
///
/// # Errors
/// When SYNC cannot be read. The backfill goes on all the same.
pub async fn watch(
    journal: &Journal,
    names: &Topology,
    id: &str,
    requested: u64,
    mut seen: impl FnMut(&BackfillProgress),
) -> Result<BackfillProgress, JournalError> {
    let (mut progress, mut next) = (BackfillProgress::default(), requested);
    loop {
        let mut log = journal.follow(names, Stream::Sync, None, From::Seq(next)).await?;
        while let Some(entry) = log.next().await {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    tracing::debug!(%error, "reading SYNC was interrupted");
                    continue;
                }
            };
            next = entry.seq + 1;
            if progress.apply(names, id, &entry)? {
                seen(&progress);
            }
            if progress.ended.is_some() {
                return Ok(progress);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Micros = 86_400 * SECOND;

    fn plan(length: Micros, step: Micros) -> Result<BackfillPlan, PlanError> {
        BackfillPlan::new(Slice { since: 5 * DAY, until: 5 * DAY + length }, step, 1_741_251_325)
    }

    #[test]
    fn the_windows_of_a_plan_cover_its_range() {
        let windows = |length, step| plan(length, step).map(|plan| plan.windows);
        assert_eq!(windows(DAY, DAY), Ok(1));
        assert_eq!(windows(DAY + SECOND, DAY), Ok(2));
        assert_eq!(windows(365 * DAY, DAY), Ok(365));
        assert_eq!(windows(SECOND, Micros::MAX / SECOND * SECOND), Ok(1), "a step far beyond the range");
        assert_eq!(plan(DAY, DAY).map(|plan| plan.id), Ok("backfill-1741251325".into()));
    }

    #[test]
    fn a_plan_that_would_never_end_is_refused() {
        assert_eq!(plan(0, DAY), Err(PlanError::Empty));
        assert_eq!(plan(-DAY, DAY), Err(PlanError::Empty));
        assert_eq!(
            [plan(DAY, 0), plan(DAY, -DAY), plan(DAY, SECOND / 2)],
            [const { Err(PlanError::Step) }; 3]
        );
        assert_eq!(plan(DAY, SECOND + SECOND / 2), Err(PlanError::Step));
    }

    #[test]
    fn a_step_is_written_as_people_say_it() {
        let text = |seconds: i64| plan(DAY, seconds * SECOND).map(|plan| plan.step_text());
        assert_eq!(text(86_400), Ok("1d".into()));
        assert_eq!(text(5_400), Ok("90m".into()));
        assert_eq!([text(7_200), text(61)], [Ok("2h".into()), Ok("61s".into())]);
    }

    #[test]
    fn the_operation_says_what_and_why() {
        let plan = plan(DAY, DAY).expect("sound");
        assert_eq!(
            plan.text("a week was lost"),
            "read 1970-01-06T00:00:00Z to 1970-01-07T00:00:00Z again, in 1 window of 1d: a week was lost"
        );
    }
}
