//! `orderflow status`.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use events::{Instance, TargetName};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use journal::Topology;
use operations::{Status, WindowLine, WindowState};
use service::Config;

use crate::cli::{Output, StatusArgs};
use crate::exit::{Exit, print};
use crate::stages::connect;
use crate::up;

pub async fn run(args: StatusArgs, path: &Path) -> anyhow::Result<Exit> {
    let config = with_server(Config::load(path)?, &args.data)?;
    let journal = connect(&config, "status").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let targets: Vec<TargetName> =
        config.targets.iter().map(|target| TargetName::new(&target.name)).collect();
    let status = Status::read(&journal, &names, &targets).await?;
    match args.output {
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&status)?)),
        Output::Table => print(&shown(&status, &config)),
    }
    Ok(if status.needs_attention() { Exit::Partial } else { Exit::Ok })
}

/// The configuration with the address of the server: its own, or that of the `up` that runs in the data folder.
pub fn with_server(mut config: Config, data: &Path) -> anyhow::Result<Config> {
    if config.nats.url.is_none() {
        config.nats.url = Some(up::running_server(data)?);
    }
    Ok(config)
}

/// A moment as people at the source write it, with the offset.
pub fn time(micros: i64, zone: &TimeZone) -> String {
    match Timestamp::from_microsecond(micros) {
        Ok(at) => at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string(),
        Err(_) => "-".into(),
    }
}

/// One window, as a person is told of it.
fn line(line: &WindowLine) -> String {
    let window = &line.window;
    match &line.state {
        WindowState::Open => format!("{window} is being read"),
        WindowState::Closed { total, distinct, slices, .. } => {
            let slices = if *slices > 1 { format!(", in {slices} slices") } else { String::new() };
            format!(
                "{window} closed with proof: {distinct} distinct orders, the source counts {total}{slices}"
            )
        }
        WindowState::Failed { reason } => format!("{window} FAILED: {reason}"),
    }
}

/// The transformers that answer, one a line; what is wrong with a mapping they do not take stands under them.
fn transformers(instances: &[Instance], zone: &TimeZone) -> String {
    let line = |instance: &Instance| {
        let Instance { host, pid, mapping, started_at, .. } = instance;
        let mapping = mapping.as_deref().unwrap_or("-");
        let rejected = instance
            .mapping_rejected
            .as_ref()
            .map_or_else(String::new, |why| format!("\n             does not take the newer mapping: {why}"));
        format!("{host}:{pid}  mapping {mapping}  since {}{rejected}", time(*started_at, zone))
    };
    match instances {
        [] => "-".to_string(),
        // All of them stand under one another.
        some => {
            let differ = some.windows(2).any(|two| two[0].mapping != two[1].mapping);
            let differ = differ.then(|| "they do not all use the same mapping".to_string());
            some.iter().map(line).chain(differ).collect::<Vec<_>>().join("\n             ")
        }
    }
}

fn shown(status: &Status, config: &Config) -> String {
    let time = |micros: i64| time(micros, &config.zone());
    let dash = |number: Option<u64>| number.map_or_else(|| "-".to_string(), |number| number.to_string());
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(["stage", "target", "lag", "ack pending", "redelivered"]);
    for stage in &status.stages {
        let target = stage.target.clone().unwrap_or_else(|| "-".into());
        table.add_row([
            stage.stage.to_string(),
            target,
            dash(stage.lag),
            dash(stage.ack_pending),
            dash(stage.redelivered),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let watermark = status.watermark.as_ref().map_or_else(
        || "-".to_string(),
        |watermark| format!("{} ({} s ago)", time(watermark.to), watermark.age_seconds),
    );
    let mut windows = vec![status.window.as_ref().map_or_else(|| "-".to_string(), line)];
    windows.extend(status.lanes.iter().map(line));
    // The windows beside the live one stand under it.
    let windows = windows.join("\n           ");
    let transformers = transformers(&status.instances, &config.zone());
    let dead: Vec<String> = status
        .dead
        .iter()
        .map(|group| format!("{} {}: {}", group.stage, group.kind, group.letters))
        .collect();
    // The groups count what was dealt with as well.
    let dead = if dead.is_empty() { String::new() } else { format!(" (in all {})", dead.join(", ")) };
    format!(
        "flow       {}\nwatermark  {watermark}\nwindow     {windows}\nreceipts   {} orders\ndead       {} open{dead}\n\n{table}\n\ntransformer  {transformers}\n",
        status.flow, status.orders, status.dead_open,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Stage;

    #[test]
    fn transformers_stand_under_one_another_with_what_they_do_not_take() {
        let instance = |pid, mapping_rejected: Option<&str>| Instance {
            stage: Stage::Transform,
            member: "m".into(),
            host: "erp-1".into(),
            pid,
            started_at: 1_741_251_325_000_000,
            mapping: Some("0123456789abcdef".into()),
            mapping_rejected: mapping_rejected.map(str::to_string),
        };
        assert_eq!(transformers(&[], &TimeZone::UTC), "-");
        assert_eq!(
            transformers(
                &[instance(7, Some("mapping.toml:3: no such key")), instance(12, None)],
                &TimeZone::UTC
            ),
            "erp-1:7  mapping 0123456789abcdef  since 2025-03-06 08:55:25+00:00\n             \
             does not take the newer mapping: mapping.toml:3: no such key\n             \
             erp-1:12  mapping 0123456789abcdef  since 2025-03-06 08:55:25+00:00"
        );
    }
}
