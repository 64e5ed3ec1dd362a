//! The fetcher: OKKI to RAW and SYNC.
//!
//! A window of source time is opened as an event, its pages are fetched as jobs by however many fetchers there are, each
//! page is stored raw before it is recorded, and the window closes with a proof. There is no leader: every fetcher
//! follows the same log and tries the same appends, and one of them wins.

mod asked;
mod clock;
mod closing;
mod completeness;
mod contents;
mod deletions;
mod first_deletions;
mod granularity;
mod history;
mod job_attempts;
mod lanes;
mod letter;
mod news;
mod page;
mod page_part;
mod planner;
mod probe;
mod refusal;
mod request;
mod schedule;
mod settings;
mod slice_reader;
mod source;
mod step;
mod survey;
mod token;
mod window;

use std::sync::{Arc, Mutex};

use events::{Instance, Micros, Stage, Trouble, now};
use futures::FutureExt;
use journal::{Committer, Journal, JournalError, Pause, StorageTrouble};
use service::{Config, ConfigError};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

pub use clock::Clock;
pub use planner::Ended;
pub use probe::{FirstOrders, SourceProbe};
pub use survey::{SurveyError, survey};
pub use window::Progress;

/// Why a fetcher cannot run.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] http::HttpError),
}

/// How long a fetcher runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it is told to stop.
    Forever,
    /// Until everything up to the moment it started is fetched, or cannot be.
    Once,
}

/// What a running fetcher shows of itself.
#[derive(Debug, Clone)]
pub struct Live {
    progress: watch::Sender<Progress>,
    trouble: watch::Sender<Option<Trouble>>,
    storage: StorageTrouble,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            progress: watch::channel(Progress::default()).0,
            trouble: watch::channel(None).0,
            storage: StorageTrouble::default(),
        }
    }
}

impl Live {
    /// The window that is being fetched.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// The last thing that went wrong and has not gone right since.
    pub fn trouble(&self) -> Option<String> {
        self.storage().or_else(|| self.source_trouble().map(|trouble| trouble.why))
    }

    /// Why a page could not be fetched, while none could since.
    fn source_trouble(&self) -> Option<Trouble> {
        self.trouble.borrow().clone()
    }

    /// Notes that a page could not be fetched, and in how many microseconds it is tried again.
    fn note_trouble(&self, why: String, again_in: Option<Micros>) {
        let at = now();
        let next_attempt = again_in.map(|wait| at.saturating_add(wait));
        self.trouble
            .send_modify(|trouble| *trouble = Some(Trouble::at(trouble.as_ref(), why, at, next_attempt)));
    }

    /// Why something that was fetched cannot be stored; nothing more is fetched meanwhile.
    pub fn storage(&self) -> Option<String> {
        self.storage.why()
    }
}

/// Checks what a fetcher needs of the configuration, without connecting to anything.
///
/// # Errors
/// [`ConfigError`] naming the key.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    settings::Settings::of(config).map(|_| ())
}

/// How long the planner may take for the step it is at when it is told to stop.
const LAST_STEP: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs a fetcher until `shutdown`, or as its mode says.
///
/// # Errors
/// When it cannot start; trouble after that is waited out and shown in `live`.
pub async fn run(
    config: &Config,
    journal: Journal,
    mode: Mode,
    live: Live,
    shutdown: CancellationToken,
) -> Result<Ended, FetchError> {
    run_by(Clock::default(), config, journal, mode, live, shutdown).await
}

/// As [`run`], by a clock of one's own.
///
/// # Errors
/// As [`run`].
pub async fn run_by(
    clock: Clock,
    config: &Config,
    journal: Journal,
    mode: Mode,
    live: Live,
    shutdown: CancellationToken,
) -> Result<Ended, FetchError> {
    let settings = Arc::new(settings::Settings::of(config)?.by(clock));
    let journal = journal.reporting_to(live.storage.clone());
    journal.ensure(&settings.topology).await?;
    let shown = live.clone();
    let here = move |plain| {
        let trouble = shown.source_trouble();
        Instance {
            trouble: shown.trouble(),
            storage: shown.storage(),
            trouble_since: trouble.as_ref().map(|trouble| trouble.since),
            next_attempt: trouble.and_then(|trouble| trouble.next_attempt),
            ..plain
        }
    };
    let _here = journal.here(&settings.topology, Stage::Fetch, service::host(), here).await?;
    let pause = Pause::follow(&journal, &settings.topology, (Stage::Fetch, None), shutdown.clone()).await?;
    let work = |token| fetch(&settings, &journal, mode, &live, token).boxed();
    Ok(pause.work_between(&shutdown, work).await?.unwrap_or_default())
}

/// Plans and fetches until `stop`, or as its mode says.
async fn fetch(
    settings: &Arc<settings::Settings>,
    journal: &Journal,
    mode: Mode,
    live: &Live,
    stop: CancellationToken,
) -> Result<Ended, FetchError> {
    let stop = stop.child_token();
    let closing = closing::Closing::new(stop.clone());
    let history = Arc::new(history::Shared::new(settings.granularity.clone()));
    let pages = Arc::new(page::Pages {
        source: source::Source::new(settings, journal, closing.clone())?,
        closing: closing.clone(),
        turns: [false, true].map(|background| Semaphore::new(settings.at_a_time(background))),
        settings: Arc::clone(settings),
        journal: journal.clone(),
        raw: Committer::start(journal.clone()),
        facts: Committer::start(journal.clone()),
        history: Arc::clone(&history),
        live: live.clone(),
        attempts: Mutex::default(),
        unstored: Mutex::default(),
        first_deletions: first_deletions::FirstDeletions::default(),
    });
    let ready = CancellationToken::new();
    let consuming = [false, true].map(|background| {
        let (journal, settings, stop) = (journal.clone(), Arc::clone(settings), stop.clone());
        let ready = ready.clone();
        let pages = Arc::clone(&pages);
        tokio::spawn(async move {
            // Which pages are wanted is told by the history.
            tokio::select! {
                () = ready.cancelled() => {}
                () = stop.cancelled() => return Ok(()),
            }
            let consumption = settings.consumption(background);
            journal
                .consume(&settings.topology, &consumption, &stop, move |job| Arc::clone(&pages).handle(job))
                .await
        })
    });
    // A question to a NATS that is away can take long; the plan can be left at any point, because all of it is in the log.
    let told_to_stop = async {
        closing.watch().await;
        tokio::time::sleep(LAST_STEP).await;
    };
    let planned = tokio::select! {
        planned = planner::run(settings, journal, &history, mode, live, &ready, &stop) => planned,
        () = told_to_stop => Ok(Ended::default()),
    };
    stop.cancel();
    for loop_of_pages in consuming {
        match loop_of_pages.await {
            Ok(consumed) => consumed?,
            // The process ends.
            Err(ended) if ended.is_cancelled() => {}
            Err(panicked) => tracing::error!(%panicked, "the page loop ended badly"),
        }
    }
    Ok(planned?)
}
