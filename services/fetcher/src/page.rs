//! One job: fetch a page, store it raw, record it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::{
    Answer, Attempt, DeadLetter, LetterOrigin, PageFetched, PageJob, Payload, RawPage, Stage, WindowFailed,
    WindowOpened, now,
};
use http::{Class, Gate, Pace};
use journal::{Delivery, Journal, JournalError, Label, Record, Settlement, TraceParent};
use okki::{Okki, OkkiError, Page};
use tracing::Instrument;

use crate::Live;
use crate::settings::Settings;
use crate::window::Shared;

/// What the RAW message holds beside the page's bytes stays well below this.
const HEADROOM: usize = 16 << 10;

/// Everything a page job needs.
pub(crate) struct Pages {
    settings: Arc<Settings>,
    journal: Journal,
    okki: Okki,
    window: Arc<Shared>,
    live: Live,
    pace: Pace,
    /// Closed while the source wants to be left alone.
    gate: Gate,
    /// Failed attempts of the jobs in hand, by sequence.
    attempts: Mutex<HashMap<u64, Vec<Attempt>>>,
}

impl Pages {
    pub(crate) fn new(
        settings: Arc<Settings>,
        journal: Journal,
        okki: Okki,
        window: Arc<Shared>,
        live: Live,
    ) -> Self {
        let pace = Pace::new(settings.limit.requests, settings.limit.period, settings.limit.burst);
        Self {
            settings,
            journal,
            okki,
            window,
            live,
            pace,
            gate: Gate::default(),
            attempts: Mutex::default(),
        }
    }

    pub(crate) async fn handle(self: Arc<Self>, job: Delivery) -> Settlement {
        let wanted = match job.event::<PageJob>() {
            Ok(decoded) => decoded.body,
            Err(error) => {
                tracing::error!(error = %service::chain(&error), "a page job cannot be read and is dropped; the planner asks again");
                return Settlement::Done;
            }
        };
        let window = match self.window.wanted(&wanted.window, wanted.pass, wanted.page) {
            Ok(window) => window,
            Err(true) => return Settlement::Done,
            // We follow the log a moment behind the one who wrote the job.
            Err(false) => return Settlement::Retry(Duration::from_millis(50)),
        };
        let span = tracing::info_span!("fetch page", window = %wanted.window, pass = wanted.pass, page = wanted.page);
        let (trace_id, span_id, sampled) = service::traced(&span, None);
        let trace = TraceParent { trace_id, span_id, sampled };
        self.fetch(&job, &wanted, &window, trace).instrument(span).await
    }

    async fn fetch(
        &self,
        job: &Delivery,
        wanted: &PageJob,
        window: &WindowOpened,
        trace: TraceParent,
    ) -> Settlement {
        let parameters = match self.settings.template.page(window, wanted.page) {
            Ok(parameters) => parameters,
            Err(message) => {
                tracing::error!(error = message, "the request template cannot be filled in");
                return Settlement::Retry(Duration::from_secs(30));
            }
        };
        self.gate.wait().await;
        self.pace.wait().await;
        match self.okki.list(parameters).await {
            Ok(page) => match self.record(wanted, page, trace).await {
                Ok(()) => {
                    self.live.trouble.send_if_modified(|trouble| trouble.take().is_some());
                    self.with_attempts(job.seq, |attempts| attempts.clear());
                    Settlement::Done
                }
                Err(error) => {
                    tracing::warn!(error = %service::chain(&error), "a page could not be stored; it is fetched again");
                    Settlement::Retry(Duration::from_secs(1))
                }
            },
            Err(error) => self.failed(job, wanted, error, trace).await,
        }
    }

    /// Stores the page and then the fact that it was fetched, in this order: a fact without its page would be a gap.
    async fn record(&self, wanted: &PageJob, page: Page, trace: TraceParent) -> Result<(), JournalError> {
        let names = &self.settings.topology;
        let hash = events::ContentHash::of(&page.body);
        let raw = RawPage {
            window: wanted.window.clone(),
            pass: wanted.pass,
            page: wanted.page,
            part: 0,
            parts: 1,
            request: page.request,
            status: page.status,
            fetched_at: now(),
            rows: u32::try_from(page.ids.len()).unwrap_or(u32::MAX),
            body: Payload::pack(&page.body),
        };
        // The id holds the content: a page that is fetched again and differs must not be taken for the first one.
        let id = format!("raw:{}:{}:{}:{hash}", wanted.window, wanted.pass, wanted.page);
        let limit = self.journal.max_payload().saturating_sub(HEADROOM);
        let mut records = Vec::new();
        for part in raw.into_parts(limit) {
            let record = Record::new(names.raw(), format!("{id}:{}", part.part), &part)?.traced(Some(trace));
            records.push(match part.part {
                0 => record.labelled(Label::Rows, part.rows),
                _ => record,
            });
        }
        let stored = self.journal.store_all(&records).await?;
        let raw_seq = stored.first().map_or(0, |first| first.seq);
        let nameless = |row: usize| format!("no id: page {}, row {row}", wanted.page);
        let ids =
            page.ids.into_iter().enumerate().map(|(row, id)| id.unwrap_or_else(|| nameless(row))).collect();
        let fetched = PageFetched {
            window: wanted.window.clone(),
            pass: wanted.pass,
            page: wanted.page,
            raw_seq,
            total: page.total,
            ids,
        };
        let id = format!("page:{}:{}:{}", wanted.window, wanted.pass, wanted.page);
        let record = Record::new(names.window(&wanted.window), id, &fetched)?.traced(Some(trace));
        self.journal.publish(&record).await?;
        tracing::debug!(raw_seq, rows = fetched.ids.len(), total = fetched.total, "page stored");
        Ok(())
    }

