//! `orderflow status`.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use events::TargetName;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use journal::{Stream, Topology};
use operations::{Status, WindowLine, WindowState};
use service::Config;
use tokio_util::sync::CancellationToken;

use crate::alerts;
use crate::cli::{Output, StatusArgs};
use crate::exit::{Exit, print};
use crate::instances;
use crate::reach::with_reached;
use crate::stages::connect;
use crate::up;

pub async fn run(args: StatusArgs, path: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    // Also while nothing runs: what waits for a person does so all the same.
    with_reached(Config::load(path)?, &args.data, async |config| tell(&args, config, &shutdown).await).await
}

async fn tell(args: &StatusArgs, config: &Config, shutdown: &CancellationToken) -> anyhow::Result<Exit> {
    let journal = connect(config, "status").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let targets: Vec<TargetName> =
        config.targets.iter().map(|target| TargetName::new(&target.name)).collect();
    let mut before = None::<(Instant, Status)>;
    loop {
        let (now, status) = (Instant::now(), Status::read(&journal, &names, &targets).await?);
        // A terminal shows the newest look alone; a file keeps all of them.
        if args.watch.is_some() && args.output == Output::Table && std::io::stdout().is_terminal() {
            print("\x1b[H\x1b[2J");
        }
        match args.output {
            Output::Json if args.watch.is_some() => print(&format!("{}\n", serde_json::to_string(&status)?)),
            Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&status)?)),
            Output::Table => {
                let look = before.as_ref().map(|(then, before)| (before, (now - *then).as_secs_f64()));
                let shown = shown(&status, &rates(look, &status), config);
                print(&format!("{shown}{}", alerts::untold(&journal, &names).await));
            }
        }
        let exit = if status.needs_attention() { Exit::Partial } else { Exit::Ok };
        let Some(every) = args.watch else { return Ok(exit) };
        before = Some((now, status));
        tokio::select! {
            () = shutdown.cancelled() => return Ok(exit),
            () = tokio::time::sleep(Duration::from_secs(every)) => {}
        }
    }
}

/// What comes into each log a second: since the last look, so many seconds ago, or in the last minute.
fn rates(look: Option<(&Status, f64)>, status: &Status) -> String {
    let rate = |stream: Stream| {
        let name = stream.name();
        let at = |status: &Status| status.positions.get(name).copied();
        let (new, seconds) = match look {
            Some((before, seconds)) => {
                (at(status).zip(at(before)).map_or(0, |(now, then)| now.saturating_sub(then)), seconds)
            }
            None => (status.last_minute.get(name).copied().unwrap_or_default(), 60.0),
        };
        format!("{name} {:.1}/s", new as f64 / seconds)
    };
    // In the order in which an order comes by.
    let logs = [Stream::Raw, Stream::Mapped, Stream::Receipts, Stream::Dead];
    let over = if look.is_some() { "since the last look" } else { "over the last minute" };
    format!("{}  {over}", logs.map(rate).join("  "))
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

fn shown(status: &Status, rates: &str, config: &Config) -> String {
    let time = |micros: i64| time(micros, &config.zone());
    let dash = |number: Option<u64>| number.map_or_else(|| "-".to_string(), |number| number.to_string());
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "stage",
        "target",
        "lag",
        "ack pending",
        "redelivered",
        "oldest",
    ]);
    for stage in &status.stages {
        let target = stage.target.clone().unwrap_or_else(|| "-".into());
        table.add_row([
            stage.stage.to_string(),
            target,
            dash(stage.lag),
            dash(stage.ack_pending),
            dash(stage.redelivered),
            stage.oldest_seconds.map_or_else(|| "-".into(), |seconds| format!("{seconds} s")),
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
    let here = instances::shown(&status.instances, &config.targets, config.writer.partitions, &config.zone());
    let stopped: String = status
        .stopped
        .iter()
        .map(|stop| {
            let (target, since, reason) = (&stop.target, time(stop.since), &stop.reason);
            format!("\nSTOPPED    {target} since {since}: {reason}\n           `orderflow resume --target {target}` lets it go on")
        })
        .collect();
    let dead: Vec<String> = status
        .dead
        .iter()
        .map(|group| format!("{} {}: {}", group.stage, group.kind, group.letters))
        .collect();
    // The groups count what was dealt with as well.
    let dead = if dead.is_empty() { String::new() } else { format!(" (in all {})", dead.join(", ")) };
    format!(
        "flow       {}\nwatermark  {watermark}\nwindow     {windows}\nreceipts   {} orders\nrates      {rates}\ndead       {} open{dead}{stopped}\n\n{table}\n\n{here}",
        status.flow, status.orders, status.dead_open,
    )
}
