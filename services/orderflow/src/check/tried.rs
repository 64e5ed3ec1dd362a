//! What `check --live` has tried, and what that comes to. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use crate::columns::padded;
use crate::exit::Exit;

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TryOutcome {
    /// It works.
    Works,
    /// It does not work.
    Fails,
    /// NATS works, and breaks a promise sooner or later.
    Weak,
    /// It was not tried, or cannot be told.
    Untried,
    /// NATS cannot be reached.
    Unreachable,
    /// NATS refuses our credentials, or the files are wrong.
    Refused,
}

/// One try.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LiveTry {
    /// What was tried.
    pub what: String,
    /// How it ended.
    pub outcome: TryOutcome,
    /// What was seen. Nothing in it is a secret.
    pub said: String,
}

/// So many columns are for how a try ended.
const LABEL: usize = 11;

impl LiveTry {
    /// A try of something.
    pub fn new(what: impl Into<String>, outcome: TryOutcome, said: impl Into<String>) -> Self {
        Self { what: what.into(), outcome, said: said.into() }
    }
}

/// A line for each.
pub fn text(tried: &[LiveTry]) -> String {
    let line = |tried: &LiveTry| {
        let label = match tried.outcome {
            TryOutcome::Works => t!("works"),
            TryOutcome::Fails => t!("FAILS"),
            TryOutcome::Weak => t!("WEAK"),
            TryOutcome::Untried => t!("not tried"),
            TryOutcome::Unreachable => t!("UNREACHED"),
            TryOutcome::Refused => t!("REFUSED"),
        };
        let said = t!("%{what}: %{said}", what = tried.what, said = tried.said);
        format!("{}{said}\n", padded(&label, LABEL))
    };
    tried.iter().map(line).collect()
}

/// The exit status: 2 when NATS refuses us, 7 when it cannot be reached, 4 when anything else does not work.
pub fn exit(tried: &[LiveTry]) -> Exit {
    let has = |wanted: &[TryOutcome]| tried.iter().any(|tried| wanted.contains(&tried.outcome));
    if has(&[TryOutcome::Refused]) {
        Exit::Usage
    } else if has(&[TryOutcome::Unreachable]) {
        Exit::Unreachable
    } else if has(&[TryOutcome::Fails, TryOutcome::Weak]) {
        Exit::Partial
    } else {
        Exit::Ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_whose_turn_it_is() {
        let of = |outcomes: &[TryOutcome]| {
            let tried: Vec<LiveTry> =
                outcomes.iter().map(|outcome| LiveTry::new("a", *outcome, "b")).collect();
            exit(&tried)
        };
        assert_eq!(of(&[]), Exit::Ok);
        assert_eq!(of(&[TryOutcome::Works, TryOutcome::Untried]), Exit::Ok);
        assert_eq!(of(&[TryOutcome::Works, TryOutcome::Weak]), Exit::Partial);
        assert_eq!(of(&[TryOutcome::Fails]), Exit::Partial);
        assert_eq!(of(&[TryOutcome::Fails, TryOutcome::Unreachable]), Exit::Unreachable);
        assert_eq!(of(&[TryOutcome::Unreachable, TryOutcome::Refused]), Exit::Usage);
    }
}
