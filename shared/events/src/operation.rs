//! OPS: what people had the pipeline do.

use serde::{Deserialize, Serialize};

use crate::Event;

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The user's login name.
    pub user: String,
    /// The machine.
    pub host: String,
}

/// An operation has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStarted {
    /// The operation; also its subject token.
    pub id: String,
    /// What is done: `sync` for one run of `up --once`.
    pub verb: String,
    /// Who asked for it.
    pub actor: Actor,
    /// What it is going to do, for a person.
    pub plan: String,
    /// The sequence in SYNC from which its windows count.
    pub from_sync: u64,
}

/// An operation has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationFinished {
    /// The operation.
    pub id: String,
    /// Whether it did all it was asked to.
    pub complete: bool,
    /// What came of it, for a person.
    pub result: String,
}

impl Event for OperationStarted {
    const KIND: &'static str = "OperationStarted";
}
impl Event for OperationFinished {
    const KIND: &'static str = "OperationFinished";
}
