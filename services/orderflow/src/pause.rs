//! `orderflow pause`: a stage takes nothing new until `orderflow resume`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use events::{Stage, TargetName};
use jiff::tz::TimeZone;
use journal::Topology;
use operations::{Paused, PausedStage};
use service::{Config, ConfigError};

use crate::exit::{Exit, print_line};
use crate::reach::with_reached;
use crate::stages::{connect, no_target};
use crate::status::time;
use crate::verdict::stage_name;

/// A stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StageName {
    /// Source to RAW.
    Fetch,
    /// RAW to MAPPED.
    Transform,
    /// MAPPED to the targets.
    Write,
}

/// Flags of `pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Writing to this target.
    #[arg(long, value_name = "NAME", conflicts_with = "stage", required_unless_present = "stage")]
    pub target: Option<String>,
    /// This stage.
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<StageName>,
    /// Why; it is shown until the pause ends, and kept with the operation.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

pub async fn run(args: PauseArgs, path: &Path) -> anyhow::Result<Exit> {
    let config = Config::load(path)?;
    let stages = stages(args.target.as_deref(), args.stage, &config)?;
    let reason = args.reason.trim();
    if reason.is_empty() {
        let message = t!("found nothing, expected why").into();
        return Err(ConfigError::Key { place: "--reason".into(), message }.into());
    }
    with_reached(config, &args.data, async |config| {
        let journal = connect(config, "pause").await?;
        let names = Topology::new(&config.flow, config.writer.partitions);
        let mut exit = Exit::Refused;
        for (stage, target) in &stages {
            let stage: PausedStage = (*stage, target.as_ref());
            match operations::pause(&journal, &names, stage, reason).await? {
                Some(paused) => {
                    print_line(&t!(
                        "%{stage} is paused: what is in hand is finished, nothing new is begun; `orderflow resume` ends it",
                        stage = of(&paused)
                    ));
                    exit = Exit::Ok;
                }
                None => {
                    if let Some(paused) = operations::paused(&journal, &names, stage).await? {
                        print_line(&already(&paused, &config.zone()));
                    }
                }
            }
        }
        Ok(exit)
    })
    .await
}

/// The stages that are meant: all targets for `write` without one.
pub fn stages(
    target: Option<&str>,
    stage: Option<StageName>,
    config: &Config,
) -> anyhow::Result<Vec<(Stage, Option<TargetName>)>> {
    if let Some(target) = target
        && !config.targets.iter().any(|one| one.name == target)
    {
        let message = no_target(target, config);
        return Err(ConfigError::Key { place: "--target".into(), message }.into());
    }
    let all = || config.targets.iter().map(|target| (Stage::Write, Some(TargetName::new(&target.name))));
    Ok(match (target, stage) {
        (Some(target), _) => vec![(Stage::Write, Some(TargetName::new(target)))],
        (None, Some(StageName::Fetch)) => vec![(Stage::Fetch, None)],
        (None, Some(StageName::Transform)) => vec![(Stage::Transform, None)],
        (None, _) => all().collect(),
    })
}

/// That a stage is paused, by whom, since when and why.
pub fn already(paused: &Paused, zone: &TimeZone) -> String {
    t!(
        "%{stage} was paused by %{by} at %{time}: %{reason}",
        stage = of(paused),
        by = paused.by,
        time = time(paused.since, zone),
        reason = paused.reason
    )
    .into()
}

fn of(paused: &Paused) -> String {
    stage_name(paused.stage.name(), paused.target.as_deref())
}
