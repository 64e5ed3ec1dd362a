//! The transformer: RAW to MAPPED, or to DEAD. Any number of them share one consumer.

mod page;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use events::Stage;
use journal::{Committer, Consumption, Grouping, Journal, JournalError, Stream, Topology};
use mapping::Plan;
use service::{Config, ConfigError};
use tokio_util::sync::CancellationToken;

/// Why a transformer cannot run.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// The mapping file cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The mapping is wrong.
    #[error(transparent)]
    Mapping(#[from] mapping::MappingError),
    /// The log.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Pages mapped at the same time by one transformer: enough to keep a core busy while others are being stored.
const IN_FLIGHT: usize = 12;

/// Reads and compiles the mapping that the configuration names.
///
/// # Errors
/// When the file cannot be read, or a rule is wrong.
pub fn load_mapping(config: &Config) -> Result<Plan, TransformError> {
    let path = &config.mapping.file;
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        what: "mapping.file".into(),
        path: path.clone(),
        source,
    })?;
    Ok(Plan::compile(&path.display().to_string(), &text, &config.zone())?)
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
    let plan = load_mapping(config)?;
    let topology = Topology::new(&config.flow, config.writer.partitions);
    journal.ensure(&topology).await?;
    let consumption = Consumption {
        stream: Stream::Raw,
        durable: topology.consumer(Stage::Transform),
        filter: None,
        in_flight: IN_FLIGHT,
        // Short, because work in hand is kept alive: a killed transformer's pages go to another one soon.
        ack_wait: Duration::from_secs(6),
        pinned: None,
        grace: Duration::from_secs(20),
    };
    tracing::info!(mapping = plan.version(), "transformer started");
    let committer = Committer::start(journal.clone(), Grouping::default());
    let pages = Arc::new(page::Pages {
        journal: journal.clone(),
        topology: topology.clone(),
        plan,
        committer,
        looked: AtomicBool::new(false),
    });
    journal.consume(&topology, &consumption, &shutdown, move |raw| Arc::clone(&pages).handle(raw)).await?;
    Ok(())
}
