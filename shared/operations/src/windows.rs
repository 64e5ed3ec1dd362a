//! The windows that were read, with the proof of each.

use std::collections::BTreeMap;

use events::{Micros, Proof, WindowEvent, WindowOpened};
use futures::StreamExt;
use journal::{From, Journal, JournalError, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::account::{WindowLine, WindowState};

/// A window, and how it was read.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct WindowStory {
    /// What it covers, and where it is.
    #[serde(flatten)]
    pub line: WindowLine,
    /// When it was opened, microseconds since the Unix epoch.
    pub opened: Micros,
    /// When it was closed or given up; `None` while it is read.
    pub ended: Option<Micros>,
    /// Pages read, of all passes.
    pub pages: u64,
    /// Rows on them.
    pub rows: u64,
    /// The proof, when it has one.
    pub proof: Option<Proof>,
}

/// The windows that were opened at `from` or later, oldest first. Reads the events of SYNC from there on.
///
/// # Errors
/// When SYNC cannot be read.
pub async fn windows(
    journal: &Journal,
    names: &Topology,
    from: From,
    only: Option<&str>,
) -> Result<Vec<WindowStory>, JournalError> {
    // A name is typed by people: one that is no subject names nothing.
    if only.is_some_and(|id| id.is_empty() || id.contains(['.', '*', '>', ' ', '\t'])) {
        return Ok(Vec::new());
    }
    let filter = only.map_or_else(|| names.windows(), |id| names.window(&events::WindowId::named(id)));
    let mut log = journal.read(names, Stream::Sync, Some(&filter), from, false).await?;
    let mut found: BTreeMap<u64, WindowStory> = BTreeMap::new();
    let mut places: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(entry) = log.next().await {
        let entry = entry?;
        let event = WindowEvent::decode(&entry.payload).map_err(|source| entry.unreadable(source))?;
        if let WindowEvent::Opened(WindowOpened { window, since, until, .. }) = event {
            let window = window.to_string();
            places.insert(entry.subject, entry.seq);
            let line = WindowLine { window, since, until, state: WindowState::Open };
            let opened = entry.stored_at;
            let story = WindowStory { line, opened, ended: None, pages: 0, rows: 0, proof: None };
            found.insert(entry.seq, story);
            continue;
        }
        // Of a window that was opened before, only the rest would be seen.
        let Some(story) = places.get(&entry.subject).and_then(|place| found.get_mut(place)) else { continue };
        match event {
            WindowEvent::Page(page) => {
                story.pages += 1;
                story.rows += page.ids.len() as u64;
            }
            WindowEvent::Closed(closed) => {
                story.line.state = WindowState::closed(&closed.proof);
                story.proof = Some(closed.proof);
                story.ended = Some(entry.stored_at);
            }
            WindowEvent::Failed(failed) => {
                story.line.state = WindowState::failed(&failed.reason);
                story.ended = Some(entry.stored_at);
            }
            WindowEvent::Opened(_) | WindowEvent::Part(_) | WindowEvent::Refused(_) => {}
        }
    }
    Ok(found.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_that_was_recorded_whole_is_shown_shortly() {
        let WindowState::Failed { reason } = WindowState::failed(&"x".repeat(5 << 20)) else {
            unreachable!("it failed")
        };
        assert!(reason.len() < 4_100 && reason.ends_with("(cut, 5242880 bytes in all)"), "{}", reason.len());
    }
}
