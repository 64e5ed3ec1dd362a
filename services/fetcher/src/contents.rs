//! What is in RAW already: a row that is read again and has not changed is not published again, so that overlaps, sweeps
//! and second looks cost nothing downstream. Folded from the PageFetched events of SYNC.

use std::collections::HashMap;

use events::{Listing, PageFetched};

/// What was read last of each order: 24 bytes each, plus what a map needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents(HashMap<u64, Known>);

/// What was read last of one order, as hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    /// Its row in the list.
    pub(crate) row: u64,
    /// Its detail; 0 when none was fetched.
    pub(crate) detail: u64,
}

impl Contents {
    /// Takes note of a page.
    pub(crate) fn note(&mut self, listing: Listing, page: &PageFetched) {
        for (at, (id, row)) in page.ids.iter().zip(&page.contents).enumerate() {
            let key = key(listing, id);
            let before = self.0.get(&key).filter(|known| known.row == *row).copied();
            let detail = match (page.details.get(at), before) {
                (None | Some(0), before) => before.map_or(0, |known| known.detail),
                (Some(detail), _) => *detail,
            };
            if before.is_none() {
                // An order that was deleted and comes back as it was is news again, and so is a second deletion.
                self.0.remove(&(key ^ 1));
            }
            self.0.insert(key, Known { row: *row, detail });
        }
    }

    pub(crate) fn get(&self, listing: Listing, id: &str) -> Option<Known> {
        self.0.get(&key(listing, id)).copied()
    }
}

/// 64 bits of an order's id. Two orders with the same ones only make each other look changed.
fn key(listing: Listing, id: &str) -> u64 {
    hash(id.as_bytes()) ^ u64::from(listing == Listing::Deleted)
}

/// 64 bits of a hash of some content; never 0, which means "none".
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut first = [0_u8; 8];
    first.copy_from_slice(&blake3::hash(bytes).as_bytes()[..8]);
    u64::from_le_bytes(first).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::WindowId;

    fn page(contents: Vec<u64>, details: Vec<u64>) -> PageFetched {
        PageFetched {
            window: WindowId::live(1),
            pass: 1,
            page: 1,
            raw_seq: 1,
            total: 2,
            ids: vec!["1".into(), "2".into()],
            slice: None,
            contents,
            details,
            gone: Vec::new(),
            source_now: None,
            read_at: None,
        }
    }

    #[test]
    fn the_last_reading_counts_and_a_detail_outlives_a_reading_without_one() {
        let mut contents = Contents::default();
        contents.note(Listing::Orders, &page(vec![5, 6], vec![7, 0]));
        contents.note(Listing::Orders, &page(vec![5, 6], vec![]));
        assert_eq!(contents.get(Listing::Orders, "1"), Some(Known { row: 5, detail: 7 }));
        contents.note(Listing::Orders, &page(vec![8, 6], vec![]));
        assert_eq!(
            contents.get(Listing::Orders, "1"),
            Some(Known { row: 8, detail: 0 }),
            "another row, another order"
        );
        assert_eq!(contents.get(Listing::Orders, "2"), Some(Known { row: 6, detail: 0 }));
        assert_eq!(contents.get(Listing::Deleted, "1"), None, "a deletion is another thing");
        contents.note(Listing::Deleted, &page(vec![9, 9], vec![]));
        assert_eq!(contents.get(Listing::Orders, "1"), None, "should it come back as it was, that is news");
    }
}
