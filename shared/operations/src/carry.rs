//! Carrying an operation on, step by step. Whoever does it writes down how far it is, so that any other process can go on
//! from there when it dies; and looks each time whether somebody has said something.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use events::{
    Actor, Command, Failure, Log, OperationCommanded, OperationMoved, OperationStarted, TargetName, Work, now,
};
use futures::StreamExt;
use futures::future::BoxFuture;
use journal::{Journal, JournalError, Record, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::again;
use crate::letters::{Resolution, resolutions, resolve};
use crate::operation::{Operation, State};
use crate::replay;
use crate::rewrite;
use crate::run::{finished, who};

/// After so many letters it is written down how far an operation is.
const STEP: usize = 100;
/// So many letters are in hand at the same time.
const AT_ONCE: usize = 16;
/// So many characters are kept of why something was not done.
const SAID: usize = 500;
/// How often a paused operation is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How carrying an operation came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Carried {
    /// There is nothing left to do.
    ToItsEnd,
    /// Somebody has cancelled it.
    Cancelled,
    /// Another process carries it.
    ByAnother,
    /// This process is to end. Any other may go on.
    Stopped,
}

/// Maps a page of RAW again for an operation. What can do it lies above this crate.
pub trait Remap: Send + Sync {
    /// Maps the page; `Ok(Err)` says why not.
    fn page<'a>(
        &'a self,
        raw_seq: u64,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Result<(), String>, JournalError>>;
}

/// Writes down what is going to be done, by whom and why. Nothing is done yet; [`carry`] does it.
///
/// # Errors
/// When it cannot be stored.
pub async fn begin(
    journal: &Journal,
    names: &Topology,
    verb: &str,
    plan: String,
    reason: &str,
    work: Work,
) -> Result<String, JournalError> {
    let (id, reason) = (format!("{verb}-{}", now()), reason.to_string());
    let event = OperationStarted {
        id: id.clone(),
        verb: verb.to_string(),
        actor: who(),
        plan,
        from_sync: 0,
        reason,
        work: Some(work),
    };
    let record = Record::new(names.operation(&id), format!("started:{id}"), &event)?;
    journal.publish(&record.expecting(0)).await?;
    Ok(id)
}

/// Says something about an operation. False when it is over.
///
/// # Errors
/// When it cannot be stored.
pub async fn command(
    journal: &Journal,
    names: &Topology,
    operation: &Operation,
    command: Command,
) -> Result<bool, JournalError> {
    if operation.is_over() {
        return Ok(false);
    }
    let actor: Actor = who();
    let event = OperationCommanded { id: operation.id.clone(), command, actor, at: now() };
    let id = format!("commanded:{}:{}", operation.id, now());
    journal.publish(&Record::new(names.operation(&operation.id), id, &event)?).await?;
    if command == Command::Cancel {
        let result = format!("cancelled after {} of {}", operation.done, operation.count.unwrap_or_default());
        finished(journal, names, &operation.id, false, result).await?;
    }
    Ok(true)
}

/// Carries an operation on until its end, or until something else ends that. `progress` is told after each step.
///
/// # Errors
/// When the server does not answer. What was done is written down; carrying it on again does the rest.
pub async fn carry(
    journal: &Journal,
    names: &Topology,
    operation: &mut Operation,
    remap: Option<&dyn Remap>,
    shutdown: &CancellationToken,
    mut progress: impl FnMut(&Operation),
) -> Result<Carried, JournalError> {
    let me = journal.member();
    let (mut resolved, mut seen) = (HashMap::new(), 0);
    let copied = match &operation.work {
        Some(Work::Replay { log: Log::Mapped, .. } | Work::Rewrite { .. }) if operation.moved < now() => {
            replay::copied(journal, names, operation).await?
        }
        _ => BTreeSet::new(),
    };
    loop {
        if shutdown.is_cancelled() {
            return Ok(Carried::Stopped);
        }
        match operation.state {
            State::Paused => {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = tokio::time::sleep(LOOK) => look(journal, names, operation).await?,
                }
                continue;
            }
            State::Running => {}
            State::Cancelled => return Ok(Carried::Cancelled),
            State::Complete | State::Incomplete => return Ok(Carried::ToItsEnd),
        }
        let began = Instant::now();
        let step = ((f64::from(operation.per_second.max(1)) / operation.weight) as usize).clamp(1, STEP);
        let seqs: Vec<u64> = operation.left().take(step).collect();
        let Some(through) = seqs.last().copied() else {
            let complete = operation.failures.is_empty();
            finished(journal, names, &operation.id, complete, result(operation)).await?;
            look(journal, names, operation).await?;
            progress(operation);
            continue;
        };
        // Others deal with letters meanwhile. What comes while this is read is read again.
        let last = journal.size(names, Stream::Dead).await?.1;
        for (letter, resolution) in resolutions(journal, names, seen + 1).await? {
            resolved.entry(letter).or_insert(resolution);
        }
        seen = last;
        let (operation_now, resolved_now, copied_before) = (&*operation, &resolved, &copied);
        let began_with = seqs.len();
        let acts = futures::stream::iter(seqs).map(|seq| async move {
            let acted = match copied_before.contains(&seq) {
                true => Ok(Ok(())),
                false => act(journal, names, operation_now, seq, resolved_now, remap).await,
            };
            (seq, acted)
        });
        let acted: Vec<_> = acts.buffered(AT_ONCE).collect().await;
        let mut moved = OperationMoved {
            id: operation.id.clone(),
            by: me.clone(),
            through,
            done: 0,
            failures: Vec::new(),
        };
        for (seq, acted) in acted {
            match acted? {
                Ok(()) => moved.done += 1,
                // A step has to fit into one message, whatever is said.
                Err(why) => moved.failures.push(Failure { seq, why: why.chars().take(SAID).collect() }),
            }
        }
        if !write_down(journal, names, operation, &moved).await? {
            return Ok(Carried::ByAnother);
        }
        progress(operation);
        let orders = began_with as f64 * operation.weight;
        let least = Duration::from_secs(1).mul_f64(orders / f64::from(operation.per_second.max(1)));
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(least.saturating_sub(began.elapsed())) => {}
        }
    }
}

