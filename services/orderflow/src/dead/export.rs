//! `orderflow dead export`.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use super::select::Select;
use super::show::Whole;
use crate::exit::{Exit, print_json, say_line};
use operations::Mask;

/// Flags of `dead export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    select: Select,
    /// Also those that were dealt with.
    #[arg(long)]
    all: bool,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

pub async fn run(args: ExportArgs, context: &Context) -> anyhow::Result<Exit> {
    let (mask, mut exported, mut unreadable) = (Mask::of(&context.config), 0_u64, 0_u64);
    let chosen = args.select.read(context, args.all).await?;
    for line in chosen.lines.iter().cloned() {
        // One at a time: they may be large, and many.
        match operations::letter(&context.journal, &context.names, line.letter).await? {
            Some(letter) => {
                print_json(&format!("{}\n", serde_json::to_string(&Whole::new(line, letter, &mask))?));
                exported += 1;
            }
            None => unreadable += 1,
        }
    }
    if unreadable > 0 {
        say_line(&t!("%{count} letters cannot be read", count = unreadable));
    }
    let looked = chosen.looked_at(exported > 0 || unreadable > 0);
    Ok(if unreadable > 0 { Exit::Partial } else { looked })
}
