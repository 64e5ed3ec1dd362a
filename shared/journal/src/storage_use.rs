//! How much of what may be stored is stored, where there is a limit.

use std::path::Path;

use async_nats::jetstream::account::Limits;

use crate::{Journal, JournalError, Stream, Topology};

/// A limit of the storage, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageUse {
    /// What has it: `stream <name>`, `account` or `disk`.
    pub what: String,
    /// How much is used.
    pub used: u64,
    /// How much there may be.
    pub limit: u64,
    /// What is counted: `bytes` or `messages`.
    pub unit: &'static str,
}

impl Journal {
    /// Every limit of the streams of a flow and of their account.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn storage_use(&self, topology: &Topology) -> Result<Vec<StorageUse>, JournalError> {
        let mut all = Vec::new();
        for stream in Stream::ALL {
            let name = topology.stream(stream);
            let found = self.jetstream().get_stream(&name).await;
            let found = found.map_err(|error| self.unavailable(format!("tell the size of {name}"), error))?;
            let (config, state) = (&found.cached_info().config, &found.cached_info().state);
            let what = format!("stream {name}");
            all.extend(of_limit(&what, state.bytes, config.max_bytes, "bytes"));
            all.extend(of_limit(&what, state.messages, config.max_messages, "messages"));
        }
        let account = self.jetstream().query_account().await;
        let account = account.map_err(|error| self.unavailable("tell the limits of the account", error))?;
        let storage = |limits: &Limits| limits.max_storage.unwrap_or(-1);
        all.extend(of_limit("account", account.storage, storage(&account.limits), "bytes"));
        for tier in account.tiers.values() {
            all.extend(of_limit("account", tier.storage, storage(&tier.limits), "bytes"));
        }
        Ok(all)
    }
}

/// How full the disk under a folder is: for the folder of our own server. What is kept for root
/// counts as used.
///
/// # Errors
/// When the folder cannot be asked for.
pub fn disk_use(folder: &Path) -> std::io::Result<StorageUse> {
    let found = rustix::fs::statvfs(folder)?;
    let limit = found.f_blocks.saturating_mul(found.f_frsize);
    let used = limit.saturating_sub(found.f_bavail.saturating_mul(found.f_frsize));
    Ok(StorageUse { what: "disk".into(), used, limit, unit: "bytes" })
}

/// A limit as NATS has it: none when it is not above 0.
fn of_limit(what: &str, used: u64, limit: i64, unit: &'static str) -> Option<StorageUse> {
    let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0)?;
    Some(StorageUse { what: what.to_string(), used, limit, unit })
}
