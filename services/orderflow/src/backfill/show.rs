//! What a person sees of a backfill: the plan before, a bar or log lines while it runs, the outcome.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use operations::WindowState;
use operations::backfill::{BackfillPlan, BackfillProgress};
use service::Config;

use super::flags::Asked;
use crate::status::time;
use crate::summary::grouped;

/// The plan, and that nothing has happened yet.
pub fn plan_text(asked: &Asked, config: &Config) -> String {
    let limit = &config.source.limit;
    let percent = (limit.background_share * 100.0).round();
    let rate = if limit.requests_per_second > 0.0 {
        format!("{} calls a second over all fetchers", limit.requests_per_second)
    } else {
        format!("{} calls at the same time in each fetcher", limit.concurrency)
    };
    format!(
        "backfill of {}\n{}\n\
         Every order whose last change lies in that range is read again and goes through the mapping and the ledger: what a\n\
         target holds already is not sent again, what it lacks is. The live flow goes on, and its watermark is not touched.\n\
         The calls share source.limit with the live flow ({rate}); backfills and\n\
         sweeps together take at most {percent} % of it (source.limit.background_share).\n\n\
         Nothing was changed. To do it, give the same command with --execute --reason \"why\".\n",
        range(&asked.plan, config),
        capped(asked, config),
    )
}

/// The range, and what it is read in.
pub fn range(plan: &BackfillPlan, config: &Config) -> String {
    let (since, until) = (time(plan.range.since, &config.zone()), time(plan.range.until, &config.zone()));
    let windows = if plan.windows == 1 { "window" } else { "windows" };
    format!("{since} to {until}, in {} {windows} of {}", grouped(plan.windows), plan.step_text())
}

/// That the range ends earlier than asked; empty when it does not.
pub fn capped(asked: &Asked, config: &Config) -> String {
    if !asked.capped {
        return String::new();
    }
    let until = time(asked.plan.range.until, &config.zone());
    format!(
        "--to lies later than what is sure to be visible: it is taken as {until}, now minus schedule.settle\n"
    )
}

/// How it ended.
pub fn outcome(plan: &BackfillPlan, progress: &BackfillProgress) -> String {
    let (complete, result) =
        progress.ended.as_ref().map_or((false, ""), |ended| (ended.complete, &ended.result));
    let windows = if plan.windows == 1 { "window" } else { "windows" };
    let done = format!(
        "{} of {} {windows} closed with proof, {} orders read again",
        grouped(progress.closed),
        grouped(plan.windows),
        grouped(progress.orders),
    );
    let failure = progress.failure.as_ref().filter(|_| !complete).and_then(|line| match &line.state {
        WindowState::Failed { reason } => Some(format!("window {} FAILED: {reason}\n", line.window)),
        _ => None,
    });
    let how = if complete { "complete" } else { "INCOMPLETE" };
    format!(
        "{} is {how}: {result}\n{}{done}\n`orderflow status` shows when the last of them has reached the targets.\n",
        plan.id,
        failure.unwrap_or_default(),
    )
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
            let template = "backfill   {bar:28} {human_pos:>9}/{human_len} windows  {msg}";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
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
                bar.set_message(self.message(progress));
            }
            None => self.line(before, progress),
        }
    }

    fn message(&self, progress: &BackfillProgress) -> String {
        let failed = match progress.failed {
            0 => String::new(),
            failed => format!("{} failed  ", grouped(failed)),
        };
        let until = progress.watermark.map(|to| format!(", up to {}", time(to, &self.zone)));
        format!("{failed}{} orders{}", grouped(progress.orders), until.unwrap_or_default())
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
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Leaves the bar as it is; what is said next begins a line of its own.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
            eprintln!();
        }
    }
}
