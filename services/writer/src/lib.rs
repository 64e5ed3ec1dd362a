//! The writer: MAPPED to a target, with a receipt for every order in RECEIPTS, or a letter in DEAD.
//!
//! Orders are spread over partitions; each partition is consumed by one writer at a time (a pinned consumer), which knows
//! from the receipts what the target holds. So nothing is sent that is there already, and nothing older than what is there.

mod circuit;
mod keys;
mod ledger;
mod order;
mod send;
mod settings;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::{Outcome, TargetName};
use http::{Client, Pace};
use journal::{Committer, Grouping, Journal, JournalError, Partitions, Topology};
use qeasy::Qeasy;
use service::config::Target;
use service::{Config, ConfigError};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

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
    trouble: watch::Sender<Option<String>>,
}

impl Default for Live {
    fn default() -> Self {
        Self { counts: Arc::default(), trouble: watch::channel(None).0 }
    }
}

impl Live {
    /// Why the target is left alone at the moment.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.borrow().clone()
    }
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
    let topology = Topology::new(&config.flow, config.writer.partitions);
    journal.ensure(&topology).await?;
    let name = TargetName::new(&target.name);
    let settings = settings::Settings::of(config, target)?;
    let client = Client::new(target.concurrency)?;
    let writer = Arc::new(send::Writer {
        topology: topology.clone(),
        target: name.clone(),
        qeasy: Qeasy::new(settings.target.clone(), client),
        circuit: circuit::Circuit::new(settings.outage, live.trouble.clone()),
        slots: Semaphore::new(target.concurrency),
        pace: Pace::new(settings.limit.requests, settings.limit.period, settings.limit.burst),
        committer: Committer::start(journal.clone(), Grouping::default()),
        journal: journal.clone(),
        retry: settings.retry,
        max_attempts: settings.max_attempts,
        counts: Arc::clone(&live.counts),
    });
    let role = format!("write.{}", name.token());
    let partitions = Partitions::new(journal.clone(), topology.clone(), role, journal.member());
    let consumption = move |partition| settings.consumption(&topology, &name, partition);
    partitions
        .run(&shutdown, |partition, token| {
            let held = Arc::new(order::Partition::new(Arc::clone(&writer), partition, token.clone()));
            let (journal, consumption, topology) =
                (journal.clone(), consumption(partition), writer.topology.clone());
            async move {
                journal
                    .consume(&topology, &consumption, &token, move |order| Arc::clone(&held).handle(order))
                    .await
            }
        })
        .await?;
    Ok(())
}
