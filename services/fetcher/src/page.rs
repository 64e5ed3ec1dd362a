//! One job: fetch a page, store what is new on it, record it.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use events::{
    Answer, Attempt, DeadLetter, Listing, PageJob, PageRefused, Payload, Slice, WindowFailed, WindowOpened,
    now,
};
use futures::FutureExt;
use http::Class;
use journal::{
    Committer, Delivery, Journal, JournalError, LetterToStore, PANIC, Record, Settlement, TraceParent,
    panic_message, store_patiently,
};
use okki::{OkkiError, Page};
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::Live;
use crate::closing::{Call, Closing};
use crate::contents::hash;
use crate::first_deletions::FirstDeletions;
use crate::history::{Shared, is_background};
use crate::job_attempts::{JobAttempts, retain_open};
use crate::letter::letter_of_page;
use crate::news::PageNews;
use crate::refusal::{Tries, cut_reason, is_lasting, is_refused};
use crate::settings::Settings;
use crate::source::Source;

/// A job whose window we never hear of is dropped after so many looks; where it is wanted, it is asked for again.
const LOOKS: u64 = 400;

/// While pages cannot be stored, the others are looked at again after this long.
const HELD_BACK: Duration = Duration::from_secs(2);

/// Everything a page job needs.
pub(crate) struct Pages {
    pub(crate) settings: Arc<Settings>,
    pub(crate) journal: Journal,
    /// Group commit of RAW.
    pub(crate) raw: Committer,
    /// Group commit of the facts in SYNC that expect nothing of it.
    pub(crate) facts: Committer,
    pub(crate) source: Source,
    /// When this fetcher is told to end.
    pub(crate) closing: Closing,
    /// Who may ask the source: for the timed windows, and for sweeps and backfills.
    pub(crate) turns: [Semaphore; 2],
    pub(crate) history: Arc<Shared>,
    pub(crate) live: Live,
    /// Failed attempts of the jobs in hand, by sequence.
    pub(crate) attempts: Mutex<HashMap<u64, JobAttempts>>,
    /// The pages that could not be stored and became letters, by a hash of their bytes: each window
    /// reads them again.
    pub(crate) unstored: Mutex<HashSet<u64>>,
    /// Whether the first deletions may go on.
    pub(crate) first_deletions: FirstDeletions,
}

/// A page that is being fetched.
pub(crate) struct Task<'a> {
    pub(crate) job: &'a PageJob,
    pub(crate) window: &'a WindowOpened,
    pub(crate) slice: Slice,
    pub(crate) trace: TraceParent,
}

impl Task<'_> {
    pub(crate) fn is_background(&self) -> bool {
        is_background(self.window.window.lane())
    }

    /// The slice, unless it is the whole window.
    pub(crate) fn part_of_window(&self) -> Option<Slice> {
        let whole = Slice { since: self.window.since, until: self.window.until };
        (self.slice != whole).then_some(self.slice)
    }

    /// What tells this page from every other one, in ids of messages.
    pub(crate) fn place(&self) -> String {
        let PageJob { window, pass, page, .. } = self.job;
        match self.part_of_window() {
            None => format!("{window}:{pass}:{page}"),
            Some(Slice { since, until }) => format!("{window}:{since}-{until}:{pass}:{page}"),
        }
    }
}

