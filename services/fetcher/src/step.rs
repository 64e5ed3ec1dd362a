//! One append to the log: a window is opened, closed with its proof, or given up.

use events::{
    BackfillEnded, Micros, PageJob, Proof, WatermarkMoved, WindowClosed, WindowFailed, WindowId, WindowOpened,
};
use journal::{JournalError, Record};

use crate::clock::is_future;
use crate::history::{Backfill, is_background};
use crate::planner::Planner;
use crate::refusal::cut_reason;
use crate::settings::Settings;
use crate::window::{End, Next, Wanted, Window};

/// After so many windows in a row that failed a backfill is given up; the person who asked for it decides.
pub(crate) const BACKFILL_FAILURES: u32 = 3;

/// What one open window needs, taken out of the shared history.
#[derive(Clone)]
pub(crate) struct Step {
    opened: WindowOpened,
    last_seq: u64,
    watermark: Option<(Micros, u64)>,
    backfill: Option<Backfill>,
    next: Next,
    pages: Vec<Wanted>,
    account: (u32, Option<u64>, u64),
}

impl Step {
    pub(crate) fn of(
        window: &mut Window,
        watermark: Option<(Micros, u64)>,
        backfill: Option<Backfill>,
        settings: &Settings,
    ) -> Self {
        let next = window.next(settings.settle, settings.clock.now(), &settings.granularity);
        let account = match &next {
            Next::Fail(_) => window.account(),
            _ => (0, None, 0), // counted only when it is needed
        };
        let pages = window.take_unasked();
        let (opened, last_seq) = (window.opened.clone(), window.last_seq);
        Self { opened, last_seq, watermark, backfill, next, pages, account }
    }

    pub(crate) fn window(&self) -> &WindowId {
        &self.opened.window
    }
}

