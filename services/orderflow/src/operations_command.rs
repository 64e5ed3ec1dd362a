//! `orderflow ops`: what people had the pipeline do, and carrying it on.

mod report;
mod show;
mod wait;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use events::Command;
use indicatif::{ProgressBar, ProgressStyle};
use journal::{Journal, Topology};
use operations::{Carried, Operation, Remap, SentResult};
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;
use std::io::IsTerminal;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

use crate::cli::Output;
use crate::exit::{Exit, print, print_json, print_line, say_line};
use crate::reach::with_reached;
use crate::replay::Remapping;
use crate::stages::connect;
pub use report::{OperationReport, held_up};
use show::{list, whole};
pub use wait::WaitArgs;
use wait::{read_outcome, wait_for_targets};

/// What to do about operations.
#[derive(Debug, Subcommand)]
pub enum OpsCommand {
    /// All of them, oldest first.
    List(OpsListArgs),
    /// One of them, with what it did not do and why.
    Show(OneArgs),
    /// Let one under way rest.
    Pause(OneArgs),
    /// Go on with one that rests, or whose process has died, in this process.
    Resume(OpsResumeArgs),
    /// End one. What is done stays done.
    Cancel(OneArgs),
    /// Let one go slower or faster.
    Rate(RateArgs),
}

/// Flags of `ops list`.
#[derive(Debug, Args)]
pub struct OpsListArgs {
    /// Only those of this verb: retry, discard, edit, backfill, resume, sync.
    #[arg(long)]
    verb: Option<String>,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    data: PathBuf,
}

/// Which operation.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// Its name, as `ops list` shows it.
    operation: String,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    data: PathBuf,
}

/// Flags of `ops resume`.
#[derive(Debug, Args)]
pub struct OpsResumeArgs {
    #[command(flatten)]
    one: OneArgs,
    #[command(flatten)]
    wait: WaitArgs,
}

/// What `ops show -o json` prints, and what the commands print that change an operation.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "Operation")]
pub struct ShownOperation {
    #[serde(flatten)]
    operation: Operation,
    /// What the targets have made of what it sent, until now; `null` for an operation that sends nothing.
    outcome: Option<SentResult>,
}

/// Flags of `ops rate`.
#[derive(Debug, Args)]
pub struct RateArgs {
    #[command(flatten)]
    one: OneArgs,
    /// So many a second, at most.
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    per_second: u32,
}

pub async fn run(command: OpsCommand, path: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let data = match &command {
        OpsCommand::List(args) => &args.data,
        OpsCommand::Show(one)
        | OpsCommand::Pause(one)
        | OpsCommand::Resume(OpsResumeArgs { one, .. })
        | OpsCommand::Cancel(one)
        | OpsCommand::Rate(RateArgs { one, .. }) => &one.data,
    }
    .clone();
    with_reached(Config::load(path)?, &data, async |config| with(command, config, shutdown).await).await
}

