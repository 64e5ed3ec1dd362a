//! `orderflow windows`.

use std::borrow::Cow;
use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use events::{Micros, WindowId, now};
use jiff::tz::TimeZone;
use journal::{From, Journal, JournalError, Stream, Topology};
use operations::{WindowState, WindowStory, windows};
use schemars::JsonSchema;
use serde::Serialize;
use service::{Config, ConfigError};

use crate::backfill::flags::span;
use crate::cli::{Output, WindowsArgs};
use crate::columns::{cells, padded};
use crate::exit::{Exit, print, print_json, print_line, say_line};
use crate::reach::with_reached;
use crate::stages::connect;
use crate::status::time;

/// So many columns are for what a line is about.
const LABEL: usize = 9;

pub async fn run(args: WindowsArgs, path: &Path) -> anyhow::Result<Exit> {
    with_reached(Config::load(path)?, &args.data, async |config| tell(&args, config).await).await
}

async fn tell(args: &WindowsArgs, config: &Config) -> anyhow::Result<Exit> {
    let last = span(&args.last).map_err(|message| {
        let message = t!("found \"%{found}\", expected %{expected}", found = args.last, expected = message);
        let message = message.into();
        ConfigError::Key { place: "--last".into(), message }
    })?;
    let journal = connect(config, "windows").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let since = now() - last;
    let from = if args.window.is_some() { From::Start } else { From::Time(since) };
    let found = windows(&journal, &names, from, args.window.as_deref()).await?;
    match (args.output, &found[..], &args.window) {
        (Output::Json, ..) => {
            let earlier = args.window.is_none() && are_earlier(&journal, &names, since).await?;
            let listed: Vec<_> = found.iter().map(|story| ListedWindow { story, earlier }).collect();
            print_json(&format!("{}\n", serde_json::to_string_pretty(&listed)?));
        }
        (Output::Table, [], Some(window)) => say_line(&t!("there is no window %{window}", window = window)),
        (Output::Table, [], None) => {
            let none =
                t!("no window was opened in the last %{last}; --last looks further back", last = args.last);
            say_line(&none);
        }
        (Output::Table, [one], Some(_)) => print(&whole(one, &config.zone())),
        (Output::Table, all, _) => {
            print(&list(all, &config.zone()));
            if are_earlier(&journal, &names, since).await? {
                let earlier = t!("opened in the last %{last}; --last shows earlier ones", last = args.last);
                print_line(&earlier);
            }
        }
    }
    // A window that failed may have been read again since.
    let later = match &found[..] {
        [one] if unproved(&found) => windows(&journal, &names, From::Time(one.opened), None).await?,
        _ => Vec::new(),
    };
    Ok(match &found[..] {
        [] => Exit::NothingMatched,
        all if unproved(all) && (later.is_empty() || unproved(&later)) => Exit::Partial,
        _ => Exit::Ok,
    })
}

/// A window of `windows -o json`.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "WindowStory")]
pub struct ListedWindow<'a> {
    #[serde(flatten)]
    story: &'a WindowStory,
    /// Whether other windows were opened earlier than `--last` looks back; the document does not hold them.
    earlier: bool,
}

/// Whether a window was opened before this time.
async fn are_earlier(journal: &Journal, names: &Topology, since: Micros) -> Result<bool, JournalError> {
    let first = journal.next(names, Stream::Sync, &names.windows(), 1).await?;
    Ok(first.is_some_and(|first| first.stored_at < since))
}

/// Whether something that failed was not read again since: windows of a lane go on from where the last proof ends.
fn unproved(all: &[WindowStory]) -> bool {
    all.iter().any(|story| {
        let lane = |story: &WindowStory| WindowId::named(&story.line.window).lane().to_string();
        let proved = |other: &&WindowStory| {
            other.proof.is_some()
                && lane(other) == lane(story)
                && other.line.since <= story.line.since
                && story.line.until <= other.line.until
        };
        matches!(story.line.state, WindowState::Failed { .. }) && !all.iter().any(|other| proved(&other))
    })
}

fn state(story: &WindowStory) -> Cow<'static, str> {
    match &story.line.state {
        WindowState::Open => t!("is read"),
        WindowState::Closed { .. } => t!("proved"),
        WindowState::Failed { reason } => t!("FAILED: %{reason}", reason = reason),
    }
}

