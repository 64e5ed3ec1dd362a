//! What a transformer says of itself when it is asked: with which mapping it works.

use std::sync::Arc;

use events::{Instance, Stage};
use journal::JournalError;
use tokio_util::sync::DropGuard;

use crate::page::Pages;

/// Answers for this transformer until the guard goes: it is there as long as it has work in hand.
pub(crate) async fn answer(pages: &Arc<Pages>) -> Result<DropGuard, JournalError> {
    let shared = Arc::clone(pages);
    let with = move |plain| Instance {
        mapping: Some(shared.mappings.plan().version().to_string()),
        mapping_rejected: shared.mappings.rejected().and_then(|why| why.lines().next().map(str::to_string)),
        storage: shared.journal.trouble().why(),
        ..plain
    };
    pages.journal.here(&pages.names, Stage::Transform, service::host(), with).await
}