async fn with(command: OpsCommand, config: &Config, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let journal = connect(config, "ops").await?;
    let (names, zone) = (Topology::new(&config.flow, config.writer.partitions), config.zone());
    // Who looks may not be allowed to write, and is told all the same.
    if let Err(error) = operations::end_abandoned_edits(&journal, &names).await {
        tracing::warn!(%error, "edits whose process has ended stay under way");
    }
    let mut limit = None;
    let (one, said) = match command {
        OpsCommand::List(args) => {
            let mut all = Operation::all(&journal, &names).await?;
            all.retain(|operation| args.verb.as_ref().is_none_or(|verb| *verb == operation.verb));
            match args.output {
                Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&all)?)),
                Output::Table if all.is_empty() => print_line(&t!("no operations")),
                Output::Table => print(&list(&all, &zone)),
            }
            return Ok(if all.is_empty() { Exit::NothingMatched } else { Exit::Ok });
        }
        OpsCommand::Show(one) => (one, None),
        OpsCommand::Pause(one) => (one, Some(Command::Pause)),
        OpsCommand::Resume(args) => {
            limit = args.wait.limit();
            (args.one, Some(Command::Resume))
        }
        OpsCommand::Cancel(one) => (one, Some(Command::Cancel)),
        OpsCommand::Rate(args) => (args.one, Some(Command::Rate(args.per_second))),
    };
    let Some(operation) = Operation::named(&journal, &names, &one.operation).await? else {
        let none =
            t!("there is no operation %{id}; `orderflow ops list` shows which there are", id = one.operation);
        say_line(&none);
        return Ok(Exit::NothingMatched);
    };
    if let Some(command) = said {
        if operation.work.is_none() {
            let none = t!(
                "%{id} is not carried in steps: there is nothing to pause, resume or cancel",
                id = operation.id
            );
            say_line(&none);
            return Ok(Exit::Refused);
        }
        // Before it is said to go on: by nobody, if this process cannot.
        if command == Command::Resume
            && let Err(why) = Remapping::of(&operation, config, &journal).await?
        {
            say_line(&format!("{}: {why}", operation.id));
            return Ok(Exit::Refused);
        }
        if !operations::command(&journal, &names, &operation, command).await? {
            let result = operation.result.unwrap_or_default();
            say_line(&t!("%{id} is over: %{result}", id = operation.id, result = result));
            return Ok(Exit::Refused);
        }
        if command == Command::Resume {
            let carried = carry_to_its_end(config, &journal, &names, &operation.id, limit, &shutdown).await?;
            let Some(report) = carried else { return Ok(Exit::Refused) };
            print_report(&report, one.output)?;
            return Ok(report.exit());
        }
    }
    let Some(operation) = Operation::named(&journal, &names, &one.operation).await? else {
        return Ok(Exit::NothingMatched);
    };
    // Only what is looked at is worth reading the logs for.
    let sends = said.is_none() && (operation.verb == "edit" || operation.sends());
    let outcome = if sends { Some(read_outcome(config, &journal, &names, &operation).await?) } else { None };
    match one.output {
        Output::Json => {
            print_json(&format!(
                "{}\n",
                serde_json::to_string_pretty(&ShownOperation { operation, outcome })?
            ));
        }
        Output::Table => print(&whole(&operation, outcome.as_ref(), &zone)),
    }
    Ok(Exit::Ok)
}

/// Prints what an operation came to, in the form that was asked for.
pub fn print_report(report: &OperationReport, output: Output) -> anyhow::Result<()> {
    match output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(report)?)),
        Output::Table => print(&report.text()),
    }
    Ok(())
}

/// Carries an operation on in this process, and waits for what the targets make of what it sent, for as long as `limit`; not at all
/// without one. `None` when this process cannot carry it, which is said.
pub async fn carry_to_its_end(
    config: &Config,
    journal: &Journal,
    names: &Topology,
    id: &str,
    limit: Option<Duration>,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<OperationReport>> {
    let Some(mut operation) = Operation::named(journal, names, id).await? else {
        anyhow::bail!("{}", t!("the operation %{id} is not in OPS", id = id));
    };
    let remapping = match Remapping::of(&operation, config, journal).await? {
        Ok(remapping) => remapping,
        Err(why) => {
            say_line(&format!("{id}: {why}"));
            return Ok(None);
        }
    };
    let remap = remapping.as_ref().map(|remapping| remapping as &dyn Remap);
    let bar = std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{msg:10} {bar:28} {human_pos:>9}/{human_len}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(operation.count.unwrap_or_default())
            .with_style(style.progress_chars("━╸─"))
            .with_message(service::escape_value(&operation.verb).into_owned())
    });
    let show = |operation: &Operation| {
        if let Some(bar) = &bar {
            bar.set_position(operation.done + operation.failures.len() as u64);
        }
    };
    let carried = operations::carry(journal, names, &mut operation, remap, shutdown, show).await;
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let carried = carried?;
    let awaited = match limit.filter(|_| carried == Carried::ToItsEnd && operation.sends()) {
        Some(limit) => Some(wait_for_targets(config, journal, names, &operation, limit, shutdown).await?),
        None => None,
    };
    Ok(Some(OperationReport::new(operation, carried, awaited)))
}

/// What came of an edit, which is sent already; waits for as long as `limit`.
pub async fn report_edit(
    config: &Config,
    journal: &Journal,
    names: &Topology,
    id: &str,
    limit: Option<Duration>,
    shutdown: &CancellationToken,
) -> anyhow::Result<OperationReport> {
    let Some(operation) = Operation::named(journal, names, id).await? else {
        anyhow::bail!("{}", t!("the operation %{id} is not in OPS", id = id));
    };
    let awaited = match limit {
        Some(limit) => Some(wait_for_targets(config, journal, names, &operation, limit, shutdown).await?),
        None => None,
    };
    Ok(OperationReport::new(operation, Carried::ToItsEnd, awaited))
}
