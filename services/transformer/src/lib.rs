//! The transformer: RAW to MAPPED, or to DEAD. Any number of them share one consumer.

mod again;
mod agreement;
mod fields;
mod letter;
mod mapping_file;
mod mappings;
mod newer;
mod newest;
mod numbers;
mod page;
mod page_keys;
mod presence;
mod retry;
mod row;
mod trial;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events::Stage;
use futures::FutureExt;
use journal::{
    Cell, Committer, Consumption, Journal, JournalError, Pause, StorageTrouble, Stream, Topology,
    panic_message,
};
use mapping::Plan;
use service::{Config, ConfigError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use again::{Again, How, Uncorrectable};
use fields::FieldCounts;
use mapping_file::compile;
pub use mapping_file::read_mapping;
use mappings::Mappings;
use page::Pages;
use retry::Letters;
pub use retry::Retried;

/// Why a transformer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// The mapping file cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The mapping is wrong.
    #[error(transparent)]
    Mapping(#[from] mapping::MappingErrors),
    /// A case of the mapping does not come out as it expects.
    #[error("{place}: the case {name:?} fails: {why}; `orderflow map test` shows the difference")]
    Case {
        /// Where it stands: file and line.
        place: String,
        /// Its name.
        name: String,
        /// What came of it.
        why: String,
    },
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What follows the mapping file panicked.
    #[error("following changes of the mapping ended badly")]
    Ended(#[source] tokio::task::JoinError),
}

/// Pages mapped at the same time by one transformer: a batch of MAPPED takes nine of a hundred orders, two batches are on their way, and
/// meanwhile others are mapped. With half as many, both wait for each other more often; with more, they do not less.
const IN_FLIGHT: usize = 48;

/// How often letters are looked for that another transformer, or a page begun earlier, left under another mapping.
const LOOK: Duration = Duration::from_secs(5);

/// What was counted is stored within this time when a transformer ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Reads and compiles the mapping that the configuration names. Its cases are not run, and nobody is asked whether it may be
/// used.
///
/// # Errors
/// When the file cannot be read, or a rule is wrong.
pub fn load_mapping(config: &Config) -> Result<Plan, TransformError> {
    compile(config, &read_mapping(&config.mapping.file)?)
}

/// Tries the orders again that failed under another mapping than the one that the configuration names, once, and says
/// what became of them. A transformer that runs does so by itself; this is for who has to know when it is done.
///
/// # Errors
/// When the mapping cannot be used, or the log does not answer.
pub async fn retry_failed(config: &Config, journal: &Journal) -> Result<Retried, TransformError> {
    let names = Topology::new(&config.flow, config.writer.partitions);
    journal.ensure(&names).await?;
    let mappings = Mappings::load(config, journal.clone(), names).await?;
    let pages = pages(config, journal, mappings);
    Ok(pages.retry(&pages.mappings.plan(), &mut Letters::default()).await?)
}

/// Runs a transformer until `shutdown`.
///
/// # Errors
/// When it cannot start; trouble after that is waited out.
pub async fn run(
    config: &Config,
    journal: Journal,
    shutdown: CancellationToken,
) -> Result<(), TransformError> {
    let topology = Topology::new(&config.flow, config.writer.partitions);
    journal.ensure(&topology).await?;
    let mappings = Mappings::load(config, journal.clone(), topology.clone()).await?;
    let pages = Arc::new(pages(config, &journal, mappings));
    let journal = pages.journal.clone();
    let consumption = Consumption {
        stream: Stream::Raw,
        durable: topology.consumer(Stage::Transform),
        filter: None,
        in_flight: IN_FLIGHT,
        // Short, because work in hand is kept alive: a killed transformer's pages go to another one soon.
        ack_wait: Duration::from_secs(6),
        pinned: None,
        grace: Duration::from_secs(20),
        max_attempts: config.writer.max_attempts,
        target: None,
    };
    tracing::info!(mapping = pages.mappings.plan().version(), "transformer started");
    let _here = presence::answer(&pages).await?;
    let counts = Cell::new(journal.clone(), topology.clone(), topology.fields());
    let _storing = AbortOnDropHandle::new(tokio::spawn(keep_storing(Arc::clone(&pages), counts.clone())));
    let mut following = AbortOnDropHandle::new(tokio::spawn(follow(Arc::clone(&pages), shutdown.clone())));
    let pause = Pause::follow(&journal, &topology, (Stage::Transform, None), shutdown.clone()).await?;
    let consuming = pause.work_between(&shutdown, |token| {
        let pages = Arc::clone(&pages);
        let (journal, topology, consumption) = (&journal, &topology, &consumption);
        let handler = move |raw| Arc::clone(&pages).handle(raw);
        async move { journal.consume(topology, consumption, &token, handler).await }.boxed()
    });
    tokio::pin!(consuming);
    let ended = tokio::select! {
        consumed = &mut consuming => Ok(consumed.map(drop)?),
        followed = &mut following => match followed {
            // It has ended because we are told to stop.
            Ok(()) => Ok(consuming.await.map(drop)?),
            // Without it no change of the mapping would be seen any more, and nothing would say so.
            Err(panicked) => Err(TransformError::Ended(panicked)),
        },
    };
    if let Ok(Err(error)) = tokio::time::timeout(LAST_WORDS, pages.fields.store(&counts)).await {
        tracing::debug!(error = service::chain(&error), "what was counted of fields is not stored");
    }
    ended
}

fn pages(config: &Config, journal: &Journal, mappings: Mappings) -> Pages {
    Pages {
        journal: journal.reporting_to(StorageTrouble::default()),
        names: Topology::new(&config.flow, config.writer.partitions),
        mappings: Arc::new(mappings),
        committer: Committer::start(journal.clone()),
        settle: config.schedule.settle.micros(),
        id: config.source.id.clone(),
        looked: AtomicBool::new(false),
        fields: FieldCounts::default(),
    }
}

/// Adds what was counted of fields to what all transformers have counted, now and then.
async fn keep_storing(pages: Arc<Pages>, counts: Cell) {
    let mut said = false;
    loop {
        tokio::time::sleep(fields::STORE).await;
        match pages.fields.store(&counts).await {
            Ok(()) => said = false,
            Err(error) if !said => {
                said = true;
                let error = service::chain(&error);
                tracing::warn!(error, "how many orders have the fields of the mapping cannot be stored");
            }
            Err(_) => {}
        }
    }
}

/// Picks up changes of the mapping, and what failed under another one.
async fn follow(pages: Arc<Pages>, shutdown: CancellationToken) {
    let mut plan = pages.mappings.plan();
    loop {
        let changed = tokio::select! {
            changed = pages.mappings.changed(&shutdown) => changed,
            never = keep_retrying(&pages, &plan) => match never {},
        };
        match changed {
            Some(changed) => plan = changed,
            None => return,
        }
        pages.looked.store(false, Ordering::Relaxed);
    }
}

/// Tries what failed under another mapping, now and whenever there is more.
async fn keep_retrying(pages: &Pages, plan: &Plan) -> std::convert::Infallible {
    let mut letters = Letters::default();
    loop {
        let error = match AssertUnwindSafe(pages.retry(plan, &mut letters)).catch_unwind().await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(service::chain(&error)),
            Err(panic) => Some(format!("panic: {}", panic_message(&*panic))),
        };
        if let Some(error) = error {
            tracing::warn!(error, "orders that failed under another mapping wait to be tried again");
        }
        tokio::time::sleep(LOOK).await;
    }
}
