//! Silencing a condition, and ending that: the state that the alerts share is changed, and who did
//! it and why is kept as an operation.

use events::{AlertState, Micros, Silence, now};
use journal::{Cell, Journal, JournalError, Topology};

use crate::alerts::{EVERYTHING, end_silence, silence};
use crate::run::{finished, started, who};

/// Has people not told of a condition, or of [`EVERYTHING`], until a moment.
///
/// # Errors
/// When it cannot be stored.
pub async fn begin_silence(
    journal: &Journal,
    names: &Topology,
    id: &str,
    until: Micros,
    reason: &str,
) -> Result<Silence, JournalError> {
    let made = Silence { by: who(), reason: reason.to_string(), at: now(), until };
    let plan = format!("tell nobody of {} until {}: {reason}", shown(id), time(until));
    let operation = started(journal, names, "silence", plan, 0).await?;
    change(journal, names, |state| Some((silence(state, id, made.clone()), ()))).await?;
    finished(journal, names, &operation, true, format!("nobody is told of {}", shown(id))).await?;
    Ok(made)
}

/// Ends a silence before its time. What still holds is told with the next look. `None` when there
/// is none of this name.
///
/// # Errors
/// When it cannot be stored.
pub async fn lift_silence(
    journal: &Journal,
    names: &Topology,
    id: &str,
    reason: &str,
) -> Result<Option<Silence>, JournalError> {
    let at = now();
    let ended = change(journal, names, |state| end_silence(state, id, at)).await?;
    if ended.is_some() {
        let plan = format!("end the silence of {}: {reason}", shown(id));
        let operation = started(journal, names, "unsilence", plan, 0).await?;
        let result = format!("people are told of {} again", shown(id));
        finished(journal, names, &operation, true, result).await?;
    }
    Ok(ended)
}

/// Changes what STATE has of alerts, however often somebody else does at the same time; `None` when
/// there is nothing to change.
async fn change<T>(
    journal: &Journal,
    names: &Topology,
    change: impl Fn(&AlertState) -> Option<(AlertState, T)>,
) -> Result<Option<T>, JournalError> {
    let cell = Cell::new(journal.clone(), names.clone(), names.alerts());
    loop {
        let (state, seq) = cell.get::<AlertState>().await?;
        let Some((next, made)) = change(&state) else { return Ok(None) };
        match cell.set(&next, seq).await {
            Ok(_) => return Ok(Some(made)),
            Err(JournalError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

fn shown(id: &str) -> &str {
    if id == EVERYTHING { "all conditions" } else { id }
}

fn time(at: Micros) -> String {
    jiff::Timestamp::from_microsecond(at).map_or_else(|_| "the end".into(), |at| at.to_string())
}
