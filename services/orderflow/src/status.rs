//! `orderflow status`.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, Table, presets};
use events::TargetName;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use journal::{Stream, Topology};
use operations::{StageStatus, Status, Stopped, Verdict, WindowLine, WindowState};
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;
use tokio_util::sync::CancellationToken;

use crate::alerts;
use crate::cli::{Output, StatusArgs};
use crate::columns::padded;
use crate::exit::{Exit, clear_screen, print, print_coloured, print_json};
use crate::instances;
use crate::reach::with_reached;
use crate::stages::{connect, use_local};
use crate::up;
use crate::verdict;

/// So many columns are for what a line is about.
const LABEL: usize = 11;
/// Lines under one another begin below the first.
const UNDER: &str = "\n           ";

/// What `status -o json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Told {
    /// Whether all is well.
    verdict: Verdict,
    #[serde(flatten)]
    status: Status,
}

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
        let (now, mut status, alerts) = (
            Instant::now(),
            Status::read(&journal, &names, &targets).await?,
            alerter::state(&journal, &names).await?,
        );
        status.look_at_disk(config.nats.own_folder.as_deref());
        let verdict = Verdict::of(&status, &alerts, config);
        let needs_person = verdict.needs_person || alerts.deliveries.values().any(|one| one.error.is_some());
        // A terminal shows the newest look alone; a file keeps all of them.
        if args.watch.is_some() && args.output == Output::Table && std::io::stdout().is_terminal() {
            clear_screen();
        }
        let told = Told { verdict, status };
        match args.output {
            Output::Json if args.watch.is_some() => {
                print_json(&format!("{}\n", serde_json::to_string(&told)?))
            }
            Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&told)?)),
            Output::Table => {
                for (word, colour, text) in verdict::lines(&told.verdict, &config.zone()) {
                    print_coloured(colour, &word, &text);
                }
                let status = &told.status;
                let look = before.as_ref().map(|(then, before)| (before, (now - *then).as_secs_f64()));
                let shown = shown(status, &rates(look, status), config);
                print(&format!("\n{shown}{}", alerts::untold(&alerts)));
            }
        }
        let exit = if needs_person { Exit::Partial } else { Exit::Ok };
        let Some(every) = args.watch else { return Ok(exit) };
        before = Some((now, told.status));
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
    let over = if look.is_some() { t!("since the last look") } else { t!("over the last minute") };
    format!("{}  {over}", logs.map(rate).join("  "))
}

/// The configuration with the address of the server: its own, or that of the `up` that runs in the data folder.
pub fn with_server(mut config: Config, data: &Path) -> anyhow::Result<Config> {
    if config.nats.url.is_none() {
        let server = up::running_server(data)?;
        use_local(&mut config, server.url, Some(&server.identity));
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
        WindowState::Open => t!("%{window} is being read", window = window).into(),
        WindowState::Closed { total, distinct, slices, .. } => {
            let closed = t!(
                "%{window} closed with proof: %{distinct} distinct orders, the source counts %{total}",
                window = window,
                distinct = distinct,
                total = total
            );
            let slices = if *slices > 1 { t!(", in %{slices} slices", slices = slices) } else { "".into() };
            format!("{closed}{slices}")
        }
        WindowState::Failed { reason } => {
            t!("%{window} FAILED: %{reason}", window = window, reason = reason).into()
        }
    }
}

