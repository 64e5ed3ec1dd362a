//! Pages of a window of orders.
//!
//! The common window (live orders by update time) is a slice of the index and costs the same on every page. The rare
//! ones are collected once and kept until an order changes.

use std::sync::{Arc, Mutex};

use super::{Book, Row};
use crate::civil::Seconds;
use crate::draw::{Draw, in_share};
use crate::lock::lock;

/// Which of an order's times a window is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeType {
    Update,
    Create,
    Order,
    Delete,
}

/// Which orders are meant, whatever the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) time: TimeType,
    /// `true`: only deleted orders; `false`: only live ones.
    pub(crate) removed: bool,
    /// Beside deleted ones, live ones too, by their update time.
    pub(crate) and_living: bool,
    /// First and last second, both included.
    pub(crate) start: Seconds,
    pub(crate) end: Seconds,
    /// Share of the orders (0..1) that are not visible yet.
    pub(crate) hidden: f64,
}

impl Window {
    /// Whether its orders are a slice of the index.
    fn is_indexed(&self) -> bool {
        self.time == TimeType::Update && !self.removed && self.hidden <= 0.0
    }
}

/// How many rows stand before a page (numbered from 1).
fn rows_before(page: u64, size: u32) -> usize {
    usize::try_from((page - 1).saturating_mul(u64::from(size))).unwrap_or(usize::MAX)
}

/// The window collected last.
#[derive(Default)]
pub(crate) struct Collected(Mutex<Option<Kept>>);

struct Kept {
    version: u64,
    window: Window,
    indexes: Arc<Vec<u32>>,
}

impl Book {
    /// The rows of one page (numbered from 1) and how many orders the whole window has.
    pub(crate) fn page(
        &self,
        window: Window,
        page: u64,
        size: u32,
        collected: &Collected,
    ) -> (Vec<Row>, u64) {
        let (first, size) = (rows_before(page, size), size as usize);
        if window.is_indexed() {
            let live = self.live_between(window.start, window.end);
            let rows = live.iter().skip(first).take(size).map(|(_, index)| self.row(*index));
            return (rows.collect(), live.len() as u64);
        }
        let indexes = self.collected(window, collected);
        let rows = indexes.iter().skip(first).take(size).map(|index| self.row(*index));
        (rows.collect(), indexes.len() as u64)
    }

    /// As [`page`](Self::page), with the window's rows in the order that belongs to this number.
    pub(crate) fn shuffled_page(
        &self,
        window: Window,
        page: u64,
        size: u32,
        collected: &Collected,
        number: u64,
    ) -> (Vec<Row>, u64) {
        let mut indexes = if window.is_indexed() {
            self.live_between(window.start, window.end).iter().map(|(_, index)| *index).collect()
        } else {
            self.collected(window, collected).to_vec()
        };
        let first = rows_before(page, size).min(indexes.len());
        let end = first.saturating_add(size as usize).min(indexes.len());
        let mut draw = Draw::new(self.generator.seed ^ (6 << 48), number);
        // What lies behind the page need not be shuffled to the end.
        for position in 0..end {
            let rest = (indexes.len() - position) as u64;
            indexes.swap(position, position + usize::try_from(draw.below(rest)).unwrap_or(0));
        }
        (indexes[first..end].iter().map(|index| self.row(*index)).collect(), indexes.len() as u64)
    }

    /// The live order that was updated first.
    pub(crate) fn first_live(&self) -> Option<u32> {
        self.live.first().map(|(_, index)| *index)
    }

    /// Live orders updated from `start` to `end`, both included, by (update time, id).
    pub(crate) fn live_between(&self, start: Seconds, end: Seconds) -> &[(Seconds, u32)] {
        let from = self.live.partition_point(|(time, _)| *time < start);
        let to = self.live.partition_point(|(time, _)| *time <= end).max(from);
        &self.live[from..to]
    }

    fn collected(&self, window: Window, collected: &Collected) -> Arc<Vec<u32>> {
        let mut kept = lock(&collected.0);
        match &*kept {
            Some(kept) if kept.version == self.version && kept.window == window => Arc::clone(&kept.indexes),
            _ => {
                let indexes = Arc::new(self.collect(window));
                let version = self.version;
                *kept = Some(Kept { version, window, indexes: Arc::clone(&indexes) });
                indexes
            }
        }
    }

    /// Whether an order is among the hidden share.
    pub(crate) fn is_hidden(&self, index: u32, share: f64) -> bool {
        share > 0.0 && in_share(self.key(index).stable_hash() ^ self.generator.seed, share)
    }

