//! `orderflow replay`: a part of a log goes through the later stages again.

mod trial;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use events::{Log, OrderKey, TargetName, WindowId, Work};
use futures::FutureExt;
use futures::future::BoxFuture;
use journal::{Journal, JournalError, Topology};
use operations::{Operation, Range, Remap, Replayed, labels, runs};
use schemars::JsonSchema;
use serde::Serialize;
use service::{Config, ConfigError};
use tokio_util::sync::CancellationToken;
use transformer::{Again, How};

use crate::backfill::flags::moment;
use crate::cli::Output;
use crate::dead::reason;
use crate::exit::{Exit, print, print_json, print_line};
use crate::language;
use crate::operations_command::{OperationReport, WaitArgs, carry_to_its_end};
use crate::reach::with_reached;
use crate::stages::{connect, no_target};
use trial::TrialReport;

/// Flags of `replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The log: raw, to be mapped again by today's mapping, or mapped, to be written again as it is.
    #[arg(long, value_name = "LOG")]
    from: FromLog,
    /// What was stored in the log at this time or later; in source.time_zone, or with an offset.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// What was stored before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Messages by their sequences in the log.
    #[arg(long, value_name = "A..B", value_parser = sequences)]
    seq: Option<(u64, u64)>,
    /// What was read in this window.
    #[arg(long, value_name = "WINDOW")]
    window: Option<String>,
    /// One order, by its key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// All of the log.
    #[arg(long, conflicts_with_all = ["since", "until", "seq", "window", "key"])]
    all: bool,
    /// Only to this target; `none` writes nothing, and says what the mapping of today would change (from raw).
    #[arg(long, value_name = "NAME|none")]
    target: Option<String>,
    /// Write also what the target holds already. Something newer still wins.
    #[arg(long)]
    force: bool,
    /// Do it, instead of only saying what would be done. Needs --reason.
    #[arg(long)]
    execute: bool,
    /// Why; it is kept with the operation.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// So many orders a second, at most, so that the live flow keeps its share.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    #[command(flatten)]
    wait: WaitArgs,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    data: PathBuf,
}

/// What `-o json` prints of `replay`.
#[derive(Debug, JsonSchema, Serialize)]
pub struct ReplayReport {
    /// The log: `raw` or `mapped`.
    log: FromLog,
    /// How many of its messages are replayed: pages of RAW, or orders of MAPPED.
    messages: u64,
    /// How many orders these hold.
    orders: u64,
    /// The version of today's mapping, of a replay from RAW.
    mapping: Option<String>,
    /// Only to this target; `null` for all.
    target: Option<String>,
    /// Whether what the target holds is written as well.
    force: bool,
    /// What today's mapping would change, for `--target none`.
    trial: Option<TrialReport>,
    /// Whether it was done, and not only planned.
    executed: bool,
    /// What came of it; `null` for a plan.
    result: Option<OperationReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
enum FromLog {
    /// Pages of the source.
    Raw,
    /// Mapped orders.
    Mapped,
}

/// `7..120`, both of them included.
fn sequences(text: &str) -> Result<(u64, u64), String> {
    let number = |text: &str| text.parse::<u64>().ok();
    let found = text.split_once("..").and_then(|(first, last)| number(first).zip(number(last)));
    found.filter(|(first, last)| first <= last).ok_or_else(|| t!("expected A..B, for example 7..120").into())
}

pub async fn run(args: ReplayArgs, path: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    with_reached(Config::load(path)?, &args.data, async |config| carry(&args, config, shutdown).await).await
}

async fn carry(args: &ReplayArgs, config: &Config, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let (range, trial) = (range(args, config)?, args.target.as_deref() == Some("none"));
    let reason = reason(args.execute, args.reason.as_deref())?;
    let log = if args.from == FromLog::Raw { Log::Raw } else { Log::Mapped };
    let target = target(args, config)?;
    let journal = connect(config, "replay").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let found = Replayed::plan(&journal, &names, log, &range).await?;
    let messages = found.messages.len() as u64;
    let orders = found.orders();
    let mut report = ReplayReport::new(args, messages, orders, target.as_ref());
    let json = args.output == Output::Json;
    if messages == 0 {
        match json {
            true => report.print()?,
            false => print_line(&t!("nothing in the log matches")),
        }
        return Ok(Exit::NothingMatched);
    }
    if trial {
        let tried = trial::run(config, &journal, &names, &found, range.key.as_ref()).await?;
        let exit = if tried.has_failures() { Exit::Partial } else { Exit::Ok };
        if !json {
            print(&tried.text());
            return Ok(exit);
        }
        report.mapping = Some(tried.mapping.clone());
        report.trial = Some(tried);
        report.print()?;
        return Ok(exit);
    }
    report.mapping = match log {
        Log::Raw => Some(Again::new(config, &journal).await?.mapping()),
        Log::Mapped => None,
    };
    let text = || plan(args, (orders, messages), report.mapping.as_deref(), target.as_ref());
    if !json {
        print_line(&text());
    }
    let stored = language::english(text);
    let Some(reason) = reason else {
        match json {
            true => report.print()?,
            false => print_line(&t!("nothing was changed; --execute --reason \"...\" does it")),
        }
        return Ok(Exit::Ok);
    };
    let work = Work::Replay {
        log,
        messages: runs(found.messages.keys().copied()),
        orders,
        key: range.key,
        target,
        force: args.force,
        mapping: report.mapping.clone(),
        per_second: args.rate,
    };
    let id = operations::begin(&journal, &names, "replay", stored, reason, work).await?;
    let limit = args.wait.limit();
    let Some(done) = carry_to_its_end(config, &journal, &names, &id, limit, &shutdown).await? else {
        return Ok(Exit::Refused);
    };
    let exit = done.exit();
    if !json {
        print(&done.text());
        return Ok(exit);
    }
    (report.executed, report.result) = (true, Some(done));
    report.print()?;
    Ok(exit)
}

impl ReplayReport {
    fn new(args: &ReplayArgs, messages: u64, orders: u64, target: Option<&TargetName>) -> Self {
        Self {
            log: args.from,
            messages,
            orders,
            mapping: None,
            target: target.map(ToString::to_string),
            force: args.force,
            trial: None,
            executed: false,
            result: None,
        }
    }