fn shown(status: &Status, rates: &str, config: &Config) -> String {
    let time = |micros: i64| time(micros, &config.zone());
    let watermark = status.watermark.as_ref().map_or_else(
        || "-".into(),
        |watermark| {
            let (to, seconds) = (time(watermark.to), watermark.age_seconds);
            t!("%{to} (%{seconds} s ago)", to = to, seconds = seconds)
        },
    );
    let mut windows = vec![status.window.as_ref().map_or_else(|| "-".to_string(), line)];
    windows.extend(status.lanes.iter().map(line));
    let dead: Vec<String> = status
        .dead
        .iter()
        .map(|group| format!("{} {}: {}", group.stage, service::escape_value(&group.kind), group.letters))
        .collect();
    let mut open = t!("%{count} open", count = status.dead_open).into_owned();
    if !dead.is_empty() {
        // The groups count what was dealt with as well.
        open.push_str(&t!(" (in all %{groups})", groups = dead.join(", ")));
    }
    let mut lines = vec![
        (t!("flow"), status.flow.clone()),
        (t!("watermark"), watermark.into_owned()),
        // The windows beside the live one stand under it.
        (t!("window"), windows.join(UNDER)),
        (t!("receipts"), t!("%{count} orders", count = status.orders).into()),
        (t!("rates"), rates.to_string()),
        (t!("dead"), open),
    ];
    if status.older_stamps > 0 {
        let older = t!(
            "%{count} orders were read later than what the target holds, with other content and an older update time",
            count = status.older_stamps
        );
        let end = t!("nothing was sent; `orderflow reconcile --repair` writes what the source has now");
        lines.push((t!("older"), format!("{older}{UNDER}{end}")));
    }
    for Stopped { target, since, reason } in &status.stopped {
        let since =
            t!("%{target} since %{time}: %{reason}", target = target, time = time(*since), reason = reason);
        let end = t!("`orderflow resume --target %{target}` lets it go on", target = target);
        lines.push((t!("STOPPED"), format!("{since}{UNDER}{end}")));
    }
    let lines: String =
        lines.iter().map(|(label, text)| format!("{}{text}\n", padded(label, LABEL))).collect();
    let here = instances::shown(&status.instances, &config.targets, config.writer.partitions, &config.zone());
    format!("{lines}\n{}\n\n{here}", stages(&status.stages))
}

fn stages(stages: &[StageStatus]) -> Table {
    let dash = |number: Option<u64>| number.map_or_else(|| "-".to_string(), |number| number.to_string());
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        t!("stage"),
        t!("target"),
        t!("waiting"),
        t!("in hand"),
        t!("redelivered"),
        t!("oldest"),
    ]);
    for stage in stages {
        table.add_row([
            verdict::stage_name(stage.stage, None),
            stage.target.clone().unwrap_or_else(|| "-".into()),
            dash(stage.waiting),
            dash(stage.ack_pending),
            dash(stage.redelivered),
            stage
                .oldest_seconds
                .map_or_else(|| "-".into(), |seconds| t!("%{count} s", count = seconds).into()),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use operations::{DeadLetters, Watermark};

    use crate::language::in_both;

    const AT: i64 = 1_741_233_600_000_000;

    fn window(name: &str, state: WindowState) -> WindowLine {
        WindowLine { window: name.into(), since: AT - 60_000_000, until: AT, state }
    }

    #[test]
    fn a_flow_with_everything_that_can_be_said_of_it() {
        let closed = WindowState::Closed { total: 120, distinct: 120, passes: 2, slices: 3, pages_read: 5 };
        let stage = |stage, target: Option<&str>, number: Option<u64>| StageStatus {
            stage,
            target: target.map(str::to_string),
            lag: number.map(|number| number - number / 10),
            ack_pending: number.map(|number| number / 10),
            waiting: number,
            redelivered: number.map(|_| 0),
            oldest_seconds: number.map(|_| 42),
        };
        let status = Status {
            flow: "orders".into(),
            watermark: Some(Watermark { to: AT, age_seconds: 61 }),
            window: Some(window("live-000007", closed)),
            lanes: vec![
                window("sweep1-000002", WindowState::Open),
                window("deleted-000003", WindowState::Failed { reason: "page 3 has no list".into() }),
            ],
            stages: vec![
                stage("fetch", None, Some(0)),
                stage("transform", None, Some(1_200)),
                stage("write", Some("qeasy"), None),
            ],
            instances: Vec::new(),
            expected: Vec::new(),
            overdue: Vec::new(),
            paused: Vec::new(),
            mapping: operations::MappingWatch::default(),
            limits: Vec::new(),
            stopped: vec![Stopped {
                target: "qeasy".into(),
                reason: "100 of the last 200 orders were refused".into(),
                since: AT,
            }],
            dead: vec![DeadLetters { stage: "write".into(), kind: "refused".into(), letters: 6 }],
            dead_open: 5,
            older_stamps: 2,
            orders: 2_994,
            positions: [("RAW", 60), ("MAPPED", 3_000)].into(),
            last_minute: [("RAW", 30), ("MAPPED", 1_500)].into(),
        };
        let config = Config::parse(Path::new("o.toml"), "", std::iter::empty()).expect("the defaults");
        insta::assert_snapshot!(in_both(|| shown(&status, &rates(None, &status), &config)));
    }
}
