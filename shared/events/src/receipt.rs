//! RECEIPTS: what became of a mapped order at a target. The last one of a subject is what the target holds.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{ContentHash, Event, Micros, OrderKey, TargetName, Version};

/// What became of one mapped order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The target took it.
    Written,
    /// The target already holds the same content; nothing was sent.
    Unchanged,
    /// The target already holds a newer version; nothing was sent.
    Superseded,
    /// The target said it has this key already (idCheck) and kept what it had.
    Repeat,
    /// It was sent, and whether the target took it is not known.
    Unknown,
    /// It was deleted at the source, and the mapping says that the target is not to hear of it.
    Ignored,
    /// It was read after the state that the target holds, differs from it, and carries an older update time. Nothing was sent:
    /// `orderflow reconcile --repair` writes it.
    OlderStamp,
}

impl Outcome {
    /// Every outcome, in the order reports show them.
    pub const ALL: [Self; 7] = [
        Self::Written,
        Self::Unchanged,
        Self::Superseded,
        Self::Repeat,
        Self::Unknown,
        Self::Ignored,
        Self::OlderStamp,
    ];

    /// The name used in headers, tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::Repeat => "repeat",
            Self::Unknown => "unknown",
            Self::Ignored => "ignored",
            Self::OlderStamp => "older_stamp",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One outcome, with what the target now holds of that order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The target.
    pub target: TargetName,
    /// The order.
    pub key: OrderKey,
    /// Its number, when it has one.
    pub number: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
    /// The sequence in MAPPED this outcome is about.
    pub mapped_seq: u64,
    /// The version it is about.
    pub version: Version,
    /// The newest version the target is known to hold after this (older than `version` never).
    pub held: Version,
    /// The content the target was given last.
    pub content: ContentHash,
    /// Whether it is known to have taken that.
    pub known: bool,
    /// The HTTP status of the last answer, when something was sent.
    pub status: Option<u16>,
    /// How often it was sent; 0 when nothing was.
    pub attempts: u32,
    /// The sequence in RECEIPTS of the order's last receipt before this one that says the target took something; 0 when
    /// there is none. The idempotency key is made of it.
    pub last_write: u64,
    /// The idempotency key it was sent under; empty when nothing was.
    pub idempotency_key: String,
    /// When it was known.
    pub at: Micros,
    /// The version that was read last with an older update time than the target holds, and with other content. It is there
    /// as long as the target has not been given anything since.
    #[serde(default, skip_serializing_if = "is_default")]
    pub older_stamp: Option<Version>,
}

impl Event for Receipt {
    const KIND: &'static str = "Receipt";
}

/// A receipt says `older_stamp` of this order at this target. Stored on a subject of its own, so that such orders can be listed
/// without reading all receipts; the order's last receipt says whether it still holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OlderStampFound {
    /// The target.
    pub target: TargetName,
    /// The order.
    pub key: OrderKey,
    /// The sequence in MAPPED of the state with the older update time.
    pub mapped_seq: u64,
    /// The version of that state.
    pub version: Version,
    /// The version that the target holds.
    pub held: Version,
}

impl Event for OlderStampFound {
    const KIND: &'static str = "OlderStampFound";
}
