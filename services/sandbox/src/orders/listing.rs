//! Pages of a window of orders.
//!
//! The common window (live orders by update time) is a slice of the index and costs the same on every page. The rare
//! ones are collected once and kept until an order changes.

use std::sync::{Arc, Mutex};

use super::{Book, Row};
use crate::civil::Seconds;
use crate::draw::in_share;
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
    /// First and last second, both included.
    pub(crate) start: Seconds,
    pub(crate) end: Seconds,
    /// Share of the orders (0..1) that are not visible yet.
    pub(crate) hidden: f64,
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
        let first = (page - 1).saturating_mul(u64::from(size));
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let size = size as usize;
        if window.time == TimeType::Update && !window.removed && window.hidden <= 0.0 {
            let from = self.live.partition_point(|(time, _)| *time < window.start);
            let to = self.live.partition_point(|(time, _)| *time <= window.end).max(from);
            let rows = self.live[from..to].iter().skip(first).take(size).map(|(_, index)| self.row(*index));
            return (rows.collect(), (to - from) as u64);
        }
        let indexes = {
            let mut kept = lock(&collected.0);
            match &*kept {
                Some(kept) if kept.version == self.version && kept.window == window => {
                    Arc::clone(&kept.indexes)
                }
                _ => {
                    let indexes = Arc::new(self.collect(window));
                    let version = self.version;
                    *kept = Some(Kept { version, window, indexes: Arc::clone(&indexes) });
                    indexes
                }
            }
        };
        let rows = indexes.iter().skip(first).take(size).map(|index| self.row(*index));
        (rows.collect(), indexes.len() as u64)
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
                TimeType::Delete => entry.deleted,
            }
        };
        let candidates: Box<dyn Iterator<Item = u32>> = if window.removed {
            Box::new(self.removed.iter().copied())
        } else {
            Box::new(self.live.iter().map(|(_, index)| *index))
        };
        let mut found: Vec<u32> = candidates
            .filter(|index| time_of(*index).is_some_and(|time| (window.start..=window.end).contains(&time)))
            .filter(|index| !self.is_hidden(*index, window.hidden))
            .collect();
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
    fn hidden_orders_are_missing_everywhere() {
        let book = Book::load(&Orders::Generated { count: 1000 }, 1).unwrap();
        let seen = read(&book, Window { hidden: 0.3, ..ALL }, 100);
        assert!((600..800).contains(&seen.len()), "{}", seen.len());
        assert!(seen.iter().all(|index| !book.is_hidden(*index, 0.3)));
    }
}
