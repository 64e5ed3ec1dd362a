//! Opens windows, asks for their pages, and closes them. Every fetcher runs this; appends that expect the last sequence
//! decide who wins, and the losers read on.

use std::collections::HashSet;
use std::time::Duration;

use events::{
    Micros, PageJob, Proof, WatermarkMoved, WindowClosed, WindowEvent, WindowFailed, WindowId, WindowOpened,
    now,
};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Record, Stream};
use tokio_util::sync::CancellationToken;

use crate::completeness::Assessment;
use crate::settings::Settings;
use crate::window::{End, Shared, Window};
use crate::{Live, Mode};

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ended {
    /// The windows this run saw closed, with their proofs.
    pub closed: Vec<(WindowId, Proof)>,
    /// The window that failed, and why; a run with [`Mode::Once`] ends there.
    pub failed: Option<(WindowId, String)>,
    /// Whether everything up to the start of the run is fetched.
    pub complete: bool,
}

/// Without news the plan is looked at this often: a due window, a lost job.
const TICK: Duration = Duration::from_millis(200);

/// A page that was asked for and has not come is asked for again after this long: its job may be lost with the disk of
/// a server that was not told to flush.
const ASK_AGAIN: Duration = Duration::from_secs(150);

struct Planner<'a> {
    settings: &'a Settings,
    journal: &'a Journal,
    window: &'a Shared,
    live: &'a Live,
    watermark: Option<(Micros, u64)>,
    /// When the watermark moved last.
    closed_at: Option<Micros>,
    asked: HashSet<(WindowId, u32, u32)>,
    asked_at: tokio::time::Instant,
    ended: Ended,
}

pub(crate) async fn run(
    settings: &Settings,
    journal: &Journal,
    window: &Shared,
    mode: Mode,
    live: &Live,
    stop: &CancellationToken,
) -> Result<Ended, JournalError> {
    let names = &settings.topology;
    let last = journal.last(names, Stream::Sync, &names.watermark()).await?;
    let mut planner = Planner {
        settings,
        journal,
        window,
        live,
        watermark: None,
        closed_at: None,
        asked: HashSet::new(),
        asked_at: tokio::time::Instant::now(),
        ended: Ended::default(),
    };
    let from = match &last {
        Some(entry) => {
            planner.note_watermark(entry)?;
            // The window that moved it is just before it: what it closed is known, what came after is folded.
            From::Seq(entry.seq)
        }
        None => From::Start,
    };
    let number = |entry: &Entry| {
        entry.event::<WatermarkMoved>().ok().and_then(|moved| moved.body.window.live_number())
    };
    let mut newest = last.as_ref().and_then(number).unwrap_or(0);
    let mut log = journal.follow(names, Stream::Sync, None, from).await?;
    let (_, mut behind, _) = journal.size(names, Stream::Sync).await?;
    let until = floor_to_second(now() - micros(settings.settle));
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            entry = log.next() => match entry {
                Some(Ok(entry)) => {
                    planner.apply(&entry, &mut newest)?;
                    if behind > 0 && entry.seq >= behind {
                        // What ended before this run began is history, not a result of it.
                        (behind, planner.ended) = (0, Ended::default());
                    }
                }
                Some(Err(error)) => tracing::debug!(%error, "reading SYNC was interrupted"),
                None => log = journal.follow(names, Stream::Sync, None, from).await?,
            },
            _ = tick.tick() => {}
        }
        if behind > 0 {
            continue; // decide nothing on half of the history
        }
        if let Err(error) = planner.act().await {
            tracing::warn!(%error, "the plan waits for NATS");
            continue;
        }
        if !planner.is_idle() {
            continue;
        }
        if mode == Mode::Once {
            planner.ended.complete = planner.watermark.is_some_and(|(to, _)| to >= until);
            if planner.watermark.is_none() && settings.since.as_microsecond() >= until {
                let reason = format!(
                    "schedule.since ({}) lies in the future: there is nothing to fetch",
                    settings.since
                );
                planner.ended.failed = Some((WindowId::live(newest + 1), reason));
            }
            if planner.ended.complete || planner.ended.failed.is_some() {
                break;
            }
        }
        if mode == Mode::Once || planner.due() <= now() {
            let until =
                if mode == Mode::Once { until } else { floor_to_second(now() - micros(settings.settle)) };
            if let Err(error) = planner.open(newest + 1, until).await {
                tracing::warn!(%error, "a window could not be opened; trying again");
            }
        }
    }
    Ok(planner.ended)
}

