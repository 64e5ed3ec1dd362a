//! STATE: what people were told, so that any number of processes tell it once, also after a restart.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{Actor, Event, Micros, Stage};

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
    /// A limit of the storage is near: what is stored next may be refused.
    LimitNear {
        /// What has the limit: `stream <name>`, `account` or `disk`.
        what: String,
        /// How much is used.
        used: u64,
        /// How much there may be.
        limit: u64,
        /// What is counted: `bytes` or `messages`.
        unit: String,
    },
    /// What a day came to: no condition, and told once.
    Summary {
        /// Where the day begins.
        since: Micros,
        /// Where it ends.
        until: Micros,
        /// Orders that were read, new or changed.
        read: u64,
        /// What became of them at each target.
        targets: Vec<TargetSummary>,
        /// Dead letters that are open now.
        dead_open: u64,
        /// How long ago the watermark is, in seconds; `None` when there is none.
        watermark_age_seconds: Option<i64>,
        /// The names of the conditions that hold now.
        firing: Vec<String>,
    },
}

/// What became of the orders of a day at one target.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct TargetSummary {
    /// The target.
    pub target: String,
    /// Orders that were written.
    pub written: u64,
    /// Orders that the target had as they are.
    pub unchanged: u64,
    /// Orders that became dead letters.
    pub refused: u64,
    /// Orders with another outcome: superseded, ignored, unknown, an older update time.
    pub other: u64,
    /// Orders that wait for it now; `None` when that is not known.
    pub waiting: Option<u64>,
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
    /// No condition: what a day came to.
    Summary,
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
    /// Whether it was silenced when it was seen last: once it is not, people are told at once that
    /// it holds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub silenced: bool,
}

/// Why people are not told of a condition for a while.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Silence {
    /// Who said so.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// When it was said.
    pub at: Micros,
    /// When it ends.
    pub until: Micros,
}

/// How telling a watchdog that somebody looks goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The look that it was told of last, or is being told of.
    pub looked_at: Micros,
    /// When it was told the last time; `None` when it never was.
    pub told: Option<Micros>,
    /// Attempts in a row that failed.
    pub failures: u32,
    /// Why the last one did; `None` when it did not.
    pub error: Option<String>,
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
    /// What people are not told of, by the name of the condition; `*` is all of them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub silences: BTreeMap<String, Silence>,
    /// The end of the day of which the last summary was told; 0 when none was.
    #[serde(default, skip_serializing_if = "is_default")]
    pub summed_up: Micros,
    /// The watchdog.
    #[serde(default, skip_serializing_if = "is_default")]
    pub heartbeat: Heartbeat,
}

impl Event for AlertState {
    const KIND: &'static str = "AlertState";
}