    fn collect(&self, window: Window) -> Vec<u32> {
        let time_of = |index: u32| {
            let entry = self.entry(index);
            match window.time {
                TimeType::Update => Some(entry.times.updated),
                TimeType::Create => Some(entry.times.created),
                TimeType::Order => Some(entry.times.ordered),
                TimeType::Delete if window.and_living => entry.deleted.or(Some(entry.times.updated)),
                TimeType::Delete => entry.deleted,
            }
        };
        let candidates: Box<dyn Iterator<Item = u32>> = if window.removed {
            let living = self.live.iter().map(|(_, index)| *index).filter(move |_| window.and_living);
            Box::new(self.removed.iter().copied().chain(living))
        } else {
            Box::new(self.live.iter().map(|(_, index)| *index))
        };
        let mut found: Vec<u32> = candidates
            .filter(|index| time_of(*index).is_some_and(|time| (window.start..=window.end).contains(&time)))
            .filter(|index| !self.is_hidden(*index, window.hidden))
            .collect();
        if window.time == TimeType::Delete {
            // Those of one second stay in the order they were deleted in: a later deletion is on a later page.
            found.sort_by_key(|index| self.entry(*index).deleted);
            return found;
        }
        found.sort_by(|index, other| {
            // Keys are compared only between orders of one second.
            let times = self.entry(*index).times.updated.cmp(&self.entry(*other).times.updated);
            times.then_with(|| self.key(*index).cmp(&self.key(*other)))
        });
        found
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::options::Orders;
    use crate::orders::change::Change;

    const ALL: Window = Window {
        time: TimeType::Update,
        removed: false,
        and_living: false,
        start: Seconds::MIN,
        end: Seconds::MAX,
        hidden: 0.0,
    };

    fn read(book: &Book, window: Window, size: u32) -> Vec<u32> {
        let collected = Collected::default();
        let mut indexes = Vec::new();
        for page in 1.. {
            let (rows, total) = book.page(window, page, size, &collected);
            if rows.is_empty() {
                assert_eq!(total, indexes.len() as u64);
                return indexes;
            }
            indexes.extend(rows.iter().map(|row| book.find(&row.key).unwrap()));
        }
        unreachable!()
    }

    #[test]
    fn pages_cover_every_order_once_in_order() {
        let book = Book::load(&Orders::Generated { count: 1003 }, 1).unwrap();
        for time in [TimeType::Update, TimeType::Create, TimeType::Order] {
            let read = read(&book, Window { time, ..ALL }, 100);
            let times =
                read.iter().map(|index| (book.entry(*index).times.updated, *index)).collect::<Vec<_>>();
            assert_eq!(read.len(), 1003);
            assert!(times.is_sorted(), "{time:?}");
        }
        assert!(read(&book, Window { time: TimeType::Delete, ..ALL }, 100).is_empty());
    }

    #[test]
    fn a_window_includes_both_its_ends() {
        let book = Book::load(&Orders::Generated { count: 100 }, 1).unwrap();
        let (start, end) = (book.live[10].0, book.live[19].0);
        assert_eq!(read(&book, Window { start, end, ..ALL }, 7).len(), 10);
        assert!(read(&book, Window { start: end, end: start, ..ALL }, 7).is_empty());
    }

    #[test]
    fn deleted_orders_are_listed_apart() {
        let mut book = Book::load(&Orders::Generated { count: 10 }, 1).unwrap();
        let removed = Window { removed: true, time: TimeType::Delete, ..ALL };
        let collected = Collected::default();
        assert_eq!(book.page(removed, 1, 10, &collected).1, 0);
        book.apply([Change::Remove { index: 4, at: 2_000_000_000 }]);
        assert_eq!(book.page(removed, 1, 10, &collected).1, 1);
        assert_eq!(read(&book, removed, 10), [4]);
        assert_eq!(read(&book, Window { start: 2_000_000_001, ..removed }, 10), [0_u32; 0]);
        assert_eq!(read(&book, ALL, 3).len(), 9);
    }

    #[test]
    fn deletions_are_listed_by_their_own_time() {
        let mut book = Book::load(&Orders::Generated { count: 10 }, 1).unwrap();
        let removed = Window { removed: true, time: TimeType::Delete, ..ALL };
        let order: Vec<u32> = book.live.iter().rev().map(|(_, index)| *index).collect();
        let remove = |position: usize, at| Change::Remove { index: order[position], at };
        book.apply((0..5).map(|position| remove(position, 2_000_000_000 + position as Seconds / 2)));
        let collected = Collected::default();
        let keys = |rows: Vec<Row>| rows.into_iter().map(|row| row.key).collect::<Vec<_>>();
        let first = keys(book.page(removed, 1, 2, &collected).0);
        // An order removed while the pages are read is behind those that were read.
        book.apply([remove(5, 2_000_000_002)]);
        let rest = [2, 3].map(|page| keys(book.page(removed, page, 2, &collected).0)).concat();
        let all = [first, rest].concat();
        assert_eq!(all, order[..6].iter().map(|index| book.key(*index)).collect::<Vec<_>>());
    }

    #[test]
    fn a_shuffled_window_has_the_same_rows_in_another_order() {
        let book = Book::load(&Orders::Generated { count: 50 }, 1).unwrap();
        let collected = Collected::default();
        let pages = |window, size, number| {
            let mut keys = Vec::new();
            for page in 1..=(50_u64.div_ceil(u64::from(size)) + 1) {
                let (rows, total) = book.shuffled_page(window, page, size, &collected, number);
                assert_eq!(total, 50);
                keys.extend(rows.into_iter().map(|row| row.key));
            }
            keys
        };
        for window in [ALL, Window { time: TimeType::Create, ..ALL }] {
            let one = pages(window, 7, 1);
            assert_eq!(one, pages(window, 50, 1));
            assert_ne!(one, pages(window, 7, 2));
            let mut sorted = one.clone();
            sorted.sort_unstable();
            assert_ne!(one, sorted);
            assert_eq!(sorted, (0..50).map(|index| book.key(index)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn hidden_orders_are_missing_everywhere() {
        let book = Book::load(&Orders::Generated { count: 1000 }, 1).unwrap();
        let seen = read(&book, Window { hidden: 0.3, ..ALL }, 100);
        assert!((600..800).contains(&seen.len()), "{}", seen.len());
        assert!(seen.iter().all(|index| !book.is_hidden(*index, 0.3)));
    }
}
