//! `orderflow dead retry` and `dead discard`: a plan with the exact count, and then exactly that.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use events::{Stage, Work};
use operations::{LetterLine, Unfit, runs};
use schemars::JsonSchema;
use serde::Serialize;
use service::ConfigError;
use tokio_util::sync::CancellationToken;

use super::select::Select;
use super::{Context, stage};
use crate::cli::Output;
use crate::exit::{Exit, print, print_json, print_line};
use crate::operations_command::{OperationReport, WaitArgs, carry_to_its_end};
use crate::words;

/// Flags of what changes something.
#[derive(Debug, Args)]
pub struct ActArgs {
    #[command(flatten)]
    pub select: Select,
    /// All open letters.
    #[arg(long, conflicts_with_all = ["letters", "group", "stage", "kind", "target", "key"])]
    pub all: bool,
    /// Do it, instead of only saying what would be done. Needs --reason.
    #[arg(long)]
    pub execute: bool,
    /// Why; it is kept with the operation and with each letter.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// So many letters a second, at most, so that the live flow keeps its share.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// Flags of `dead retry`.
#[derive(Debug, Args)]
pub struct RetryArgs {
    #[command(flatten)]
    pub act: ActArgs,
    /// Leave alone what was retried so often already: it would only come back.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub max_replays: u32,
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Flags of `dead discard`.
#[derive(Debug, Args)]
pub struct DiscardArgs {
    #[command(flatten)]
    pub act: ActArgs,
}

/// What `-o json` prints of `dead retry` and `dead discard`.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ActReport {
    /// `retry` or `discard`.
    verb: &'static str,
    /// The letters it acts on, ascending.
    letters: Vec<u64>,
    /// The same, by group.
    groups: Vec<ActGroup>,
    /// Chosen letters that are left alone.
    left_alone: Vec<LeftAlone>,
    /// Whether it was done, and not only planned.
    executed: bool,
    /// What came of it; `null` for a plan.
    result: Option<OperationReport>,
}

/// Letters of one group that are acted on.
#[derive(Debug, JsonSchema, Serialize)]
struct ActGroup {
    /// The fingerprint of the group.
    fingerprint: String,
    /// The stage that gave up.
    stage: Stage,
    /// What kind of failure.
    kind: String,
    /// The target, for the write stage, as subjects have it.
    target: Option<String>,
    /// How many letters.
    letters: u64,
}

/// A letter that is left alone.
#[derive(Debug, JsonSchema, Serialize)]
struct LeftAlone {
    /// The letter.
    letter: u64,
    /// Why.
    why: String,
}

pub async fn retry(args: RetryArgs, context: &Context, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let max_replays = args.max_replays;
    let unfit = |line: &LetterLine| operations::unfit(line.stage, line.retries, max_replays);
    let per_second = args.act.rate;
    let work = |letters| Work::Retry { letters, max_replays, per_second };
    let act = Act { verb: "retry", args: &args.act, limit: args.wait.limit() };
    act.run(unfit, work, context, shutdown).await
}

pub async fn discard(
    args: DiscardArgs,
    context: &Context,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    let per_second = args.act.rate;
    let work = |letters| Work::Discard { letters, per_second };
    // Nothing is sent, so nothing is waited for.
    let act = Act { verb: "discard", args: &args.act, limit: None };
    act.run(|_| None, work, context, shutdown).await
}

/// What is to be done about letters.
struct Act<'a> {
    verb: &'static str,
    args: &'a ActArgs,
    /// How long is waited for what comes of it.
    limit: Option<Duration>,
}

impl Act<'_> {
    async fn run(
        &self,
        unfit: impl Fn(&LetterLine) -> Option<Unfit>,
        work: impl FnOnce(Vec<(u64, u64)>) -> Work,
        context: &Context,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Exit> {
        let Self { verb, args, limit } = self;
        if args.select.is_empty() && !args.all {
            let message = t!(
                "which letters? Name them by number, --group, --stage, --kind, --target or --key, or say --all"
            );
            return Err(ConfigError::Key { place: "LETTER".into(), message: message.into() }.into());
        }
        let reason = reason(args.execute, args.reason.as_deref())?;
        let chosen = args.select.read(context, false).await?;
        if let Some(refused) = chosen.refusal() {
            return Ok(refused);
        }
        let mut fit = Vec::new();
        let mut alone = Vec::new();
        for line in &chosen.lines {
            match unfit(line) {
                None => fit.push(line),
                Some(why) => alone.push((line.letter, why)),
            }
        }
        let mut report = ActReport::new(verb, &fit, &alone);
        if args.output == Output::Table {
            print(&plan(verb, &fit, &alone));
        }
        let done = match reason.filter(|_| !fit.is_empty()) {
            None => None,
            Some(reason) => {
                let count = fit.len();
                let work = work(runs(fit.iter().map(|line| line.letter)));
                let text = format!("{verb} {count} dead letters, at most {} a second", args.rate);
                let Context { config, journal, names } = context;
                let id = operations::begin(journal, names, verb, text, reason, work).await?;
                let carried = carry_to_its_end(config, journal, names, &id, *limit, &shutdown).await?;
                let Some(done) = carried else { return Ok(Exit::Refused) };
                Some(done)
            }
        };
        let exit = match (&done, fit.is_empty(), alone.is_empty()) {
            // What was chosen and left alone is not done.
            (Some(done), _, true) => done.exit(),
            (Some(done), _, false) => done.exit().max(Exit::Partial),
            (None, true, true) => Exit::NothingMatched,
            (None, true, false) => Exit::Refused,
            (None, false, _) => Exit::Ok,
        };
        match args.output {
            Output::Table => match &done {
                Some(done) => print(&done.text()),
                None if fit.is_empty() => {}
                None => print_line(&t!("nothing was changed; --execute --reason \"...\" does it")),
            },
            Output::Json => {
                (report.executed, report.result) = (done.is_some(), done);
                print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?));
            }
        }
        Ok(exit)
    }
}