impl Pages {
    pub(crate) async fn handle(self: Arc<Self>, job: Delivery) -> Settlement {
        let wanted = match job.event::<PageJob>() {
            Ok(decoded) => decoded.body,
            Err(error) => {
                tracing::error!(error = %service::chain(&error), "a page job cannot be read and is dropped; the planner asks again");
                return Settlement::Done;
            }
        };
        let found = self.history.lock().wanted(&wanted);
        let (window, slice) = match found {
            Ok(found) => found,
            Err(past) if past || job.delivered > LOOKS => {
                self.with_attempts(job.seq, std::mem::take);
                return Settlement::Done;
            }
            // We follow the log a moment behind the one who wrote the job.
            Err(_) => return Settlement::Retry(Duration::from_millis(50 * job.delivered.min(40))),
        };
        let (pass, page) = (wanted.pass, wanted.page);
        let span = tracing::info_span!("fetch page", stage = "fetch", window = %wanted.window, pass, page);
        let (trace_id, span_id, sampled) = service::traced(&span, None);
        let trace = TraceParent { trace_id, span_id, sampled };
        let task = Task { job: &wanted, window: &window, slice, trace };
        // Boxed: it is large, and lives as long as its page.
        let fetching = AssertUnwindSafe(Box::pin(self.fetch(&job, &task).instrument(span))).catch_unwind();
        match fetching.await {
            Ok(settlement) => settlement,
            Err(panic) => {
                let said = panic_message(&*panic);
                drop(panic);
                self.panicked(&job, &task, &said).await
            }
        }
    }

    /// Tries a page again over which we panicked, and fails its window when that happens too often:
    /// nobody else would.
    async fn panicked(&self, job: &Delivery, task: &Task<'_>, said: &str) -> Settlement {
        let page = task.job.page;
        let message = format!("page {page} made the fetcher panic: {said}");
        tracing::error!(window = %task.window.window, error = message, "a page could not be fetched");
        self.live.note_trouble(message.clone(), None);
        let failed = self.with_attempts(job.seq, |attempts| {
            attempts.window = Some(task.job.window.clone());
            attempts.counted.push(Attempt { at: now(), message: message.clone() });
            attempts.counted.len()
        });
        if failed < self.settings.max_attempts as usize {
            return Settlement::Retry(self.settings.retry.delay(failed.min(12)));
        }
        if let Err(again) = self.fail(task, &message).await {
            return again;
        }
        let attempts = self.with_attempts(job.seq, std::mem::take).counted;
        let letter = letter_of_page(job, task, PANIC, message.clone(), attempts);
        Settlement::Dead(Box::new(LetterToStore { letter, said: message }))
    }

