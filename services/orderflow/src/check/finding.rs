//! One thing that is found in the files: where, what stands there, and what is expected.

use schemars::JsonSchema;
use serde::Serialize;

/// How sure it is that a finding is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// It cannot work.
    Problem,
    /// It is probably not meant.
    Warning,
}

/// One thing that is found. Nothing in it is a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// How sure it is.
    pub level: FindingLevel,
    /// The file, with the line where that is known.
    pub file: String,
    /// The key.
    pub key: String,
    /// What stands there, and what comes of it.
    pub found: String,
    /// What is expected.
    pub expected: String,
}

impl Finding {
    /// Whether it cannot work.
    pub fn is_problem(&self) -> bool {
        self.level == FindingLevel::Problem
    }

    /// The line for a person.
    pub fn text(&self) -> String {
        let what = t!(
            "%{file}: %{key}: found %{found}, expected %{expected}",
            file = self.file,
            key = self.key,
            found = self.found,
            expected = self.expected
        );
        match self.level {
            FindingLevel::Problem => t!("problem: %{what}", what = what),
            FindingLevel::Warning => t!("warning: %{why}", why = what),
        }
        .into()
    }
}
