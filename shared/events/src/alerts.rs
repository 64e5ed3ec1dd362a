//! STATE: what people were told, so that any number of processes tell it once, also after a restart.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Event, Micros, Stage};

/// Something that people want to know of, with its numbers. Texts of the other side are kept without what differs from
/// order to order: alerts leave the house.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Finding {
    /// The newest window of a lane could not be proved.
    WindowFailed {
        /// The window.
        window: String,
        /// Its start.
        from: Micros,
        /// Its end.
        until: Micros,
        /// Why, without numbers and quoted values.
        reason: String,
    },
    /// LAST_SYNC_TIME has not moved for long.
    WatermarkOld {
        /// Where it stands.
        watermark: Micros,
        /// How long ago that is, in seconds.
        age_seconds: i64,
        /// How long it may be, in seconds.
        limit_seconds: i64,
    },
    /// Too many dead letters are open.
    DeadLetters {
        /// How many.
        open: u64,
        /// How many may be.
        limit: u64,
    },
    /// Orders fail in a way in which none did before.
    DeadGroup {
        /// What letters of this failure have in common.
        fingerprint: String,
        /// The stage that gave up.
        stage: Stage,
        /// The kind of failure.
        failure: String,
        /// The message without what differs from order to order.
        pattern: String,
        /// The targets, for the write stage.
        targets: BTreeSet<String>,
        /// Letters that are open.
        open: u64,
    },
    /// The writers of a target leave it alone.
    TargetLeftAlone {
        /// The target.
        target: String,
        /// Why, without numbers and quoted values.
        reason: String,
    },
    /// The writers of a target have stopped, because too much was refused, until a person says to go on.
    TargetStopped {
        /// The target.
        target: String,
        /// Why, without numbers and quoted values of orders.
        reason: String,
    },
    /// Too much waits for a stage.
    Backlog {
        /// The stage.
        stage: String,
        /// The target, for `write`.
        target: Option<String>,
        /// Messages that wait: not delivered yet, or in hand and not settled.
        lag: u64,
        /// How many may be.
        limit: u64,
    },
    /// The source does not answer, or refuses us.
    SourceTrouble {
        /// Why, without numbers and quoted values.
        reason: String,
    },
    /// No process runs a stage that one is expected for.
    NobodyRuns {
        /// The stage.
        stage: String,
        /// The target, for `write`.
        target: Option<String>,
        /// The machine on which one was seen last; `None` when none is expected, and something waits.
        host: Option<String>,
    },
    /// A command that is started again and again has not ended well for long.
    RunOverdue {
        /// The command.
        command: String,
        /// When it last ended well.
        last: Micros,
        /// How long it usually takes from one good end to the next, in seconds.
        usual_seconds: i64,
    },
    /// A mapping that was changed cannot be used; the one before goes on.
    MappingRejected {
        /// What is wrong with it, in one line.
        reason: String,
    },
    /// Transformers work with different mappings.
    MappingsDiffer,
    /// A changed mapping is not used before a person accepts it: it would leave fields empty.
    MappingHeld {
        /// Its version.
        version: String,
        /// The fields of the record.
        fields: Vec<String>,
    },
    /// No order has a field any more that orders had and the mapping reads.
    FieldEmpty {
        /// Its path in the source's order.
        path: String,
        /// How many of the orders before had it.
        had: u64,
        /// How many orders before this is about.
        of: u64,
        /// How many orders came since, all without it.
        orders: u64,
    },
    /// Of orders it is not known whether the target took what it was sent last.
    UnknownResults {
        /// The target.
        target: String,
        /// How many orders.
        orders: u64,
    },
    /// Orders were read later than what a target holds, with an older update time.
    OlderUpdateTimes {
        /// How many orders.
        orders: u64,
    },
    /// Something cannot be stored in NATS.
    StorageTrouble {
        /// The stage that keeps it.
        stage: Stage,
        /// Why.
        reason: String,
    },
    /// The watermark or a window lies in the future: a clock was ahead.
    ClockAhead,
    /// A person has paused a stage.
    Paused {
        /// The stage.
        stage: String,
        /// The target, for `write`.
        target: Option<String>,
        /// Who.
        by: String,
        /// Why, as they said.
        reason: String,
    },
}

/// What people are told of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Announcement {
    /// It holds.
    Firing,
    /// It still does, long after that was said last.
    Again,
    /// It does not any more.
    Resolved,
}

/// One thing to tell, and whom it was not told yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Ascending over all notices of a flow.
    pub number: u64,
    /// What happened.
    pub event: Announcement,
    /// Which condition: the same one has the same name for as long as there is the flow.
    pub id: String,
    /// When it was found.
    pub at: Micros,
    /// Since when the condition holds, or held.
    pub since: Micros,
    /// What was found; of a resolved one, what was found last.
    pub finding: Finding,
    /// The webhooks that have not taken it yet.
    pub to: BTreeSet<String>,
}

/// A condition that holds, or of which people were told lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownAlert {
    /// Since when it holds; `None` when it does not.
    pub since: Option<Micros>,
    /// When people were told the last time that it holds.
    pub told: Option<Micros>,
    /// Whether what people were told last is that it holds.
    pub announced: bool,
    /// What was found last.
    pub finding: Finding,
}

/// How telling one webhook goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Nobody tells it anything before this moment: somebody else is doing it, or it has just failed.
    pub not_before: Micros,
    /// Attempts in a row that failed.
    pub failures: u32,
    /// Why the last one did; `None` when it did not.
    pub error: Option<String>,
}

/// What was found, what was said of it, and what is still to be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertState {
    /// When somebody looked the last time.
    pub looked_at: Micros,
    /// The conditions, by name.
    pub known: BTreeMap<String, KnownAlert>,
    /// What is still to be told somebody, oldest first.
    pub notices: Vec<Notice>,
    /// The number of the newest notice.
    pub last: u64,
    /// By the name of the webhook: only where there is something to say.
    pub deliveries: BTreeMap<String, Delivery>,
}

impl Event for AlertState {
    const KIND: &'static str = "AlertState";
}
