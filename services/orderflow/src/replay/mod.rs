//! `orderflow replay`: a part of a log goes through the later stages again.

mod trial;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use events::{Log, OrderKey, TargetName, WindowId, Work};
use futures::FutureExt;
use futures::future::BoxFuture;
use journal::{Journal, JournalError, Topology};
use operations::{Operation, Range, Remap, Replayed, labels, runs};
use service::{Config, ConfigError};
use tokio_util::sync::CancellationToken;
use transformer::{Again, How};

use crate::backfill::flags::moment;
use crate::dead::reason;
use crate::exit::{Exit, print};
use crate::operations_command::carry_to_its_end;
use crate::reach::with_reached;
use crate::stages::connect;

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
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    data: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
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
    found.filter(|(first, last)| first <= last).ok_or_else(|| "expected A..B, for example 7..120".into())
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
    let (messages, orders) = (found.messages.len() as u64, found.orders());
    if messages == 0 {
        print("nothing in the log matches\n");
        return Ok(Exit::NothingMatched);
    }
    if trial {
        return trial::run(config, &journal, &names, &found, range.key.as_ref()).await;
    }
    let again = match log {
        Log::Raw => Some(Again::new(config, &journal)?.mapping()),
        Log::Mapped => None,
    };
    let to = target.as_ref().map_or_else(|| "all targets".to_string(), |target| format!("target {target}"));
    let what = match (log, &again) {
        (Log::Raw, Some(mapping)) => {
            format!("{orders} orders of {messages} pages of RAW, by mapping {mapping}")
        }
        _ => format!("{orders} orders of MAPPED"),
    };
    let held =
        if args.force { ", also what is held there" } else { "; what is held there is not sent again" };
    let text = format!("replay {what}, to {to}{held}; at most {} orders a second", args.rate);
    print(&format!("{text}\n"));
    let Some(reason) = reason else {
        print("nothing was changed; --execute --reason \"...\" does it\n");
        return Ok(Exit::Ok);
    };
    let work = Work::Replay {
        log,
        messages: runs(found.messages.keys().copied()),
        orders,
        key: range.key,
        target,
        force: args.force,
        mapping: again,
        per_second: args.rate,
    };
    let id = operations::begin(&journal, &names, "replay", text, reason, work).await?;
    carry_to_its_end(config, &journal, &names, &id, &shutdown).await
}

fn range(args: &ReplayArgs, config: &Config) -> Result<Range, ConfigError> {
    let wrong = |place: &str, message: String| ConfigError::Key { place: place.into(), message };
    let ReplayArgs { since, until, seq, window, key, all, .. } = args;
    if !all && since.is_none() && until.is_none() && seq.is_none() && window.is_none() && key.is_none() {
        let message = "which part of the log? Say --since, --until, --seq, --window or --key, or --all";
        return Err(wrong("--from", message.into()));
    }
    let time = |name: &str, text: &Option<String>| {
        text.as_deref().map(|text| moment(name, text, config)).transpose()
    };
    let key = key.as_deref().map(|key| {
        OrderKey::new(key).ok_or_else(|| wrong("--key", "found nothing, expected an order's key".into()))
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
    let wrong = |message: String| ConfigError::Key { place: "--target".into(), message };
    match args.target.as_deref() {
        None => Ok(None),
        Some("none") if args.from == FromLog::Mapped => {
            Err(wrong("none is for --from raw: what is mapped already has nothing to try".into()))
        }
        Some("none") if args.execute => {
            Err(wrong("none writes nothing, so there is nothing to --execute".into()))
        }
        Some("none") => Ok(None),
        Some(name) if config.targets.iter().any(|target| target.name == name) => {
            Ok(Some(TargetName::new(name)))
        }
        Some(name) => {
            let names: Vec<_> = config.targets.iter().map(|target| target.name.as_str()).collect();
            Err(wrong(format!("there is no target \"{name}\"; there is {}", names.join(", "))))
        }
    }
}

/// Maps pages for an operation.
pub struct Remapping(Again);

impl Remapping {
    /// What an operation needs to be carried on; `None` when it maps nothing. `Err` when the mapping is another one by now:
    /// half of a replay would be of either.
    pub fn of(
        operation: &Operation,
        config: &Config,
        journal: &Journal,
    ) -> anyhow::Result<Result<Option<Self>, String>> {
        let Some(Work::Replay { log: Log::Raw, mapping, .. }) = &operation.work else { return Ok(Ok(None)) };
        let again = Again::new(config, journal)?;
        let found = again.mapping();
        Ok(match mapping {
            Some(mapping) if *mapping != found => {
                Err(format!("it was planned with mapping {mapping}, and the file holds {found} now"))
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
