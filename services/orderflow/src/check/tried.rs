//! What `check --live` has tried, and what that comes to. Pure.

use schemars::JsonSchema;
use serde::Serialize;

use crate::columns::padded;
use crate::exit::Exit;

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
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
pub struct Tried {
    /// What was tried.
    pub what: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen. Nothing in it is a secret.
    pub said: String,
}

/// So many columns are for how a try ended.
const LABEL: usize = 11;

impl Tried {
    /// A try of something.
    pub fn new(what: impl Into<String>, outcome: Outcome, said: impl Into<String>) -> Self {
        Self { what: what.into(), outcome, said: said.into() }
    }
}

/// A line for each.
pub fn text(tried: &[Tried]) -> String {
    let line = |tried: &Tried| {
        let label = match tried.outcome {
            Outcome::Works => t!("works"),
            Outcome::Fails => t!("FAILS"),
            Outcome::Weak => t!("WEAK"),
            Outcome::Untried => t!("not tried"),
            Outcome::Unreachable => t!("UNREACHED"),
            Outcome::Refused => t!("REFUSED"),
        };
        let said = t!("%{what}: %{said}", what = tried.what, said = tried.said);
        format!("{}{said}\n", padded(&label, LABEL))
    };
    tried.iter().map(line).collect()
}

/// The exit status: 2 when NATS refuses us, 7 when it cannot be reached, 4 when anything else does not work.
pub fn exit(tried: &[Tried]) -> Exit {
    let has = |wanted: &[Outcome]| tried.iter().any(|tried| wanted.contains(&tried.outcome));
    if has(&[Outcome::Refused]) {
        Exit::Usage
    } else if has(&[Outcome::Unreachable]) {
        Exit::Unreachable
    } else if has(&[Outcome::Fails, Outcome::Weak]) {
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
        let of = |outcomes: &[Outcome]| {
            let tried: Vec<Tried> = outcomes.iter().map(|outcome| Tried::new("a", *outcome, "b")).collect();
            exit(&tried)
        };
        assert_eq!(of(&[]), Exit::Ok);
        assert_eq!(of(&[Outcome::Works, Outcome::Untried]), Exit::Ok);
        assert_eq!(of(&[Outcome::Works, Outcome::Weak]), Exit::Partial);
        assert_eq!(of(&[Outcome::Fails]), Exit::Partial);
        assert_eq!(of(&[Outcome::Fails, Outcome::Unreachable]), Exit::Unreachable);
        assert_eq!(of(&[Outcome::Unreachable, Outcome::Refused]), Exit::Usage);
    }
}
