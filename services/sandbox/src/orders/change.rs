//! Edits, insertions and deletions, chosen by the seed and applied in batches.

use std::collections::HashSet;

use super::{Base, Book, Entry};
use crate::civil::Seconds;
use crate::draw::Draw;
use crate::key::Key;
use bytes::Bytes;
use rust_decimal::Decimal;

/// One change of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Edit {
        index: u32,
        at: Seconds,
    },
    /// A new order; with a file it is a copy of the order at `template` under a new id.
    Insert {
        template: u32,
        at: Seconds,
    },
    Remove {
        index: u32,
        at: Seconds,
    },
}

impl Book {
    /// Edits of `n` live orders.
    pub(crate) fn plan_edits(&self, n: u64, now: Seconds) -> Vec<Change> {
        // A clock that was set back must not make an edit older than what it edits.
        let at = |index| now.max(self.entry(index).times.updated);
        self.choose(n, 1).into_iter().map(|index| Change::Edit { index, at: at(index) }).collect()
    }

    /// Edits of `n` live orders that leave the update time as it is. Only orders whose total changes are taken: nothing
    /// else tells the versions of one update time apart at the target.
    pub(crate) fn plan_silent_edits(&self, n: u64) -> Vec<Change> {
        self.plan_edits_of_totals(n, 4, 0)
    }

    /// Edits of `n` live orders that set the update time back by so many seconds. Only orders whose total changes are taken.
    pub(crate) fn plan_backdated_edits(&self, n: u64, seconds: Seconds) -> Vec<Change> {
        self.plan_edits_of_totals(n, 6, seconds)
    }

    fn plan_edits_of_totals(&self, n: u64, purpose: u64, back: Seconds) -> Vec<Change> {
        let shows = |index: &u32| {
            let revision = self.entry(*index).revision;
            let (before, after) = (self.total(*index, revision), self.total(*index, revision + 1));
            before.is_some() && after.is_some() && before != after
        };
        let chosen = self.choose(self.live_count(), purpose).into_iter().filter(shows);
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        let at = |index| self.entry(index).times.updated.saturating_sub(back);
        chosen.take(n).map(|index| Change::Edit { index, at: at(index) }).collect()
    }

    /// Deletions of `n` live orders.
    pub(crate) fn plan_removals(&self, n: u64, now: Seconds) -> Vec<Change> {
        self.choose(n, 2).into_iter().map(|index| Change::Remove { index, at: now }).collect()
    }

    /// `n` new orders; none when there is no order to copy.
    pub(crate) fn plan_inserts(&self, n: u64, now: Seconds) -> Vec<Change> {
        if self.base_count == 0 && matches!(self.base, Base::File(_)) {
            return Vec::new();
        }
        self.inserts(n, self.draw(3), |_| now)
    }

    /// `n` new orders with times between the earliest and the latest update time of the live orders from `start` to
    /// `end`, or of all live orders when none is there; none when no order is live.
    pub(crate) fn plan_late_inserts(&self, n: u64, start: Seconds, end: Seconds) -> Vec<Change> {
        let within = Some(self.live_between(start, end)).filter(|found| !found.is_empty());
        let found = within.unwrap_or(&self.live);
        let (Some((first, _)), Some((last, _))) = (found.first(), found.last()) else { return Vec::new() };
        let seconds = last.abs_diff(*first).saturating_add(1);
        self.inserts(n, self.draw(5), |draw| first.saturating_add_unsigned(draw.below(seconds)))
    }

    fn inserts(&self, n: u64, mut draw: Draw, mut at: impl FnMut(&mut Draw) -> Seconds) -> Vec<Change> {
        let room = u64::from(u32::MAX) - self.entries.len() as u64;
        let mut insert = || Change::Insert {
            template: u32::try_from(draw.below(u64::from(self.base_count))).unwrap_or(0),
            at: at(&mut draw),
        };
        (0..n.min(room)).map(|_| insert()).collect()
    }

