//! `orderflow map`: what has to do with the mapping, and with the orders it reads.

mod accept;
mod drift;
mod import;
pub(crate) mod pretty;
mod preview;
mod source;
mod test;

use std::path::Path;

use accept::AcceptArgs;
use clap::Subcommand;
use drift::DriftArgs;
use import::ImportArgs;
pub use import::ImportReport;
use preview::PreviewArgs;
pub use source::{MappingArgs, Source};
use test::TestArgs;
pub use test::TestReport;

use crate::exit::{Exit, print};

/// What to do about the mapping.
#[derive(Debug, Subcommand)]
pub enum MapCommand {
    /// Run the cases that stand in the mapping. Exit status 1 when one of them fails, 3 when there is none.
    Test(TestArgs),
    /// Show one order before and after, and where each field came from; or map a whole file.
    Preview(PreviewArgs),
    /// Print every key of a mapping with its meaning: itself a small working mapping.
    Reference,
    /// Compare the shape of the orders fetched lately with those before: new fields, gone ones, other types. Exit status 4
    /// when the mapping reads fields that are gone, empty or have another type, or when a version of it is held.
    Drift(DriftArgs),
    /// Put a version of the mapping in use that is held because it would leave fields empty. Says which, and does nothing
    /// without --execute.
    Accept(AcceptArgs),
    /// Make an orderflow.toml and a mapping.toml of 轻易云 scheme metadata, and say what could not be carried over. Exit
    /// status 4 when there is such a thing.
    Import(ImportArgs),
}

pub async fn run(command: MapCommand, path: &Path) -> anyhow::Result<Exit> {
    match command {
        MapCommand::Test(args) => test::run(args, path),
        MapCommand::Preview(args) => preview::run(args, path).await,
        MapCommand::Reference => {
            print(mapping::REFERENCE);
            Ok(Exit::Ok)
        }
        MapCommand::Drift(args) => drift::run(args, path).await,
        MapCommand::Accept(args) => accept::run(args, path).await,
        MapCommand::Import(args) => import::run(args),
    }
}
