//! `[schedule.deleted]`: the pass over deletions.

use serde::Deserialize;

use super::Span;

/// `[schedule.deleted]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deleted {
    /// How often.
    #[serde(default = "ten_minutes")]
    pub every: Span,
    /// What differs from `source.request`.
    #[serde(default = "deleted_request")]
    pub request: toml::Table,
    /// As `source.time_field`, of a row of a deleted order.
    #[serde(default)]
    pub time_field: Option<String>,
    /// What is true of a row whose order is deleted, in the language of the mapping; absent: of every row.
    #[serde(default)]
    pub when: Option<String>,
    /// The share of the orders known that the first pass may delete.
    #[serde(default = "a_fifth")]
    pub max_share: f64,
}

fn ten_minutes() -> Span {
    Span::from(std::time::Duration::from_secs(600))
}
fn a_fifth() -> f64 {
    0.2
}
fn deleted_request() -> toml::Table {
    [("removed", 1), ("time_type", 4)].into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}
