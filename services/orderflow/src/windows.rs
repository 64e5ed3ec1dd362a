//! `orderflow windows`.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use events::{WindowId, now};
use jiff::tz::TimeZone;
use journal::{From, Topology};
use operations::{WindowState, WindowStory, windows};
use service::{Config, ConfigError};

use crate::backfill::flags::span;
use crate::cli::{Output, WindowsArgs};
use crate::exit::{Exit, print};
use crate::reach::with_reached;
use crate::stages::connect;
use crate::status::time;

pub async fn run(args: WindowsArgs, path: &Path) -> anyhow::Result<Exit> {
    with_reached(Config::load(path)?, &args.data, async |config| tell(&args, config).await).await
}

async fn tell(args: &WindowsArgs, config: &Config) -> anyhow::Result<Exit> {
    let last = span(&args.last).map_err(|message| {
        let message = format!("found \"{}\", expected {message}", args.last);
        ConfigError::Key { place: "--last".into(), message }
    })?;
    let journal = connect(config, "windows").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let from = if args.window.is_some() { From::Start } else { From::Time(now() - last) };
    let found = windows(&journal, &names, from, args.window.as_deref()).await?;
    match (args.output, &found[..], &args.window) {
        (Output::Json, ..) => print(&format!("{}\n", serde_json::to_string_pretty(&found)?)),
        (Output::Table, [], Some(window)) => eprintln!("there is no window {window}"),
        (Output::Table, [], None) => {
            eprintln!("no window was opened in the last {}; --last looks further back", args.last);
        }
        (Output::Table, [one], Some(_)) => print(&whole(one, &config.zone())),
        (Output::Table, all, _) => print(&list(all, &config.zone())),
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

fn state(story: &WindowStory) -> String {
    match &story.line.state {
        WindowState::Open => "is read".into(),
        WindowState::Closed { .. } => "proved".into(),
        WindowState::Failed { reason } => format!("FAILED: {reason}"),
    }
}

fn list(all: &[WindowStory], zone: &TimeZone) -> String {
    let mut table = Table::new();
    let header = ["window", "since", "until", "pages", "rows", "orders", "total", "passes", "state"];
    table.load_style(presets::NOTHING).set_header(header);
    for story in all {
        // Not known is not 0.
        let proof = |number: fn(&events::Proof) -> u64| {
            story.proof.as_ref().map_or_else(|| "-".to_string(), |proof| number(proof).to_string())
        };
        table.add_row([
            story.line.window.clone(),
            time(story.line.since, zone),
            time(story.line.until, zone),
            story.pages.to_string(),
            story.rows.to_string(),
            proof(|proof| proof.distinct),
            proof(|proof| proof.total),
            proof(|proof| u64::from(proof.pass)),
            state(story),
        ]);
    }
    for column in table.column_iter_mut().skip(3).take(5) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn whole(story: &WindowStory, zone: &TimeZone) -> String {
    let mut out = format!(
        "window   {}\ncovers   {} to {}\nopened   {}\nended    {}\nread     {} pages, {} rows\nstate    {}\n",
        story.line.window,
        time(story.line.since, zone),
        time(story.line.until, zone),
        time(story.opened, zone),
        story.ended.map_or_else(|| "-".into(), |at| time(at, zone)),
        story.pages,
        story.rows,
        state(story),
    );
    let Some(proof) = &story.proof else { return out };
    out.push_str(&format!(
        "proof    the source counts {} orders, and {} distinct ones were read\n",
        proof.total, proof.distinct
    ));
    for slice in &proof.slices {
        let confirmed = slice.confirmed_by.map_or_else(
            || "one page held them all".to_string(),
            |pass| format!("pass {pass} met the last of them again"),
        );
        out.push_str(&format!(
            "         {} to {}: {} of {} at the first page of pass {}; {confirmed}\n",
            time(slice.slice.since, zone),
            time(slice.slice.until, zone),
            slice.distinct,
            slice.total,
            slice.pass,
        ));
    }
    out
}