impl Planner<'_> {
    fn note_watermark(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let moved = entry.event::<WatermarkMoved>()?;
        self.watermark = Some((moved.body.to, entry.seq));
        self.closed_at = Some(moved.at);
        Ok(())
    }

    /// Folds one event of SYNC.
    fn apply(&mut self, entry: &Entry, newest: &mut u64) -> Result<(), JournalError> {
        if entry.subject == self.settings.topology.watermark() {
            return self.note_watermark(entry);
        }
        let event = WindowEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))?;
        let end = self.window.with(|window| {
            match (event, window.as_mut()) {
                (WindowEvent::Opened(opened), _) => {
                    *newest = opened.window.live_number().unwrap_or(*newest).max(*newest);
                    // The envelope's time is the same for everyone who reads it.
                    let at = entry.event::<WindowOpened>().map_or_else(|_| now(), |decoded| decoded.at);
                    *window = Some(Window::new(opened, entry.seq, at));
                }
                (event, Some(known)) if entry.subject.ends_with(known.opened.window.as_str()) => {
                    known.apply(event, entry.seq);
                }
                _ => {}
            }
            let known = window.as_ref()?;
            self.live.progress.send_replace(known.progress());
            known.end.clone().map(|end| (known.opened.window.clone(), end))
        });
        match end {
            Some((id, End::Closed(proof))) if !self.ended.closed.iter().any(|(known, _)| *known == id) => {
                self.ended.failed = None;
                self.ended.closed.push((id, proof));
            }
            Some((id, End::Failed(reason))) => self.ended.failed = Some((id, reason)),
            _ => {}
        }
        Ok(())
    }

    /// Does what the open window needs next.
    async fn act(&mut self) -> Result<(), JournalError> {
        let open = self.window.with(|window| {
            let window = window.as_ref().filter(|window| window.end.is_none())?;
            let (assessment, seq) = (window.assessment.clone(), window.last_seq);
            Some((window.opened.clone(), window.number, assessment, seq, window.distinct_if_failed()))
        });
        let Some((opened, number, assessment, seq, seen)) = open else {
            return Ok(());
        };
        let outcome = match assessment {
            Assessment::Wanted(pages) => self.ask(&opened.window, number, pages).await,
            Assessment::Complete(proof) => self.close(&opened, proof, seq).await,
            Assessment::ReadAgain(reason) => self.fail(&opened, number, reason, seen, seq).await,
        };
        match outcome {
            // Another fetcher was faster; what it wrote is on its way to us.
            Err(JournalError::Conflict { .. } | JournalError::DuplicateInBatch) => Ok(()),
            other => other,
        }
    }

    async fn ask(&mut self, window: &WindowId, pass: u32, pages: Vec<u32>) -> Result<(), JournalError> {
        if self.asked_at.elapsed() > ASK_AGAIN {
            self.asked.clear();
        }
        let mut records = Vec::new();
        let fresh: Vec<u32> =
            pages.into_iter().filter(|page| !self.asked.contains(&(window.clone(), pass, *page))).collect();
        for page in &fresh {
            let job = PageJob { window: window.clone(), pass, page: *page };
            records.push(Record::new(
                self.settings.topology.jobs(),
                format!("job:{window}:{pass}:{page}"),
                &job,
            )?);
        }
        if records.is_empty() {
            return Ok(());
        }
        self.journal.store_all(&records).await?;
        self.asked_at = tokio::time::Instant::now();
        self.asked.extend(fresh.into_iter().map(|page| (window.clone(), pass, page)));
        Ok(())
    }

    /// Closes the window and moves the watermark, both or neither.
    async fn close(&mut self, opened: &WindowOpened, proof: Proof, seq: u64) -> Result<(), JournalError> {
        let names = &self.settings.topology;
        let WindowOpened { window, since, until, .. } = opened.clone();
        let closed = WindowClosed { window: window.clone(), since, until, proof: proof.clone() };
        let moved = WatermarkMoved { to: until, window: window.clone() };
        let expected = self.watermark.map_or(0, |(_, seq)| seq);
        self.journal
            .commit(&[
                Record::new(names.window(&window), format!("closed:{window}"), &closed)?.expecting(seq),
                Record::new(names.watermark(), format!("watermark:{window}"), &moved)?.expecting(expected),
            ])
            .await?;
        tracing::info!(%window, total = proof.total, distinct = proof.distinct, pages = proof.pages, pass = proof.pass, "window closed with proof");
        Ok(())
    }

    async fn fail(
        &mut self,
        opened: &WindowOpened,
        passes: u32,
        reason: String,
        (total, distinct): (Option<u64>, u64),
        seq: u64,
    ) -> Result<(), JournalError> {
        let window = opened.window.clone();
        let reason = format!("not proved complete in {passes} passes; the last: {reason}");
        let failed = WindowFailed { window: window.clone(), reason: reason.clone(), passes, total, distinct };
        let subject = self.settings.topology.window(&window);
        self.journal
            .publish(&Record::new(subject, format!("failed:{window}:{seq}"), &failed)?.expecting(seq))
            .await?;
        tracing::error!(%window, reason, "window failed; the watermark stays and the next window tries again");
        Ok(())
    }

    /// Whether the newest window has ended and, when it closed, the watermark that was written with it has been read.
    fn is_idle(&self) -> bool {
        let reached = |until| self.watermark.is_some_and(|(to, _)| to >= until);
        self.window.with(|window| match window.as_ref().map(|window| (&window.end, window.opened.until)) {
            None | Some((Some(End::Failed(_)), _)) => true,
            Some((Some(End::Closed(_)), until)) => reached(until),
            Some((None, _)) => false,
        })
    }

    /// When the next window is due. After a restart the window before is known only by when it moved the watermark.
    fn due(&self) -> Micros {
        let opened_at = self.window.with(|window| window.as_ref().map(|window| window.opened_at));
        self.settings.cadence.due(opened_at.or(self.closed_at))
    }

    async fn open(&mut self, number: u64, until: Micros) -> Result<(), JournalError> {
        let since = match self.watermark {
            Some((to, _)) => to - micros(self.settings.overlap),
            None => self.settings.since.as_microsecond(),
        };
        if since >= until {
            return Ok(());
        }
        let window = WindowId::live(number);
        let (page_size, max_passes) = (self.settings.page_size, self.settings.max_passes);
        let opened = WindowOpened { window: window.clone(), since, until, page_size, max_passes };
        let record =
            Record::new(self.settings.topology.window(&window), format!("opened:{window}"), &opened)?;
        match self.journal.publish(&record.expecting(0)).await {
            Ok(stored) => {
                tracing::info!(%window, seq = stored.seq, since = %shown(since), until = %shown(until), "window opened");
                Ok(())
            }
            Err(JournalError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Window {
    /// What WindowFailed reports; counted only when it is needed.
    fn distinct_if_failed(&self) -> (Option<u64>, u64) {
        match self.assessment {
            Assessment::ReadAgain(_) => (self.progress().total, self.distinct()),
            _ => (None, 0),
        }
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}

/// The source counts in whole seconds: a window that ended between two would overlap its own last second.
fn floor_to_second(at: Micros) -> Micros {
    at - at.rem_euclid(1_000_000)
}

fn shown(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at).map_or_else(|_| at.to_string(), |at| at.to_string())
}
