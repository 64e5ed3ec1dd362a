//! `orderflow dead groups`.

use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use operations::{DeadGroup, Mask};

use super::{Context, stage};
use crate::cli::Output;
use crate::exit::{Exit, print, print_json, print_line};
use crate::status::time;
use crate::words;

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
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&groups)?)),
        Output::Table if groups.is_empty() => print_line(&t!("no open dead letters")),
        Output::Table => print(&shown(&groups, &context.config.zone())),
    }
    Ok(if groups.is_empty() { Exit::NothingMatched } else { Exit::Ok })
}

/// A few lines a group: the message is the longest part, and what people look for.
fn shown(groups: &[DeadGroup], zone: &TimeZone) -> String {
    let mut out = String::new();
    for group in groups {
        let DeadGroup { open, resolved, kind, pattern, .. } = group;
        // A hash tells apart by its first digits.
        let short = |hash: &str| hash.get(..8).unwrap_or(hash).to_string();
        let listed = |texts: Vec<String>| if texts.is_empty() { "-".into() } else { texts.join(" ") };
        let mappings = listed(group.mappings.iter().map(|mapping| short(mapping)).collect());
        let count = t!("%{open} open, %{resolved} dealt with", open = open, resolved = resolved);
        let seen = t!(
            "%{first} to %{last}, mapping %{mappings}",
            first = time(group.first_seen, zone),
            last = time(group.last_seen, zone),
            mappings = mappings
        );
        let pattern = service::escape_value(pattern);
        let kind = words::kind(kind);
        let kind = service::escape_value(&kind);
        out.push_str(&format!(
            "{}  {count}  {} {kind}\n          {pattern}\n          {seen}\n",
            short(&group.fingerprint),
            stage(group.stage, group.targets.iter()),
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Stage;

    use crate::dead::sample::AT;
    use crate::language::in_both;

    #[test]
    fn groups_in_both_languages() {
        let group = |stage, kind: &str, targets: &[&str]| DeadGroup {
            fingerprint: "e6b118f3c0ffee00".into(),
            stage,
            kind: kind.into(),
            pattern: "40001: customer … is not known".into(),
            targets: targets.iter().map(ToString::to_string).collect(),
            open: 6,
            resolved: 2,
            first_seen: AT,
            last_seen: AT + 60_000_000,
            mappings: ["0123456789abcdef".to_string()].into(),
        };
        let groups =
            [group(Stage::Write, "refused", &["qeasy"]), group(Stage::Transform, "not_a_number", &[])];
        insta::assert_snapshot!(in_both(|| shown(&groups, &TimeZone::UTC)));
    }
}
