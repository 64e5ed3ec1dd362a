//! Single words that the events have names for, as people read them. Where a stage or a kind stands in a column of its own it keeps
//! its name, which is also what the flags take.

use std::borrow::Cow;

use events::{Outcome, Stage};

/// What became of an order.
pub fn outcome(outcome: Outcome) -> Cow<'static, str> {
    match outcome {
        Outcome::Written => t!("written"),
        Outcome::Unchanged => t!("unchanged"),
        Outcome::Superseded => t!("superseded"),
        Outcome::Repeat => t!("repeat"),
        Outcome::Unknown => t!("unknown"),
        Outcome::Ignored => t!("ignored"),
        Outcome::OlderStamp => t!("older stamp"),
    }
}

/// A stage, as what it does.
pub fn stage(stage: Stage) -> Cow<'static, str> {
    match stage {
        Stage::Fetch => t!("fetch"),
        Stage::Transform => t!("transform"),
        Stage::Write => t!("write"),
    }
}

/// The kinds of failures that people see most; the others have their names.
pub fn kind(kind: &str) -> Cow<'_, str> {
    match kind {
        "refused" => t!("refused"),
        "failed" => t!("failed"),
        other => other.into(),
    }
}

/// What is to be done about letters.
pub fn verb(verb: &str) -> Cow<'_, str> {
    match verb {
        "retry" => t!("retry"),
        "discard" => t!("discard"),
        other => other.into(),
    }
}

/// What was done about a letter. One that only a newer build knows is as it was stored.
pub fn how(how: &str) -> Cow<'_, str> {
    match how {
        "retried" => t!("retried"),
        "discarded" => t!("discarded"),
        "edited" => t!("edited"),
        "mapped" => t!("mapped"),
        "superseded" => t!("superseded"),
        "failed again" => t!("failed again"),
        other => other.into(),
    }
}