    async fn fetch(&self, job: &Delivery, task: &Task<'_>) -> Settlement {
        let Some(template) = self.settings.template(task.window.listing) else {
            // Asked as orders, they would be taken for deletions. A fetcher that has `schedule.deleted` can do it.
            tracing::warn!(window = %task.window.window, "deletions are not for this fetcher: it has no [schedule.deleted]");
            return Settlement::Retry(Duration::from_secs(5));
        };
        let asked = match template.page(task.slice, task.job.page) {
            Ok(asked) => asked,
            Err(message) => {
                tracing::error!(error = message, "the request template cannot be filled in");
                return Settlement::Retry(Duration::from_secs(30));
            }
        };
        if !self.live.storage.is_clear() {
            // It could not be stored either.
            return Settlement::Retry(HELD_BACK);
        }
        // Only asking is limited: while a page is stored, the next one may be asked for.
        let listing = async {
            let turn = self.turns[usize::from(task.is_background())].acquire().await;
            (turn, self.source.list(asked, task.is_background()).await)
        };
        let Some((turn, page)) = self.closing.or_end(Call::List, listing).await else {
            return Settlement::Release;
        };
        let page: Page = match page {
            Ok(page) => page,
            Err(error) => return self.failed(job, task, error).await,
        };
        let read_at = self.settings.clock.now();
        if task.window.listing == Listing::Deleted {
            match self.closing.or_end(Call::List, self.may_delete(task)).await {
                None => return Settlement::Release,
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(reason))) => {
                    return self.fail(task, &reason).await.err().unwrap_or(Settlement::Done);
                }
                Some(Err(error)) => return self.failed(job, task, error).await,
            }
        }
        let news = match self.news(task, &page).await {
            Ok(PageNews::Whole(news)) => news,
            Ok(PageNews::Part(part)) => return self.release_with_part(task, page, read_at, part).await,
            Err(error) => return self.failed(job, task, error).await,
        };
        drop(turn);
        let body = page.body.clone();
        let content = hash(&body);
        match self.record(task, page, read_at, news).await {
            Ok(()) => {
                self.live.trouble.send_if_modified(|trouble| trouble.take().is_some());
                self.with_attempts(job.seq, std::mem::take);
                Settlement::Done
            }
            Err(error) => self.unstorable(job, task, &error, (content, body)).await,
        }
    }

    /// What is known of a page can never be stored, most often because it is more than NATS takes
    /// in one message: the halves of its slice hold less. Where there are none the window fails,
    /// and the first time the page becomes a letter.
    async fn unstorable(
        &self,
        job: &Delivery,
        task: &Task<'_>,
        error: &JournalError,
        (content, body): (u64, Bytes),
    ) -> Settlement {
        let page = task.job.page;
        let message = format!("page {page} cannot be stored: {}", service::chain(error));
        if error.is_about_the_record() && self.settings.granularity.halves(task.slice).is_some() {
            return self.refuse(job, task, message).await;
        }
        if let Err(again) = self.fail(task, &message).await {
            return again;
        }
        let is_new = self.unstored.lock().unwrap_or_else(PoisonError::into_inner).insert(content);
        if !is_new {
            return Settlement::Done; // the next window has read the very same page
        }
        let letter = letter_of_page(job, task, "too_large", message.clone(), Vec::new());
        let letter = DeadLetter { payload: Payload::pack(&body), ..letter };
        Settlement::Dead(Box::new(LetterToStore { letter, said: message }))
    }

    async fn failed(&self, job: &Delivery, task: &Task<'_>, error: OkkiError) -> Settlement {
        let (class, message) = (error.class(), self.source.said(&error));
        self.live.note_trouble(message.clone(), None);
        self.forget_ended();
        let tries = self.with_attempts(job.seq, |attempts| {
            attempts.window = Some(task.job.window.clone());
            // An outage spends no attempt.
            if class.counts() {
                attempts.counted.push(Attempt { at: now(), message: service::chain(&error) });
            } else {
                attempts.uncounted += 1;
            }
            let counted = u32::try_from(attempts.counted.len()).unwrap_or(u32::MAX);
            Tries { counted, uncounted: attempts.uncounted, most: self.settings.max_attempts }
        });
        let delay = self.settings.retry.delay(job.delivered.clamp(1, 12) as usize);
        let has_halves = self.settings.granularity.halves(task.slice).is_some();
        if task.job.page > 1 && has_halves && is_refused(&error, tries) {
            let page = task.job.page;
            return self.refuse(job, task, format!("page {page} cannot be fetched: {message}")).await;
        }
        if is_lasting(class, tries) {
            return self.give_up(job, task, error, message).await;
        }
        let wait = match class {
            Class::Throttled(_) | Class::Outage => {
                tracing::warn!(error = message, "the source cannot be asked now");
                self.source.paused().unwrap_or(delay)
            }
            Class::Credentials => {
                tracing::error!(
                    error = message,
                    "the source refuses our credentials; trying again in a minute"
                );
                Duration::from_secs(60)
            }
            _ => {
                tracing::warn!(error = message, attempt = tries.counted, again_in = ?delay, "a page could not be fetched");
                delay
            }
        };
        self.live.note_trouble(message, i64::try_from(wait.as_micros()).ok());
        Settlement::Retry(wait)
    }

    /// The page cannot be had, but the halves of its slice have fewer pages.
    async fn refuse(&self, job: &Delivery, task: &Task<'_>, message: String) -> Settlement {
        let PageJob { window, pass, page, slice } = task.job.clone();
        tracing::warn!(%window, page, error = message, "a page is refused; its slice is read in halves");
        let reason = cut_reason(message.clone());
        let Slice { since, until } = task.slice;
        let id = format!("refused:{window}:{since}-{until}:{pass}:{page}");
        let subject = self.settings.topology.window(&window);
        let refused = PageRefused { window, pass, page, slice, reason };
        let record = match Record::new(subject, id, &refused) {
            Ok(record) => record.traced(Some(task.trace)),
            Err(error) => {
                tracing::error!(%error, "a refused page could not be recorded");
                return Settlement::Retry(Duration::from_secs(30));
            }
        };
        match self.facts.store(vec![record]).await {
            Ok(_) => {
                self.with_attempts(job.seq, std::mem::take);
                Settlement::Done
            }
            Err(error) => {
                tracing::warn!(error = %service::chain(&error), "a refused page could not be recorded yet");
                Settlement::Retry(Duration::from_secs(1))
            }
        }
    }

    /// The page cannot be had: keep what the source answered, and fail the window so that its watermark stays.
    async fn give_up(
        &self,
        job: &Delivery,
        task: &Task<'_>,
        error: OkkiError,
        message: String,
    ) -> Settlement {
        let page = task.job.page;
        let reason = format!("page {page} cannot be fetched: {message}");
        if let Err(again) = self.fail(task, &reason).await {
            return again;
        }
        let attempts = self.with_attempts(job.seq, std::mem::take).counted;
        let kind = error.kind().to_string();
        let causes = std::iter::once(error.to_string()).chain(service::causes(&error)).collect();
        let (payload, answer) = match error {
            OkkiError::Malformed { body, status, .. } | OkkiError::Business { body, status, .. } => {
                let excerpt = http::beginning(&body);
                (Payload::pack(&body), Some(Answer { status, excerpt }))
            }
            // No answer, or none that means anything: the failed window says it all, and the next one asks again.
            _ => return Settlement::Done,
        };
        let said = cut_reason(reason.clone());
        let letter = letter_of_page(job, task, &kind, reason, attempts);
        let letter = DeadLetter { causes, payload, answer, ..letter };
        Settlement::Dead(Box::new(LetterToStore { letter, said }))
    }

    /// Fails the window, while the page is still wanted: a page of a slice that was split meanwhile, or that lies beyond an
    /// end that has moved, says nothing about it. `Err`: to be decided again.
    async fn fail(&self, task: &Task<'_>, reason: &str) -> Result<(), Settlement> {
        let (window, page) = (&task.window.window, (task.slice, task.job.pass, task.job.page));
        let open = {
            let mut history = self.history.lock();
            let open = history.lane(window.lane()).open();
            open.filter(|open| open.opened.window == *window && open.wants(page))
                .map(|open| (open.last_seq, open.account()))
        };
        let Some((expected, (passes, total, distinct))) = open else { return Ok(()) };
        let reason = cut_reason(reason.to_string());
        let failed = WindowFailed { window: window.clone(), reason: reason.clone(), passes, total, distinct };
        let subject = self.settings.topology.window(window);
        let at = self.settings.clock.now();
        let record = match Record::happened(subject, format!("failed:{window}:{expected}"), &failed, at) {
            Ok(record) => record.expecting(expected),
            Err(error) => {
                tracing::error!(%error, "a failed window could not be recorded");
                return Ok(());
            }
        };
        // Coming back would ask the source again.
        let publish = || self.journal.publish(&record);
        match store_patiently(self.journal.trouble(), JournalError::is_retryable, publish).await {
            Ok(_) => tracing::error!(%window, reason, "window failed; the watermark stays"),
            // Another page was recorded meanwhile: come back and decide again.
            Err(JournalError::Conflict { .. }) => return Err(Settlement::Retry(Duration::from_millis(200))),
            Err(error) => {
                let error = service::chain(&error);
                tracing::error!(%window, reason, error, "a failed window could not be recorded");
                return Err(Settlement::Retry(Duration::from_secs(60)));
            }
        }
        Ok(())
    }

    /// Drops the attempts of jobs whose windows are over: another fetcher may have finished them.
    fn forget_ended(&self) {
        let mut history = self.history.lock();
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        retain_open(&mut all, |window| history.is_open(window));
    }

    fn with_attempts<T>(&self, seq: u64, change: impl FnOnce(&mut JobAttempts) -> T) -> T {
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(all.entry(seq).or_default());
        all.retain(|_, attempts| attempts.uncounted > 0 || !attempts.counted.is_empty());
        result
    }
}
