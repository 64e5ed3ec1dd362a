//! `orderflow dead`: what could not be carried.

mod act;
mod edit;
mod editor;
mod export;
mod groups;
mod identity;
mod known;
mod list;
#[cfg(test)]
mod sample;
mod select;
mod set;
mod show;
mod uneditable;

pub use act::{ActReport, reason};
pub use edit::EditReport;
pub use list::ListedLetter;
pub use show::Whole;

use std::path::Path;

use clap::Subcommand;
use events::Stage;
use journal::{Journal, Topology};
use service::Config;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::reach::with_reached;
use crate::stages::connect;
use crate::words;

/// What to do about dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// What went wrong, each kind of it in one line, most open letters first.
    Groups(groups::GroupsArgs),
    /// Letters one by one, oldest first.
    List(list::ListArgs),
    /// All there is to know of one letter: what failed, byte for byte, every attempt, the answer, what was done about it.
    Show(show::ShowArgs),
    /// Letters as JSON, one a line, with what failed in them.
    Export(export::ExportArgs),
    /// Back to the stage that gave up, and what the targets make of it. Shows the plan, and does nothing without --execute. Exit
    /// status 4 when some failed again, or have no outcome yet.
    Retry(act::RetryArgs),
    /// Close letters with a reason; nothing else is done about them. Shows the plan, and does nothing without --execute.
    Discard(act::DiscardArgs),
    /// Correct one record by hand and send that. The letter and its order keep what they said; the business key stays as it
    /// is. Shows the change, and does nothing without --execute.
    Edit(edit::EditArgs),
}

/// What a command about dead letters works with.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) journal: Journal,
    pub(crate) names: Topology,
}

pub async fn run(command: DeadCommand, path: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let data = match &command {
        DeadCommand::Groups(args) => args.data.clone(),
        DeadCommand::List(args) => args.data.clone(),
        DeadCommand::Show(args) => args.data.clone(),
        DeadCommand::Export(args) => args.data.clone(),
        DeadCommand::Retry(args) => args.act.data.clone(),
        DeadCommand::Discard(args) => args.act.data.clone(),
        DeadCommand::Edit(args) => args.data.clone(),
    };
    with_reached(Config::load(path)?, &data, async |config| {
        Box::pin(with(command, config.clone(), shutdown)).await
    })
    .await
}

async fn with(command: DeadCommand, config: Config, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let journal = connect(&config, "dead").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let context = Context { config, journal, names };
    match command {
        DeadCommand::Groups(args) => groups::run(args, &context).await,
        DeadCommand::List(args) => list::run(args, &context).await,
        DeadCommand::Show(args) => show::run(args, &context).await,
        DeadCommand::Export(args) => export::run(args, &context).await,
        DeadCommand::Retry(args) => act::retry(args, &context, shutdown).await,
        DeadCommand::Discard(args) => act::discard(args, &context, shutdown).await,
        DeadCommand::Edit(args) => edit::run(args, &context, shutdown).await,
    }
}

/// A stage, and which targets it is about.
fn stage<'a>(stage: Stage, targets: impl Iterator<Item = &'a String>) -> String {
    let targets: Vec<&str> = targets.map(String::as_str).collect();
    let stage = words::stage(stage);
    match targets[..] {
        [] => stage.into(),
        _ => t!("%{stage} to %{targets}", stage = stage, targets = targets.join(", ")).into(),
    }
}
