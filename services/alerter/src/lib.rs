//! The alerter: looks at the flow every now and then, and tells webhooks what people want to know. It runs beside the stages,
//! in every process, and keeps what was told in STATE: whichever process is there tells it, and only one of them.

mod body;
mod english;
mod harmless;
mod heartbeat;
mod look;
mod markdown;
mod message;
mod sign;
mod tell;
mod webhook;
mod wording;

use events::AlertState;
use journal::{Cell, Journal, JournalError, Topology};
use service::Config;
use tokio_util::sync::CancellationToken;

pub use english::sentence;
pub use heartbeat::Watchdog;
pub use look::looked;
pub use message::Message;
pub use webhook::Channel;
pub use wording::sentence_in_chinese;

/// Looks and tells until `stop`; looks also when the configuration names no webhook, so that `status` can say since when
/// something lasts. Whatever goes wrong is logged and tried again: no order waits for it.
pub async fn run(config: &Config, journal: Journal, stop: CancellationToken) {
    let names = Topology::new(&config.flow, config.writer.partitions);
    let cell = cell(&journal, &names);
    let seen = cell.follow::<AlertState>(stop.clone());
    let telling = config.alerts.webhooks.iter().filter_map(|webhook| match Channel::open(webhook, config) {
        Ok(channel) => Some(tell::Teller::new(channel, cell.clone(), seen.clone()).run(stop.clone())),
        // Not every process has to be trusted with every address; another one may know it.
        Err(error) => {
            let (webhook, why) = (&webhook.name, service::chain(&error));
            tracing::warn!(webhook, why, "this process tells this webhook nothing");
            None
        }
    });
    let mut tasks: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
    for telling in telling {
        tasks.spawn(telling);
    }
    match Watchdog::open(config) {
        Ok(None) => {}
        Ok(Some(watchdog)) => {
            let (cell, every) = (cell.clone(), config.alerts.every.get());
            tasks.spawn(heartbeat::Beater { watchdog, cell, seen, every }.run(stop.clone()));
        }
        // As with a webhook: another process may know it.
        Err(error) => {
            let why = service::chain(&error);
            tracing::warn!(why, "this process does not call the watchdog (alerts.heartbeat_url)");
        }
    }
    look::Looker::new(config, &journal, names, cell.clone()).run(stop).await;
    tasks.join_all().await;
}

/// What was found and told, as STATE has it; empty when nobody has looked yet.
///
/// # Errors
/// When the server does not answer.
pub async fn state(journal: &Journal, names: &Topology) -> Result<AlertState, JournalError> {
    Ok(cell(journal, names).get().await?.0)
}

fn cell(journal: &Journal, names: &Topology) -> Cell {
    Cell::new(journal.clone(), names.clone(), names.alerts())
}
