//! `up --once`: sync up to now, drain every stage, account for every order.

use std::sync::Arc;
use std::time::Duration;

use events::Stage;
use fetcher::{Ended, FetchError, Mode};
use journal::{JournalError, Stream};
use operations::{Account, StageStatus, Status};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use transformer::Retried;

use super::demo::Demo;
use super::report::{FailedWindow, OnceReport, RunEnd};
use super::{Flow, progress};
use crate::cli::{Output, UpArgs};
use crate::exit::{Exit, print, print_json, print_line, say_line};
use crate::language;
use crate::stages::refuse_paused;
use crate::summary::{summary, verdict};

/// How often the stages are asked what is left.
const ASK: Duration = Duration::from_millis(50);

/// How long their answers may take before we look after the rest.
const ANSWER: Duration = Duration::from_secs(5);

pub async fn run(
    args: &UpArgs,
    flow: &Arc<Flow>,
    demo: Option<&Demo>,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let writing = flow.targets.iter().map(|target| (Stage::Write, Some(target)));
    let stages: Vec<_> =
        [(Stage::Fetch, None), (Stage::Transform, None)].into_iter().chain(writing).collect();
    refuse_paused(&flow.journal, &flow.names, &flow.config, &stages).await?;
    let from_sync = operations::account_from(&flow.journal, &flow.names, "sync").await?;
    let plan = "sync everything up to now and drain every stage".to_string();
    let id = operations::started(&flow.journal, &flow.names, "sync", plan, from_sync).await?;
    // What a corrected mapping can carry now: a transformer does it by itself, but this run would not wait for it.
    let retried = tokio::select! {
        retried = transformer::retry_failed(&flow.config, &flow.journal) => retried?,
        () = shutdown.cancelled() => Retried::default(),
    };
    let stop = shutdown.child_token();
    let mut stages = JoinSet::new();
    flow.start(&mut stages, &stop, false);
    let fetching = tokio::spawn({
        let (flow, stop) = (Arc::clone(flow), stop.clone());
        async move {
            fetcher::run(&flow.config, flow.journal.clone(), Mode::Once, flow.fetcher.clone(), stop).await
        }
    });
    let showing = progress::show(Arc::clone(flow), stop.clone());
    let waited = wait(args, flow, fetching, &mut stages, &stop).await;
    stop.cancel();
    while let Some(ended) = stages.join_next().await {
        ended??;
    }
    showing.await?;
    let (ended, waited) = waited?;
    let reachable = tokio::time::timeout(ANSWER, flow.journal.size(&flow.names, Stream::Ops)).await;
    if !matches!(reachable, Ok(Ok(_))) {
        let what =
            "answer, so the orders of this run cannot be accounted for; the same command goes on from here";
        return Err(
            JournalError::Unavailable { what: what.into(), source: "no answer in time".into() }.into()
        );
    }
    let account = Account::of(&flow.journal, &flow.names, &flow.targets, from_sync).await?;
    let complete = ended.complete && account.is_complete();
    operations::finished(&flow.journal, &flow.names, &id, complete, language::english(|| verdict(&account)))
        .await?;
    let status = Status::read(&flow.journal, &flow.names, &flow.targets).await?;
    if args.output == Output::Json {
        let report = OnceReport {
            complete,
            ended: waited.clone(),
            account: &account,
            retried: retried.into(),
            dead_open: status.dead_open,
            older_stamps: status.older_stamps,
            failed_window: ended
                .failed
                .as_ref()
                .map(|(window, reason)| FailedWindow { window: window.as_str(), reason }),
            trouble: language::english(|| flow.trouble()),
            verdict: language::english(|| verdict(&account)),
            took_milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    } else {
        print_summary(args, flow, demo, began, &account, &status, retried);
    }
    let trouble = flow.trouble().map_or_else(String::new, |trouble| format!(": {trouble}"));
    match waited {
        RunEnd::Stuck => {
            let moved = t!(
                "error: nothing moved for %{seconds} s%{trouble}",
                seconds = args.patience,
                trouble = trouble
            );
            say_line(&moved);
        }
        RunEnd::Stopped { target } => {
            let stopped = t!(
                "error: the writers stopped%{trouble}; mend the cause, then `orderflow resume --target %{target} --execute \
                 --reason \"...\"`, and the same command goes on from here",
                trouble = trouble,
                target = target
            );
            say_line(&stopped);
        }
        RunEnd::Interrupted => say_line(&t!("interrupted; the same command goes on from here")),
        RunEnd::Drained => {}
    }
    if let Some((window, reason)) = &ended.failed {
        let failed = t!(
            "error: window %{window} failed, so the watermark stays and the next run tries again: %{reason}",
            window = window,
            reason = reason
        );
        say_line(&failed);
    }
    // What was tried again is of earlier windows: the account does not show whether the target took it, the open letters do.
    let left = if retried == Retried::default() { 0 } else { status.dead_open };
    // Those that were repaired since do not wait any more.
    let older = account.older_stamps().min(status.older_stamps);
    Ok(match (complete, account.dead_letters() + older + left) {
        (true, 0) => {
            operations::ended_well(&flow.journal, &flow.names, "up").await;
            Exit::Ok
        }
        (true, _) => Exit::Partial,
        (false, _) => Exit::Failure,
    })
}

/// The summary for people.
fn print_summary(
    args: &UpArgs,
    flow: &Flow,
    demo: Option<&Demo>,
    began: Instant,
    account: &Account,
    status: &Status,
    retried: Retried,
) {
    print(&format!("{}\n", summary(account, &flow.config.zone(), began.elapsed())));
    if let Some(demo) = demo {
        print(&format!("{}\n{}\n", t!("The sandbox saw:"), demo.report()));
    }
    if retried != Retried::default() {
        let Retried { mapped, skipped, superseded, failed } = retried;
        print_line(&t!(
            "Of orders that failed under another mapping before this run, %{mapped} were mapped now, %{skipped} skipped, \
             %{superseded} superseded, and %{failed} fail under this one too.",
            mapped = mapped,
            skipped = skipped,
            superseded = superseded,
            failed = failed
        ));
    }
    if status.dead_open > 0 {
        let folder = args.data.join(if args.demo { super::demo::folder(args) } else { Default::default() });
        let data = folder.display();
        // A demo that is found without flags needs none.
        let is_found = crate::reach::demo_here().as_deref() == Some(folder.as_path());
        let flags = match (args.demo && !is_found, folder.join("orderflow.toml").exists()) {
            (true, true) => format!(" --data {data} --config {data}/orderflow.toml"),
            (true, false) => format!(" --data {data}"),
            (false, _) => String::new(),
        };
        print_line(&t!(
            "%{count} dead letters are open in all, also of earlier runs: `orderflow dead groups%{flags}` shows them.",
            count = status.dead_open,
            flags = flags
        ));
    }
    // Those of this run are in its verdict.
    if status.older_stamps > account.older_stamps() {
        print_line(&t!(
            "%{count} orders in all, also of earlier runs, carry an older update time than what the target holds: \
             `orderflow reconcile --repair` writes them.",
            count = status.older_stamps
        ));
    }
}

/// Waits for the fetcher, then for the transformer, then for the writers.
async fn wait(
    args: &UpArgs,
    flow: &Arc<Flow>,
    mut fetching: JoinHandle<Result<Ended, FetchError>>,
    stages: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
) -> anyhow::Result<(Ended, RunEnd)> {
    let patience = Duration::from_secs(args.patience.max(1));
    let (mut moved_at, mut last) = (Instant::now(), String::new());
    let mut fetched = None;
    loop {
        let left = tokio::select! {
            ended = &mut fetching, if fetched.is_none() => {
                fetched = Some(ended??);
                continue;
            }
            Some(ended) = stages.join_next() => {
                ended??; // a stage that ends before it is told to cannot run: say why
                continue;
            }
            () = stop.cancelled() => {
                let ended = match fetched { Some(ended) => ended, None => fetching.await?? };
                return Ok((ended, RunEnd::Interrupted));
            }
            left = left(flow) => left,
        };
        let drained = left.as_ref().is_some_and(|left| left.iter().all(StageStatus::is_drained));
        if let Some(ended) = fetched.take_if(|_| drained) {
            return Ok((ended, RunEnd::Drained));
        }
        let stopped = flow.targets.iter().zip(&flow.writers).find(|(_, live)| live.stopped().is_some());
        if let Some((target, _)) = stopped {
            stop.cancel();
            let ended = match fetched {
                Some(ended) => ended,
                None => fetching.await??,
            };
            return Ok((ended, RunEnd::Stopped { target: target.to_string() }));
        }
        let progress = flow.fetcher.progress();
        // What is in hand goes up and down while nothing gets done: only what is done counts as moving.
        let done: Vec<_> = flow.writers.iter().map(|live| live.counts.done()).collect();
        let lag = left.and_then(|left| left.first().and_then(|transform| transform.lag));
        let now = format!("{progress:?} {lag:?} {done:?}");
        // A target that asked to be left alone for a while is no standstill.
        if now != last || flow.writers.iter().any(writer::Live::paused) {
            (moved_at, last) = (Instant::now(), now);
        } else if moved_at.elapsed() > patience {
            stop.cancel();
            let ended = match fetched {
                Some(ended) => ended,
                None => fetching.await??,
            };
            return Ok((ended, RunEnd::Stuck));
        }
    }
}

/// What the transform stage and each write stage have left to do, a moment from now; `None` when NATS does not say.
async fn left(flow: &Flow) -> Option<Vec<StageStatus>> {
    tokio::time::sleep(ASK).await;
    let asking = async {
        let mut left = vec![StageStatus::transform(&flow.journal, &flow.names).await.ok()?];
        for target in &flow.targets {
            left.push(StageStatus::write(&flow.journal, &flow.names, target).await.ok()?);
        }
        Some(left)
    };
    tokio::time::timeout(ANSWER, asking).await.ok()?
}