    fn print(&self) -> anyhow::Result<()> {
        print_json(&format!("{}\n", serde_json::to_string_pretty(self)?));
        Ok(())
    }
}

/// What is replayed: so many orders, of so many messages.
fn plan(
    args: &ReplayArgs,
    (orders, messages): (u64, u64),
    mapping: Option<&str>,
    target: Option<&TargetName>,
) -> String {
    let what = match mapping {
        Some(mapping) => t!(
            "%{orders} orders of %{pages} pages of RAW, by mapping %{mapping}",
            orders = orders,
            pages = messages,
            mapping = mapping
        ),
        None => t!("%{orders} orders of MAPPED", orders = orders),
    };
    let to = target.map_or_else(|| t!("all targets"), |target| t!("target %{target}", target = target));
    let held = match args.force {
        true => t!(", also what is held there"),
        false => t!("; what is held there is not sent again"),
    };
    t!(
        "replay %{what}, to %{to}%{held}; at most %{rate} orders a second",
        what = what,
        to = to,
        held = held,
        rate = args.rate
    )
    .into()
}

fn range(args: &ReplayArgs, config: &Config) -> Result<Range, ConfigError> {
    let wrong = |place: &str, message: String| ConfigError::Key { place: place.into(), message };
    let ReplayArgs { since, until, seq, window, key, all, .. } = args;
    if !all && since.is_none() && until.is_none() && seq.is_none() && window.is_none() && key.is_none() {
        let message = t!("which part of the log? Say --since, --until, --seq, --window or --key, or --all");
        return Err(wrong("--from", message.into()));
    }
    let time = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| moment(name, text, config)).transpose()
    };
    let key = key.as_deref().map(|key| {
        OrderKey::new(key).ok_or_else(|| wrong("--key", t!("found nothing, expected an order's key").into()))
    });
    Ok(Range {
        since: time("--since", since)?,
        until: time("--until", until)?,
        seqs: *seq,
        window: window.as_deref().map(WindowId::named),
        key: key.transpose()?,
    })
}

fn target(args: &ReplayArgs, config: &Config) -> Result<Option<TargetName>, ConfigError> {
    let wrong =
        |message: Cow<'_, str>| ConfigError::Key { place: "--target".into(), message: message.into() };
    match args.target.as_deref() {
        None => Ok(None),
        Some("none") if args.from == FromLog::Mapped => {
            Err(wrong(t!("none is for --from raw: what is mapped already has nothing to try")))
        }
        Some("none") if args.execute => {
            Err(wrong(t!("none writes nothing, so there is nothing to --execute")))
        }
        Some("none") => Ok(None),
        Some(name) if config.targets.iter().any(|target| target.name == name) => {
            Ok(Some(TargetName::new(name)))
        }
        Some(name) => Err(wrong(no_target(name, config).into())),
    }
}

/// Maps pages for an operation.
pub struct Remapping(Again);

impl Remapping {
    /// What an operation needs to be carried on; `None` when it maps nothing. `Err` when the mapping is another one by now:
    /// half of a replay would be of either.
    pub async fn of(
        operation: &Operation,
        config: &Config,
        journal: &Journal,
    ) -> anyhow::Result<Result<Option<Self>, String>> {
        let Some(Work::Replay { log: Log::Raw, mapping, .. }) = &operation.work else { return Ok(Ok(None)) };
        let again = Again::new(config, journal).await?;
        let found = again.mapping();
        Ok(match mapping {
            Some(mapping) if *mapping != found => {
                let planned = t!(
                    "it was planned with mapping %{mapping}, and the file holds %{found} now",
                    mapping = mapping,
                    found = found
                );
                Err(planned.into())
            }
            _ => Ok(Some(Self(again))),
        })
    }
}

impl Remap for Remapping {
    fn page<'a>(
        &'a self,
        raw_seq: u64,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Result<(), String>, JournalError>> {
        async move {
            let Some(Work::Replay { key, target, force, .. }) = &operation.work else {
                return Ok(Err("it is no replay".into()));
            };
            let target = target.as_ref().map(TargetName::token);
            let labels = labels(&operation.id, target.as_deref(), *force);
            // Operations begin one after the other in OPS, so a later one makes newer versions.
            let generation = u32::try_from(operation.first_seq).unwrap_or(u32::MAX);
            let how = How { key: key.as_ref(), generation, run: &operation.id, labels: &labels };
            self.0.page(raw_seq, &how).await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    use crate::cli::{Cli, Command};
    use crate::language::in_both;

    #[test]
    fn a_plan_in_both_languages() {
        let args = |line: &[&str]| {
            let line = ["orderflow", "replay", "--from", "raw"].iter().chain(line);
            match Cli::try_parse_from(line).expect("flags").command {
                Command::Replay(args) => args,
                other => panic!("{other:?}"),
            }
        };
        let (all, forced, target) = (args(&["--all"]), args(&["--all", "--force"]), TargetName::new("qeasy"));
        insta::assert_snapshot!(in_both(|| {
            let raw = plan(&all, (3_000, 60), Some("0123456789abcdef"), None);
            format!("{raw}\n{}", plan(&forced, (12, 12), None, Some(&target)))
        }));
    }
}
