//! STATE: what the replicas of a stage share beside the logs. Only the newest message of each subject is kept; losing all
//! of it costs a token and a moment's pause, never an order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Event, Micros};

/// How much of a call budget is spent, over all replicas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetState {
    /// When the next call is due if calls came evenly (the theoretical arrival time of a leaky bucket).
    pub next: Micros,
    /// Nobody may call before this moment: the other side asked to be left alone.
    pub paused_until: Micros,
}

impl Event for BudgetState {
    const KIND: &'static str = "BudgetState";
}

/// An access token that the replicas share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenState {
    /// The token, sealed with the credential it was made of: worth nothing to who cannot ask for one anyway. Empty when
    /// there is none.
    #[serde(with = "serde_bytes")]
    pub sealed: Vec<u8>,
    /// It is to be renewed from here on.
    pub renew_at: Micros,
    /// Until then somebody is asking for a new one, and the others wait.
    pub asking_until: Micros,
    /// What the other side said when it refused the credential itself; nobody asks again before `asking_until`.
    pub refused: Option<String>,
}

impl Event for TokenState {
    const KIND: &'static str = "TokenState";
}

/// Whether the writers of a target have stopped because too much was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopState {
    /// They have.
    pub stopped: bool,
    /// Why, or why they go on again.
    pub reason: String,
    /// Who said so: a writer, or a person.
    pub by: String,
    /// When.
    pub at: Micros,
}

impl Event for StopState {
    const KIND: &'static str = "StopState";
}

/// The processes that run a stage as a service, or that ended without having been asked to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceState {
    /// By the name that each gives itself.
    pub members: BTreeMap<String, ServiceMember>,
}

/// One process that runs a stage as a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceMember {
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When it noted last that it runs, in microseconds since the Unix epoch.
    pub seen_at: Micros,
}

impl Event for ServiceState {
    const KIND: &'static str = "ServiceState";
}

/// When the runs of a command that somebody starts again and again, as cron does, ended well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsState {
    /// The newest dozen, oldest first, in microseconds since the Unix epoch.
    pub ended_well: Vec<Micros>,
}

impl Event for RunsState {
    const KIND: &'static str = "RunsState";
}

/// Whether a person has paused a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseState {
    /// They have.
    pub paused: bool,
    /// Why, or why it goes on again.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When, in microseconds since the Unix epoch.
    pub at: Micros,
}

impl Event for PauseState {
    const KIND: &'static str = "PauseState";
}
