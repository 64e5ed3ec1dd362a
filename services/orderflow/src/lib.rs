//! The command line of orderflow as a library, so that tests run the very same program. Wiring only; each command has a
//! file of its own.

#[macro_use]
mod language;

mod alerts;
mod backfill;
mod caution;
mod check;
mod cli;
mod columns;
mod dead;
mod exit;
mod help;
mod init;
mod instances;
mod map;
mod new_file;
mod operations_command;
mod pause;
mod peek;
mod reach;
mod reconcile;
mod replay;
mod resume;
mod sandbox_command;
mod schema;
mod stages;
mod status;
mod summary;
mod trace;
mod up;
mod verdict;
mod windows;
mod words;

use clap::{CommandFactory, FromArgMatches};
use cli::{Cli, Command};
use exit::Exit;
use language::Language;
use tokio_util::sync::CancellationToken;

rust_i18n::i18n!("locales");

/// Many small buffers pass from one thread to another here: the system's allocator spends a quarter of our time on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the command that the process was started with.
pub async fn main() -> std::process::ExitCode {
    // A path need not be Unicode; what is asked for here is.
    let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    language::choose(Language::asked(args, |name| std::env::var(name).ok()));
    let command = match reach::demo_here() {
        Some(demo) => reach::with_demo(Cli::command(), &demo),
        None => Cli::command(),
    };
    let matches = help::translated(command).get_matches();
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Some(config) = reach::config_of_demo(&matches) {
        cli.config = config;
    }
    match Box::pin(run(cli)).await {
        Ok(exit) => exit.printed().into(),
        Err(error) => {
            let exit = Exit::of(&error);
            exit::say_line(&t!("error: %{why}", why = told(&error, exit); lines));
            exit.into()
        }
    }
}

/// An error with its causes. Only what we say of our own files and of this machine has several
/// lines.
fn told(error: &anyhow::Error, exit: Exit) -> String {
    let said = service::chain(error.as_ref());
    match exit {
        Exit::Usage => said,
        _ if error.is::<journal::ServerError>() => said,
        _ => service::escape_value(&said).into_owned(),
    }
}

async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let _telemetry = service::Telemetry::start(cli.service_name(), cli.log_format(), cli.log_filter())?;
    let shutdown = match &cli.command {
        // They have nothing to finish: a signal ends them, also in the middle of a large mapping.
        Command::Check(_)
        | Command::Init(_)
        | Command::Peek(_)
        | Command::Map { .. }
        | Command::Completions { .. }
        | Command::Man
        | Command::Schema(_) => CancellationToken::new(),
        _ => service::on_signals()?,
    };
    match cli.command {
        Command::Up(args) => Box::pin(up::run(args, &cli.config, shutdown)).await,
        Command::Fetch(args) => stages::fetch(args, &cli.config, shutdown).await,
        Command::Transform => stages::transform(&cli.config, shutdown).await,
        Command::Write(args) => stages::write(args, &cli.config, shutdown).await,
        Command::Sandbox(args) => sandbox_command::run(args, shutdown).await,
        Command::Check(args) => check::run(args, &cli.config).await,
        Command::Init(args) => init::run(args),
        Command::Peek(args) => peek::run(args, &cli.config).await,
        Command::Status(args) => status::run(args, &cli.config, shutdown).await,
        Command::Backfill(args) => backfill::run(args, &cli.config, shutdown).await,
        Command::Reconcile(args) => reconcile::run(args, &cli.config, shutdown).await,
        Command::Replay(args) => replay::run(args, &cli.config, shutdown).await,
        Command::Pause(args) => pause::run(args, &cli.config).await,
        Command::Resume(args) => resume::run(args, &cli.config).await,
        Command::Windows(args) => windows::run(args, &cli.config).await,
        Command::Trace(args) => trace::run(args, &cli.config).await,
        Command::Alerts { command } => alerts::run(command, &cli.config).await,
        Command::Dead { command } => dead::run(command, &cli.config, shutdown).await,
        Command::Ops { command } => operations_command::run(command, &cli.config, shutdown).await,
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "orderflow", &mut text);
            exit::print(&String::from_utf8_lossy(&text));
            Ok(Exit::Ok)
        }
        Command::Man => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut text)?;
            exit::print(&String::from_utf8_lossy(&text));
            Ok(Exit::Ok)
        }
        Command::Schema(args) => schema::run(&args),
        Command::Map { command } => map::run(command, &cli.config).await,
    }
}
