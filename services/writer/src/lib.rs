//! The writer: MAPPED to a target, with a receipt for every order in RECEIPTS, or a letter in DEAD.
//!
//! Orders are spread over partitions; each partition is consumed by one writer at a time (a pinned consumer), which knows
//! from the receipts what the target holds. So nothing is sent that is there already, and nothing older than what is there.

mod attempts;
mod circuit;
mod concurrency;
mod error_budget;
mod front;
mod gather;
mod keys;
mod ledger;
mod letter;
mod older_stamp;
mod order;
mod part;
mod partition_troubles;
mod presence;
mod probe;
mod read_ahead;
mod receipt;
mod seen_through;
mod send;
mod settings;
mod target;
mod unrecordable;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use error_budget::ErrorBudget;
use events::{Outcome, Stage, TargetName, Trouble};
use futures::FutureExt;
use journal::{Budget, Cell, Committer, Journal, JournalError, Partitions, Pause, StorageTrouble, Topology};
use service::config::Target;
use service::{Config, ConfigError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use postgres::TableReport;
pub use probe::{TargetReply, probe};

/// Why a writer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum WriterError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The HTTP client.
    #[error(transparent)]
    Http(#[from] http::HttpError),
    /// The settings of a database.
    #[error(transparent)]
    Postgres(#[from] postgres::PostgresError),
}

/// What the writers of one process show of themselves.
#[derive(Debug, Default)]
pub struct Counts {
    outcomes: [AtomicU64; Outcome::ALL.len()],
    dead: AtomicU64,
}

impl Counts {
    /// How often this outcome was recorded since the process started.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }

    /// How many orders became dead letters since the process started.
    pub fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    /// How many orders have an outcome or a dead letter since the process started.
    pub fn done(&self) -> u64 {
        Outcome::ALL.into_iter().map(|outcome| self.of(outcome)).sum::<u64>() + self.dead()
    }

    fn note(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// What a running writer shows of itself.
#[derive(Debug, Clone)]
pub struct Live {
    /// What became of the orders.
    pub counts: Arc<Counts>,
    trouble: watch::Sender<Option<Trouble>>,
    storage: StorageTrouble,
    shared: Arc<OnceLock<(Arc<ErrorBudget>, Arc<Budget>)>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            counts: Arc::default(),
            trouble: watch::channel(None).0,
            storage: StorageTrouble::default(),
            shared: Arc::default(),
        }
    }
}

impl Live {
    /// Why the target is left alone at the moment.
    pub fn trouble(&self) -> Option<String> {
        let stopped = self.stopped().map(|why| format!("stopped: {why}"));
        let storage = || self.storage().map(|why| format!("what has to be recorded cannot be stored: {why}"));
        stopped.or_else(storage).or_else(|| self.outage().map(|trouble| trouble.why))
    }

    /// Why the target does not work, as its answers say.
    pub(crate) fn outage(&self) -> Option<Trouble> {
        self.trouble.borrow().clone()
    }

    /// When the target may be asked again, where it asked to be left alone until then.
    pub(crate) fn paused_until(&self) -> Option<events::Micros> {
        self.shared.get()?.1.paused_until()
    }

    /// Why something that this writer has to store cannot be stored; what it is about is not sent meanwhile.
    pub fn storage(&self) -> Option<String> {
        self.storage.why()
    }

    /// Why the writers of the target have stopped, when they have: only a person lets them go on.
    pub fn stopped(&self) -> Option<String> {
        self.shared.get()?.0.stopped()
    }

    /// Whether the target asked to be left alone for a time that is not over.
    pub fn paused(&self) -> bool {
        self.paused_until().is_some()
    }
}

/// Checks what can be checked of a target without connecting to it.
///
/// # Errors
/// What is wrong with its configuration.
pub fn check(config: &Config, target: &Target) -> Result<(), WriterError> {
    target::Target::of(&config.flow, target).map(drop)
}

/// Runs a writer for one target until `shutdown`.
///
/// # Errors
/// When it cannot start; trouble after that is waited out.
pub async fn run(
    config: &Config,
    target: &Target,
    journal: Journal,
    live: Live,
    shutdown: CancellationToken,
) -> Result<(), WriterError> {
    let journal = journal.reporting_to(live.storage.clone());
    let topology = Topology::new(&config.flow, config.writer.partitions);
    journal.ensure(&topology).await?;
    let name = TargetName::new(&target.name);
    let settings = settings::Settings::of(config, target);
    let cell = |subject| Cell::new(journal.clone(), topology.clone(), subject);
    let (gathering, gathered) = match settings.gathering.batch {
        1 => (None, None),
        // Bounded: what is in hand of each partition is, too.
        batch => Some(mpsc::channel(batch)).unzip(),
    };
    let error_budget = Arc::new(ErrorBudget::start(target.stop, cell(topology.stop(&name))).await?);
    let limit = cell(topology.budget(&format!("target-{}", name.token())));
    let limit = Arc::new(Budget::start(limit, settings.rate));
    let _ = live.shared.set((Arc::clone(&error_budget), Arc::clone(&limit))); // there already when a test runs two writers
    let writer = Arc::new(send::Writer {
        topology: topology.clone(),
        name: name.clone(),
        target: target::Target::of(topology.flow(), target)?,
        circuit: circuit::Circuit::new(settings.outage, live.trouble.clone()),
        front: front::FrontRefusals::default(),
        concurrency: concurrency::Concurrency::new(target.concurrency_min, target.concurrency),
        limit,
        penalty: target.limit.penalty.get(),
        error_budget: Arc::clone(&error_budget),
        contact: journal.contact(settings.safe_silence()).await?,
        committer: Committer::start(journal.clone()),
        journal: journal.clone(),
        retry: settings.retry,
        max_attempts: settings.max_attempts,
        counts: Arc::clone(&live.counts),
        operators: config.operators.clone(),
        gathering,
    });
    if let Some(gathered) = gathered {
        tokio::spawn(gather::run(settings.gathering, gathered, Arc::downgrade(&writer)));
    }
    let holdings = Arc::<presence::Holdings>::default();
    let _here = presence::answer(&writer, Arc::clone(&holdings), live).await?;
    let role = format!("write.{}", name.token());
    let troubles = partition_troubles::PartitionTroubles::new(journal.trouble().clone());
    let pause = Pause::follow(&journal, &topology, (Stage::Write, Some(&name)), shutdown.clone()).await?;
    let consumption = move |partition| settings.consumption(&topology, &name, partition);
    let hold = &|partition, token: CancellationToken| {
        let storage = troubles.of(partition);
        let held = order::Partition::new(Arc::clone(&writer), partition, token.clone(), storage);
        let held = Arc::new(held);
        holdings.note(&held);
        let (journal, consumption, topology) =
            (journal.clone(), consumption(partition), writer.topology.clone());
        async move {
            let ahead = Arc::clone(&held);
            let handler = move |order| Arc::clone(&held).handle(order);
            let consuming = async {
                let consumed = journal.consume(&topology, &consumption, &token, handler).await;
                token.cancel();
                consumed
            };
            let reading = token.run_until_cancelled(async move { ahead.read_ahead().await });
            Box::pin(futures::future::join(consuming, reading)).await.0
        }
    };
    let work = |shutdown: CancellationToken| {
        let topology = writer.topology.clone();
        let partitions = Partitions::new(journal.clone(), topology, role.clone(), journal.member());
        async move { partitions.run(&shutdown, hold).await }.boxed()
    };
    pause.work_between(&shutdown, work).await?;
    Ok(())
}
