//! `orderflow dead list`.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use jiff::tz::TimeZone;
use operations::LetterLine;

use super::Context;
use super::select::Select;
use crate::cli::Output;
use crate::columns::cells;
use crate::exit::{Exit, print, print_json, print_line};
use crate::status::time;
use crate::words;

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
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(lines)?)),
        Output::Table if lines.is_empty() => print_line(&t!("no such dead letters")),
        Output::Table => {
            print(&shown(lines, &context.config.zone()));
            if first > 0 {
                print_line(&t!(
                    "%{shown} of %{count}, the newest; --limit 0 shows all",
                    shown = lines.len(),
                    count = count
                ));
            }
        }
    }
    Ok(if lines.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

fn shown(lines: &[LetterLine], zone: &TimeZone) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        t!("letter"),
        t!("at"),
        t!("stage"),
        t!("target"),
        t!("kind"),
        t!("order"),
        t!("group"),
        t!("retries"),
        t!("dealt with"),
    ]);
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    for line in lines {
        table.add_row(cells([
            line.letter.to_string(),
            time(line.at, zone),
            line.stage.to_string(),
            dash(&line.target),
            line.kind.clone(),
            dash(&line.key),
            line.fingerprint.get(..8).unwrap_or(&line.fingerprint).to_string(),
            line.retries.to_string(),
            line.resolution
                .as_ref()
                .map_or_else(|| "-".into(), |resolution| words::how(&resolution.how).into()),
        ]));
    }
    for column in [0, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dead::sample::lines;
    use crate::language::in_both;

    #[test]
    fn letters_in_both_languages() {
        insta::assert_snapshot!(in_both(|| shown(&lines(), &TimeZone::UTC)));
    }
}
