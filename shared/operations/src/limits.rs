//! Limits of the storage that are near: what is stored next may be refused, and a flow that cannot
//! store stands still.

use std::path::Path;

use events::Finding;
use journal::{Journal, JournalError, StorageUse, Topology, disk_use};
use schemars::JsonSchema;
use serde::Serialize;

/// A limit, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct LimitNear {
    /// What has it: `stream <name>`, `account` or `disk`.
    pub what: String,
    /// How much is used.
    pub used: u64,
    /// How much there may be.
    pub limit: u64,
    /// What is counted: `bytes` or `messages`.
    pub unit: &'static str,
}

impl LimitNear {
    /// The name of the condition.
    pub fn id(&self) -> String {
        format!("limit:{}", self.what.replace(' ', ":"))
    }

    /// What people are told.
    pub fn finding(&self) -> Finding {
        let Self { what, used, limit, unit } = self.clone();
        Finding::LimitNear { what, used, limit, unit: unit.into() }
    }
}

/// Whether so much of a limit is used that people want to know: `percent` of it or more; never when
/// that is 0.
pub fn is_near(used: u64, limit: u64, percent: u8) -> bool {
    percent > 0 && limit > 0 && u128::from(used) * 100 >= u128::from(limit) * u128::from(percent)
}

/// The limits of the streams of a flow, and of the account that they are in, of which `percent` or
/// more is used.
///
/// # Errors
/// When the server does not answer.
pub async fn limits(
    journal: &Journal,
    names: &Topology,
    percent: u8,
) -> Result<Vec<LimitNear>, JournalError> {
    let all = journal.storage_use(names).await?;
    Ok(near(all, percent))
}

fn near(all: Vec<StorageUse>, percent: u8) -> Vec<LimitNear> {
    let near = all.into_iter().filter(|one| is_near(one.used, one.limit, percent));
    near.map(|StorageUse { what, used, limit, unit }| LimitNear { what, used, limit, unit }).collect()
}

/// The disk under a folder, for the folder of our own server, when `percent` or more of it is used.
///
/// # Errors
/// When the folder cannot be asked for.
pub fn disk(folder: &Path, percent: u8) -> std::io::Result<Option<LimitNear>> {
    Ok(near(vec![disk_use(folder)?], percent).pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_near_from_its_share_on() {
        for (used, limit, percent, expected) in [
            (79, 100, 80, false),
            (80, 100, 80, true),
            (101, 100, 80, true),
            (100, 100, 0, false),
            (5, 0, 80, false),
            (u64::MAX - 1, u64::MAX, 100, false),
            (u64::MAX, u64::MAX, 100, true),
        ] {
            assert_eq!(is_near(used, limit, percent), expected, "{used} of {limit}, {percent} %");
        }
    }

    #[test]
    fn a_near_limit_has_a_name_of_its_own() {
        let of = |what: &str, used| StorageUse { what: what.into(), used, limit: 100, unit: "bytes" };
        let found = near(vec![of("stream f-RAW", 90), of("stream f-DEAD", 9), of("account", 80)], 80);
        let ids: Vec<String> = found.iter().map(LimitNear::id).collect();
        assert_eq!(ids, ["limit:stream:f-RAW", "limit:account"]);
    }

    #[test]
    fn a_disk_is_told_from_the_share_that_is_asked_for() {
        let folder = std::env::temp_dir();
        let disk_near = |percent| disk(&folder, percent).expect("a folder");
        assert_eq!(disk_near(0), None);
        let found = disk_near(1).expect("every disk holds something");
        assert!(found.used <= found.limit && found.what == "disk", "{found:?}");
        assert!(disk(Path::new("/no/such/folder"), 80).is_err());
    }
}
