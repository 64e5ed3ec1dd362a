//! Why nothing moves at a target, as its writers say themselves.

use events::{Stage, TargetName};
use journal::{Journal, JournalError, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::instances::instances;
use crate::resume::stopped;

/// What keeps orders from a target.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Hindrance {
    /// The target.
    pub target: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: HindranceKind,
}

/// The kinds of a [`Hindrance`].
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case", tag = "hindrance")]
pub enum HindranceKind {
    /// No writer answered: none runs, or it did not answer in time.
    NoWriter,
    /// The writers have stopped because too much was refused, and wait for a person.
    Stopped {
        /// Why.
        reason: String,
    },
    /// The writers wait until the target is well again.
    LeftAlone {
        /// Why.
        reason: String,
    },
}

impl Hindrance {
    /// Whether it lasts until a person does something.
    pub fn needs_a_person(&self) -> bool {
        !matches!(self.kind, HindranceKind::LeftAlone { .. })
    }
}

/// What keeps orders from these targets at the moment; nothing for those that are written to.
///
/// # Errors
/// When the server does not answer.
pub async fn hindrances(
    journal: &Journal,
    names: &Topology,
    targets: &[&str],
) -> Result<Vec<Hindrance>, JournalError> {
    let writers: Vec<_> =
        instances(journal, names, Stage::Write).await.into_iter().filter_map(|one| one.writing).collect();
    let mut found = Vec::new();
    for name in targets {
        let stop = stopped(journal, names, &TargetName::new(*name)).await?;
        let mut here = writers.iter().filter(|writing| writing.target.as_str() == *name).peekable();
        let kind = match (stop, here.peek().is_some()) {
            (Some(stop), _) => Some(HindranceKind::Stopped { reason: stop.reason }),
            (None, false) => Some(HindranceKind::NoWriter),
            (None, true) => here
                .find_map(|writing| writing.trouble.clone())
                .map(|reason| HindranceKind::LeftAlone { reason }),
        };
        found.extend(kind.map(|kind| Hindrance { target: (*name).to_string(), kind }));
    }
    Ok(found)
}
