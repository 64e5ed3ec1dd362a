//! `orderflow ops`: what people had the pipeline do, and carrying it on.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use comfy_table::{CellAlignment, Table, presets};
use events::{Actor, Command};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use journal::{Journal, Topology};
use operations::{Carried, Operation, Remap, State};
use service::Config;
use std::io::IsTerminal;
use tokio_util::sync::CancellationToken;

use crate::cli::Output;
use crate::columns::padded;
use crate::exit::{Exit, print, print_line};
use crate::reach::with_reached;
use crate::replay::Remapping;
use crate::stages::connect;
use crate::status::time;

/// So many columns are for what a line is about.
const LABEL: usize = 11;

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
    Resume(OneArgs),
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
        | OpsCommand::Resume(one)
        | OpsCommand::Cancel(one)
        | OpsCommand::Rate(RateArgs { one, .. }) => &one.data,
    }
    .clone();
    with_reached(Config::load(path)?, &data, async |config| with(command, config, shutdown).await).await
}

async fn with(command: OpsCommand, config: &Config, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let journal = connect(config, "ops").await?;
    let (names, zone) = (Topology::new(&config.flow, config.writer.partitions), config.zone());
    let (one, said) = match command {
        OpsCommand::List(args) => {
            let mut all = Operation::all(&journal, &names).await?;
            all.retain(|operation| args.verb.as_ref().is_none_or(|verb| *verb == operation.verb));
            match args.output {
                Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&all)?)),
                Output::Table if all.is_empty() => print_line(&t!("no operations")),
                Output::Table => print(&list(&all, &zone)),
            }
            return Ok(if all.is_empty() { Exit::NothingMatched } else { Exit::Ok });
        }
        OpsCommand::Show(one) => (one, None),
        OpsCommand::Pause(one) => (one, Some(Command::Pause)),
        OpsCommand::Resume(one) => (one, Some(Command::Resume)),
        OpsCommand::Cancel(one) => (one, Some(Command::Cancel)),
        OpsCommand::Rate(args) => (args.one, Some(Command::Rate(args.per_second))),
    };
    let Some(operation) = Operation::named(&journal, &names, &one.operation).await? else {
        let none =
            t!("there is no operation %{id}; `orderflow ops list` shows which there are", id = one.operation);
        eprintln!("{none}");
        return Ok(Exit::NothingMatched);
    };
    match said {
        None => {
            match one.output {
                Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&operation)?)),
                Output::Table => print(&whole(&operation, &zone)),
            }
            return Ok(Exit::Ok);
        }
        Some(_) if operation.work.is_none() => {
            let none = t!(
                "%{id} is not carried in steps: there is nothing to pause, resume or cancel",
                id = operation.id
            );
            eprintln!("{none}");
            return Ok(Exit::Refused);
        }
        Some(command) => {
            // Before it is said to go on: by nobody, if this process cannot.
            if command == Command::Resume
                && let Err(why) = Remapping::of(&operation, config, &journal)?
            {
                eprintln!("{}: {why}", operation.id);
                return Ok(Exit::Refused);
            }
            if !operations::command(&journal, &names, &operation, command).await? {
                let result = operation.result.unwrap_or_default();
                eprintln!("{}", t!("%{id} is over: %{result}", id = operation.id, result = result));
                return Ok(Exit::Refused);
            }
            if command == Command::Resume {
                return carry_to_its_end(config, &journal, &names, &operation.id, &shutdown).await;
            }
        }
    }
    if let Some(operation) = Operation::named(&journal, &names, &one.operation).await? {
        print(&whole(&operation, &zone));
    }
    Ok(Exit::Ok)
}

/// Carries an operation on in this process, and tells what came of it.
pub async fn carry_to_its_end(
    config: &Config,
    journal: &Journal,
    names: &Topology,
    id: &str,
    shutdown: &CancellationToken,
) -> anyhow::Result<Exit> {
    let Some(mut operation) = Operation::named(journal, names, id).await? else {
        anyhow::bail!("{}", t!("the operation %{id} is not in OPS", id = id));
    };
    let remapping = match Remapping::of(&operation, config, journal)? {
        Ok(remapping) => remapping,
        Err(why) => {
            eprintln!("{id}: {why}");
            return Ok(Exit::Refused);
        }
    };
    let remap = remapping.as_ref().map(|remapping| remapping as &dyn Remap);
    let bar = std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{msg:10} {bar:28} {human_pos:>9}/{human_len}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(operation.count.unwrap_or_default())
            .with_style(style.progress_chars("━╸─"))
            .with_message(operation.verb.clone())
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
    let told = match carried? {
        Carried::ToItsEnd => ended(&operation),
        Carried::Cancelled => t!("cancelled after %{count}", count = operation.done).into(),
        Carried::ByAnother => t!("another process carries it on").into(),
        Carried::Stopped => t!(
            "interrupted after %{done} of %{count}; `orderflow ops resume %{id}` goes on",
            done = operation.done,
            count = operation.count.unwrap_or_default(),
            id = id
        )
        .into(),
    };
    print_line(&format!("{id}: {told}"));
    print(&failures(&operation));
    Ok(match (carried_well(&operation), operation.done) {
        (true, _) => Exit::Ok,
        (false, _) => Exit::Partial,
    })
}

