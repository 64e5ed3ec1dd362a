//! `orderflow dead list`.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use operations::LetterLine;

use super::Context;
use super::select::Select;
use crate::cli::Output;
use crate::exit::{Exit, print};
use crate::status::time;

/// Flags of `dead list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    select: Select,
    /// Also those that were dealt with.
    #[arg(long)]
    all: bool,
    /// So many, the newest; 0 is all of them.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

pub async fn run(args: ListArgs, context: &Context) -> anyhow::Result<Exit> {
    let lines = args.select.selection(args.all).read(&context.journal, &context.names).await?;
    let count = lines.len();
    let first = if args.limit == 0 { 0 } else { count.saturating_sub(args.limit) };
    let lines = &lines[first..];
    match args.output {
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(lines)?)),
        Output::Table if lines.is_empty() => print("no such dead letters\n"),
        Output::Table => {
            print(&shown(lines, context));
            if first > 0 {
                print(&format!("{} of {count}, the newest; --limit 0 shows all\n", lines.len()));
            }
        }
    }
    Ok(if lines.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

fn shown(lines: &[LetterLine], context: &Context) -> String {
    let zone = context.config.zone();
    let mut table = Table::new();
    let header = ["letter", "at", "stage", "target", "kind", "order", "group", "retries", "dealt with"];
    table.load_style(presets::NOTHING).set_header(header);
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    for line in lines {
        table.add_row([
            line.letter.to_string(),
            time(line.at, &zone),
            line.stage.to_string(),
            dash(&line.target),
            line.kind.clone(),
            dash(&line.key),
            line.fingerprint.get(..8).unwrap_or(&line.fingerprint).to_string(),
            line.retries.to_string(),
            line.resolution.as_ref().map_or_else(|| "-".into(), |resolution| resolution.how.clone()),
        ]);
    }
    for column in [0, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}
