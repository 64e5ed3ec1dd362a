//! `orderflow dead groups`.

use std::path::PathBuf;

use clap::Args;
use operations::{DeadGroup, Mask};

use super::Context;
use crate::cli::Output;
use crate::exit::{Exit, print};
use crate::status::time;

/// Flags of `dead groups`.
#[derive(Debug, Args)]
pub struct GroupsArgs {
    /// Also those of which no letter is open any more.
    #[arg(long)]
    all: bool,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

pub async fn run(args: GroupsArgs, context: &Context) -> anyhow::Result<Exit> {
    let mut groups = DeadGroup::all(&context.journal, &context.names, &Mask::of(&context.config)).await?;
    groups.retain(|group| args.all || group.open > 0);
    match args.output {
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&groups)?)),
        Output::Table if groups.is_empty() => print("no open dead letters\n"),
        Output::Table => print(&shown(&groups, context)),
    }
    Ok(if groups.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

/// A few lines a group: the message is the longest part, and what people look for.
fn shown(groups: &[DeadGroup], context: &Context) -> String {
    let zone = context.config.zone();
    let mut out = String::new();
    for group in groups {
        let DeadGroup { open, resolved, stage, kind, pattern, .. } = group;
        // A hash tells apart by its first digits.
        let short = |hash: &str| hash.get(..8).unwrap_or(hash).to_string();
        let listed = |texts: Vec<String>| if texts.is_empty() { "-".into() } else { texts.join(" ") };
        let targets: Vec<String> = group.targets.iter().map(|target| format!(" to {target}")).collect();
        let mappings = listed(group.mappings.iter().map(|mapping| short(mapping)).collect());
        let (first, last) = (time(group.first_seen, &zone), time(group.last_seen, &zone));
        out.push_str(&format!(
            "{}  {open} open, {resolved} dealt with  {stage}{} {kind}\n          {pattern}\n          \
             {first} to {last}, mapping {mappings}\n",
            short(&group.fingerprint),
            targets.concat(),
        ));
    }
    out
}
