//! `orderflow dead retry` and `dead discard`: a plan with the exact count, and then exactly that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use events::Work;
use operations::{LetterLine, runs};
use service::ConfigError;
use tokio_util::sync::CancellationToken;

use super::Context;
use super::select::Select;
use crate::exit::{Exit, print};
use crate::operations_command::carry_to_its_end;

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
    unfit: impl Fn(&LetterLine) -> Option<String>,
    work: impl FnOnce(Vec<(u64, u64)>) -> Work,
    context: &Context,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    if args.select.is_empty() && !args.all {
        let message =
            "which letters? Name them by number, --group, --stage, --kind, --target or --key, or say --all";
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
        let message = format!("there is no such open letter: {}", missing.join(", "));
        return Err(ConfigError::Key { place: "LETTER".into(), message }.into());
    }
    let (mut fit, mut alone) = (Vec::new(), BTreeMap::<String, u64>::new());
    for line in &lines {
        match unfit(line) {
            None => fit.push(line),
            Some(why) => *alone.entry(why).or_default() += 1,
        }
    }
    print(&plan(verb, &fit, &alone));
    let Some(reason) = reason.filter(|_| !fit.is_empty()) else {
        if !fit.is_empty() {
            print("nothing was changed; --execute --reason \"...\" does it\n");
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
        let message = "--execute needs a reason, which is kept with the operation".to_string();
        return Err(ConfigError::Key { place: "--reason".into(), message });
    }
    Ok(reason.filter(|_| execute))
}

/// What would be done: how many of each group, and what is left alone.
fn plan(verb: &str, fit: &[&LetterLine], alone: &BTreeMap<String, u64>) -> String {
    let mut groups = BTreeMap::<(&str, String), u64>::new();
    for line in fit {
        let target = line.target.as_ref().map(|target| format!(" to {target}")).unwrap_or_default();
        let what = format!("{}{target} {}", line.stage, line.kind);
        *groups.entry((line.fingerprint.as_str(), what)).or_default() += 1;
    }
    let mut out = match fit {
        [] => "no open letters to ".to_string() + verb + "\n",
        [.., last] => format!("{verb} {} letters, up to letter {}\n", fit.len(), last.letter),
    };
    for ((fingerprint, what), letters) in groups {
        out.push_str(&format!(
            "  {letters} of group {}: {what}\n",
            fingerprint.get(..8).unwrap_or(fingerprint)
        ));
    }
    for (why, letters) in alone {
        out.push_str(&format!("  {letters} are left alone: {why}\n"));
    }
    out
}
