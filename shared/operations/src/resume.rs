//! Writers that have stopped because too much was refused go on when a person says so.

use events::{Micros, StopState, TargetName, now};
use journal::{Cell, Journal, JournalError, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::run::{finished, started};

/// A target whose writers have stopped.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Stopped {
    /// The target.
    pub target: String,
    /// Why.
    pub reason: String,
    /// Since when; microseconds since the Unix epoch.
    pub since: Micros,
}

/// Whether the writers of a target have stopped.
///
/// # Errors
/// When the server does not answer.
pub async fn stopped(
    journal: &Journal,
    names: &Topology,
    target: &TargetName,
) -> Result<Option<Stopped>, JournalError> {
    let (state, _) = cell(journal, names, target).get::<StopState>().await?;
    let StopState { stopped, reason, at, .. } = state;
    Ok(stopped.then(|| Stopped { target: target.to_string(), reason, since: at }))
}

/// Lets the writers of a target go on, and keeps who said so and why. What they stopped for; `None` when they had not.
///
/// # Errors
/// When it cannot be stored, or somebody else changed it at the same moment.
pub async fn resume(
    journal: &Journal,
    names: &Topology,
    target: &TargetName,
    reason: &str,
) -> Result<Option<Stopped>, JournalError> {
    let cell = cell(journal, names, target);
    let (state, seq) = cell.get::<StopState>().await?;
    if !state.stopped {
        return Ok(None);
    }
    let plan = format!("let the writers of {target} go on, which stopped because {}: {reason}", state.reason);
    let id = started(journal, names, "resume", plan, 0).await?;
    let by = journal.member();
    cell.set(&StopState { stopped: false, reason: reason.to_string(), by, at: now() }, seq).await?;
    finished(journal, names, &id, true, format!("the writers of {target} go on")).await?;
    Ok(Some(Stopped { target: target.to_string(), reason: state.reason, since: state.at }))
}

fn cell(journal: &Journal, names: &Topology, target: &TargetName) -> Cell {
    Cell::new(journal.clone(), names.clone(), names.stop(target))
}
