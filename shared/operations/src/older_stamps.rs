//! Orders that were read later than what a target holds, differ from it, and carry an older update time. Each has a subject of
//! its own in DEAD, so that finding them costs as much as there ever were; the order's last receipt says whether it still waits.

use std::collections::HashSet;

use events::{Receipt, TargetName};
use futures::{StreamExt, TryStreamExt};
use journal::{Journal, JournalError, Stream, Topology};

/// So many receipts are asked for at the same time.
const AT_ONCE: usize = 32;

/// Counts those of these targets that still wait for somebody.
///
/// # Errors
/// When a stream cannot be read.
pub(crate) async fn count(
    journal: &Journal,
    names: &Topology,
    targets: &[TargetName],
) -> Result<u64, JournalError> {
    let tokens: HashSet<String> = targets.iter().map(TargetName::token).collect();
    let listed = journal.subjects(names, Stream::Dead, &names.older_stamps()).await?;
    // A target that is not configured any more cannot be repaired.
    let is_ours = |subject: &str| subject.split('.').nth(3).is_some_and(|token| tokens.contains(token));
    let receipts: Vec<String> = listed
        .iter()
        .filter(|(subject, _)| is_ours(subject))
        .filter_map(|(subject, _)| names.receipt_of_older_stamp(subject))
        .collect();
    let waiting = futures::stream::iter(receipts)
        .map(|subject| async move {
            let Some(last) = journal.last(names, Stream::Receipts, &subject).await? else {
                return Ok::<_, JournalError>(false);
            };
            Ok(last.event::<Receipt>()?.body.older_stamp.is_some())
        })
        .buffer_unordered(AT_ONCE);
    waiting.try_fold(0, |count, waits| async move { Ok(count + u64::from(waits)) }).await
}
