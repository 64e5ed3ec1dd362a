//! A person pauses a stage, and lets it go on.

use events::{Micros, PauseState, Stage, TargetName, now};
use journal::{Cell, Journal, JournalError, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::run::{finished, started, who};

/// A stage that a person has paused.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Paused {
    /// The stage.
    pub stage: Stage,
    /// The target, for `write`.
    pub target: Option<String>,
    /// Who.
    pub by: String,
    /// Why, as they said.
    pub reason: String,
    /// Since when, in microseconds since the Unix epoch.
    pub since: Micros,
}

/// A stage, for `write` of one target.
pub type PausedStage<'a> = (Stage, Option<&'a TargetName>);

/// The stages that are paused.
///
/// # Errors
/// When the server does not answer.
pub async fn paused_stages(
    journal: &Journal,
    names: &Topology,
    targets: &[TargetName],
) -> Result<Vec<Paused>, JournalError> {
    let stages = [(Stage::Fetch, None), (Stage::Transform, None)];
    let stages = stages.into_iter().chain(targets.iter().map(|target| (Stage::Write, Some(target))));
    let read = stages.map(|stage| paused(journal, names, stage));
    Ok(futures::future::try_join_all(read).await?.into_iter().flatten().collect())
}

/// Whether a stage is paused.
///
/// # Errors
/// When the server does not answer.
pub async fn paused(
    journal: &Journal,
    names: &Topology,
    stage: PausedStage<'_>,
) -> Result<Option<Paused>, JournalError> {
    let (state, _) = cell(journal, names, stage).get::<PauseState>().await?;
    let PauseState { paused, reason, by, at } = state;
    let target = stage.1.map(ToString::to_string);
    Ok(paused.then_some(Paused { stage: stage.0, target, by, reason, since: at }))
}

/// Pauses a stage; `None` when it is paused already. What it has in hand is finished, and nothing new is begun.
///
/// # Errors
/// When it cannot be stored, or somebody else changed it at the same moment.
pub async fn pause(
    journal: &Journal,
    names: &Topology,
    stage: PausedStage<'_>,
    reason: &str,
) -> Result<Option<Paused>, JournalError> {
    let target = stage.1.map(ToString::to_string);
    let state = change(journal, names, stage, (true, reason)).await?;
    let paused = |PauseState { reason, by, at, .. }| Paused { stage: stage.0, target, by, reason, since: at };
    Ok(state.map(paused))
}

/// Lets a paused stage go on; `None` when it is not paused.
///
/// # Errors
/// As [`pause`].
pub async fn end_pause(
    journal: &Journal,
    names: &Topology,
    stage: PausedStage<'_>,
    reason: &str,
) -> Result<Option<Paused>, JournalError> {
    let before = paused(journal, names, stage).await?;
    let ended = change(journal, names, stage, (false, reason)).await?;
    Ok(before.filter(|_| ended.is_some()))
}

/// Sets whether a stage is paused, and keeps who did and why; `None` when that was so already.
async fn change(
    journal: &Journal,
    names: &Topology,
    stage: PausedStage<'_>,
    (paused, reason): (bool, &str),
) -> Result<Option<PauseState>, JournalError> {
    let cell = cell(journal, names, stage);
    let (state, seq) = cell.get::<PauseState>().await?;
    if state.paused == paused {
        return Ok(None);
    }
    let what = match stage.1 {
        Some(target) => format!("{} to {target}", stage.0),
        None => stage.0.to_string(),
    };
    let (verb, plan) = match paused {
        true => ("pause", format!("pause {what}: {reason}")),
        false => ("resume", format!("let {what} go on, which was paused because {}: {reason}", state.reason)),
    };
    let id = started(journal, names, verb, plan, 0).await?;
    let who = who();
    let by = format!("{}@{}", who.user, who.host);
    let state = PauseState { paused, reason: reason.to_string(), by, at: now() };
    cell.set(&state, seq).await?;
    let result = if paused { format!("{what} is paused") } else { format!("{what} goes on") };
    finished(journal, names, &id, true, result).await?;
    Ok(Some(state))
}

fn cell(journal: &Journal, names: &Topology, (stage, target): PausedStage<'_>) -> Cell {
    Cell::new(journal.clone(), names.clone(), names.pause(stage, target))
}
