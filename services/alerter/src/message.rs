//! What one webhook is told at one time: everything that waits for it.

use events::{Announcement, Notice, now};

/// A message, before it is put into words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The flow.
    pub flow: String,
    /// What happened, oldest first; nothing, for a test.
    pub notices: Vec<Notice>,
    /// When it is sent, microseconds since the Unix epoch.
    pub at: events::Micros,
}

impl Message {
    /// Tells of some notices.
    pub fn new(flow: &str, notices: Vec<Notice>) -> Self {
        Self { flow: flow.to_string(), notices, at: now() }
    }

    /// Tells that messages arrive.
    pub fn test(flow: &str) -> Self {
        Self::new(flow, Vec::new())
    }

    pub(crate) fn is_test(&self) -> bool {
        self.notices.is_empty()
    }

    pub(crate) fn count(&self, event: Announcement) -> usize {
        self.notices.iter().filter(|notice| notice.event == event).count()
    }
}