    async fn failed(
        &self,
        job: &Delivery,
        wanted: &PageJob,
        error: OkkiError,
        trace: TraceParent,
    ) -> Settlement {
        let (class, message) = (error.class(), service::chain(&error));
        self.live.trouble.send_replace(Some(message.clone()));
        let seen = self.with_attempts(job.seq, |attempts| {
            // An outage spends no attempt.
            if class.counts() {
                attempts.push(Attempt { at: now(), message: message.clone() });
            }
            attempts.len()
        });
        let delay = self.settings.retry.delay(job.delivered.clamp(1, 12) as usize);
        let counted = seen as u64 >= u64::from(self.settings.max_attempts);
        if class == Class::Permanent || counted {
            return self.give_up(job, wanted, error, message, trace).await;
        }
        match class {
            Class::Throttled(after) => {
                let wait = after.unwrap_or(delay);
                tracing::warn!(?wait, "the source throttles us");
                self.gate.close_for(wait);
                Settlement::Retry(wait)
            }
            Class::Credentials => {
                tracing::error!(
                    error = message,
                    "the source refuses our credentials; trying again in a minute"
                );
                self.gate.close_for(Duration::from_secs(60));
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
        wanted: &PageJob,
        error: OkkiError,
        message: String,
        trace: TraceParent,
    ) -> Settlement {
        let reason = format!("page {} cannot be fetched: {message}", wanted.page);
        let (expected, progress, distinct) = self.window.with(|newest| match newest {
            Some(known) if known.opened.window == wanted.window && known.end.is_none() => {
                (known.last_seq, Some(known.progress()), known.distinct())
            }
            _ => (0, None, 0),
        });
        if let Some(progress) = progress {
            let failed = WindowFailed {
                window: wanted.window.clone(),
                reason: reason.clone(),
                passes: progress.pass,
                total: progress.total,
                distinct,
            };
            let subject = self.settings.topology.window(&wanted.window);
            let record = Record::new(subject, format!("failed:{}:{expected}", wanted.window), &failed);
            match record.map(|record| record.expecting(expected)) {
                Ok(record) => match self.journal.publish(&record).await {
                    Ok(_) => {
                        tracing::error!(window = %wanted.window, reason, "window failed; the watermark stays")
                    }
                    // Another page was recorded meanwhile: come back and decide again.
                    Err(_) => return Settlement::Retry(Duration::from_millis(200)),
                },
                Err(error) => tracing::error!(%error, "a failed window could not be recorded"),
            }
        }
        let attempts = self.with_attempts(job.seq, std::mem::take);
        let kind = error.kind().to_string();
        let (payload, answer) = match error {
            OkkiError::Malformed { body, status, .. } => {
                let excerpt = String::from_utf8_lossy(&body).chars().take(240).collect();
                (Payload::pack(&body), Some(Answer { status, excerpt }))
            }
            OkkiError::Business { .. } => (Payload::pack(&[]), None),
            // No answer, or none that means anything: the failed window says it all, and the next one asks again.
            _ => return Settlement::Done,
        };
        Settlement::Dead(Box::new(DeadLetter {
            stage: Stage::Fetch,
            kind,
            message: reason,
            causes: vec![message],
            origin: LetterOrigin {
                stream: job.stream.clone(),
                sequence: job.seq,
                window: Some(wanted.window.clone()),
                page: Some(wanted.page),
                row: None,
                raw_seq: None,
            },
            target: None,
            key: None,
            number: None,
            payload,
            answer,
            attempts,
            mapping: None,
            trace_id: Some(trace.trace_id()),
        }))
    }

    fn with_attempts<T>(&self, seq: u64, change: impl FnOnce(&mut Vec<Attempt>) -> T) -> T {
        let mut all = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(all.entry(seq).or_default());
        all.retain(|_, attempts| !attempts.is_empty());
        result
    }
}