fn carried_well(operation: &Operation) -> bool {
    operation.state == State::Complete
}

/// What came of one that was carried to its end: its result, which is kept in English, as it is counted.
fn ended(operation: &Operation) -> String {
    let done = operation.done;
    match operation.failures.len() {
        0 => t!("all %{done} done", done = done),
        failed => t!("%{done} done, %{failed} not", done = done, failed = failed),
    }
    .into()
}

fn failures(operation: &Operation) -> String {
    let lines = operation
        .failures
        .iter()
        .map(|failure| format!("  {}\n", t!("not %{seq}: %{why}", seq = failure.seq, why = failure.why)));
    lines.collect()
}

fn state(operation: &Operation) -> Cow<'static, str> {
    match operation.state {
        State::Running => t!("under way"),
        State::Paused => t!("paused"),
        State::Cancelled => t!("cancelled"),
        State::Complete => t!("complete"),
        State::Incomplete => t!("incomplete"),
    }
}

fn who(actor: &Actor) -> String {
    format!("{}@{}", actor.user, actor.host)
}

fn progress(operation: &Operation) -> String {
    match operation.count {
        None => "-".into(),
        Some(count) => format!("{}/{count}", operation.done),
    }
}

fn list(all: &[Operation], zone: &TimeZone) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        t!("operation"),
        t!("began"),
        t!("who"),
        t!("state"),
        t!("done"),
        t!("reason"),
    ]);
    for operation in all {
        table.add_row([
            operation.id.clone(),
            time(operation.began, zone),
            who(&operation.actor),
            state(operation).into(),
            progress(operation),
            if operation.reason.is_empty() { operation.plan.clone() } else { operation.reason.clone() },
        ]);
    }
    if let Some(column) = table.column_mut(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn whole(operation: &Operation, zone: &TimeZone) -> String {
    let mut out = String::new();
    let mut tell = |what: &str, text: &str| out.push_str(&format!("{}{text}\n", padded(what, LABEL)));
    tell(&t!("operation"), &operation.id);
    tell(&t!("plan"), &operation.plan);
    tell(&t!("who"), &who(&operation.actor));
    tell(&t!("reason"), if operation.reason.is_empty() { "-" } else { &operation.reason });
    tell(&t!("began"), &time(operation.began, zone));
    tell(&t!("state"), &t!("%{state}, %{done} done", state = state(operation), done = progress(operation)));
    for said in &operation.said {
        let what = match said.command {
            // As they are typed.
            Command::Pause => "pause".into(),
            Command::Resume => "resume".into(),
            Command::Cancel => "cancel".into(),
            Command::Rate(rate) => t!("at most %{rate} a second", rate = rate),
        };
        tell(&t!("said"), &format!("{}  {}: {what}", time(said.at, zone), who(&said.actor)));
    }
    if let Some(result) = &operation.result {
        tell(&t!("result"), &format!("{}  {result}", time(operation.moved, zone)));
    }
    out + failures(operation).as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Failure;
    use operations::Said;

    use crate::language::in_both;

    const AT: i64 = 1_741_233_600_000_000;

    fn operation(id: &str, state: State) -> Operation {
        let actor = Actor { user: "li".into(), host: "erp".into() };
        let said = [(Command::Pause, 1), (Command::Rate(50), 2), (Command::Resume, 3)];
        Operation {
            id: id.into(),
            verb: "retry".into(),
            actor: actor.clone(),
            reason: "the customer is known now".into(),
            plan: "retry 7 dead letters, at most 200 a second".into(),
            began: AT,
            moved: AT + 60_000_000,
            state,
            count: Some(7),
            done: 6,
            failures: vec![Failure { seq: 12, why: "it cannot be read".into() }],
            result: Some("6 done, 1 not".into()),
            said: said
                .map(|(command, at)| Said { command, actor: actor.clone(), at: AT + at * 1_000_000 })
                .into(),
            through: 12,
            work: None,
            per_second: 50,
            weight: 1.0,
            first_seq: 1,
            last_seq: 9,
            by: String::new(),
        }
    }

    #[test]
    fn operations_and_one_of_them_in_both_languages() {
        let states = [State::Running, State::Paused, State::Cancelled, State::Complete, State::Incomplete];
        let mut all: Vec<_> =
            (1..).zip(states).map(|(at, state)| operation(&format!("retry-{at}"), state)).collect();
        (all[3].count, all[3].reason) = (None, String::new());
        insta::assert_snapshot!(in_both(|| {
            let one = &all[4];
            let (list, whole) = (list(&all, &TimeZone::UTC), whole(one, &TimeZone::UTC));
            format!("{list}\n{whole}\n{}", ended(one))
        }));
    }
}
