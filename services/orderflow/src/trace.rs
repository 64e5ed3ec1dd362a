//! `orderflow trace`.

use std::path::Path;

use events::TargetName;
use jiff::Timestamp;
use journal::Topology;
use operations::{Happened, Mask, Story};
use service::Config;

use crate::cli::{Output, TraceArgs};
use crate::exit::{Exit, print};
use crate::reach::with_reached;
use crate::stages::connect;

pub async fn run(args: TraceArgs, path: &Path) -> anyhow::Result<Exit> {
    with_reached(Config::load(path)?, &args.data, async |config| tell(&args, config).await).await
}

async fn tell(args: &TraceArgs, config: &Config) -> anyhow::Result<Exit> {
    let journal = connect(config, "trace").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let targets: Vec<TargetName> =
        config.targets.iter().map(|target| TargetName::new(&target.name)).collect();
    let Some(story) = Story::of(&journal, &names, &targets, args.order.trim(), &Mask::of(config)).await?
    else {
        eprintln!(
            "no stream knows an order with the key or the number {}; what was fetched and not mapped yet has neither",
            args.order
        );
        return Ok(Exit::NothingMatched);
    };
    match args.output {
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&story)?)),
        Output::Table => print(&shown(&story, config)),
    }
    Ok(Exit::Ok)
}

fn shown(story: &Story, config: &Config) -> String {
    let mut out = format!("order {} (number {})\n", story.key, story.number.as_deref().unwrap_or("-"));
    for step in &story.steps {
        let what = match step.happened {
            Happened::Fetched => "fetched",
            Happened::Mapped => "mapped",
            Happened::Deleted => "deleted",
            Happened::Attempt => "attempt",
            Happened::Outcome => "outcome",
            Happened::Dead => "dead",
            Happened::DealtWith => "dealt with",
        };
        // Steps lie close together: a second is too coarse here.
        let at = Timestamp::from_microsecond(step.at).map_or_else(
            |_| "-".into(),
            |at| at.to_zoned_datetime(config.zone()).strftime("%Y-%m-%d %H:%M:%S%.3f%:z").to_string(),
        );
        out.push_str(&format!("{at}  {:<14} {:>6}  {what:<10}  {}\n", step.stream, step.seq, step.told));
    }
    for seq in &story.under_way {
        out.push_str(&format!("message {seq} is under way\n"));
    }
    out
}
