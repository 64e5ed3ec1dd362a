//! The command line.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use service::LogFormat;

use crate::alerts::AlertsCommand;
use crate::dead::DeadCommand;
use crate::init::InitArgs;
use crate::language::Language;
use crate::map::MapCommand;
use crate::operations_command::OpsCommand;
use crate::pause::{PauseArgs, StageName};
use crate::peek::PeekArgs;
use crate::replay::ReplayArgs;
use crate::schema::SchemaArgs;

/// Carries sales orders from OKKI CRM to 轻易云 through NATS JetStream: none missed, none written twice.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, env = "ORDERFLOW_CONFIG", default_value = "orderflow.toml")]
    pub config: PathBuf,
    /// How log lines look; json when stderr is no terminal.
    #[arg(long, global = true)]
    log: Option<Log>,
    /// The language of what is printed for people; that of ORDERFLOW_LANG or of the locale when not given. JSON, logs and what is
    /// stored are English always.
    #[arg(long, global = true, value_name = "LANGUAGE")]
    lang: Option<Language>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Log {
    Text,
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process, with a nats-server of its own when nats.url is not given.
    Up(UpArgs),
    /// Run the fetcher: source to RAW. Start as many as you like.
    Fetch(FetchArgs),
    /// Run the transformer: RAW to MAPPED. Start as many as you like.
    Transform,
    /// Run the writer: MAPPED to the targets. Start as many as you like.
    Write(WriteArgs),
    /// Run a stand-in OKKI and a stand-in 轻易云 that can misbehave on request.
    Sandbox(sandbox::Cli),
    /// Write an orderflow.toml and a mapping.toml to begin with, for the sandbox or for an account at OKKI. Asks on a terminal for
    /// what no flag says.
    Init(InitArgs),
    /// Show the first orders of the source and where each field lies, before there is a mapping, and propose one.
    Peek(PeekArgs),
    /// Check configuration and mapping, without connecting to anything; with --live, try every connection too. Exit status 2 when
    /// something is wrong with them, 7 when NATS cannot be reached, 4 when another connection does not work or NATS is weak.
    Check(CheckArgs),
    /// Show stages, lag, watermark and open dead letters. Exit status 4 when something waits for a person.
    Status(StatusArgs),
    /// Read a range of the past again, beside the live flow. Shows the plan, and does nothing without --execute. Exit
    /// status 4 when the range could not be read completely.
    Backfill(BackfillArgs),
    /// Ask the source what it has between two moments, and compare it with what each target was given, order by order. Exit
    /// status 4 when something is missing, stale, other than at the source, unknown, dead, or not at the source.
    Reconcile(ReconcileArgs),
    /// Have a part of a log go through the later stages again: pages of RAW through today's mapping, or mapped orders to a
    /// target. Shows the plan, and does nothing without --execute.
    Replay(ReplayArgs),
    /// Pause a stage, or the writing to a target: what is in hand is finished, and nothing new is begun until `resume`.
    Pause(PauseArgs),
    /// Let a paused stage go on, or the writers of a target that stopped because too much was refused. Says why, and does
    /// nothing without --execute.
    Resume(ResumeArgs),
    /// The windows that were read, newest last, with the proof of each. Exit status 4 when one has none.
    Windows(WindowsArgs),
    /// One order's whole story in time order: every event of it in every stream.
    Trace(TraceArgs),
    /// Dead letters: what could not be carried. Look at them, and do something about them.
    Dead {
        /// What to do.
        #[command(subcommand)]
        command: DeadCommand,
    },
    /// What people are told of without asking: webhooks, what fires, and what is silenced.
    Alerts {
        /// What to do.
        #[command(subcommand)]
        command: AlertsCommand,
    },
    /// What people had the pipeline do: who, when, why, and what came of it.
    Ops {
        /// What to do.
        #[command(subcommand)]
        command: OpsCommand,
    },
    /// Print what a shell needs to complete our commands: `orderflow completions bash`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page: `orderflow man | man -l -`.
    Man,
    /// Print the JSON schema of what a command prints with `-o json`. Fields are added, none is renamed or taken away.
    Schema(SchemaArgs),
    /// What has to do with the mapping, and with the orders it reads.
    Map {
        /// What to do.
        #[command(subcommand)]
        command: MapCommand,
    },
}

/// Flags of `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Sync once up to now, drain every stage, print a summary, and exit 0 only if every order read is accounted for.
    #[arg(long)]
    pub once: bool,
    /// Against the sandbox, with a configuration of its own unless --config names one that exists.
    #[arg(long)]
    pub demo: bool,
    /// Demo: the orders of this file (.ndjson or .ndjson.gz, one order a line) instead of generated ones.
    #[arg(long, value_name = "FILE", requires = "demo")]
    pub orders: Option<PathBuf>,
    /// Demo: how many orders to generate.
    #[arg(long, default_value_t = 10_000, requires = "demo")]
    pub count: u64,
    /// Demo: what the generated orders and the sandbox's dice come from.
    #[arg(long, default_value_t = 1, requires = "demo")]
    pub seed: u64,
    /// Demo: a JSON file with the faults to begin with.
    #[arg(long, value_name = "FILE", requires = "demo")]
    pub faults: Option<PathBuf>,
    /// Where our own nats-server (and the demo) keep their data.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
    /// With --once: give up after this many seconds in which nothing moved.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub patience: u64,
    /// With --once: the form of the summary.
    #[arg(long, short, default_value = "table", requires = "once")]
    pub output: Output,
}

