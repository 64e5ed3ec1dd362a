//! Which receipts of each partition cannot be stored: known for as long as the writer runs, also while others hold the partition.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use journal::StorageTrouble;

/// The storage troubles of a writer, by partition. A partition that is handed over and comes back meets the receipts that still
/// wait from before: until they are stored, it sends nothing.
#[derive(Debug)]
pub(crate) struct PartitionTroubles {
    whole: StorageTrouble,
    parts: Mutex<HashMap<u16, StorageTrouble>>,
}

impl PartitionTroubles {
    pub(crate) fn new(whole: StorageTrouble) -> Self {
        Self { whole, parts: Mutex::default() }
    }

    /// The trouble of a partition: the same each time.
    pub(crate) fn of(&self, partition: u16) -> StorageTrouble {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.entry(partition).or_insert_with(|| self.whole.of_part()).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_that_comes_back_knows_what_waits() {
        let whole = StorageTrouble::default();
        let troubles = PartitionTroubles::new(whole.clone());
        let waiting = troubles.of(3).begin();
        assert!(!troubles.of(3).is_clear() && !whole.is_clear());
        assert!(troubles.of(4).is_clear(), "no other partition waits");
        drop(waiting);
        assert!(troubles.of(3).is_clear() && whole.is_clear());
    }
}
