//! `orderflow resume`: writers that stopped because too much was refused go on.

use std::path::Path;

use events::TargetName;
use jiff::tz::TimeZone;
use journal::Topology;
use operations::{Hindrance, Stopped};
use schemars::JsonSchema;
use serde::Serialize;
use service::{Config, ConfigError};

use crate::cli::{Output, ResumeArgs};
use crate::dead::reason;
use crate::exit::{Exit, print, print_json};
use crate::operations_command::held_up;
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

/// What `-o json` prints of `resume`.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ResumeReport {
    /// The target.
    target: String,
    /// Why its writers had stopped; `null` when they had not.
    stopped: Option<Stopped>,
    /// Whether they were let go on, and not only looked at.
    executed: bool,
    /// What keeps orders from the target now; `null` when nothing does, or it was not executed.
    hindrance: Option<Hindrance>,
}

async fn carry(args: &ResumeArgs, config: &Config, reason: Option<&str>) -> anyhow::Result<Exit> {
    let journal = connect(config, "resume").await?;
    let (names, target) =
        (Topology::new(&config.flow, config.writer.partitions), TargetName::new(&args.target));
    let stopped = match reason {
        Some(reason) => operations::resume(&journal, &names, &target, reason).await?,
        None => operations::stopped(&journal, &names, &target).await?,
    };
    let executed = reason.is_some() && stopped.is_some();
    // They can go on; whether they do, they say themselves.
    let hindrance = match executed {
        true => operations::hindrances(&journal, &names, &[target.as_str()]).await?.pop(),
        false => None,
    };
    let exit = if stopped.is_some() { Exit::Ok } else { Exit::NothingMatched };
    let report = ResumeReport { target: args.target.clone(), stopped, executed, hindrance };
    match args.output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?)),
        Output::Table => print(&report.text(&config.zone())),
    }
    Ok(exit)
}

impl ResumeReport {
    fn text(&self, zone: &TimeZone) -> String {
        let Some(stop) = &self.stopped else {
            return format!("{}\n", t!("the writers of %{target} have not stopped", target = self.target));
        };
        let stopped = t!(
            "the writers of %{target} stopped at %{time}: %{reason}",
            target = self.target,
            time = time(stop.since, zone),
            reason = stop.reason
        );
        let now = match (self.executed, &self.hindrance) {
            (false, _) => t!(
                "nothing was changed; --execute --reason \"...\" lets them go on, after the cause is mended"
            )
            .into_owned(),
            (true, None) => t!("they go on now").into_owned(),
            (true, Some(hindrance)) => {
                t!("they may go on now; %{but}", but = held_up(hindrance)).into_owned()
            }
        };
        format!("{stopped}\n{now}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use operations::HindranceKind;

    use crate::language::in_both;

    #[test]
    fn what_became_of_a_stop_in_both_languages() {
        let stop = Stopped {
            target: "qeasy".into(),
            reason: "100 of the last 200 orders were refused".into(),
            since: 1_741_233_600_000_000,
        };
        let hindrance = Hindrance { target: "qeasy".into(), kind: HindranceKind::NoWriter };
        let told = |stopped, executed, hindrance| {
            ResumeReport { target: "qeasy".into(), stopped, executed, hindrance }.text(&TimeZone::UTC)
        };
        insta::assert_snapshot!(in_both(|| {
            [
                told(None, false, None),
                told(Some(stop.clone()), false, None),
                told(Some(stop.clone()), true, None),
                told(Some(stop.clone()), true, Some(hindrance.clone())),
            ]
            .concat()
        }));
    }
}
