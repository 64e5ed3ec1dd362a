//! `orderflow resume`: writers that stopped because too much was refused go on.

use std::path::Path;

use events::TargetName;
use journal::Topology;
use service::{Config, ConfigError};

use crate::cli::ResumeArgs;
use crate::exit::{Exit, print};
use crate::reach::with_reached;
use crate::stages::connect;
use crate::status::time;

pub async fn run(args: ResumeArgs, path: &Path) -> anyhow::Result<Exit> {
    let config = Config::load(path)?;
    if !config.targets.iter().any(|target| target.name == args.target) {
        let names: Vec<_> = config.targets.iter().map(|target| target.name.as_str()).collect();
        let message = format!("there is no target \"{}\"; there is {}", args.target, names.join(", "));
        return Err(ConfigError::Key { place: "--target".into(), message }.into());
    }
    let reason = args.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
    if args.execute && reason.is_none() {
        let message = "--execute needs a reason, which is kept with the operation".to_string();
        return Err(ConfigError::Key { place: "--reason".into(), message }.into());
    }
    // What has stopped is to go on with the next `up`.
    with_reached(config, &args.data, async |config| carry(&args, config, reason).await).await
}

async fn carry(args: &ResumeArgs, config: &Config, reason: Option<&str>) -> anyhow::Result<Exit> {
    let journal = connect(config, "resume").await?;
    let (names, target) =
        (Topology::new(&config.flow, config.writer.partitions), TargetName::new(&args.target));
    let found = match reason {
        Some(reason) if args.execute => operations::resume(&journal, &names, &target, reason).await?,
        _ => operations::stopped(&journal, &names, &target).await?,
    };
    let Some(stop) = found else {
        print(&format!("the writers of {target} have not stopped\n"));
        return Ok(Exit::NothingMatched);
    };
    let since = time(stop.since, &config.zone());
    print(&format!("the writers of {target} stopped at {since}: {}\n", stop.reason));
    print(match args.execute {
        true => "they go on now\n",
        false => {
            "nothing was changed; --execute --reason \"...\" lets them go on, after the cause is mended\n"
        }
    });
    Ok(Exit::Ok)
}
