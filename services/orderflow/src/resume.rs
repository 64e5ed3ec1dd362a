//! `orderflow resume`: a stage goes on that a person paused, or writers that stopped because too much was refused.

use std::path::Path;

use events::{Stage, TargetName};
use jiff::tz::TimeZone;
use journal::{Journal, Topology};
use operations::{Hindrance, HindranceKind, Paused, Stopped};
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;

use crate::cli::{Output, ResumeArgs};
use crate::dead::reason;
use crate::exit::{Exit, print, print_json};
use crate::operations_command::held_up;
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
    with_reached(config, &args.data, async |config| carry(&args, &stages, config, reason).await).await
}

/// What `-o json` prints of `resume`.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ResumeReport {
    /// Whether they were let go on, and not only looked at.
    executed: bool,
    /// What was asked for: a stage, for `write` each target.
    stages: Vec<ResumedStage>,
}

/// A stage that is to go on.
#[derive(Debug, JsonSchema, Serialize)]
struct ResumedStage {
    /// The stage.
    stage: Stage,
    /// The target, for `write`.
    target: Option<String>,
    /// Who had paused it and why; `null` when nobody had.
    paused: Option<Paused>,
    /// Why its writers had stopped; `null` when they had not.
    stopped: Option<Stopped>,
    /// That no writer runs which could go on; `null` when one does, or it was not executed.
    hindrance: Option<Hindrance>,
}

async fn carry(
    args: &ResumeArgs,
    stages: &[(Stage, Option<TargetName>)],
    config: &Config,
    reason: Option<&str>,
) -> anyhow::Result<Exit> {
    let journal = connect(config, "resume").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let mut resumed = Vec::new();
    for (stage, target) in stages {
        resumed.push(resume(&journal, &names, *stage, target.as_ref(), reason).await?);
    }
    let found = resumed.iter().any(ResumedStage::is_found);
    let report = ResumeReport { executed: reason.is_some() && found, stages: resumed };
    match args.output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?)),
        Output::Table => print(&report.text(&config.zone())),
    }
    Ok(if found { Exit::Ok } else { Exit::NothingMatched })
}

/// Lets a stage go on when there is a `reason` to, and says what held it up.
async fn resume(
    journal: &Journal,
    names: &Topology,
    stage: Stage,
    target: Option<&TargetName>,
    reason: Option<&str>,
) -> anyhow::Result<ResumedStage> {
    let of = (stage, target);
    let paused = match reason {
        Some(reason) => operations::end_pause(journal, names, of, reason).await?,
        None => operations::paused(journal, names, of).await?,
    };
    let stopped = match (target, reason) {
        (Some(target), Some(reason)) => operations::resume(journal, names, target, reason).await?,
        (Some(target), None) => operations::stopped(journal, names, target).await?,
        (None, _) => None,
    };
    let target = target.map(ToString::to_string);
    let mut resumed = ResumedStage { stage, target, paused, stopped, hindrance: None };
    // What the writers say of the target is of a moment ago; that none answers is not.
    if let (Some(target), true, true) = (&resumed.target, reason.is_some(), resumed.is_found()) {
        resumed.hindrance = operations::hindrances(journal, names, &[target])
            .await?
            .pop()
            .filter(|hindrance| hindrance.kind == HindranceKind::NoWriter);
    }
    Ok(resumed)
}

impl ResumedStage {
    fn is_found(&self) -> bool {
        self.paused.is_some() || self.stopped.is_some()
    }
}

impl ResumeReport {
    fn text(&self, zone: &TimeZone) -> String {
        let mut lines = Vec::new();
        for resumed in &self.stages {
            let name = stage_name(resumed.stage.name(), resumed.target.as_deref());
            if !resumed.is_found() {
                lines.push(t!("%{stage} is not paused and has not stopped", stage = name).into_owned());
                continue;
            }
            lines.extend(resumed.paused.iter().map(|paused| already(paused, zone)));
            lines.extend(resumed.stopped.iter().map(|stop| {
                let (at, reason) = (time(stop.since, zone), &stop.reason);
                t!(
                    "the writers of %{target} stopped at %{time}: %{reason}",
                    target = stop.target,
                    time = at,
                    reason = reason
                )
                .into_owned()
            }));
            lines.push(match (self.executed, &resumed.hindrance) {
                (false, _) => t!(
                    "nothing was changed; --execute --reason \"...\" lets them go on, after the cause is mended"
                )
                .into_owned(),
                (true, None) => t!("they go on now").into_owned(),
                (true, Some(hindrance)) => {
                    t!("they may go on now; %{but}", but = held_up(hindrance)).into_owned()
                }
            });
        }
        format!("{}\n", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::language::in_both;

    #[test]
    fn what_became_of_a_stop_and_of_a_pause_in_both_languages() {
        const AT: i64 = 1_741_233_600_000_000;
        let stop = Stopped {
            target: "qeasy".into(),
            reason: "100 of the last 200 orders were refused".into(),
            since: AT,
        };
        let pause = Paused {
            stage: Stage::Fetch,
            target: None,
            by: "li@erp-1".into(),
            reason: "stocktaking".into(),
            since: AT,
        };
        let hindrance = Hindrance { target: "qeasy".into(), kind: HindranceKind::NoWriter };
        let write = |stopped, hindrance| ResumedStage {
            stage: Stage::Write,
            target: Some("qeasy".into()),
            paused: None,
            stopped,
            hindrance,
        };
        let fetch = || ResumedStage {
            stage: Stage::Fetch,
            target: None,
            paused: Some(pause.clone()),
            ..write(None, None)
        };
        let told = |executed, stage| ResumeReport { executed, stages: vec![stage] }.text(&TimeZone::UTC);
        insta::assert_snapshot!(in_both(|| {
            [
                told(false, write(None, None)),
                told(false, write(Some(stop.clone()), None)),
                told(true, write(Some(stop.clone()), None)),
                told(true, write(Some(stop.clone()), Some(hindrance.clone()))),
                told(false, fetch()),
                told(true, fetch()),
            ]
            .concat()
        }));
    }
}
