//! `orderflow dead retry` and `dead discard`: a plan with the exact count, and then exactly that.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use events::Work;
use operations::{LetterLine, Unfit, runs};
use service::ConfigError;
use tokio_util::sync::CancellationToken;

use super::select::Select;
use super::{Context, stage};
use crate::exit::{Exit, print, print_line};
use crate::operations_command::carry_to_its_end;
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
}

/// Flags of `dead discard`.
#[derive(Debug, Args)]
pub struct DiscardArgs {
    #[command(flatten)]
    pub act: ActArgs,
}

pub async fn retry(args: RetryArgs, context: &Context, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let max_replays = args.max_replays;
    let unfit = |line: &LetterLine| operations::unfit(line.stage, line.retries, max_replays);
    let per_second = args.act.rate;
    let work = |letters| Work::Retry { letters, max_replays, per_second };
    act("retry", &args.act, unfit, work, context, shutdown).await
}

pub async fn discard(
    args: DiscardArgs,
    context: &Context,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    let per_second = args.act.rate;
    let work = |letters| Work::Discard { letters, per_second };
    act("discard", &args.act, |_| None, work, context, shutdown).await
}

async fn act(
    verb: &str,
    args: &ActArgs,
    unfit: impl Fn(&LetterLine) -> Option<Unfit>,
    work: impl FnOnce(Vec<(u64, u64)>) -> Work,
    context: &Context,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    if args.select.is_empty() && !args.all {
        let message = t!(
            "which letters? Name them by number, --group, --stage, --kind, --target or --key, or say --all"
        );
        return Err(ConfigError::Key { place: "LETTER".into(), message: message.into() }.into());
    }
    let reason = reason(args.execute, args.reason.as_deref())?;
    let lines = args.select.selection(false).read(&context.journal, &context.names).await?;
    // A number that names no open letter is a mistake, not a smaller plan.
    let missing: Vec<String> = args
        .select
        .letters
        .iter()
        .filter(|letter| !lines.iter().any(|line| line.letter == **letter))
        .map(u64::to_string)
        .collect();
    if !missing.is_empty() {
        let message = t!("there is no such open letter: %{letters}", letters = missing.join(", "));
        return Err(ConfigError::Key { place: "LETTER".into(), message: message.into() }.into());
    }
    let (mut fit, mut alone) = (Vec::new(), BTreeMap::<Unfit, u64>::new());
    for line in &lines {
        match unfit(line) {
            None => fit.push(line),
            Some(why) => *alone.entry(why).or_default() += 1,
        }
    }
    print(&plan(verb, &fit, &alone));
    let Some(reason) = reason.filter(|_| !fit.is_empty()) else {
        if !fit.is_empty() {
            print_line(&t!("nothing was changed; --execute --reason \"...\" does it"));
        }
        return Ok(if fit.is_empty() { Exit::NothingMatched } else { Exit::Ok });
    };
    let count = fit.len();
    let work = work(runs(fit.iter().map(|line| line.letter)));
    let text = format!("{verb} {count} dead letters, at most {} a second", args.rate);
    let id = operations::begin(&context.journal, &context.names, verb, text, reason, work).await?;
    carry_to_its_end(&context.config, &context.journal, &context.names, &id, &shutdown).await
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
fn plan(verb: &str, fit: &[&LetterLine], alone: &BTreeMap<Unfit, u64>) -> String {
    let verb = words::verb(verb);
    let mut groups = BTreeMap::<(&str, String), u64>::new();
    for line in fit {
        let what = format!("{} {}", stage(line.stage, line.target.iter()), line.kind);
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
    for (why, letters) in alone {
        lines.push(t!("  %{count} are left alone: %{why}", count = letters, why = left_alone(*why)));
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
        let alone =
            [(Unfit::Often { retries: 5, max_replays: 5 }, 1), (Unfit::Mapping, 2), (Unfit::Source, 3)];
        insta::assert_snapshot!(in_both(|| {
            let fit: Vec<_> = lines.iter().collect();
            format!("{}{}", plan("retry", &fit, &alone.into()), plan("discard", &[], &BTreeMap::new()))
        }));
    }
}
