//! Opens windows, asks for their pages, and closes them. Every fetcher runs this; appends that expect the last sequence
//! decide who wins, and the losers read on.

use std::collections::HashMap;

use events::{BackfillEnded, DELETED, LIVE, Micros, OperationFinished, Proof, WatermarkMoved, WindowId};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Record, Stream, WaitingRecord};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock::is_future;
use crate::granularity::SECOND;
use crate::history::{Shared, Told};
use crate::lanes::{Due, Times, due};
use crate::settings::Settings;
use crate::step::Step;
use crate::window::{End, SplitSlice};
use crate::{Live, Mode};

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// The windows this run saw closed, with their proofs.
    pub closed: Vec<(WindowId, Proof)>,
    /// The window that failed last and was not read again since, and why.
    pub failed: Option<(WindowId, String)>,
    /// Whether everything up to the start of the run is fetched.
    pub complete: bool,
}

/// Without news the plan is looked at this often: a due window, a lost job.
const TICK: std::time::Duration = std::time::Duration::from_millis(200);

/// When nothing of a window has come for so long, its pages are asked for again: their jobs may be lost with the disk of a
/// server that was not told to flush.
const ASK_AGAIN: std::time::Duration = std::time::Duration::from_secs(150);

/// The history is read so far back beyond what sweeps and overlaps reach.
const MARGIN: Micros = 86_400 * SECOND;

pub(crate) struct Planner<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) journal: &'a Journal,
    pub(crate) history: &'a Shared,
    live: &'a Live,
    /// The last event of each open window, and when it came.
    heard: HashMap<WindowId, (u64, Instant)>,
    mode: Mode,
    ended: Ended,
    /// What the plan wanted to store last and could not, and until when it is left.
    held_up: Option<HeldUp>,
    /// While the history is read: the sequence it reaches to; 0 when it is read.
    behind: u64,
}

/// A step of the plan that could not be stored. It shows as trouble until a step can.
struct HeldUp {
    _waiting: WaitingRecord,
    until: Instant,
}

/// So long the plan rests after NATS had no room for a step, or did not permit it.
const REST: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs the plan; cancels `ready` as soon as it knows enough of the history for pages to be fetched.
pub(crate) async fn run(
    settings: &Settings,
    journal: &Journal,
    history: &Shared,
    mode: Mode,
    live: &Live,
    ready: &CancellationToken,
    stop: &CancellationToken,
) -> Result<Ended, JournalError> {
    let names = &settings.topology;
    let (heard, ended) = (HashMap::new(), Ended::default());
    let mut planner =
        Planner { settings, journal, history, live, heard, mode, ended, held_up: None, behind: 0 };
    let mut next = planner.begin().await?;
    let mut log = journal.follow(names, Stream::Sync, None, From::Seq(next)).await?;
    let (messages, last, _) = journal.size(names, Stream::Sync).await?;
    // What was purged is not waited for.
    planner.behind = if messages == 0 || last < next { 0 } else { last };
    if planner.behind == 0 {
        planner.caught_up().await?;
    }
    let goal = planner.end_of_a_window(0);
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            entry = log.next() => match entry {
                Some(Ok(entry)) => {
                    next = entry.seq + 1;
                    planner.apply(&entry).await?;
                    if planner.behind > 0 && entry.seq >= planner.behind {
                        planner.behind = 0;
                        planner.caught_up().await?;
                    }
                }
                Some(Err(error)) => tracing::debug!(%error, "reading SYNC was interrupted"),
                None => match journal.follow(names, Stream::Sync, None, From::Seq(next)).await {
                    Ok(again) => log = again,
                    Err(error) => {
                        tracing::warn!(error = %service::chain(&error), "SYNC cannot be followed; trying again");
                        tick.tick().await;
                    }
                },
            },
            _ = tick.tick() => {}
        }
        if planner.behind > 0 {
            continue; // decide nothing on half of the history
        }
        ready.cancel();
        if planner.rests() {
            continue;
        }
        // What was held up before shows until this round has gone well.
        let held_up = planner.held_up.take();
        planner.act().await;
        let times = planner.times(goal);
        let Due { open, give_up, rest } = due(&planner.history.lock(), settings, mode, times);
        for opened in open {
            let opened = planner.open(opened).await;
            planner.note_step("a window could not be opened; trying again", opened);
        }
        for backfill in give_up {
            let given_up = planner.give_up(&backfill).await;
            planner.note_step("a backfill could not be ended; trying again", given_up);
        }
        drop(held_up);
        if mode == Mode::Once && rest {
            planner.ended.complete = planner.ended.failed.is_none();
            if let Some(nothing) = planner.nothing_to_fetch(goal) {
                planner.ended = nothing;
            }
            break;
        }
    }
    Ok(planner.ended)
}

