//! Which version of the mapping may be used: the transformers agree on it in STATE. A new version is tried beside the one
//! before, and one that would leave fields empty waits for a person.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::{MappingHold, MappingState, MappingText, Payload, now};
use journal::{Cell, Journal, JournalError, Topology};
use mapping::Plan;
use service::Config;
use tokio::time::Instant;

use crate::mapping_file::{MappingFile, compile};
use crate::newest::newest_orders;
use crate::trial::{TRIED_ORDERS, Trial, try_beside};

/// Where the transformers agree.
#[derive(Debug)]
pub(crate) struct Agreement {
    config: Config,
    journal: Journal,
    names: Topology,
    cell: Cell,
    /// When a version was tried last.
    tried: Mutex<Option<Instant>>,
}

/// A version that is held is tried again after this time: orders may have come that fill its fields.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Whether a mapping file may be used.
#[derive(Debug)]
pub(crate) enum Decision {
    /// It may.
    Use,
    /// It waits for a person, and this mapping goes on.
    Wait {
        /// The mapping that goes on.
        instead: Arc<Plan>,
        /// Why, in one line.
        why: String,
    },
}

/// Why it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The file is new: what was held before it is not wanted any more.
    NewFile,
    /// The file is held, and somebody may have accepted it, or orders may have come that show that it is sound.
    Again,
}

impl Decision {
    /// The mapping that is in use by this decision.
    pub(crate) fn plan(&self, file: &MappingFile) -> Arc<Plan> {
        match self {
            Self::Use => Arc::clone(&file.plan),
            Self::Wait { instead, .. } => Arc::clone(instead),
        }
    }
}

impl Agreement {
    pub(crate) fn new(config: &Config, journal: Journal, names: Topology) -> Self {
        let cell = Cell::new(journal.clone(), names.clone(), names.mapping());
        Self { config: config.clone(), journal, names, cell, tried: Mutex::new(None) }
    }

    /// Decides whether a mapping file may be used, and has the others know.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn decide(
        &self,
        file: &MappingFile,
        occasion: Occasion,
    ) -> Result<Decision, JournalError> {
        let version = file.plan.version();
        loop {
            let (mut state, seq) = self.cell.get::<MappingState>().await?;
            let before = state.clone();
            let decision = if state.is_accepted(version) {
                Decision::Use
            } else {
                self.examine(&mut state, file).await?
            };
            let is_new = state.current.as_ref().is_none_or(|current| current.version != version);
            if matches!(decision, Decision::Use) && (is_new || state.is_held(version)) {
                state.put_in_use(kept(file));
            }
            if occasion == Occasion::NewFile && !state.is_held(version) {
                state.held = None;
            }
            if state == before {
                return Ok(decision);
            }
            match self.cell.set(&state, seq).await {
                Ok(_) => return Ok(decision),
                Err(JournalError::Conflict { .. }) => {} // another transformer was faster
                Err(error @ JournalError::NotPermitted { .. }) => {
                    return Ok(Self::alone(decision, &service::chain(&error)));
                }
                Err(error) if error.is_about_the_record() => {
                    return Ok(Self::alone(decision, &service::chain(&error)));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether a version is held; nothing is decided about it.
    ///
    /// # Errors
    /// When the server does not answer.
    pub(crate) async fn known(&self, file: &MappingFile) -> Result<Decision, JournalError> {
        let (state, _) = self.cell.get::<MappingState>().await?;
        let hold = state.held.as_ref().filter(|hold| hold.mapping.version == file.plan.version());
        Ok(match (hold, self.plan_in_use(&state)) {
            (Some(hold), Some(instead)) => Decision::Wait { instead, why: why(hold) },
            _ => Decision::Use,
        })
    }

    /// Tries a version that nobody has accepted beside the one in use.
    async fn examine(&self, state: &mut MappingState, file: &MappingFile) -> Result<Decision, JournalError> {
        // Without a mapping before, or with one that this build does not understand, there is nothing to compare with.
        let Some(instead) = self.plan_in_use(state) else { return Ok(Decision::Use) };
        let held = state.held.as_ref().filter(|hold| hold.mapping.version == file.plan.version()).map(why);
        if let Some(why) = &held
            && !self.is_due()
        {
            return Ok(Decision::Wait { instead, why: why.clone() });
        }
        let orders = newest_orders(&self.journal, &self.names, TRIED_ORDERS).await?;
        let trial = try_beside(&instead, &file.plan, &orders);
        match (trial, held) {
            // What is held already is held for what it was held for first.
            (Trial::Empties { .. } | Trial::TooFew, Some(why)) => Ok(Decision::Wait { instead, why }),
            (Trial::Empties { orders, fields }, None) => {
                let hold = MappingHold {
                    mapping: kept(file),
                    instead: instead.version().to_string(),
                    orders,
                    fields,
                };
                let why = why(&hold);
                state.held = Some(hold);
                Ok(Decision::Wait { instead, why })
            }
            (Trial::Fills, _) | (Trial::TooFew, None) => Ok(Decision::Use),
        }
    }

    /// Whether it is time to try a held version again; then it counts as tried.
    fn is_due(&self) -> bool {
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = tried.is_none_or(|last| last.elapsed() >= TRY_AGAIN);
        if is_due {
            *tried = Some(Instant::now());
        }
        is_due
    }

    fn plan_in_use(&self, state: &MappingState) -> Option<Arc<Plan>> {
        let text = String::from_utf8(state.current.as_ref()?.text.unpack().ok()?).ok()?;
        compile(&self.config, &text).ok().map(Arc::new)
    }

    /// What is done when a decision cannot be stored: a version that is held here alone could not be accepted by anybody.
    fn alone(decision: Decision, error: &str) -> Decision {
        let held = matches!(decision, Decision::Wait { .. });
        tracing::warn!(
            error,
            held,
            "which mapping is in use cannot be stored, so a new one is used without a look at what it leaves empty"
        );
        Decision::Use
    }
}

fn kept(file: &MappingFile) -> MappingText {
    let (version, text) = (file.plan.version().to_string(), Payload::pack(file.text.as_bytes()));
    MappingText { version, text, since: now() }
}

/// Why a version is held, and what to do, in one line.
fn why(hold: &MappingHold) -> String {
    let version = &hold.mapping.version;
    let fields: Vec<String> =
        hold.fields.iter().map(|field| format!("{} (in {} before)", field.field, field.had)).collect();
    format!(
        "version {version} is held: of the last {} orders none would have {}; `orderflow map accept {version} --execute \
         --reason \"...\"` puts it in use",
        hold.orders,
        fields.join(", ")
    )
}
