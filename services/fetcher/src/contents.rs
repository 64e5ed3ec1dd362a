//! What is in RAW already: a row that is read again and has not changed is not published again, so that overlaps, sweeps
//! and second looks cost nothing downstream. Folded from the PageFetched events of SYNC.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use events::{ContentHash, Listing, PageFetched, PagePartFetched};

/// What was read last of each order: 24 bytes each, plus what a map needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    known: HashMap<u64, Known>,
    /// How many of them are orders, and not deletions.
    orders: u64,
}

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
            let lives = u32::try_from(at).is_ok_and(|at| page.living.binary_search(&at).is_ok());
            if lives && *row == 0 {
                continue; // to be looked at again whenever it is listed
            }
            let detail = page.details.get(at).copied().unwrap_or(0);
            self.note_row(listing, id, Known { row: *row, detail }, lives);
        }
    }

    /// Takes note of some rows of a page.
    pub(crate) fn note_part(&mut self, part: &PagePartFetched) {
        let rows = part.ids.iter().zip(&part.contents).zip(&part.details);
        for ((id, row), detail) in rows {
            // Only orders have details.
            self.note_row(Listing::Orders, id, Known { row: *row, detail: *detail }, false);
        }
    }

    /// Takes note of a row; a detail of 0 is one that was not fetched.
    fn note_row(&mut self, listing: Listing, id: &str, read: Known, lives: bool) {
        let key = key(listing, id);
        let before = self.known.get(&key).filter(|known| known.row == read.row).copied();
        let detail = match (read.detail, before) {
            (0, before) => before.map_or(0, |known| known.detail),
            (detail, _) => detail,
        };
        if before.is_none() && !lives {
            // An order that was deleted and comes back as it was is news again, and so is a second
            // deletion.
            let other = self.known.remove(&(key ^ 1));
            self.orders -= u64::from(other.is_some() && listing == Listing::Deleted);
        }
        let first = self.known.insert(key, Known { row: read.row, detail }).is_none();
        self.orders += u64::from(first && listing == Listing::Orders);
    }

    pub(crate) fn get(&self, listing: Listing, id: &str) -> Option<Known> {
        self.known.get(&key(listing, id)).copied()
    }

    /// How many orders were read, and not deleted since.
    pub(crate) fn orders(&self) -> u64 {
        self.orders
    }
}

/// 64 bits of a hash of all that is on a page; none for one without rows, or without what tells them apart.
pub(crate) fn fingerprint(page: &PageFetched) -> Option<u64> {
    let is_whole = !page.ids.is_empty() && page.contents.len() == page.ids.len();
    // A row of an order that is gone, or lives, is not known by its bytes.
    let is_whole = is_whole && !page.contents.contains(&0);
    let mut hasher = blake3::Hasher::new();
    for (id, row) in page.ids.iter().zip(&page.contents) {
        hasher.update(id.as_bytes());
        hasher.update(&row.to_le_bytes());
    }
    let mut first = [0_u8; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    is_whole.then(|| u64::from_le_bytes(first))
}

/// A hash of the ids on a page; none when there are none.
pub(crate) fn hash_of_ids(page: &PageFetched) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    page.ids.hash(&mut hasher);
    (!page.ids.is_empty()).then(|| hasher.finish())
}

/// Names the first order that a page lists more than once.
pub(crate) fn find_twice(page: &PageFetched) -> Option<String> {
    let mut seen = HashSet::with_capacity(page.ids.len());
    let id = page.ids.iter().find(|id| !seen.insert(id.as_str()))?;
    let shown: String = id.chars().take(64).collect();
    Some(format!("; page {} lists the order {shown} more than once", page.page))
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

/// The longest id that is recorded as it is, in bytes: with ten thousand rows on a page, all of them fit into one message.
const LONGEST_NAME: usize = 64;

/// What a row is called in the records of its page: its id, or a hash of one that is very long.
pub(crate) fn name_of(id: &str) -> String {
    if id.len() <= LONGEST_NAME { id.to_string() } else { format!("hash:{}", ContentHash::of(id.as_bytes())) }
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
            living: Vec::new(),
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

    #[test]
    fn an_id_is_found_by_the_name_that_is_recorded_of_it() {
        let long = "9".repeat(LONGEST_NAME + 1);
        let mut contents = Contents::default();
        let ids = vec![name_of("1"), name_of(&long)];
        contents.note(Listing::Orders, &PageFetched { ids, ..page(vec![5, 6], vec![]) });
        let row = |id: &str| contents.get(Listing::Orders, &name_of(id)).map(|known| known.row);
        assert_eq!((row("1"), row(&long)), (Some(5), Some(6)));
        assert_eq!(contents.get(Listing::Orders, &long), None, "only a hash of it is recorded");
    }
}
