//! `orderflow resume`: writers that stopped because too much was refused go on.

use std::path::Path;

use events::TargetName;
use journal::Topology;
use service::{Config, ConfigError};

use crate::cli::ResumeArgs;
use crate::dead::reason;
use crate::exit::{Exit, print_line};
use crate::reach::with_reached;
use crate::stages::{connect, no_target};
use crate::status::time;

pub async fn run(args: ResumeArgs, path: &Path) -> anyhow::Result<Exit> {
    let config = Config::load(path)?;
    if !config.targets.iter().any(|target| target.name == args.target) {
        let message = no_target(&args.target, &config);
        return Err(ConfigError::Key { place: "--target".into(), message }.into());
    }
    let reason = reason(args.execute, args.reason.as_deref())?;
    // What has stopped is to go on with the next `up`.
    with_reached(config, &args.data, async |config| carry(&args, config, reason).await).await
}

async fn carry(args: &ResumeArgs, config: &Config, reason: Option<&str>) -> anyhow::Result<Exit> {
    let journal = connect(config, "resume").await?;
    let (names, target) =
        (Topology::new(&config.flow, config.writer.partitions), TargetName::new(&args.target));
    let found = match reason {
        Some(reason) => operations::resume(&journal, &names, &target, reason).await?,
        None => operations::stopped(&journal, &names, &target).await?,
    };
    let Some(stop) = found else {
        print_line(&t!("the writers of %{target} have not stopped", target = target));
        return Ok(Exit::NothingMatched);
    };
    let since = time(stop.since, &config.zone());
    print_line(&t!(
        "the writers of %{target} stopped at %{time}: %{reason}",
        target = target,
        time = since,
        reason = stop.reason
    ));
    print_line(&match args.execute {
        true => t!("they go on now"),
        false => {
            t!("nothing was changed; --execute --reason \"...\" lets them go on, after the cause is mended")
        }
    });
    Ok(Exit::Ok)
}