/// Flags of `fetch`.
#[derive(Debug, Args)]
pub struct FetchArgs {
    /// Fetch everything up to now and exit.
    #[arg(long)]
    pub once: bool,
}

/// Flags of `write`.
#[derive(Debug, Args)]
pub struct WriteArgs {
    /// Only this target; all of them when not given.
    #[arg(long)]
    pub target: Option<String>,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Print every configuration key with its default and its meaning.
    #[arg(long)]
    pub defaults: bool,
    /// Check this mapping alone, whatever the configuration says and whether or not there is one.
    #[arg(long, value_name = "FILE", conflicts_with = "defaults")]
    pub mapping: Option<PathBuf>,
    /// Try each connection as well, and write nothing: the token and one order of the source, every target, NATS.
    #[arg(long, conflicts_with_all = ["defaults", "mapping"])]
    pub live: bool,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// Without nats.url: the folder that a running `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// Flags of `status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Look again and again until Ctrl-C, every so many seconds, with rates.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..))]
    pub watch: Option<u64>,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// Without nats.url: the folder that a running `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// Flags of `windows`.
#[derive(Debug, Args)]
pub struct WindowsArgs {
    /// Only this one, with the proof of each slice.
    pub window: Option<String>,
    /// Those that were opened in this last while: 2h, 7d.
    #[arg(long, value_name = "LENGTH", default_value = "2d", conflicts_with = "window")]
    pub last: String,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// Flags of `trace`.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The order's key, or the number people use. By the key costs a few reads; to find a number takes reading an index, a few
    /// kB for each page of orders, and only when that does not know it the last receipt of every order.
    pub order: String,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// Flags of `reconcile`.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Where the range of update times begins: 2025-01-01 or "2025-01-01 00:00:00", in source.time_zone.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Where it ends; now minus schedule.settle when not given, and never later.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Have what is missing, stale or unknown written: from MAPPED where that holds it, else read again at the source. Write what
    /// has other content or an older update time over what the target holds, as the source has it now.
    #[arg(long)]
    pub repair: bool,
    /// Do it, instead of only saying what would be done. Needs --reason.
    #[arg(long, requires = "repair")]
    pub execute: bool,
    /// Why; it is kept with the operation.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// Flags of `backfill`.
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// Where the range begins: 2025-01-01 or "2025-01-01 00:00:00", in source.time_zone.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Where it ends; now minus schedule.settle when not given, and never later.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// How much one window covers: 30m, 6h, 1d. Smaller windows cost more calls and less when one has to be read twice.
    #[arg(long, value_name = "LENGTH", default_value = "1d")]
    pub step: String,
    /// Do it, instead of only saying what would be done. Needs --reason.
    #[arg(long)]
    pub execute: bool,
    /// Why; it is kept with the operation.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Ask for it and return at once, instead of waiting for its end.
    #[arg(long, requires = "execute")]
    pub detach: bool,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// Without nats.url: the folder that a running `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// Flags of `resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The target whose writers have stopped or were paused.
    #[arg(long, value_name = "NAME", conflicts_with = "stage", required_unless_present = "stage")]
    pub target: Option<String>,
    /// The stage that was paused.
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<StageName>,
    /// Do it, instead of only saying why they stopped. Needs --reason.
    #[arg(long)]
    pub execute: bool,
    /// Why; it is kept with the operation.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    pub output: Output,
    /// Without nats.url: the folder that a running `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// The form of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Cli {
    /// What this process is called where its traces go: each stage by its name. One process that
    /// runs all of them is `orderflow`, and its spans say their stage.
    pub fn service_name(&self) -> &'static str {
        match self.command {
            Command::Fetch(_) => "orderflow-fetch",
            Command::Transform => "orderflow-transform",
            Command::Write(_) => "orderflow-write",
            Command::Sandbox(_) => "orderflow-sandbox",
            _ => "orderflow",
        }
    }

    /// How log lines look.
    pub fn log_format(&self) -> LogFormat {
        match self.log {
            Some(Log::Json) => LogFormat::Json,
            Some(Log::Text) => LogFormat::Text,
            None if std::io::stderr().is_terminal() => LogFormat::Text,
            None => LogFormat::Json,
        }
    }

    /// What is logged when `ORDERFLOW_LOG` does not say.
    pub fn log_filter(&self) -> &'static str {
        match self.command {
            // The progress bars tell the rest.
            Command::Up(_) | Command::Backfill(_) if std::io::stderr().is_terminal() => "warn,async_nats=off",
            // What NATS does not permit is told as a finding.
            Command::Check(_) => "warn,async_nats=off,orderflow_journal=off",
            Command::Init(_)
            | Command::Peek(_)
            | Command::Status(_)
            | Command::Pause(_)
            | Command::Resume(_)
            | Command::Replay(_)
            | Command::Reconcile(_)
            | Command::Windows(_)
            | Command::Trace(_)
            | Command::Dead { .. }
            | Command::Alerts { .. }
            | Command::Ops { .. }
            | Command::Map { .. } => "warn,async_nats=off",
            // It repeats with every try to connect what we say once.
            _ => "info,async_nats=off",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
