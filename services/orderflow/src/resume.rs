//! `orderflow resume`: a stage goes on that a person paused, or writers that stopped because too much was refused.

use std::path::Path;

use events::{Stage, TargetName};
use journal::{Journal, Topology};
use service::Config;

use crate::cli::ResumeArgs;
use crate::dead::reason;
use crate::exit::{Exit, print_line};
use crate::pause::{already, stages};
use crate::reach::with_reached;
use crate::stages::connect;
use crate::status::time;
use crate::verdict::stage_name;

pub async fn run(args: ResumeArgs, path: &Path) -> anyhow::Result<Exit> {
    let config = Config::load(path)?;
    let stages = stages(args.target.as_deref(), args.stage, &config)?;
    let reason = reason(args.execute, args.reason.as_deref())?;
    // What has stopped is to go on with the next `up`.
    with_reached(config, &args.data, async |config| {
        let journal = connect(config, "resume").await?;
        let names = Topology::new(&config.flow, config.writer.partitions);
        let mut found = false;
        for (stage, target) in &stages {
            found |= paused(&journal, &names, (*stage, target.as_ref()), reason, config).await?;
            if let Some(target) = target {
                found |= stopped(&journal, &names, target, reason, config).await?;
            }
        }
        if !found {
            for (stage, target) in &stages {
                let target = target.as_ref().map(TargetName::as_str);
                print_line(&t!(
                    "%{stage} is not paused and has not stopped",
                    stage = stage_name(stage.name(), target)
                ));
            }
            return Ok(Exit::NothingMatched);
        }
        print_line(&match args.execute {
            true => t!("they go on now"),
            false => t!(
                "nothing was changed; --execute --reason \"...\" lets them go on, after the cause is mended"
            ),
        });
        Ok(Exit::Ok)
    })
    .await
}

/// Ends a pause when there is a `reason` to; whether there is one.
async fn paused(
    journal: &Journal,
    names: &Topology,
    stage: (Stage, Option<&TargetName>),
    reason: Option<&str>,
    config: &Config,
) -> anyhow::Result<bool> {
    let found = match reason {
        Some(reason) => operations::end_pause(journal, names, stage, reason).await?,
        None => operations::paused(journal, names, stage).await?,
    };
    if let Some(paused) = &found {
        print_line(&already(paused, config));
    }
    Ok(found.is_some())
}

/// Lets writers that stopped go on when there is a `reason` to; whether they have stopped.
async fn stopped(
    journal: &Journal,
    names: &Topology,
    target: &TargetName,
    reason: Option<&str>,
    config: &Config,
) -> anyhow::Result<bool> {
    let found = match reason {
        Some(reason) => operations::resume(journal, names, target, reason).await?,
        None => operations::stopped(journal, names, target).await?,
    };
    if let Some(stop) = &found {
        print_line(&t!(
            "the writers of %{target} stopped at %{time}: %{reason}",
            target = target,
            time = time(stop.since, &config.zone()),
            reason = stop.reason
        ));
    }
    Ok(found.is_some())
}
