//! Waiting for what the targets make of what an operation sent.

use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use events::TargetName;
use indicatif::{ProgressBar, ProgressStyle};
use journal::{Journal, Topology};
use operations::{Hindrance, Mask, Operation, SentMessages, SentResult, hindrances};
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;
use tokio_util::sync::CancellationToken;

use crate::backfill::flags::span;

/// How often the writers are asked whether they can go on: no stream says so.
const LOOK: Duration = Duration::from_secs(1);

/// Flags of what sends orders to targets.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// When all is sent, wait so long at most for what the targets make of it: 30s, 5m.
    #[arg(long, value_name = "LENGTH", default_value = "30s", value_parser = length, conflicts_with = "detach")]
    wait: Duration,
    /// Send, and return without waiting for what the targets make of it.
    #[arg(long)]
    detach: bool,
}

impl WaitArgs {
    /// How long to wait; `None` when not at all.
    pub fn limit(&self) -> Option<Duration> {
        (!self.detach).then_some(self.wait)
    }
}

fn length(text: &str) -> Result<Duration, String> {
    let micros =
        span(text).map_err(|expected| t!("expected %{expected}", expected = expected).into_owned())?;
    Ok(Duration::from_micros(micros.unsigned_abs()))
}

/// How waiting ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitEnd {
    /// All of it has an outcome or a dead letter.
    Settled,
    /// The time was over.
    TimedOut,
    /// Nothing will move until a person does something.
    NothingMoves,
    /// This process was told to end.
    Interrupted,
}

/// What came of it, as far as it was waited for.
#[derive(Debug)]
pub struct Awaited {
    pub result: SentResult,
    pub ended: WaitEnd,
    pub hindrances: Vec<Hindrance>,
}

/// Waits until everything that an operation sent has an outcome or a dead letter, for as long as `limit`.
///
/// # Errors
/// When the logs cannot be read.
pub async fn wait_for_targets(
    config: &Config,
    journal: &Journal,
    names: &Topology,
    operation: &Operation,
    limit: Duration,
    shutdown: &CancellationToken,
) -> anyhow::Result<Awaited> {
    let mask = Mask::of(config);
    let mut sent = SentMessages::of(journal, names, &targets(config), operation).await?;
    // Much of it may have arrived while the rest was being sent.
    sent.read(journal, names, &mask).await?;
    let awaited: Vec<String> = sent.awaited().into_iter().map(str::to_string).collect();
    let bar = progress_bar(&sent);
    let seen = |sent: &SentMessages| {
        if let Some(bar) = &bar {
            bar.set_position(sent.sent() - sent.under_way());
        }
    };
    let ended = tokio::select! {
        biased;
        followed = sent.follow(journal, names, &mask, seen) => {
            followed?;
            WaitEnd::Settled
        }
        () = shutdown.cancelled() => WaitEnd::Interrupted,
        () = tokio::time::sleep(limit) => WaitEnd::TimedOut,
        () = until_nothing_moves(journal, names, &awaited) => WaitEnd::NothingMoves,
    };
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let hindrances = hindrances(journal, names, &sent.awaited()).await?;
    Ok(Awaited { result: sent.result(), ended, hindrances })
}

/// What came of it until now.
///
/// # Errors
/// When the logs cannot be read.
pub async fn read_outcome(
    config: &Config,
    journal: &Journal,
    names: &Topology,
    operation: &Operation,
) -> anyhow::Result<SentResult> {
    let mut sent = SentMessages::of(journal, names, &targets(config), operation).await?;
    sent.read(journal, names, &Mask::of(config)).await?;
    Ok(sent.result())
}

fn targets(config: &Config) -> Vec<TargetName> {
    config.targets.iter().map(|target| TargetName::new(&target.name)).collect()
}

fn progress_bar(sent: &SentMessages) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{msg:10} {bar:28} {human_pos:>9}/{human_len}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(sent.sent())
            .with_style(style.progress_chars("━╸─"))
            .with_message(t!("arrived").into_owned());
        bar.set_position(sent.sent() - sent.under_way());
        bar
    })
}

/// Ends when none of these targets can be written to until a person does something, twice in a row: an answer may come too late.
async fn until_nothing_moves(journal: &Journal, names: &Topology, awaited: &[String]) {
    let targets: Vec<&str> = awaited.iter().map(String::as_str).collect();
    let mut before = false;
    loop {
        let stuck = hindrances(journal, names, &targets).await.is_ok_and(|found| {
            found.iter().filter(|hindrance| hindrance.needs_a_person()).count() == targets.len()
        });
        if stuck && before {
            return;
        }
        before = stuck;
        tokio::time::sleep(LOOK).await;
    }
}
