//! `orderflow fetch`, `transform`, `write`: one stage against a NATS that others share.

use std::path::Path;

use anyhow::bail;
use events::{Stage, TargetName};
use fetcher::Mode;
use journal::{ClientCertificate, Connection, Credentials, Identity, Journal, TlsFiles, Topology};
use operations::PausedStage;
use service::Config;
use service::config::NatsTls;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alerts::Telling;
use crate::caution;
use crate::cli::{FetchArgs, WriteArgs};
use crate::exit::{Exit, Paused};
use crate::pause::already;

/// Connects to the NATS that the configuration names.
pub async fn connect(config: &Config, stage: &str) -> anyhow::Result<Journal> {
    let url = config.nats.url.clone().ok_or_else(|| service::ConfigError::Key {
        place: "configuration".into(),
        message: t!(
            "nats.url is missing: a single stage needs a NATS that the others share (`orderflow up` runs its own)"
        )
        .into(),
    })?;
    Ok(Box::pin(Journal::connect(&connection(config, url, stage)?)).await?)
}

/// How every command connects: to this address, as the configuration says who we are.
pub fn connection(config: &Config, url: String, stage: &str) -> Result<Connection, service::ConfigError> {
    let nats = &config.nats;
    let missing = |key: &str, how: &str| service::ConfigError::Key {
        place: "configuration".into(),
        message: t!("`%{key}` is missing; give %{how}", key = key, how = how).into(),
    };
    let (password, token) = (nats.password()?, nats.token()?);
    let credentials = if let Some(user) = &nats.user {
        if password.is_empty() {
            return Err(missing("nats.password", "ORDERFLOW_NATS__PASSWORD or nats.password_file"));
        }
        Credentials::Password { user: user.clone(), password: password.reveal().to_string() }
    } else if !token.is_empty() {
        Credentials::Token(token.reveal().to_string())
    } else if nats.token_file.is_some() {
        return Err(missing("nats.token", "a nats.token_file that is not empty"));
    } else if let Some(file) = &nats.nkey_file {
        Credentials::NkeyFile(file.clone())
    } else if let Some(file) = &nats.credentials_file {
        Credentials::File(file.clone())
    } else {
        Credentials::InUrl
    };
    let tls = nats.tls.as_ref().map(|tls| {
        let client = tls.cert_file.clone().zip(tls.key_file.clone());
        let client = client.map(|(cert_file, key_file)| ClientCertificate { cert_file, key_file });
        TlsFiles { ca_file: tls.ca_file.clone(), client }
    });
    Ok(Connection { url: url.into(), credentials, tls, name: format!("orderflow {stage} {}", config.flow) })
}

/// Has the configuration name a server of our own, and what it and we know each other by.
pub fn use_local(config: &mut Config, url: String, identity: Option<&Identity>) {
    config.nats.url = Some(url);
    config.nats.own_folder = identity.and_then(|identity| identity.file().parent()).map(Path::to_path_buf);
    config.nats.tls = identity.map(|identity| {
        let file = || Some(identity.file().to_path_buf());
        NatsTls { ca_file: file(), cert_file: file(), key_file: file() }
    });
}

/// That a target is not there, and which are.
pub fn no_target(name: &str, config: &Config) -> String {
    let names: Vec<_> = config.targets.iter().map(|target| target.name.as_str()).collect();
    t!("there is no target \"%{name}\"; there is %{names}", name = name, names = names.join(", ")).into()
}

/// Refuses to wait for a stage that a person has paused.
pub async fn refuse_paused(
    journal: &Journal,
    names: &Topology,
    config: &Config,
    stages: &[PausedStage<'_>],
) -> anyhow::Result<()> {
    for stage in stages {
        if let Some(paused) = operations::paused(journal, names, *stage).await? {
            bail!(Paused(already(&paused, &config.zone())));
        }
    }
    Ok(())
}

pub async fn fetch(args: FetchArgs, config: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let config = Config::load(config)?;
    caution::log(&config);
    let journal = connect(&config, "fetch").await?;
    let looked = caution::log_server(&journal, &config, false);
    let mode = if args.once { Mode::Once } else { Mode::Forever };
    let telling = (!args.once).then(|| Telling::start(&config, &journal, &shutdown));
    let names = Topology::new(&config.flow, config.writer.partitions);
    if args.once {
        // On a new NATS there is nothing yet that could say so.
        journal.ensure(&names).await?;
        refuse_paused(&journal, &names, &config, &[(Stage::Fetch, None)]).await?;
    }
    let fetching =
        Box::pin(fetcher::run(&config, journal.clone(), mode, fetcher::Live::default(), shutdown.clone()));
    let ended = match args.once {
        true => fetching.await?,
        false => operations::serve(&journal, &names, (Stage::Fetch, None), &shutdown, fetching).await?,
    };
    if let Some(telling) = telling {
        telling.end().await;
    }
    if args.once && ended.complete {
        operations::ended_well(&journal, &names, "fetch").await;
    }
    looked.ended().await;
    journal.flush().await;
    if let (true, Some((window, reason))) = (args.once, ended.failed) {
        bail!("{}", t!("window %{window} failed: %{reason}", window = window, reason = reason));
    }
    Ok(if args.once && !ended.complete { Exit::Partial } else { Exit::Ok })
}

pub async fn transform(config: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let config = Config::load(config)?;
    caution::log(&config);
    let journal = connect(&config, "transform").await?;
    let looked = caution::log_server(&journal, &config, false);
    let telling = Telling::start(&config, &journal, &shutdown);
    let names = Topology::new(&config.flow, config.writer.partitions);
    let transforming = Box::pin(transformer::run(&config, journal.clone(), shutdown.clone()));
    operations::serve(&journal, &names, (Stage::Transform, None), &shutdown, transforming).await?;
    telling.end().await;
    looked.ended().await;
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
    caution::log(&config);
    let journal = connect(&config, "write").await?;
    let looked = caution::log_server(&journal, &config, false);
    let telling = Telling::start(&config, &journal, &shutdown);
    let mut writers = JoinSet::new();
    for target in targets {
        let (config, journal, shutdown) = (config.clone(), journal.clone(), shutdown.clone());
        let live = writer::Live::default();
        writers.spawn(async move {
            let (names, name) =
                (Topology::new(&config.flow, config.writer.partitions), TargetName::new(&target.name));
            let writing = Box::pin(writer::run(&config, &target, journal.clone(), live, shutdown.clone()));
            operations::serve(&journal, &names, (Stage::Write, Some(&name)), &shutdown, writing).await
        });
    }
    let mut result = Ok(Exit::Ok);
    while let Some(ended) = writers.join_next().await {
        if let Err(error) = ended? {
            shutdown.cancel(); // one target that cannot run is seen at once, not when all have ended
            result = Err(error.into());
        }
    }
    telling.end().await;
    looked.ended().await;
    journal.flush().await;
    result
}