impl Planner<'_> {
    pub(crate) async fn take(&self, step: Step) -> Result<(), JournalError> {
        match step.next.clone() {
            Next::Pages if step.pages.is_empty() => Ok(()),
            Next::Pages => {
                let window = &step.opened.window;
                let asked = self.ask(window, &step.pages).await;
                if asked.is_err() {
                    self.not_asked(window);
                }
                asked
            }
            Next::Close(proof, until) => self.close(step, proof, until).await,
            Next::Fail(reason) => self.fail(step, reason).await,
        }
    }

    /// Asks for pages. Every fetcher does; the ids make it one job a page.
    async fn ask(&self, window: &WindowId, pages: &[Wanted]) -> Result<(), JournalError> {
        let names = &self.settings.topology;
        let subject = match is_background(window.lane()) {
            true => names.background_jobs(),
            false => names.jobs(),
        };
        let mut records = Vec::with_capacity(pages.len());
        for (slice, pass, page) in pages {
            let job = PageJob { window: window.clone(), pass: *pass, page: *page, slice: Some(*slice) };
            let id = format!("job:{window}:{}-{}:{pass}:{page}", slice.since, slice.until);
            records.push(Record::new(&subject, id, &job)?);
        }
        self.journal.store_all(&records).await.map(|_| ())
    }

    /// Gives pages back that could not be asked for.
    fn not_asked(&self, window: &WindowId) {
        if let Some(open) = self.history.lock().lane(window.lane()).open() {
            open.ask_again();
        }
    }

    /// Opens a window, unless another fetcher has.
    pub(crate) async fn open(&self, opened: WindowOpened) -> Result<(), JournalError> {
        let window = opened.window.clone();
        let subject = self.settings.topology.window(&window);
        let now = self.settings.clock.now();
        let record = Record::happened(subject, format!("opened:{window}"), &opened, now)?;
        match self.journal.publish(&record.expecting(0)).await {
            Ok(stored) => {
                let shown = |at| self.settings.granularity.shown(at);
                tracing::info!(%window, seq = stored.seq, since = shown(opened.since), until = shown(opened.until), "window opened");
                Ok(())
            }
            Err(JournalError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes the window and moves the watermark of its lane, both or neither.
    async fn close(&self, step: Step, proof: Proof, until: Micros) -> Result<(), JournalError> {
        let (names, again) = (&self.settings.topology, step.clone());
        let WindowOpened { window, since, until: asked, .. } = step.opened;
        let closed = WindowClosed { window: window.clone(), since, until, proof: proof.clone() };
        let record = Record::new(names.window(&window), format!("closed:{window}"), &closed)?;
        let mut records = vec![record.expecting(step.last_seq)];
        let (before, seq) = step.watermark.unwrap_or((Micros::MIN, 0));
        let now = self.settings.clock.now();
        // A watermark in the future was written by a clock that was ahead.
        let to = if is_future(before, now) { until } else { until.max(before) };
        let moved = WatermarkMoved { to, window: window.clone() };
        let subject = names.watermark_of(window.lane());
        let record = Record::happened(subject, format!("watermark:{window}"), &moved, now)?;
        records.push(record.expecting(seq));
        if let Some(backfill) = step.backfill.filter(|backfill| moved.to >= backfill.requested.range.until) {
            let result = "the whole range is read and proved".to_string();
            records.push(self.backfill_ended(&backfill, true, result)?);
        }
        match self.journal.commit(&records).await {
            // Thousands of slices: the sums have to do.
            Err(JournalError::TooLarge { .. }) if !proof.slices.is_empty() => {
                return Box::pin(self.close(again, Proof { slices: Vec::new(), ..proof }, until)).await;
            }
            other => other.map(|_| ())?,
        }
        if until < asked {
            let shown = |at| self.settings.granularity.shown(at);
            tracing::warn!(%window, asked = shown(asked), proved = shown(until), "the source's clock is behind ours: \
                the watermark stays behind it");
        }
        if moved.to < before {
            let shown = |at| self.settings.granularity.shown(at);
            tracing::warn!(%window, before = shown(before), to = shown(moved.to), "the watermark lay in the future and is put \
                back: what lies between is read again");
        }
        tracing::info!(%window, total = proof.total, distinct = proof.distinct, pages = proof.pages, pages_read = proof.pages_read,
            slices = proof.slices.len(), pass = proof.pass, "window closed with proof");
        Ok(())
    }

    async fn fail(&self, step: Step, reason: String) -> Result<(), JournalError> {
        let window = step.opened.window;
        let reason = cut_reason(reason);
        let (passes, total, distinct) = step.account;
        let failed = WindowFailed { window: window.clone(), reason: reason.clone(), passes, total, distinct };
        let (subject, seq) = (self.settings.topology.window(&window), step.last_seq);
        let now = self.settings.clock.now();
        let record = Record::happened(subject, format!("failed:{window}:{seq}"), &failed, now)?;
        self.journal.publish(&record.expecting(seq)).await?;
        tracing::error!(%window, reason, "window failed; the watermark stays and the next window tries again");
        Ok(())
    }

    /// Ends a backfill that cannot be completed.
    pub(crate) async fn give_up(&self, backfill: &Backfill) -> Result<(), JournalError> {
        let why = match self
            .history
            .lock()
            .lane(&backfill.requested.id)
            .window
            .as_ref()
            .map(|window| &window.end)
        {
            Some(Some(End::Failed(reason))) => cut_reason(reason.clone()),
            _ => "unknown".into(),
        };
        let result = format!(
            "{BACKFILL_FAILURES} windows in a row failed; what was read is carried on all the same. The last: {why}"
        );
        tracing::error!(id = backfill.requested.id, result, "a backfill is given up");
        let record = self.backfill_ended(backfill, false, result)?;
        match self.journal.publish(&record).await {
            Ok(_) | Err(JournalError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The end of a backfill, as a record to be stored with what ended it.
    pub(crate) fn backfill_ended(
        &self,
        backfill: &Backfill,
        complete: bool,
        result: String,
    ) -> Result<Record, JournalError> {
        let id = backfill.requested.id.clone();
        let ended = BackfillEnded { id: id.clone(), complete, result };
        let record =
            Record::new(self.settings.topology.backfill(&id), format!("backfill-ended:{id}"), &ended)?;
        Ok(record.expecting(backfill.seq))
    }
}
