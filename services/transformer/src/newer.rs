//! Whether a newer state of an order has been read since it failed.
//!
//! The ledger of a target decides that for everything that is mapped, by the version that the mapping reads. A mapping that
//! reads key or version otherwise than the one before makes versions that cannot be compared with those the target holds:
//! then the states themselves are compared, under one mapping, before an old one is tried again.

use std::collections::{HashMap, HashSet};

use events::{Listing, Origin};
use futures::StreamExt;
use journal::{JournalError, StoredPage};
use mapping::{Identity, Outcome, Plan};
use serde_json::value::RawValue;

use crate::page::Pages;
use crate::row::no_later;

/// An order that failed, as the mapping in use reads it.
pub(crate) struct Failed {
    /// The sequence of its letter.
    pub(crate) letter: u64,
    pub(crate) origin: Origin,
    pub(crate) identities: Vec<Identity>,
}

/// What a row is: one key, or those of its elements.
pub(crate) fn identities(plan: &Plan, row: &RawValue) -> Vec<Identity> {
    if !plan.is_by_element() {
        return vec![plan.identify(row)];
    }
    match plan.map(row) {
        Ok(Outcome::Records(records)) => records.into_iter().map(|mapped| mapped.identity).collect(),
        _ => Vec::new(),
    }
}

impl Pages {
    /// The letters whose orders have a newer state in RAW. Reads RAW from the oldest of them on.
    pub(crate) async fn superseded(
        &self,
        plan: &Plan,
        failed: &[Failed],
    ) -> Result<HashSet<u64>, JournalError> {
        let mut superseded = HashSet::new();
        let Some(oldest) = failed.iter().map(|failed| failed.origin.raw_seq).min() else {
            return Ok(superseded);
        };
        let mut wanted: HashMap<&str, Vec<(&Failed, Option<i64>)>> = HashMap::new();
        for failed in failed {
            for identity in &failed.identities {
                if let Some(key) = &identity.key {
                    wanted.entry(key).or_default().push((failed, identity.version));
                }
            }
        }
        let mut pages = self.journal.pages(&self.names, oldest..).await?;
        while let Some(page) = pages.next().await {
            let stored = match page {
                Ok(stored) => stored,
                Err(error) if error.is_retryable() => return Err(error),
                Err(_) => continue, // no page: nothing in it is newer
            };
            let latest = Some(self.latest(stored.stored_at));
            for (row, identity) in rows(plan, &stored) {
                let version = no_later(identity.version, latest);
                for (failed, before) in
                    identity.key.iter().filter_map(|key| wanted.get(key.as_str())).flatten()
                {
                    let (here, there) = ((stored.seq, row), (failed.origin.raw_seq, failed.origin.row));
                    if here != there && (version, here) > (*before, there) {
                        superseded.insert(failed.letter);
                    }
                }
            }
        }
        Ok(superseded)
    }
}

/// What the rows of a page are; none of one that cannot be read.
fn rows(plan: &Plan, stored: &StoredPage) -> Vec<(u32, Identity)> {
    let (Ok(body), Ok(details)) = (stored.page.body.unpack(), stored.page.unpack_details()) else {
        return Vec::new();
    };
    let news = okki::news(&stored.page, &body, &details).unwrap_or_default();
    let of = |(at, row): (u32, &RawValue)| {
        let all = match stored.page.listing {
            Listing::Orders => identities(plan, row),
            // A row that is no deletion says nothing of its order.
            Listing::Deleted if !plan.is_deletion(row).unwrap_or(false) => Vec::new(),
            Listing::Deleted => vec![plan.identify_deleted(row)],
        };
        all.into_iter().map(move |identity| (at, identity)).collect::<Vec<_>>()
    };
    news.rows.into_iter().flat_map(of).collect()
}
