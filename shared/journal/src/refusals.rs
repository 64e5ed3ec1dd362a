//! What the server has refused this connection: its credentials, or single subjects. The client library only tells of it in events,
//! and requests then end without an answer, as if NATS were away.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{ClientError, Event, ServerError};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::JournalError;

/// So many refused subjects are remembered.
const REMEMBERED: usize = 64;

/// A request that ended without an answer is held against what was refused within this time: somewhat longer than an answer is
/// waited for.
const LATELY: Duration = Duration::from_secs(11);

/// How the words of the server begin that refuse a subject.
const PERMISSIONS: &str = "permissions violation";

/// What one connection was refused.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// The address, without credentials.
    url: String,
    known: Mutex<Known>,
    /// Counts the refused subjects.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    /// What the server said when we last tried to connect; `None` while the connection stands.
    credentials: Option<String>,
    /// What it said of subjects since the connection stands, oldest first.
    subjects: VecDeque<(Instant, String)>,
}

impl Refusals {
    pub(crate) fn new(url: String) -> Self {
        Self { url, known: Mutex::default(), changes: watch::channel(0).0 }
    }

    /// Takes note of an event of the client. True when it is something new to say.
    pub(crate) fn note(&self, event: &Event) -> bool {
        let mut known = self.known();
        match event {
            Event::Connected => {
                *known = Known::default();
                false
            }
            Event::ServerError(ServerError::AuthorizationViolation) => {
                known.refuse("Authorization Violation")
            }
            Event::ServerError(ServerError::Other(words)) if is_about_credentials(words) => {
                known.refuse(words)
            }
            Event::ServerError(ServerError::Other(words)) => {
                if !words.to_lowercase().starts_with(PERMISSIONS) {
                    return true;
                }
                let new = known.subjects.iter().all(|(_, other)| other != words);
                known.subjects.retain(|(_, other)| other != words);
                if known.subjects.len() == REMEMBERED {
                    known.subjects.pop_front();
                }
                known.subjects.push_back((Instant::now(), words.clone()));
                drop(known);
                self.changes.send_modify(|changes| *changes += 1);
                new
            }
            Event::ClientError(ClientError::Other(words)) if is_about_credentials(words) => {
                known.refuse("Authorization Violation")
            }
            _ => false,
        }
    }

    /// What the server says of our credentials when it does not accept them any more.
    pub(crate) fn credentials(&self) -> Option<String> {
        self.known().credentials.clone()
    }

    /// Waits until the server refuses to take what is published on `subject`; returns its words.
    pub(crate) async fn of_publishing(&self, subject: &str) -> String {
        let mut changes = self.changes.subscribe();
        let began = Instant::now();
        let named = format!("\"{subject}\"");
        loop {
            let since = |known: &Known| {
                let mut said = known.subjects.iter().rev();
                said.find(|(at, words)| *at >= began && words.contains(&named))
                    .map(|(_, words)| words.clone())
            };
            let words = since(&self.known());
            match words {
                Some(words) => return words,
                // The sender is ours: it does not end before we do.
                None => _ = changes.changed().await,
            }
        }
    }

    /// What a call that ended without an answer failed of, if the server has refused something lately that explains it.
    pub(crate) fn explain(&self, what: &str) -> Option<JournalError> {
        let known = self.known();
        if let Some(words) = known.credentials.clone() {
            return Some(JournalError::Unauthorized { url: self.url.clone(), words });
        }
        let explains = |(at, words): &&(Instant, String)| {
            // Without an inbox no answer ever comes; all else is refused each time.
            words.contains("\"_INBOX.") || (at.elapsed() < LATELY && words.contains("\"$JS."))
        };
        let words = known.subjects.iter().rev().find(explains).map(|(_, words)| words.clone());
        words.map(|words| JournalError::NotPermitted { what: what.to_string(), words })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn refuse(&mut self, words: &str) -> bool {
        let new = self.credentials.as_deref() != Some(words);
        self.credentials = Some(words.to_string());
        new
    }
}

/// Whether the words of a server, or of the client library, are about who we are.
fn is_about_credentials(words: &str) -> bool {
    let words = words.to_lowercase();
    words.contains("authorization violation")
        || words.contains("authentication")
        || words.contains("account ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str) -> Event {
        Event::ServerError(ServerError::Other(words.into()))
    }

    #[tokio::test]
    async fn a_refused_subject_ends_the_wait_of_who_publishes_there() {
        let refusals = Refusals::new("nats://h".into());
        let (mine, other) = (refusals.of_publishing("f.raw.page"), refusals.of_publishing("f.raw"));
        tokio::pin!(mine, other);
        assert!(futures::poll!(&mut mine).is_pending());
        assert!(refusals.note(&said("Permissions Violation for Publish to \"f.raw.page\"")));
        assert!(!refusals.note(&said("Permissions Violation for Publish to \"f.raw.page\"")), "said before");
        assert!(mine.await.contains("f.raw.page"));
        assert!(futures::poll!(&mut other).is_pending(), "another subject");
        assert!(refusals.explain("read").is_none(), "that is no request of ours without an answer");
    }

    #[test]
    fn what_is_refused_explains_what_has_no_answer_until_we_are_connected_again() {
        let refusals = Refusals::new("nats://h".into());
        refusals.note(&said("Permissions Violation for Publish to \"$JS.API.INFO\""));
        let explained = refusals.explain("read f-RAW").expect("explained").to_string();
        assert!(explained.contains("read f-RAW") && explained.contains("$JS.API.INFO"), "{explained}");
        refusals.note(&Event::ClientError(ClientError::Other("authorization violation".into())));
        assert!(matches!(refusals.explain("x"), Some(JournalError::Unauthorized { .. })));
        refusals.note(&Event::Connected);
        assert!(refusals.explain("x").is_none());
    }
}
