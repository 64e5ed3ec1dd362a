//! `orderflow map`: what has to do with the mapping, and with the orders it reads.

mod drift;
mod import;

use std::path::Path;

use clap::Subcommand;
use drift::DriftArgs;
use import::ImportArgs;

use crate::exit::Exit;

/// What to do about the mapping.
#[derive(Debug, Subcommand)]
pub enum MapCommand {
    /// Compare the shape of the orders fetched lately with those before: new fields, gone ones, other types. Exit status 4
    /// when the mapping reads fields that are gone or have another type.
    Drift(DriftArgs),
    /// Make an orderflow.toml and a mapping.toml of 轻易云 scheme metadata, and say what could not be carried over. Exit
    /// status 4 when there is such a thing.
    Import(ImportArgs),
}

pub async fn run(command: MapCommand, path: &Path) -> anyhow::Result<Exit> {
    match command {
        MapCommand::Drift(args) => drift::run(args, path).await,
        MapCommand::Import(args) => import::run(args),
    }
}
