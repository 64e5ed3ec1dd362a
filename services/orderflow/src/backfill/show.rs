//! What a person sees of a backfill: the plan before, a bar or log lines while it runs, the outcome.

use crate::exit::say_line;
use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use operations::WindowState;
use operations::backfill::{BackfillPlan, BackfillProgress};
use service::Config;

use super::flags::Asked;
use crate::columns::padded;
use crate::status::time;
use crate::summary::grouped;

/// The plan, and that nothing has happened yet.
pub fn plan_text(asked: &Asked, config: &Config) -> String {
    let limit = &config.source.limit;
    let percent = (limit.background_share * 100.0).round();
    let rate = if limit.requests_per_second > 0.0 {
        t!("%{count} calls a second over all fetchers", count = limit.requests_per_second)
    } else {
        t!("%{count} calls at the same time in each fetcher", count = limit.concurrency)
    };
    let heading = t!("backfill of %{range}", range = range(&asked.plan, config));
    let what = t!(
        "Every order whose last change lies in that range is read again and goes through the mapping and the ledger: what a\n\
         target holds already is not sent again, what it lacks is. The live flow goes on, and its watermark is not touched.\n\
         The calls share source.limit with the live flow (%{rate}); backfills and\n\
         sweeps together take at most %{percent} % of it (source.limit.background_share).",
        rate = rate,
        percent = percent
    );
    let how = t!("Nothing was changed. To do it, give the same command with --execute --reason \"why\".");
    format!("{heading}\n{}\n{what}\n\n{how}\n", capped(asked, config))
}

/// The range, and what it is read in.
pub fn range(plan: &BackfillPlan, config: &Config) -> String {
    let (since, until) = (time(plan.range.since, &config.zone()), time(plan.range.until, &config.zone()));
    let windows = match plan.windows {
        1 => t!("in 1 window of %{step}", step = plan.step_text()),
        count => t!("in %{count} windows of %{step}", count = grouped(count), step = plan.step_text()),
    };
    t!("%{since} to %{until}, %{windows}", since = since, until = until, windows = windows).into()
}

/// That the range ends earlier than asked; empty when it does not.
pub fn capped(asked: &Asked, config: &Config) -> String {
    if !asked.capped {
        return String::new();
    }
    let until = time(asked.plan.range.until, &config.zone());
    let taken = t!(
        "--to lies later than what is sure to be visible: it is taken as %{time}, now minus schedule.settle",
        time = until
    );
    format!("{taken}\n")
}

/// How it ended.
pub fn outcome(plan: &BackfillPlan, progress: &BackfillProgress) -> String {
    let (complete, result) =
        progress.ended.as_ref().map_or((false, ""), |ended| (ended.complete, &ended.result));
    let done = t!(
        "%{closed} of %{windows} windows closed with proof, %{orders} orders read again",
        closed = grouped(progress.closed),
        windows = grouped(plan.windows),
        orders = grouped(progress.orders)
    );
    let failure = progress.failure.as_ref().filter(|_| !complete).and_then(|line| match &line.state {
        WindowState::Failed { reason } => {
            Some(t!("window %{window} FAILED: %{reason}", window = line.window, reason = reason))
        }
        _ => None,
    });
    let how = match complete {
        true => t!("%{id} is complete: %{result}", id = plan.id, result = result),
        false => t!("%{id} is INCOMPLETE: %{result}", id = plan.id, result = result),
    };
    let arrived = t!("`orderflow status` shows when the last of them has reached the targets.");
    [Some(how), failure, Some(done), Some(arrived)]
        .into_iter()
        .flatten()
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Shows how far it is on stderr: a bar on a terminal, elsewhere a log line for each window.
pub struct View {
    bar: Option<ProgressBar>,
    zone: TimeZone,
    windows: u64,
}

impl View {
    /// Of this backfill.
    pub fn new(plan: &BackfillPlan, zone: TimeZone) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (verb, windows) = (padded(&t!("backfill"), 10), t!("windows"));
            let template = format!("{verb} {{bar:28}} {{human_pos:>9}}/{{human_len}} {windows}  {{msg}}");
            let style =
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(plan.windows).with_style(style.progress_chars("━╸─"));
            bar.tick(); // an empty bar says that we wait
            bar
        });
        Self { bar, zone, windows: plan.windows }
    }

    /// What has happened since `before`.
    pub fn show(&self, before: &BackfillProgress, progress: &BackfillProgress) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(progress.closed);
                bar.set_message(service::escape_value(&self.message(progress)).into_owned());
            }
            None => self.line(before, progress),
        }
    }

    fn message(&self, progress: &BackfillProgress) -> String {
        let failed = match progress.failed {
            0 => String::new(),
            failed => format!("{}  ", t!("%{count} failed", count = grouped(failed))),
        };
        let orders = t!("%{count} orders", count = grouped(progress.orders));
        let until = progress.watermark.map(|to| t!(", up to %{time}", time = time(to, &self.zone)));
        format!("{failed}{orders}{}", until.unwrap_or_default())
    }

    fn line(&self, before: &BackfillProgress, progress: &BackfillProgress) {
        let Some(window) = &progress.window else { return };
        let (since, until) = (time(window.since, &self.zone), time(window.until, &self.zone));
        let (closed, of, name) = (progress.closed, self.windows, &window.window);
        match &window.state {
            WindowState::Closed { distinct, pages_read, .. } if before.closed < closed => {
                tracing::info!(
                    window = name,
                    since,
                    until,
                    orders = distinct,
                    pages_read,
                    closed,
                    of,
                    "window closed with proof"
                );
            }
            WindowState::Failed { reason } if before.failed < progress.failed => {
                tracing::warn!(window = name, since, until, reason, closed, of, "window failed");
            }
            _ => {}
        }
    }

    /// Says something beside the bar.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say_line(text)),
            None => say_line(text),
        }
    }

    /// Leaves the bar as it is; what is said next begins a line of its own.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
            say_line("");
        }
    }
}
