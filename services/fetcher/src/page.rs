//! One job: fetch a page, store what is new on it, record it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::{
    Answer, Attempt, DeadLetter, LetterOrigin, PageJob, Payload, Slice, Stage, WindowFailed, WindowOpened,
    now,
};
use http::Class;
use journal::{Committer, Delivery, Journal, Record, Settlement, TraceParent};
use okki::{OkkiError, Page};
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::Live;
use crate::history::{Shared, is_background};
use crate::settings::Settings;
use crate::source::Source;

/// A job whose window we never hear of is dropped after so many looks; where it is wanted, it is asked for again.
const LOOKS: u64 = 400;

/// Everything a page job needs.
pub(crate) struct Pages {
    pub(crate) settings: Arc<Settings>,
    pub(crate) journal: Journal,
    /// Group commit of RAW.
    pub(crate) raw: Committer,
    /// Group commit of the facts in SYNC that expect nothing of it.
    pub(crate) facts: Committer,
    pub(crate) source: Source,
    /// Who may ask the source: for the timed windows, and for sweeps and backfills.
    pub(crate) turns: [Semaphore; 2],
    pub(crate) history: Arc<Shared>,
    pub(crate) live: Live,
    /// Failed attempts of the jobs in hand, by sequence.
    pub(crate) attempts: Mutex<HashMap<u64, Vec<Attempt>>>,
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
                self.with_attempts(job.seq, |attempts| attempts.clear());
                return Settlement::Done;
            }
            // We follow the log a moment behind the one who wrote the job.
            Err(_) => return Settlement::Retry(Duration::from_millis(50 * job.delivered.min(40))),
        };
        let span = tracing::info_span!("fetch page", window = %wanted.window, pass = wanted.pass, page = wanted.page);
        let (trace_id, span_id, sampled) = service::traced(&span, None);
        let trace = TraceParent { trace_id, span_id, sampled };
        let task = Task { job: &wanted, window: &window, slice, trace };
        self.fetch(&job, &task).instrument(span).await
    }

    async fn fetch(&self, job: &Delivery, task: &Task<'_>) -> Settlement {
        let Some(template) = self.settings.template(task.window.listing) else {
            // Asked as orders, they would be taken for deletions. A fetcher that has `schedule.deleted` can do it.
            tracing::warn!(window = %task.window.window, "deletions are not for this fetcher: it has no [schedule.deleted]");
            return Settlement::Retry(Duration::from_secs(5));
        };
        let parameters = match template.page(task.slice, task.job.page) {
            Ok(parameters) => parameters,
            Err(message) => {
                tracing::error!(error = message, "the request template cannot be filled in");
                return Settlement::Retry(Duration::from_secs(30));
            }
        };
        // Only asking is limited: while a page is stored, the next one may be asked for.
        let turn = self.turns[usize::from(task.is_background())].acquire().await;
        let page: Result<Page, OkkiError> = self.source.list(parameters, task.is_background()).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => return self.failed(job, task, error).await,
        };
        let read_at = now();
        let news = match self.news(task, &page).await {
            Ok(news) => news,
            Err(error) => return self.failed(job, task, error).await,
        };
        drop(turn);
        match self.record(task, page, read_at, news).await {
            Ok(()) => {
                self.live.trouble.send_if_modified(|trouble| trouble.take().is_some());
                self.with_attempts(job.seq, |attempts| attempts.clear());
                Settlement::Done
            }
            Err(error) if error.is_retryable() => {
                tracing::warn!(error = %service::chain(&error), "a page could not be stored; it is fetched again");
                Settlement::Retry(Duration::from_secs(1))
            }
            Err(error) => {
                let reason = format!("page {} cannot be stored: {}", task.job.page, service::chain(&error));
                match self.fail(task, &reason).await {
                    Ok(()) => Settlement::Done,
                    Err(again) => again,
                }
            }
        }
    }

    async fn failed(&self, job: &Delivery, task: &Task<'_>, error: OkkiError) -> Settlement {
        let (class, message) = (error.class(), self.source.said(&error));
        self.live.trouble.send_replace(Some(message.clone()));
        let seen = self.with_attempts(job.seq, |attempts| {
            // An outage spends no attempt.
            if class.counts() {
                attempts.push(Attempt { at: now(), message: service::chain(&error) });
            }
            attempts.len()
        });
        let delay = self.settings.retry.delay(job.delivered.clamp(1, 12) as usize);
        let counted = seen as u64 >= u64::from(self.settings.max_attempts);
        if class == Class::Permanent || counted {
            return self.give_up(job, task, error, message).await;
        }
        match class {
            Class::Throttled(_) | Class::Outage => {
                tracing::warn!(error = message, "the source cannot be asked now");
                Settlement::Retry(self.source.paused().unwrap_or(delay))
            }
            Class::Credentials => {
                tracing::error!(
                    error = message,
                    "the source refuses our credentials; trying again in a minute"
                );
                Settlement::Retry(Duration::from_secs(60))
            }
            _ => {
                tracing::warn!(error = message, attempt = seen, again_in = ?delay, "a page could not be fetched");
                Settlement::Retry(delay)
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
        let (window, page) = (&task.window.window, task.job.page);
        let reason = format!("page {page} cannot be fetched: {message}");
        if let Err(again) = self.fail(task, &reason).await {
            return again;
        }
        let attempts = self.with_attempts(job.seq, std::mem::take);
        let kind = error.kind().to_string();
        let causes = std::iter::once(error.to_string()).chain(service::causes(&error)).collect();
        let (payload, answer) = match error {
            OkkiError::Malformed { body, status, .. } | OkkiError::Business { body, status, .. } => {
                let excerpt = String::from_utf8_lossy(&body).chars().take(240).collect();
                (Payload::pack(&body), Some(Answer { status, excerpt }))
            }
            // No answer, or none that means anything: the failed window says it all, and the next one asks again.
            _ => return Settlement::Done,
        };
        Settlement::Dead(Box::new(DeadLetter {
            stage: Stage::Fetch,
            kind,
            message: reason,
            causes,
            origin: LetterOrigin {
                stream: job.stream.clone(),
                sequence: job.seq,
                window: Some(window.clone()),
                page: Some(page),
                row: None,
                raw_seq: None,
                listing: task.window.listing,
            },
            target: None,
            key: None,
            number: None,
            payload,
            answer,
            attempts,
            mapping: None,
            trace_id: Some(task.trace.trace_id()),
            retries: 0,
        }))
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
        let failed =
            WindowFailed { window: window.clone(), reason: reason.to_string(), passes, total, distinct };
        let subject = self.settings.topology.window(window);
        match Record::new(subject, format!("failed:{window}:{expected}"), &failed) {
            Ok(record) => match self.journal.publish(&record.expecting(expected)).await {
                Ok(_) => tracing::error!(%window, reason, "window failed; the watermark stays"),
                // Another page was recorded meanwhile: come back and decide again.
                Err(_) => return Err(Settlement::Retry(Duration::from_millis(200))),
            },
            Err(error) => tracing::error!(%error, "a failed window could not be recorded"),
        }
        Ok(())
    }

    fn with_attempts<T>(&self, seq: u64, change: impl FnOnce(&mut Vec<Attempt>) -> T) -> T {
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(all.entry(seq).or_default());
        all.retain(|_, attempts| !attempts.is_empty());
        result
    }
}
