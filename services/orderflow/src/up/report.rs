//! What `up --once -o json` prints.

use operations::Account;
use schemars::JsonSchema;
use serde::Serialize;
use transformer::Retried;

/// One run of `up --once`.
#[derive(Debug, JsonSchema, Serialize)]
pub struct OnceReport<'a> {
    /// Whether every order that was read has an outcome, and every window its proof.
    pub complete: bool,
    /// How the run ended.
    pub ended: RunEnd,
    /// What was read, and what became of it.
    pub account: &'a Account,
    /// What became of orders that had failed under another mapping before this run.
    pub retried: Retries,
    /// Dead letters that are open, also of earlier runs.
    pub dead_open: u64,
    /// Orders that carry an older update time than what the target holds, also of earlier runs.
    pub older_stamps: u64,
    /// The window that failed.
    pub failed_window: Option<FailedWindow<'a>>,
    /// What stood in the way at the end.
    pub trouble: Option<String>,
    /// The same for a person, in one sentence.
    pub verdict: String,
    /// How long it took, in milliseconds.
    pub took_milliseconds: u64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum RunEnd {
    /// No stage had anything left to do.
    Drained,
    /// It was told to end.
    Interrupted,
    /// Nothing moved for the whole of `--patience`.
    Stuck,
    /// The writers of a target have stopped: too much was refused.
    Stopped {
        /// The target.
        target: String,
    },
}

/// A window that failed.
#[derive(Debug, JsonSchema, Serialize)]
pub struct FailedWindow<'a> {
    /// Its name.
    pub window: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// What became of orders that were tried again under the mapping of this run.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Retries {
    /// Mapped now.
    pub mapped: u64,
    /// Skipped now.
    pub skipped: u64,
    /// Superseded by something newer.
    pub superseded: u64,
    /// Failed under this mapping too.
    pub failed: u64,
}

impl From<Retried> for Retries {
    fn from(retried: Retried) -> Self {
        let Retried { mapped, skipped, superseded, failed } = retried;
        Self { mapped, skipped, superseded, failed }
    }
}
