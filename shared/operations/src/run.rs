//! What people have the pipeline do is written down: who, when, what, and what came of it.

use std::collections::BTreeMap;

use events::{Actor, OperationFinished, OperationStarted, now};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Record, Stream, Topology};

/// Records that this process begins an operation; returns its id.
///
/// # Errors
/// When it cannot be stored.
pub async fn started(
    journal: &Journal,
    names: &Topology,
    verb: &str,
    plan: String,
    from_sync: u64,
) -> Result<String, JournalError> {
    let id = format!("{verb}-{}", now());
    begun(journal, names, id.clone(), verb, plan, from_sync).await?;
    Ok(id)
}

/// Records that an operation of this name begins; returns the sequence of that in OPS.
pub(crate) async fn begun(
    journal: &Journal,
    names: &Topology,
    id: String,
    verb: &str,
    plan: String,
    from_sync: u64,
) -> Result<u64, JournalError> {
    let (subject, message) = (names.operation(&id), format!("started:{id}"));
    let (verb, reason) = (verb.to_string(), String::new());
    let event = OperationStarted { id, verb, actor: who(), plan, from_sync, reason, work: None };
    Ok(journal.publish(&Record::new(subject, message, &event)?).await?.seq)
}

/// Records how an operation ended.
///
/// # Errors
/// When it cannot be stored.
pub async fn finished(
    journal: &Journal,
    names: &Topology,
    id: &str,
    complete: bool,
    result: String,
) -> Result<(), JournalError> {
    let event = OperationFinished { id: id.to_string(), complete, result };
    journal.publish(&Record::new(names.operation(id), format!("finished:{id}"), &event)?).await?;
    Ok(())
}

/// Where the account of a new run of `verb` begins: behind the watermark, or where an earlier run began that was killed or
/// gave up, so that the orders it left under way are accounted for as well.
///
/// # Errors
/// When OPS or SYNC cannot be read.
pub async fn account_from(journal: &Journal, names: &Topology, verb: &str) -> Result<u64, JournalError> {
    let mut unfinished = BTreeMap::new();
    let mut log = journal.read(names, Stream::Ops, None, From::Start, false).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        if let Ok(started) = entry.event::<OperationStarted>() {
            if started.body.verb == verb {
                unfinished.insert(started.body.id, started.body.from_sync);
            }
        } else if let Ok(finished) = entry.event::<OperationFinished>()
            && finished.body.complete
            && let Some(from) = unfinished.get(&finished.body.id).copied()
        {
            // It accounted for everything from there on, so also for what began later and did not end.
            unfinished.retain(|_, began| *began < from);
        }
    }
    let watermark = journal.last(names, Stream::Sync, &names.watermark()).await?;
    let behind_watermark = watermark.map_or(1, |entry| entry.seq + 1);
    Ok(unfinished.into_values().min().unwrap_or(behind_watermark).min(behind_watermark))
}

/// Who runs this process.
pub(crate) fn who() -> Actor {
    Actor { user: first_of(&["USER", "LOGNAME"]), host: service::host() }
}

fn first_of(variables: &[&str]) -> String {
    variables.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "unknown".into())
}