impl Planner<'_> {
    /// Whether the plan rests because its last step could not be stored.
    fn rests(&self) -> bool {
        self.held_up.as_ref().is_some_and(|held_up| Instant::now() < held_up.until)
    }

    /// Takes note of what became of a step.
    fn note_step(&mut self, what: &str, step: Result<(), JournalError>) {
        match step {
            Ok(()) => {}
            Err(error) if error.is_retryable() && !error.is_unanswered() => {
                let waiting = self.journal.trouble().begin();
                waiting.explain(&error);
                self.held_up = Some(HeldUp { _waiting: waiting, until: Instant::now() + REST });
            }
            Err(error) => tracing::warn!(error = %service::chain(&error), "{what}"),
        }
    }

    /// Reads what is known of every lane without its history; returns where the history that still matters begins.
    async fn begin(&self) -> Result<u64, JournalError> {
        let (names, settings) = (&self.settings.topology, self.settings);
        let mut last: Vec<Entry> =
            self.journal.last(names, Stream::Sync, &names.watermark()).await?.into_iter().collect();
        let mut moved = last.clone();
        for filter in [names.other_watermarks(), names.backfills()] {
            let mut log =
                self.journal.read(names, Stream::Sync, Some(&filter), From::LastPerSubject, false).await?;
            while let Some(entry) = log.next().await {
                match filter == names.backfills() {
                    true => last.push(entry?),
                    false => moved.push(entry?),
                }
            }
        }
        let now = settings.clock.now();
        let mut moved = self.with_earlier_watermarks(moved, now).await?;
        moved.sort_by_key(|entry| entry.seq);
        let reach = settings.sweeps.iter().map(|sweep| sweep.reach.max(sweep.every)).max().unwrap_or(0);
        let since = now - reach.max(settings.overlap) - MARGIN;
        let mut log = self.journal.read(names, Stream::Sync, None, From::Time(since), true).await?;
        let mut from = match log.next().await {
            Some(entry) => entry?.seq,
            None => self.journal.size(names, Stream::Sync).await?.1 + 1,
        };
        let mut history = self.history.lock();
        for entry in last.iter().filter(|entry| entry.subject != names.watermark()) {
            history.backfill(entry)?;
        }
        for entry in &moved {
            history.moved(entry)?;
        }
        let active: Vec<(String, u64)> = history
            .backfills
            .values()
            .filter(|backfill| backfill.ended.is_none())
            .map(|backfill| (backfill.requested.id.clone(), backfill.seq))
            .collect();
        let deleted = settings.deleted.is_some().then_some(DELETED);
        let timed = [LIVE].into_iter().chain(deleted).map(|lane| (lane.to_string(), 0));
        for (lane, requested) in timed.chain(active) {
            match history.lane(&lane).watermark {
                // What the window that moved it told is known; what came after it is folded.
                Some((_, seq)) => from = from.min(seq),
                // It never closed a window: all of its history matters.
                None => from = from.min(requested.max(1)),
            }
        }
        Ok(from)
    }

    /// Watermarks, and of a lane whose watermark lies in the future those before it: a clock that was ahead wrote it, and the
    /// plan begins where the one before says.
    async fn with_earlier_watermarks(
        &self,
        newest: Vec<Entry>,
        now: Micros,
    ) -> Result<Vec<Entry>, JournalError> {
        let mut all = Vec::with_capacity(newest.len());
        for entry in newest {
            let to = entry.event::<WatermarkMoved>()?.body.to;
            if is_future(to, now) {
                let shown = |at| self.settings.granularity.shown(at);
                tracing::warn!(
                    subject = entry.subject,
                    to = shown(to),
                    now = shown(now),
                    "a watermark lies in the future: \
                    the clock of the fetcher that wrote it was ahead. It is put back to where a proof reached before"
                );
                let (names, subject) = (&self.settings.topology, Some(entry.subject.as_str()));
                let mut log = self.journal.read(names, Stream::Sync, subject, From::Start, false).await?;
                while let Some(before) = log.next().await {
                    all.push(before?);
                }
            } else {
                all.push(entry);
            }
        }
        Ok(all)
    }

    /// The history is read. What ended before this run began is history, not a result of it, and what failed then does not
    /// keep this run from trying.
    async fn caught_up(&mut self) -> Result<(), JournalError> {
        self.ended = Ended::default();
        let (_, last, _) = self.journal.size(&self.settings.topology, Stream::Raw).await?;
        let mut history = self.history.lock();
        for lane in [LIVE, DELETED] {
            history.lane(lane).failed = 0;
        }
        if history.raw_seq > last {
            let (known, stream) = (history.raw_seq, self.settings.topology.stream(Stream::Raw));
            tracing::error!(
                known,
                last,
                "{stream} has lost pages that SYNC knows of (a disk that was not told to flush?). What \
                is read again goes on again; read the days before with `orderflow backfill`"
            );
            history.forget();
        }
        Ok(())
    }

    fn times(&self, goal: Micros) -> Times {
        let behind = self.history.lock().offset.behind();
        Times {
            now: self.settings.clock.now(),
            goal,
            ours: self.end_of_a_window(0),
            source: self.end_of_a_window(behind),
        }
    }

    /// Where a window that is opened now ends: short of now by a clock that is so far behind ours.
    fn end_of_a_window(&self, behind: Micros) -> Micros {
        let end = self.settings.clock.now() - behind - self.settings.settle;
        // The source counts in whole seconds: a window that ended between two would overlap its own last second.
        end - end.rem_euclid(SECOND)
    }

    /// Folds one event of SYNC.
    async fn apply(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let told = {
            let mut history = self.history.lock();
            let told = history.apply(&self.settings.topology, entry)?;
            let lanes =
                || history.lanes.iter().filter_map(|(name, lane)| Some((name, lane.window.as_ref()?)));
            let open = lanes().find(|(_, window)| window.end.is_none());
            if let Some((_, window)) = open.or_else(|| lanes().find(|(name, _)| *name == LIVE)) {
                self.live.progress.send_if_modified(|known| {
                    let now = window.progress();
                    (*known != now).then(|| *known = now).is_some()
                });
            }
            told
        };
        match told {
            Told::Ended(id, End::Closed(proof)) => {
                self.ended.failed.take_if(|(failed, _)| failed.lane() == id.lane());
                // Kept in `--once` mode only; it would grow without bound otherwise.
                if self.mode == Mode::Once && !self.ended.closed.iter().any(|(known, _)| *known == id) {
                    self.ended.closed.push((id, proof));
                }
            }
            Told::Ended(id, End::Failed(reason)) => self.ended.failed = Some((id, reason)),
            Told::Backfill(ended) => self.finish(ended).await,
            // What was split before this fetcher began is not news.
            Told::Split(window, splits) if self.behind == 0 => self.log_splits(&window, &splits),
            Told::Split(..) => {}
            Told::Nothing => {}
        }
        Ok(())
    }

    fn log_splits(&self, window: &WindowId, splits: &[SplitSlice]) {
        let shown = |at| self.settings.granularity.shown(at);
        for SplitSlice { slice, why } in splits {
            let (since, until) = (shown(slice.since), shown(slice.until));
            tracing::info!(%window, since, until, why, "a slice does not settle; its halves are read");
        }
    }

    /// Writes down that the operation behind a backfill has ended, unless that was done when its end was read before.
    async fn finish(&self, ended: BackfillEnded) {
        let BackfillEnded { id, complete, result } = ended;
        let names = &self.settings.topology;
        let known = self.journal.last(names, Stream::Ops, &names.operation(&id)).await;
        if matches!(known, Ok(Some(entry)) if entry.event::<OperationFinished>().is_ok()) {
            return;
        }
        let finished = OperationFinished { id: id.clone(), complete, result };
        let record = Record::new(names.operation(&id), format!("finished:{id}"), &finished);
        let Ok(record) = record else { return };
        if let Err(error) = self.journal.publish(&record).await {
            tracing::warn!(%error, id, "the end of a backfill was not written into OPS; SYNC has it");
        }
    }

    /// Does what the open windows need next.
    async fn act(&mut self) {
        let mut steps = Vec::new();
        {
            let mut history = self.history.lock();
            let names: Vec<String> = history.lanes.keys().cloned().collect();
            for name in names {
                let watermark = history.lane(&name).watermark;
                let backfill = history.backfills.get(&name).cloned();
                let Some(window) = history.lane(&name).open() else { continue };
                let (seq, now) = (window.last_seq, Instant::now());
                let heard = self.heard.entry(window.opened.window.clone()).or_insert((seq, now));
                if heard.0 != seq {
                    *heard = (seq, now);
                } else if heard.1.elapsed() > ASK_AGAIN {
                    *heard = (seq, now);
                    window.ask_again();
                }
                steps.push(Step::of(window, watermark, backfill, self.settings));
            }
        }
        self.heard.retain(|id, _| steps.iter().any(|step| step.window() == id));
        for step in steps {
            let window = step.window().clone();
            match self.take(step).await {
                // Another fetcher was faster; what it wrote is on its way to us.
                Ok(()) | Err(JournalError::Conflict { .. } | JournalError::DuplicateInBatch) => {}
                // One lane does not hold the others up.
                failed => {
                    tracing::debug!(%window, "a window waits");
                    self.note_step("a window waits", failed);
                }
            }
        }
    }

    fn nothing_to_fetch(&self, goal: Micros) -> Option<Ended> {
        let since = self.settings.since;
        let never = self.history.lock().lane(LIVE).watermark.is_none();
        (never && since.as_microsecond() >= goal).then(|| {
            let reason = format!("schedule.since ({since}) lies in the future: there is nothing to fetch");
            Ended { failed: Some((WindowId::live(1), reason)), ..Ended::default() }
        })
    }
}
