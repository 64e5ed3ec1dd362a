//! `orderflow reconcile`: what the source has, against what each target was given.

mod cause;
mod repair;
mod show;
mod todays_rows;

use std::path::Path;

use events::{Slice, TargetName, now};
use fetcher::survey;
use journal::{Stream, Topology};
use operations::{Comparison, SourceReading};
use service::{Config, ConfigError};
use tokio_util::sync::CancellationToken;

use crate::backfill::flags::{moment, not_before};
use crate::cli::{Output, ReconcileArgs};
use crate::dead::reason;
use crate::exit::{Exit, print, print_json};
use crate::reach::with_reached;
use crate::stages::connect;
use crate::status::time;
use cause::name_causes;
use repair::{Repair, say_what_would_be_done};
use show::shown;
use todays_rows::TodaysRows;

pub async fn run(args: ReconcileArgs, path: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    with_reached(Config::load(path)?, &args.data, async |config| tell(&args, config, shutdown).await).await
}

async fn tell(args: &ReconcileArgs, config: &Config, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let range = range(args, config)?;
    let reason = reason(args.execute, args.reason.as_deref())?;
    let plan = transformer::load_mapping(config)?;
    if plan.is_by_element() {
        let message = t!(
            "it makes a record of each element of a list: which records an order has is not known without reading it all"
        );
        return Err(ConfigError::Key { place: "mapping".into(), message: message.into() }.into());
    }
    if config.source.detail.is_some() {
        let message = t!("the mapping reads details, and the list that is compared here does not have them");
        return Err(ConfigError::Key { place: "source.detail".into(), message: message.into() }.into());
    }
    let journal = connect(config, "reconcile").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let mut rows = TodaysRows::new(&plan);
    if args.repair {
        rows.keep_what_differs(&journal, &names, config).await?;
    }
    // Before the source is asked: what lies further on in RAW may have been read after this.
    journal.ensure(&names).await?;
    let raw_through = journal.size(&names, Stream::Raw).await?.1;
    // Up to now: what was changed after the range has left it, and is no order that the source does not have.
    let all = Slice { since: range.since, until: now().max(range.until) };
    let listed = survey(config, &journal, all, |row| rows.read(row)).await?;
    let reading = SourceReading { range, listed: &listed, mapping: plan.version(), raw_through };
    let mut found = Vec::new();
    for target in &config.targets {
        let target = TargetName::new(&target.name);
        let mut comparison = Comparison::of(&journal, &names, &target, reading).await?;
        name_causes(&journal, &names, &plan, &listed, &mut comparison).await?;
        found.push(comparison);
    }
    match args.output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&found)?)),
        Output::Table => {
            print(&found.iter().map(|found| shown(found, range, &config.zone())).collect::<String>())
        }
    }
    let acts = found.iter().any(|found| found.to_resend().chain(found.to_rewrite()).next().is_some());
    if acts && args.repair {
        let Some(reason) = reason else {
            say_what_would_be_done(&found);
            return Ok(Exit::Partial);
        };
        let output = args.output;
        let repair =
            Repair { config, journal: &journal, names: &names, reading, rows: &rows, reason, output };
        return repair.run(&found, &shutdown).await;
    }
    let is_well = found.iter().all(|found| found.is_even() && found.dead.is_empty());
    Ok(if is_well { Exit::Ok } else { Exit::Partial })
}

fn range(args: &ReconcileArgs, config: &Config) -> Result<Slice, ConfigError> {
    let settle = i64::try_from(config.schedule.settle.get().as_micros()).unwrap_or(i64::MAX);
    // What was changed later may not have been read yet by a flow that does all it should.
    let last = now().saturating_sub(settle);
    let until =
        args.to.as_deref().map(|text| moment("--to", text, config)).transpose()?.unwrap_or(last).min(last);
    let since = moment("--from", &args.from, config)?;
    if since >= until {
        let until = time(until, &config.zone());
        return Err(ConfigError::Key { place: "--from".into(), message: not_before(&args.from, &until) });
    }
    Ok(Slice { since, until })
}
