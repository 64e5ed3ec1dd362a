//! What a transformer says of itself when it is asked: where it runs, and with which mapping.

use std::sync::Arc;

use events::{Instance, Stage, encode, now};
use journal::JournalError;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::page::Pages;

/// Answers for this transformer until the guard goes: it is there as long as it has work in hand.
pub(crate) async fn answer(pages: &Arc<Pages>) -> Result<DropGuard, JournalError> {
    let (journal, until) = (&pages.journal, CancellationToken::new());
    let (member, host, pid, started_at) = (journal.member(), service::host(), std::process::id(), now());
    let shared = Arc::clone(pages);
    let instance = move || Instance {
        stage: Stage::Transform,
        member: member.clone(),
        host: host.clone(),
        pid,
        started_at,
        mapping: Some(shared.mappings.plan().version().to_string()),
        writing: None,
        mapping_rejected: shared.mappings.rejected().and_then(|why| why.lines().next().map(str::to_string)),
    };
    // Nothing in an instance can fail to encode; who gets an empty answer passes over it.
    let reply = move || encode(&instance(), now()).map(Vec::from).unwrap_or_default();
    journal.answer(pages.names.presence(Stage::Transform), reply, until.clone()).await?;
    Ok(until.drop_guard())
}
