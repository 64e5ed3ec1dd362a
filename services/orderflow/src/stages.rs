//! `orderflow fetch`, `transform`, `write`: one stage against a NATS that others share.

use std::path::Path;

use anyhow::bail;
use fetcher::Mode;
use journal::{Connection, Journal};
use service::Config;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alerts::Telling;
use crate::cli::{FetchArgs, WriteArgs};
use crate::exit::Exit;

/// Connects to the NATS that the configuration names.
pub async fn connect(config: &Config, stage: &str) -> anyhow::Result<Journal> {
    let url = config.nats.url.clone().ok_or_else(|| service::ConfigError::Key {
        place: "configuration".into(),
        message: t!(
            "nats.url is missing: a single stage needs a NATS that the others share (`orderflow up` runs its own)"
        )
        .into(),
    })?;
    let name = format!("orderflow {stage} {}", config.flow);
    let connection = Connection { url, credentials_file: config.nats.credentials_file.clone(), name };
    Ok(Journal::connect(&connection).await?)
}

/// That a target is not there, and which are.
pub fn no_target(name: &str, config: &Config) -> String {
    let names: Vec<_> = config.targets.iter().map(|target| target.name.as_str()).collect();
    t!("there is no target \"%{name}\"; there is %{names}", name = name, names = names.join(", ")).into()
}

pub async fn fetch(args: FetchArgs, config: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let config = Config::load(config)?;
    let journal = connect(&config, "fetch").await?;
    let mode = if args.once { Mode::Once } else { Mode::Forever };
    let telling = (!args.once).then(|| Telling::start(&config, &journal, &shutdown));
    let ended = fetcher::run(&config, journal.clone(), mode, fetcher::Live::default(), shutdown).await?;
    if let Some(telling) = telling {
        telling.end().await;
    }
    journal.flush().await;
    if let (true, Some((window, reason))) = (args.once, ended.failed) {
        bail!("{}", t!("window %{window} failed: %{reason}", window = window, reason = reason));
    }
    Ok(if args.once && !ended.complete { Exit::Partial } else { Exit::Ok })
}

pub async fn transform(config: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let config = Config::load(config)?;
    let journal = connect(&config, "transform").await?;
    let telling = Telling::start(&config, &journal, &shutdown);
    transformer::run(&config, journal.clone(), shutdown).await?;
    telling.end().await;
    journal.flush().await;
    Ok(Exit::Ok)
}

pub async fn write(args: WriteArgs, config: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let config = Config::load(config)?;
    let wanted = |name: &str| args.target.as_deref().is_none_or(|target| target == name);
    let targets: Vec<_> = config.targets.iter().filter(|target| wanted(&target.name)).cloned().collect();
    if targets.is_empty() {
        bail!(service::ConfigError::Key {
            place: "configuration".into(),
            message: match &args.target {
                Some(target) => no_target(target, &config),
                None => t!("there is no [[target]] to write to").into(),
            },
        });
    }
    let journal = connect(&config, "write").await?;
    let telling = Telling::start(&config, &journal, &shutdown);
    let mut writers = JoinSet::new();
    for target in targets {
        let (config, journal, shutdown) = (config.clone(), journal.clone(), shutdown.clone());
        let live = writer::Live::default();
        writers.spawn(async move { writer::run(&config, &target, journal, live, shutdown).await });
    }
    let mut result = Ok(Exit::Ok);
    while let Some(ended) = writers.join_next().await {
        if let Err(error) = ended? {
            shutdown.cancel(); // one target that cannot run is seen at once, not when all have ended
            result = Err(error.into());
        }
    }
    telling.end().await;
    journal.flush().await;
    result
}
