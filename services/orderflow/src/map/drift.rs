//! `orderflow map drift`: what is different in the orders of the source since some moment, and whether the mapping reads it.

mod show;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use events::{Micros, now};
use journal::Topology;
use mapping::{Change, Drift, MissingPath, Plan, Schema, SchemaField};
use operations::drift::{self, Side, Sides};
use operations::{MappingWatch, mapping_watch};
use serde::Serialize;
use service::Config;

use crate::backfill::moment;
use crate::cli::Output;
use crate::exit::{Exit, print, print_json};
use crate::reach::with_reached;
use crate::stages::connect;

/// Flags of `map drift`.
#[derive(Debug, Args)]
pub struct DriftArgs {
    /// The moment that parts the orders, by when they were fetched: 2025-01-01 or "2025-01-01 00:00:00", in
    /// source.time_zone; one day ago when not given.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many pages of orders are read at most on each side of --since; the newest of each.
    #[arg(long, value_name = "PAGES", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    limit: u64,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that a running `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    data: PathBuf,
}

const DAY: Micros = 86_400_000_000;

/// What `-o json` prints.
#[derive(Debug, Serialize)]
struct Report {
    flow: String,
    /// The moment, microseconds since the Unix epoch.
    moment: Micros,
    before: Read,
    since: Read,
    /// Pages that cannot be read.
    unreadable_pages: Vec<u64>,
    mapping: Mapping,
    /// Fields that the mapping in use reads and that no order has any more; a version of the mapping that is held.
    #[serde(flatten)]
    watch: MappingWatch,
    /// What the mapping reads and no order has, although orders have what is around it: perhaps misspelt.
    missing: Vec<Missing>,
    /// What is different; `null` when there is nothing on one of the sides.
    changes: Option<Vec<Line<Change>>>,
    /// Without a comparison: every field that was seen, wherever it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<Vec<Line<SchemaField>>>,
}

/// What was read of one side.
#[derive(Debug, Serialize)]
struct Read {
    orders: u64,
    pages: u64,
    /// Further pages, beyond `--limit`.
    pages_left_out: u64,
    /// Values that were not looked at, because there were too many different fields.
    values_left_out: u64,
}

/// A path that the mapping reads and no order has.
#[derive(Debug, Serialize)]
struct Missing {
    path: String,
    /// The path that was perhaps meant.
    near: Option<String>,
    /// What is around it; empty for the order itself.
    within: String,
    /// The fields that were seen there.
    there: Vec<String>,
}

/// Which fields the mapping reads.
#[derive(Debug, Serialize)]
struct Mapping {
    version: Option<String>,
    /// Why that is not known.
    error: Option<String>,
    #[serde(skip)]
    plan: Option<Plan>,
}

#[derive(Debug, Serialize)]
struct Line<T> {
    /// Whether the mapping reads it; `null` when that is not known.
    mapping_reads: Option<bool>,
    #[serde(flatten)]
    of: T,
}

pub async fn run(args: DriftArgs, path: &Path) -> anyhow::Result<Exit> {
    with_reached(Config::load(path)?, &args.data, async |config| tell(&args, config).await).await
}

async fn tell(args: &DriftArgs, config: &Config) -> anyhow::Result<Exit> {
    let moment = match &args.since {
        Some(text) => moment("--since", text, config)?,
        None => now() - DAY,
    };
    let journal = connect(config, "drift").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let sides = drift::read(&journal, &names, moment, args.limit).await.with_context(|| {
        t!("the orders cannot be read: has the flow \"%{flow}\" run on this NATS before?", flow = config.flow)
    })?;
    let watch = mapping_watch(&journal, &names).await?;
    let report = Report::of(config, moment, sides, watch);
    match args.output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?)),
        Output::Table => print(&show::shown(&report, config)),
    }
    Ok(if report.needs_attention() { Exit::Partial } else { Exit::Ok })
}

impl Report {
    fn of(config: &Config, moment: Micros, sides: Sides, watch: MappingWatch) -> Self {
        let Sides { before, since, unreadable } = sides;
        let mapping = Mapping::load(config);
        // What is gone since is a change, and no slip.
        let read = [&before.schema, &since.schema].into_iter().filter(|schema| schema.orders() > 0);
        let missing = mapping.missing(&read.collect::<Vec<_>>());
        let (mut changes, mut fields) = (None, None);
        if before.schema.orders() > 0 && since.schema.orders() > 0 {
            let drift = Drift::between(&before.schema, &since.schema);
            let line = |of: Change| Line { mapping_reads: mapping.reads(&of.path), of };
            changes = Some(drift.changes.into_iter().map(line).collect());
        } else {
            // One of them is empty, so the other is all there is.
            let all = if since.schema.orders() > 0 { &since } else { &before };
            let line = |of: SchemaField| Line { mapping_reads: mapping.reads(&of.path), of };
            fields = Some(all.schema.fields().into_iter().map(line).collect());
        }
        Self {
            flow: config.flow.clone(),
            moment,
            before: Read::of(&before),
            since: Read::of(&since),
            unreadable_pages: unreadable,
            mapping,
            watch,
            missing,
            changes,
            fields,
        }
    }

    /// Whether something that the mapping reads is not as it was. When nobody can say what it reads, it may be anything.
    fn needs_attention(&self) -> bool {
        let breaks = |line: &Line<Change>| line.of.is_breaking() && line.mapping_reads != Some(false);
        let is_watched = !self.watch.empty.is_empty() || self.watch.held.is_some();
        is_watched || self.changes.iter().flatten().any(breaks)
    }
}

impl Read {
    fn of(side: &Side) -> Self {
        Self {
            orders: side.schema.orders(),
            pages: side.pages,
            pages_left_out: side.left_out,
            values_left_out: side.schema.left_out(),
        }
    }
}

impl Mapping {
    /// A mapping that is wrong is no reason not to look at the source.
    fn load(config: &Config) -> Self {
        match transformer::load_mapping(config) {
            Ok(plan) => Self { version: Some(plan.version().to_string()), error: None, plan: Some(plan) },
            Err(error) => Self { version: None, error: Some(service::chain(&error)), plan: None },
        }
    }

    /// Whether it reads what lies at a path.
    fn reads(&self, path: &str) -> Option<bool> {
        self.plan.as_ref().map(|plan| plan.reads(path))
    }

    /// What it reads and no order has, before and since.
    fn missing(&self, sides: &[&Schema]) -> Vec<Missing> {
        let missing = |path: &str| {
            let found: Option<Vec<MissingPath>> = sides.iter().map(|side| side.missing(path)).collect();
            let MissingPath { within, there, near } = found?.pop()?;
            Some(Missing { path: path.to_string(), near, within, there })
        };
        self.plan.iter().flat_map(Plan::read_paths).filter_map(missing).collect()
    }
}