fn list(all: &[WindowStory], zone: &TimeZone) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        t!("window"),
        t!("since"),
        t!("until"),
        t!("pages"),
        t!("rows"),
        t!("orders"),
        t!("total"),
        t!("passes"),
        t!("state"),
    ]);
    for story in all {
        // Not known is not 0.
        let proof = |number: fn(&events::Proof) -> u64| {
            story.proof.as_ref().map_or_else(|| "-".to_string(), |proof| number(proof).to_string())
        };
        table.add_row(cells([
            story.line.window.clone(),
            time(story.line.since, zone),
            time(story.line.until, zone),
            story.pages.to_string(),
            story.rows.to_string(),
            proof(|proof| proof.distinct),
            proof(|proof| proof.total),
            proof(|proof| u64::from(proof.pass)),
            state(story).into(),
        ]));
    }
    for column in table.column_iter_mut().skip(3).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn whole(story: &WindowStory, zone: &TimeZone) -> String {
    let mut out = String::new();
    let mut tell = |what: &str, text: &str| {
        out.push_str(&format!("{}{}\n", padded(what, LABEL), service::escape_value(text)));
    };
    let from_to =
        |since, until| t!("%{since} to %{until}", since = time(since, zone), until = time(until, zone));
    tell(&t!("window"), &story.line.window);
    tell(&t!("covers"), &from_to(story.line.since, story.line.until));
    tell(&t!("opened"), &time(story.opened, zone));
    tell(&t!("ended"), &story.ended.map_or_else(|| "-".into(), |at| time(at, zone)));
    tell(&t!("read"), &t!("%{pages} pages, %{rows} rows", pages = story.pages, rows = story.rows));
    tell(&t!("state"), &state(story));
    let Some(proof) = &story.proof else { return out };
    tell(
        &t!("proof"),
        &t!(
            "the source counts %{total} orders, and %{distinct} distinct ones were read",
            total = proof.total,
            distinct = proof.distinct
        ),
    );
    for slice in &proof.slices {
        let confirmed = slice.confirmed_by.map_or_else(
            || t!("one page held them all"),
            |pass| t!("pass %{pass} met the last of them again", pass = pass),
        );
        tell(
            "",
            &t!(
                "%{range}: %{distinct} of %{total} at the first page of pass %{pass}; %{confirmed}",
                range = from_to(slice.slice.since, slice.slice.until),
                distinct = slice.distinct,
                total = slice.total,
                pass = slice.pass,
                confirmed = confirmed
            ),
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{Proof, Slice, SliceProof};
    use operations::WindowLine;

    use crate::language::in_both;

    const AT: i64 = 1_741_233_600_000_000;
    const MINUTE: i64 = 60_000_000;

    fn stories() -> Vec<WindowStory> {
        let slice = |since, until, confirmed_by| SliceProof {
            slice: Slice { since, until },
            total: 60,
            distinct: 60,
            pass: 1,
            confirmed_by,
            pages: 1,
        };
        let proof = Proof {
            total: 120,
            distinct: 120,
            pass: 2,
            pages_read: 5,
            slices: vec![slice(AT - 2 * MINUTE, AT - MINUTE, None), slice(AT - MINUTE, AT, Some(2))],
            pages: 2,
        };
        let story = |name: &str, state, proof: Option<Proof>| WindowStory {
            line: WindowLine { window: name.into(), since: AT - 2 * MINUTE, until: AT, state },
            opened: AT + MINUTE,
            ended: proof.as_ref().map(|_| AT + 2 * MINUTE),
            pages: 5,
            rows: 240,
            proof,
        };
        vec![
            story("live-000001", WindowState::closed(&proof), Some(proof)),
            story("live-000002", WindowState::Failed { reason: "page 3 has no list".into() }, None),
            story("sweep1-000001", WindowState::Open, None),
        ]
    }

    #[test]
    fn windows_and_one_with_its_proof() {
        let stories = stories();
        insta::assert_snapshot!(in_both(|| {
            format!("{}\n{}", list(&stories, &TimeZone::UTC), whole(&stories[0], &TimeZone::UTC))
        }));
    }
}
