//! What a running stage says of itself when it is asked. Not stored anywhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{Event, Micros, Stage, TargetName};

/// One running stage of one process.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Instance {
    /// The stage.
    pub stage: Stage,
    /// A name that no other instance has.
    pub member: String,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When it started.
    pub started_at: Micros,
    /// The version of the mapping it works with, for a transformer.
    pub mapping: Option<String>,
    /// Why it does not work with the newest mapping that there is: what is wrong with that one, in one line.
    pub mapping_rejected: Option<String>,
    /// What it writes, for a writer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub writing: Option<Writing>,
    /// What went wrong last and has not gone right since, for a fetcher.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trouble: Option<String>,
    /// Why something cannot be stored in NATS that this stage keeps until it can be.
    #[serde(default, skip_serializing_if = "is_default")]
    pub storage: Option<String>,
    /// Since when `trouble` lasts, in microseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trouble_since: Option<Micros>,
    /// When the source is asked again, in microseconds since the Unix epoch, while there is `trouble`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub next_attempt: Option<Micros>,
}

/// Why something does not work at the moment, in one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Why, in one line.
    pub why: String,
    /// Since when, in microseconds since the Unix epoch.
    pub since: Micros,
    /// When it is tried again, in microseconds since the Unix epoch.
    pub next_attempt: Option<Micros>,
}

impl Trouble {
    /// The trouble at `now`: what was there before lasts, whatever the newest reason.
    pub fn at(before: Option<&Self>, why: String, now: Micros, next_attempt: Option<Micros>) -> Self {
        Self { why, since: before.map_or(now, |before| before.since), next_attempt }
    }
}

/// What a writer says of the target it writes to.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Writing {
    /// The target.
    pub target: TargetName,
    /// The partitions it holds, in order.
    pub partitions: Vec<HeldPartition>,
    /// Why the target is left alone at the moment; `None` while requests may be sent.
    pub trouble: Option<String>,
    /// Requests that it may have under way at the same time, as the target bears them.
    pub concurrency: u64,
    /// Since when `trouble` lasts, in microseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trouble_since: Option<Micros>,
    /// When the target is asked again, in microseconds since the Unix epoch, while there is `trouble`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub next_attempt: Option<Micros>,
}

/// One partition that a writer holds.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct HeldPartition {
    /// Its number.
    pub partition: u16,
    /// Orders with a receipt; `None` while the receipts are being read.
    pub orders: Option<u64>,
    /// Of those, orders of which it is not known whether the target took what it was sent last.
    pub unknown: Option<u64>,
}

impl Event for Instance {
    const KIND: &'static str = "Instance";
}
