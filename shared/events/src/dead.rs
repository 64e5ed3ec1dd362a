//! DEAD: what could not be carried, with everything needed to understand and repeat it.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{Event, Listing, Micros, Payload, TargetName, WindowId};

/// A stage of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Source to RAW.
    Fetch,
    /// RAW to MAPPED.
    Transform,
    /// MAPPED to a target.
    Write,
}

impl Stage {
    /// The name used in subjects, tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Transform => "transform",
            Self::Write => "write",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the payload of a dead letter came from.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct LetterOrigin {
    /// The stream it was consumed from.
    pub stream: String,
    /// Its sequence there.
    pub sequence: u64,
    /// The window, as far as known.
    pub window: Option<WindowId>,
    /// The page number, from 1.
    pub page: Option<u32>,
    /// The row of the page, from 0.
    pub row: Option<u32>,
    /// The sequence of the page in RAW, as far as known.
    pub raw_seq: Option<u64>,
    /// Which orders the page lists.
    #[serde(default, skip_serializing_if = "is_default")]
    pub listing: Listing,
}

/// What the other side answered.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The first part of the body, as text.
    pub excerpt: String,
}

/// One attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Attempt {
    /// When it failed.
    pub at: Micros,
    /// How.
    pub message: String,
}

/// Something that could not be carried. It is never deleted; it is open until a [`DeadResolved`] names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The stage that gave up.
    pub stage: Stage,
    /// What kind of failure, as one snake_case word; with the stage it is the subject.
    pub kind: String,
    /// The error, for a person.
    pub message: String,
    /// What caused it, outermost first.
    pub causes: Vec<String>,
    /// Where the payload came from.
    pub origin: LetterOrigin,
    /// The target, for the write stage.
    pub target: Option<TargetName>,
    /// The order's key, when it has one.
    pub key: Option<String>,
    /// The order's number, when it has one.
    pub number: Option<String>,
    /// The bytes that failed, exactly: a source row, a mapped record, or a source answer.
    pub payload: Payload,
    /// What the other side answered, when it did.
    pub answer: Option<Answer>,
    /// Every attempt, oldest first.
    pub attempts: Vec<Attempt>,
    /// The version of the mapping, where one was involved.
    pub mapping: Option<String>,
    /// The W3C trace id.
    pub trace_id: Option<String>,
    /// How often what failed had been retried before, by people.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: u32,
}

impl Event for DeadLetter {
    const KIND: &'static str = "DeadLetter";
}

/// What was done about a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadResolved {
    /// The letter's sequence in DEAD.
    pub letter: u64,
    /// `retried`, `edited`, `discarded`; or `mapped` and `failed again`, by another mapping.
    pub how: String,
    /// Who did it and why.
    pub reason: String,
    /// The operation, when it was one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub operation: Option<String>,
}

impl Event for DeadResolved {
    const KIND: &'static str = "DeadResolved";
}
