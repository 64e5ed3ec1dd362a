//! What a running stage says of itself when it is asked. Not stored anywhere.

use serde::{Deserialize, Serialize};

use crate::{Event, Micros, Stage};

/// One running stage of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Event for Instance {
    const KIND: &'static str = "Instance";
}