    /// Applies changes and returns the ids they touched.
    pub(crate) fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut moved = HashSet::new();
        for change in changes {
            self.changes += 1;
            let index = match change {
                Change::Edit { index, at } => {
                    let entry = &mut self.entries[index as usize];
                    let times = self.history.entry(index).or_insert_with(|| vec![entry.times.updated]);
                    times.push(at);
                    entry.times.updated = at;
                    entry.revision += 1;
                    self.edits += 1;
                    index
                }
                Change::Insert { template, at } => self.add(template, at),
                Change::Remove { index, at } => {
                    self.entries[index as usize].deleted = Some(at);
                    self.removed.push(index);
                    index
                }
            };
            moved.insert(index);
            keys.push(self.key(index));
        }
        if !moved.is_empty() {
            self.version += 1;
            self.live.retain(|(_, index)| !moved.contains(index));
            let entries = &self.entries;
            let live = moved.into_iter().filter(|index| entries[*index as usize].deleted.is_none());
            self.live.extend(live.map(|index| (entries[index as usize].times.updated, index)));
            self.sort_live();
        }
        keys
    }

    fn add(&mut self, template: u32, at: Seconds) -> u32 {
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let mut times = self.generator.times(index);
        (times.created, times.updated, times.ordered) = (at, at, at - at.rem_euclid(86_400));
        if let Base::File(orders) = &mut self.base {
            let number = index - self.base_count + 1;
            let highest =
                orders.keys.iter().filter_map(|key| if let Key::Number(id) = key { Some(*id) } else { None });
            // A later insertion continues from the one before, because that is then the highest id.
            let id = if number == 1 { highest.max() } else { orders.keys.last().and_then(number_of) };
            let key = Key::Number(id.unwrap_or(5_200_000_000).saturating_add(7));
            let template = template as usize % orders.texts.len().max(1);
            let text: Bytes = orders.texts[template].clone();
            let total: Option<Decimal> = orders.totals[template];
            orders.totals.push(total);
            let order_no = inserted_number(&key);
            orders.add(key, Some(order_no), text);
        }
        self.entries.push(Entry { times, deleted: None, revision: 0 });
        index
    }

    fn choose(&self, n: u64, purpose: u64) -> Vec<u32> {
        let mut draw = self.draw(purpose);
        let live = self.live.len() as u64;
        let n = n.min(live);
        // Positions in the book, never in the index: that depends on the wall clock through the update times.
        if n.saturating_mul(2) < live && live.saturating_mul(4) >= self.len() {
            let mut chosen = HashSet::new();
            let mut indexes = Vec::new();
            while (indexes.len() as u64) < n {
                let index = u32::try_from(draw.below(self.len())).unwrap_or(0);
                if self.is_live(index) && chosen.insert(index) {
                    indexes.push(index);
                }
            }
            return indexes;
        }
        let mut all: Vec<u32> = (0..).take(self.entries.len()).filter(|index| self.is_live(*index)).collect();
        let n = usize::try_from(n).unwrap_or(all.len());
        for position in 0..n {
            let rest = (all.len() - position) as u64;
            all.swap(position, position + usize::try_from(draw.below(rest)).unwrap_or(0));
        }
        all.truncate(n);
        all
    }

    fn draw(&self, purpose: u64) -> Draw {
        Draw::new(self.generator.seed ^ (purpose << 48), self.changes)
    }
}

/// The order number of an order inserted among those of a file.
pub(crate) fn inserted_number(key: &Key) -> String {
    format!("NEW-{key}")
}

