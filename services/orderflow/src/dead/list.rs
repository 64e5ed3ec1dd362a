//! `orderflow dead list`.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use jiff::tz::TimeZone;
use operations::LetterLine;
use schemars::JsonSchema;
use serde::Serialize;

use super::Context;
use super::select::Select;
use crate::cli::Output;
use crate::columns::cells;
use crate::exit::{Exit, print, print_json, print_line};
use crate::status::time;
use crate::summary::grouped;
use crate::words;

/// Flags of `dead list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    select: Select,
    /// Also those that were dealt with.
    #[arg(long)]
    all: bool,
    /// So many, the newest; 0 is all of them. Without it 50 for people, and all as JSON.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// A letter of `dead list -o json`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "LetterLine")]
pub struct ListedLetter<'a> {
    #[serde(flatten)]
    line: &'a LetterLine,
    /// How many letters were chosen. The document holds the newest of them, and fewer only with `--limit`.
    total: usize,
}

/// So many letters are shown to people who do not say how many.
const SHOWN: usize = 50;

pub async fn run(args: ListArgs, context: &Context) -> anyhow::Result<Exit> {
    let chosen = args.select.read(context, args.all).await?;
    let count = chosen.lines.len();
    // What programs read is never less than there is, unless they say so.
    let limit = args.limit.unwrap_or(if args.output == Output::Json { 0 } else { SHOWN });
    let first = if limit == 0 { 0 } else { count.saturating_sub(limit) };
    let lines = &chosen.lines[first..];
    match args.output {
        Output::Json => {
            let listed: Vec<_> = lines.iter().map(|line| ListedLetter { line, total: count }).collect();
            print_json(&format!("{}\n", serde_json::to_string_pretty(&listed)?));
        }
        Output::Table if lines.is_empty() => print_line(&t!("no such dead letters")),
        Output::Table => print(&shown(lines, &context.config.zone())),
    }
    if first > 0 && args.output == Output::Table {
        print_line(&t!(
            "%{shown} of %{count}, the newest; --limit 0 shows all",
            shown = grouped(lines.len() as u64),
            count = grouped(count as u64)
        ));
    }
    Ok(chosen.looked_at(!lines.is_empty()))
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
