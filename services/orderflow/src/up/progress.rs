//! The live view: one line a stage on a terminal, a log line every other second elsewhere.

use crate::exit::say_line;
use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use events::Outcome;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use journal::Stream;
use operations::StageStatus;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Flow;
use crate::columns::padded;

const REDRAW: Duration = Duration::from_millis(150);
const LOG: Duration = Duration::from_secs(2);

/// How long the last look at the end of a run may take.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What the lines show.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Shown {
    window: String,
    pass: u32,
    orders: (u64, Option<u64>),
    pages: (u64, Option<u64>),
    writes: (u64, Option<u64>),
    written: u64,
    dead: u64,
    trouble: Option<String>,
}

/// Shows the flow until `stop`.
pub fn show(flow: Arc<Flow>, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        // What was there before this run is not its progress.
        let before = (size(&flow, Stream::Raw).await, mapped(&flow).await);
        if std::io::stderr().is_terminal() {
            bars(&flow, before, &stop).await;
        } else {
            lines(&flow, before, &stop).await;
        }
    })
}

async fn bars(flow: &Flow, before: (u64, u64), stop: &CancellationToken) {
    let all = MultiProgress::new();
    let line = |template: &str| {
        let bar = all.add(ProgressBar::new(0));
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.progress_chars("━╸─").with_key("rate", rate));
        bar
    };
    let (orders, pages) = (padded(&t!("orders"), 6), padded(&t!("pages"), 6));
    let fetch = line(&format!("fetch      {{bar:28}} {{human_pos:>9}}/{{human_len}} {orders}  {{msg}}"));
    let transform = line(&format!("transform  {{bar:28}} {{human_pos:>9}}/{{human_len}} {pages}  {{msg}}"));
    let write =
        line(&format!("write      {{bar:28}} {{human_pos:>9}}/{{human_len}} {orders}  {{rate}}  {{msg}}"));
    loop {
        let Some(shown) = read_unless(flow, before, stop).await else { break };
        set(&fetch, shown.orders);
        set(&transform, shown.pages);
        set(&write, shown.writes);
        let message = match shown.pass {
            0 | 1 => shown.window.clone(),
            pass => t!("%{window}, pass %{pass}", window = shown.window, pass = pass).into(),
        };
        fetch.set_message(service::escape_value(&message).into_owned());
        let dead = match shown.dead {
            0 => String::new(),
            count => format!("{}  ", t!("%{count} dead", count = count)),
        };
        let message = format!("{dead}{}", shown.trouble.clone().unwrap_or_default());
        write.set_message(service::escape_value(&message).into_owned());
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(REDRAW) => {}
        }
    }
    if let Ok(shown) = tokio::time::timeout(LAST_LOOK, read(flow, before)).await {
        set(&write, shown.writes);
    }
    for bar in [fetch, transform, write] {
        bar.abandon();
    }
    say_line("");
}

fn set(bar: &ProgressBar, (done, total): (u64, Option<u64>)) {
    if let Some(total) = total {
        bar.set_length(total);
    }
    bar.set_position(done);
}

async fn lines(flow: &Flow, before: (u64, u64), stop: &CancellationToken) {
    let (mut last, mut last_at) = (Shown::default(), Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOG) => {}
        }
        let Some(shown) = read_unless(flow, before, stop).await else { break };
        if shown != last {
            let rate =
                (shown.writes.0.saturating_sub(last.writes.0)) as f64 / last_at.elapsed().as_secs_f64();
            tracing::info!(
                window = shown.window,
                pass = shown.pass,
                fetched = shown.orders.0,
                of = shown.orders.1,
                pages_mapped = shown.pages.0,
                orders_done = shown.writes.0,
                of_mapped = shown.writes.1,
                written = shown.written,
                dead = shown.dead,
                per_second = rate as u64,
                trouble = shown.trouble,
                "progress"
            );
        }
        (last, last_at) = (shown, Instant::now());
    }
}

/// Without NATS an answer takes long; the end of the run does not wait for it.
async fn read_unless(flow: &Flow, before: (u64, u64), stop: &CancellationToken) -> Option<Shown> {
    tokio::select! {
        () = stop.cancelled() => None,
        shown = read(flow, before) => Some(shown),
    }
}

async fn read(flow: &Flow, before: (u64, u64)) -> Shown {
    let progress = flow.fetcher.progress();
    let pages = size(flow, Stream::Raw).await.saturating_sub(before.0);
    let mapped = mapped(flow).await.saturating_sub(before.1);
    let left = |stage: &StageStatus| Some(stage.lag? + stage.ack_pending?);
    let transform = StageStatus::transform(&flow.journal, &flow.names).await.ok().as_ref().and_then(left);
    let mut writing = Some(0);
    for target in &flow.targets {
        let stage = StageStatus::write(&flow.journal, &flow.names, target).await.ok();
        writing = writing.zip(stage.as_ref().and_then(left)).map(|(sum, left)| sum + left);
    }
    let targets = flow.targets.len() as u64;
    let counts = flow.writers.iter().map(|live| &live.counts);
    Shown {
        window: progress.window.clone().unwrap_or_default(),
        pass: progress.pass,
        orders: (progress.orders, progress.total),
        pages: (transform.map_or(0, |left| pages.saturating_sub(left)), Some(pages)),
        writes: (writing.map_or(0, |left| (mapped * targets).saturating_sub(left)), Some(mapped * targets)),
        written: counts.clone().map(|counts| counts.of(Outcome::Written)).sum(),
        dead: counts.map(|counts| counts.dead()).sum(),
        trouble: flow.trouble(),
    }
}

/// Messages for writers: MAPPED holds others as well.
async fn mapped(flow: &Flow) -> u64 {
    operations::mapped(&flow.journal, &flow.names).await.unwrap_or(0)
}

async fn size(flow: &Flow, stream: Stream) -> u64 {
    flow.journal.size(&flow.names, stream).await.map_or(0, |(messages, _, _)| messages)
}