fn number_of(key: &Key) -> Option<u64> {
    match key {
        Key::Number(number) => Some(*number),
        Key::Text(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::options::Orders;

    fn book() -> Book {
        Book::load(&Orders::Generated { count: 100 }, 5).unwrap()
    }

    #[test]
    fn the_choice_repeats_for_a_seed_and_moves_on() {
        let (mut one, mut two) = (book(), book());
        let first = one.plan_edits(5, 2_000_000_000);
        assert_eq!(first, two.plan_edits(5, 2_000_000_000));
        // The clock is no part of the choice.
        let keys = one.apply(first);
        let other = two.plan_edits(5, 2_000_000_777);
        assert_eq!(two.apply(other), keys);
        let next = one.plan_edits(5, 2_000_000_000);
        assert_ne!(one.apply(next), keys);
        assert_eq!((one.edits(), one.live_count()), (10, 100));
    }

    #[test]
    fn choosing_more_than_there_are_takes_each_once() {
        let mut book = book();
        let changes = book.plan_removals(1000, 2_000_000_000);
        assert_eq!(book.apply(changes).into_iter().collect::<HashSet<_>>().len(), 100);
        assert_eq!((book.live_count(), book.len()), (0, 100));
        assert!(book.plan_edits(1, 2_000_000_000).is_empty());
    }

    #[test]
    fn an_edit_is_never_older_than_what_it_edits() {
        let mut book = book();
        let changes = book.plan_edits(1, 0);
        let Change::Edit { index, at } = changes[0] else { panic!("not an edit") };
        assert_eq!(at, book.entry(index).times.updated);
        book.apply(changes);
        assert_eq!(book.entry(index).revision, 1);
    }

    #[test]
    fn a_silent_edit_changes_the_content_alone() {
        let mut book = book();
        let changes = book.plan_silent_edits(3);
        assert_eq!(changes, book.plan_silent_edits(3));
        let Change::Edit { index, at } = changes[0] else { panic!("not an edit") };
        let before = (book.total(index, 0), book.entry(index).times.updated);
        book.apply(changes);
        let entry = book.entry(index);
        assert_eq!((at, entry.times.updated, entry.revision, book.edits()), (before.1, before.1, 1, 3));
        assert!(book.is_current(index, Some(at), book.total(index, 1)));
        assert!(!book.is_current(index, Some(at), before.0));
        assert_eq!(book.plan_silent_edits(1000).len(), 100);
    }

    #[test]
    fn a_backdated_edit_is_the_newest_revision_with_an_older_time() {
        let mut book = book();
        let changes = book.plan_backdated_edits(2, 120);
        let Change::Edit { index, at } = changes[0] else { panic!("not an edit") };
        let before = book.entry(index).times.updated;
        let key = book.apply(changes).remove(0);
        assert_eq!((at, book.entry(index).times.updated, book.entry(index).revision), (before - 120, at, 1));
        let totals = [0, 1].map(|revision| book.total(index, revision));
        assert!(
            book.is_current(index, Some(at), totals[1]) && !book.is_current(index, Some(before), totals[0])
        );
        let revisions = [(before, totals[0]), (at, totals[1]), (before, totals[1])]
            .map(|(time, total)| book.revision_of(&key, Some(time), total));
        assert_eq!(revisions, [Some(0), Some(1), None]);
    }

    #[test]
    fn late_insertions_lie_between_the_live_orders() {
        let mut book = book();
        let (first, last) = (book.live[0].0, book.live[99].0);
        let changes = book.plan_late_inserts(50, Seconds::MIN, Seconds::MAX);
        assert_eq!(changes, book.plan_late_inserts(50, Seconds::MIN, Seconds::MAX));
        book.apply(changes);
        assert_eq!((book.live[0].0, book.live[149].0, book.live.len()), (first, last, 150));
        let times = (100..150).map(|index| book.entry(index).times).collect::<Vec<_>>();
        assert!(times.iter().all(|times| times.created == times.updated));
        assert!(times.iter().map(|times| times.updated).collect::<HashSet<_>>().len() > 40);

        // Within a window, and within all when the window is empty.
        let (start, end) = (book.live[10].0, book.live[20].0);
        for (from, to, low, high) in [(start, end, start, end), (last + 1, last + 2, first, last)] {
            let late = book.plan_late_inserts(50, from, to);
            assert_eq!(late.len(), 50);
            let at = |change: &Change| if let Change::Insert { at, .. } = change { *at } else { 0 };
            assert!(late.iter().all(|change| (low..=high).contains(&at(change))));
        }
        let removals = book.plan_removals(1000, last);
        book.apply(removals);
        assert!(book.plan_late_inserts(1, first, last).is_empty());
    }

    #[test]
    fn insertions_get_new_ids() {
        let mut book = book();
        let changes = book.plan_inserts(3, 2_000_000_000);
        let keys = book.apply(changes);
        assert_eq!(keys, [100, 101, 102].map(super::super::generate::key));
        assert!(keys.iter().all(|key| book.find(key).is_some()));
        assert_eq!(book.live.last().map(|(time, _)| *time), Some(2_000_000_000));
    }
}
