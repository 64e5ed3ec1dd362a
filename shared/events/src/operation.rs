//! OPS: what people had the pipeline do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{Event, Micros, OrderKey, TargetName};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
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
    /// Why.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reason: String,
    /// What it acts on, so that any process can carry it on; `None` for one that is not carried in steps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub work: Option<Work>,
}

/// What an operation in steps acts on: decided once, when it begins, and not changed by what happens after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Dead letters go back to the stage that gave up.
    Retry {
        /// Their sequences in DEAD, as first and last of each run, ascending.
        letters: Vec<(u64, u64)>,
        /// A letter that was retried so often already is left alone.
        max_replays: u32,
        /// Letters a second, at most.
        per_second: u32,
    },
    /// Dead letters are closed, and nothing else is done about them.
    Discard {
        /// Their sequences in DEAD, as first and last of each run, ascending.
        letters: Vec<(u64, u64)>,
        /// Letters a second, at most.
        per_second: u32,
    },
    /// Messages of a log go through the later stages again.
    Replay {
        /// The log.
        log: Log,
        /// Their sequences there, as first and last of each run, ascending.
        messages: Vec<(u64, u64)>,
        /// How many orders these hold.
        orders: u64,
        /// Of a page, only this order.
        key: Option<OrderKey>,
        /// Only to this target; to all when not given.
        target: Option<TargetName>,
        /// Also what the target holds already.
        force: bool,
        /// The version of the mapping, for a replay of RAW.
        mapping: Option<String>,
        /// Orders a second, at most.
        per_second: u32,
    },
    /// What a reconciliation found at the source is written over what one target holds.
    Rewrite {
        /// The sequences in MAPPED of the prepared orders, as first and last of each run, ascending.
        messages: Vec<(u64, u64)>,
        /// The target.
        target: TargetName,
        /// Orders a second, at most.
        per_second: u32,
    },
}

/// A log that can be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// Pages of the source: they are mapped again.
    Raw,
    /// Mapped orders: they are written again.
    Mapped,
}

/// A process has carried an operation on for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationMoved {
    /// The operation.
    pub id: String,
    /// The process.
    pub by: String,
    /// Everything it acts on up to this sequence has been dealt with.
    pub through: u64,
    /// How many were done since the last of these events.
    pub done: u64,
    /// Which were not, and why.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failures: Vec<Failure>,
}

/// One thing that an operation did not do.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Failure {
    /// Its sequence.
    pub seq: u64,
    /// Why not.
    pub why: String,
}

/// What a person says about an operation under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Go on later.
    Pause,
    /// Go on now.
    Resume,
    /// Do not go on. What is done stays done.
    Cancel,
    /// So many a second from now on, at most.
    Rate(u32),
}

/// Somebody has said something about an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCommanded {
    /// The operation.
    pub id: String,
    /// What.
    pub command: Command,
    /// Who.
    pub actor: Actor,
    /// When.
    pub at: Micros,
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
impl Event for OperationMoved {
    const KIND: &'static str = "OperationMoved";
}
impl Event for OperationCommanded {
    const KIND: &'static str = "OperationCommanded";
}
impl Event for OperationFinished {
    const KIND: &'static str = "OperationFinished";
}
