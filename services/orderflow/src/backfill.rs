//! `orderflow backfill`: says what would be read again; with --execute asks for it and shows how far it is.

pub mod flags;
mod show;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use events::now;
use journal::{Journal, Topology};
use operations::backfill::{self, BackfillPlan, BackfillProgress};
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;
use tokio_util::sync::CancellationToken;

use crate::cli::{BackfillArgs, Output};
use crate::exit::{Exit, print, print_json, say_line};
use crate::stages::connect;
use crate::status::with_server;
pub use flags::moment;
use flags::{Asked, asked, reason};
use show::{View, capped, outcome, plan_text};

/// A fetcher that runs takes a backfill up within a second; after this long there is probably none.
const HINT_AFTER: Duration = Duration::from_secs(30);

/// What `-o json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Report<'a> {
    /// Its id is only known to others when it was executed.
    plan: &'a BackfillPlan,
    /// Whether `--to` was later than what can be read.
    capped: bool,
    /// Whether it was asked for.
    executed: bool,
    /// How far it was when we stopped looking; `null` when we never did.
    progress: Option<&'a BackfillProgress>,
}

pub async fn run(args: BackfillArgs, path: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let config = Config::load(path)?;
    let asked = asked(&args, &config, now())?;
    if !args.execute {
        say(&args, &asked, false, None, || plan_text(&asked, &config));
        return Ok(Exit::Ok);
    }
    let reason = reason(&args)?;
    let config = with_server(config, &args.data)?;
    let journal = connect(&config, "backfill").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let plan = &asked.plan;
    let requested = backfill::request(&journal, &names, plan, reason).await.with_context(|| {
        t!(
            "no backfill could be asked for: has the flow \"%{flow}\" run on this NATS before?",
            flow = config.flow
        )
    })?;
    let range = show::range(plan, &config);
    let asked_for = t!("%{id} is asked for: %{range}", id = plan.id, range = range);
    say_line(&format!("{}{asked_for}", capped(&asked, &config)));
    if args.detach {
        let look = || {
            let goes = t!("%{id} goes on by itself; `orderflow status` shows how far it is", id = plan.id);
            format!("{goes}\n")
        };
        say(&args, &asked, true, None, look);
        return Ok(Exit::Ok);
    }
    let progress = watch(&journal, &names, plan, &config, requested, &shutdown).await?;
    say(&args, &asked, true, Some(&progress), || match progress.ended {
        Some(_) => outcome(plan, &progress),
        None => String::new(),
    });
    Ok(match &progress.ended {
        Some(ended) if !ended.complete => Exit::Partial,
        _ => Exit::Ok,
    })
}

/// Prints the result to stdout in the form that was asked for.
fn say(
    args: &BackfillArgs,
    asked: &Asked,
    executed: bool,
    progress: Option<&BackfillProgress>,
    table: impl FnOnce() -> String,
) {
    let report = Report { plan: &asked.plan, capped: asked.capped, executed, progress };
    match (args.output, serde_json::to_string_pretty(&report)) {
        (Output::Json, Ok(json)) => print_json(&format!("{json}\n")),
        _ => print(&table()),
    }
}

/// Shows how far it is until it has ended, or until the person has seen enough.
async fn watch(
    journal: &Journal,
    names: &Topology,
    plan: &BackfillPlan,
    config: &Config,
    requested: u64,
    shutdown: &CancellationToken,
) -> anyhow::Result<BackfillProgress> {
    let (view, taken_up) = (View::new(plan, config.zone()), AtomicBool::new(false));
    let mut last = BackfillProgress::default();
    let id = &plan.id;
    let watching = async {
        let seen = |progress: &BackfillProgress| {
            taken_up.fetch_or(progress.opened > 0, Ordering::Relaxed);
            view.show(&last, progress);
            last.clone_from(progress);
        };
        backfill::watch(journal, names, id, requested, seen).await
    };
    let hinting = async {
        tokio::time::sleep(HINT_AFTER).await;
        if !taken_up.load(Ordering::Relaxed) {
            view.say(&t!("no fetcher has taken it up yet: is `orderflow up` or `orderflow fetch` running?"));
        }
        std::future::pending::<()>().await;
    };
    let watched = tokio::select! {
        watched = watching => Some(watched),
        () = hinting => None,
        () = shutdown.cancelled() => None,
    };
    view.end();
    match watched {
        Some(Ok(progress)) => Ok(progress),
        Some(Err(error)) => {
            let on = t!(
                "%{id} can no longer be watched, but goes on; `orderflow status` shows how far it is",
                id = id
            );
            say_line(&on);
            Err(error.into())
        }
        None => {
            let on =
                t!("detached: %{id} goes on without us; `orderflow status` shows how far it is", id = id);
            say_line(&on);
            Ok(last)
        }
    }
}
