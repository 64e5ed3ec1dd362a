//! Which letters a command is about.

use clap::{Args, ValueEnum};
use events::TargetName;
use operations::Selection;

/// Flags that choose letters: those that all of them are true of.
#[derive(Debug, Args)]
pub struct Select {
    /// Letters by their numbers.
    #[arg(value_name = "LETTER")]
    pub letters: Vec<u64>,
    /// Those of one group: its fingerprint, or how that begins (`dead groups` shows them).
    #[arg(long, value_name = "FINGERPRINT")]
    pub group: Option<String>,
    /// Those of one stage.
    #[arg(long)]
    pub stage: Option<StageName>,
    /// Those of one kind, for example refused.
    #[arg(long)]
    pub kind: Option<String>,
    /// Those of one target.
    #[arg(long)]
    pub target: Option<String>,
    /// Those about the order with this key (the key of the mapping, not the number people use).
    #[arg(long)]
    pub key: Option<String>,
}

/// A stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StageName {
    /// Source to RAW.
    Fetch,
    /// RAW to MAPPED.
    Transform,
    /// MAPPED to a target.
    Write,
}

impl Select {
    /// The same, for the streams.
    pub fn selection(&self, closed: bool) -> Selection {
        Selection {
            letters: self.letters.clone(),
            group: self.group.clone(),
            stage: self.stage.map(|stage| match stage {
                StageName::Fetch => events::Stage::Fetch,
                StageName::Transform => events::Stage::Transform,
                StageName::Write => events::Stage::Write,
            }),
            kind: self.kind.clone(),
            target: self.target.as_ref().map(TargetName::new),
            keys: self.key.iter().cloned().collect(),
            closed,
        }
    }

    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        let Self { letters, group, stage, kind, target, key } = self;
        letters.is_empty()
            && group.is_none()
            && stage.is_none()
            && kind.is_none()
            && target.is_none()
            && key.is_none()
    }
}