/// Stores how far it is; false when another process has carried the same step.
async fn write_down(
    journal: &Journal,
    names: &Topology,
    operation: &mut Operation,
    moved: &OperationMoved,
) -> Result<bool, JournalError> {
    loop {
        let id = format!("moved:{}:{}:{}", moved.id, moved.through, operation.last_seq);
        let record = Record::new(names.operation(&moved.id), id, moved)?.expecting(operation.last_seq);
        match journal.publish(&record).await {
            Ok(stored) => {
                operation.moved_on(moved, stored.seq);
                return Ok(true);
            }
            // Somebody has said something, or another process is at work.
            Err(JournalError::Conflict { .. }) => {
                look(journal, names, operation).await?;
                if operation.through >= moved.through {
                    return Ok(operation.by == moved.by);
                }
            }
            Err(error) => return Err(error),
        }
    }
}

async fn look(journal: &Journal, names: &Topology, operation: &mut Operation) -> Result<(), JournalError> {
    let last = journal.last(names, Stream::Ops, &names.operation(&operation.id)).await?;
    if last.is_some_and(|last| last.seq != operation.last_seq)
        && let Some(now) = Operation::named(journal, names, &operation.id).await?
    {
        *operation = now;
    }
    Ok(())
}

/// Does what the operation is about to one letter or message; `Ok(Err)` says why it cannot be done.
async fn act(
    journal: &Journal,
    names: &Topology,
    operation: &Operation,
    seq: u64,
    resolved: &HashMap<u64, Resolution>,
    remap: Option<&dyn Remap>,
) -> Result<Result<(), String>, JournalError> {
    if let Some(Work::Replay { log, target, force, .. }) = &operation.work {
        return match (log, remap) {
            (Log::Mapped, _) => {
                let target = target.as_ref().map(TargetName::token);
                let said = replay::labels(&operation.id, target.as_deref(), *force);
                replay::again(journal, names, seq, operation, said).await
            }
            (Log::Raw, Some(remap)) => remap.page(seq, operation).await,
            (Log::Raw, None) => Ok(Err("this process cannot map pages".into())),
        };
    }
    if let Some(Work::Rewrite { target, .. }) = &operation.work {
        return rewrite::send_prepared(journal, names, seq, operation, target).await;
    }
    if let Some(resolution) = resolved.get(&seq) {
        let ours = resolution.operation.as_ref() == Some(&operation.id);
        let Resolution { how, reason, .. } = resolution;
        return Ok(if ours { Ok(()) } else { Err(format!("it is {how} already: {reason}")) });
    }
    let how = match &operation.work {
        Some(Work::Retry { max_replays, .. }) => {
            if let Err(why) = again::retry(journal, names, seq, *max_replays).await? {
                return Ok(Err(why));
            }
            "retried"
        }
        Some(Work::Discard { .. }) => "discarded",
        Some(Work::Replay { .. } | Work::Rewrite { .. }) | None => {
            return Ok(Err("it is not about letters".into()));
        }
    };
    let Operation { actor, reason, id, .. } = operation;
    resolve(journal, names, seq, how, (actor, reason, id)).await
}

/// How it ended: what was done about each, not what came of that.
fn result(operation: &Operation) -> String {
    let done = match &operation.work {
        Some(Work::Discard { .. }) => "discarded",
        Some(Work::Replay { log: Log::Raw, .. }) => "mapped again",
        Some(Work::Retry { .. } | Work::Replay { .. } | Work::Rewrite { .. }) | None => "sent again",
    };
    match operation.failures.len() {
        0 => format!("all {} {done}", operation.done),
        failed => format!("{} {done}, {failed} not", operation.done),
    }
}