impl ActReport {
    fn new(verb: &'static str, fit: &[&LetterLine], alone: &[(u64, Unfit)]) -> Self {
        let mut groups: Vec<ActGroup> = Vec::new();
        for line in fit {
            let same =
                |group: &&mut ActGroup| group.fingerprint == line.fingerprint && group.target == line.target;
            match groups.iter_mut().find(same) {
                Some(group) => group.letters += 1,
                None => groups.push(ActGroup {
                    fingerprint: line.fingerprint.clone(),
                    stage: line.stage,
                    kind: line.kind.clone(),
                    target: line.target.clone(),
                    letters: 1,
                }),
            }
        }
        let left_alone =
            alone.iter().map(|(letter, why)| LeftAlone { letter: *letter, why: why.to_string() }).collect();
        let letters = fit.iter().map(|line| line.letter).collect();
        Self { verb, letters, groups, left_alone, executed: false, result: None }
    }
}

/// Why it is to be done; `None` when it is not.
///
/// # Errors
/// When it is to be done for no reason.
pub fn reason(execute: bool, reason: Option<&str>) -> Result<Option<&str>, ConfigError> {
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    if execute && reason.is_none() {
        let message = t!("--execute needs a reason, which is kept with the operation").into();
        return Err(ConfigError::Key { place: "--reason".into(), message });
    }
    Ok(reason.filter(|_| execute))
}

/// What would be done: how many of each group, and what is left alone.
fn plan(verb: &str, fit: &[&LetterLine], alone: &[(u64, Unfit)]) -> String {
    let verb = words::verb(verb);
    let mut reasons = BTreeMap::<Unfit, u64>::new();
    for (_, why) in alone {
        *reasons.entry(*why).or_default() += 1;
    }
    let mut groups = BTreeMap::<(&str, String), u64>::new();
    for line in fit {
        let what = format!("{} {}", stage(line.stage, line.target.iter()), words::kind(&line.kind));
        *groups.entry((line.fingerprint.as_str(), what)).or_default() += 1;
    }
    let mut lines = vec![match fit {
        [] => t!("no open letters to %{verb}", verb = verb),
        [.., last] => t!(
            "%{verb} %{count} letters, up to letter %{last}",
            verb = verb,
            count = fit.len(),
            last = last.letter
        ),
    }];
    for ((fingerprint, what), letters) in groups {
        let group = fingerprint.get(..8).unwrap_or(fingerprint);
        lines.push(t!("  %{count} of group %{group}: %{what}", count = letters, group = group, what = what));
    }
    for (why, letters) in reasons {
        lines.push(t!("  %{count} are left alone: %{why}", count = letters, why = left_alone(why)));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Why a letter is not retried.
fn left_alone(why: Unfit) -> Cow<'static, str> {
    match why {
        Unfit::Often { retries, max_replays } => t!(
            "it was retried %{retries} times (--max-replays %{max_replays})",
            retries = retries,
            max_replays = max_replays
        ),
        Unfit::Mapping => t!(
            "it failed in the mapping: the transformers try it again by themselves once the mapping is another"
        ),
        Unfit::Source => t!("it failed at the source: a backfill of its window reads it again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead::sample::lines;
    use crate::language::in_both;

    #[test]
    fn a_plan_counts_by_group_and_says_what_is_left_alone() {
        let lines = lines();
        let often = Unfit::Often { retries: 5, max_replays: 5 };
        let why = [often, Unfit::Mapping, Unfit::Mapping, Unfit::Source, Unfit::Source, Unfit::Source];
        let alone: Vec<(u64, Unfit)> = (10..).zip(why).collect();
        insta::assert_snapshot!(in_both(|| {
            let fit: Vec<_> = lines.iter().collect();
            format!("{}{}", plan("retry", &fit, &alone), plan("discard", &[], &[]))
        }));
    }
}
