//! Which revision of an order a written record shows, and what that revision's exact total is.

use rust_decimal::Decimal;

use super::{Base, Book};
use crate::civil::Seconds;
use crate::key::Key;
use crate::money;

impl Book {
    /// The exact total of one revision; `None` when the order's lines are dirty or absent.
    pub(crate) fn total(&self, index: u32, revision: u32) -> Option<Decimal> {
        match &self.base {
            Base::Generated => Some(Decimal::new(self.generator.total_cents(index, revision), 2)),
            Base::File(orders) if revision == 0 => orders.totals[index as usize],
            Base::File(orders) => {
                let mut lines = money::lines(std::str::from_utf8(&orders.texts[index as usize]).ok()?)?;
                if let Some(edited) =
                    money::edited_line(orders.keys[index as usize].stable_hash(), lines.len())
                {
                    lines[edited] = lines[edited].revised(revision);
                }
                money::total(lines)
            }
        }
    }

    /// Whether a written total is not that of the revision its update time names. Without an update time that the
    /// source ever had, the total of any revision will do. Orders unknown here, or without a total, are never wrong.
    pub(crate) fn is_wrong_total(
        &self,
        key: &Key,
        written: Option<Decimal>,
        updated: Option<Seconds>,
    ) -> bool {
        let Some(index) = self.find(key) else { return false };
        let named = |revision: u32| updated.is_some_and(|time| time == self.updated_at(index, revision));
        let last = self.entry(index).revision;
        let any_named = (0..=last).any(named);
        let mut candidates = (0..=last).filter(|revision| !any_named || named(*revision));
        candidates.all(|revision| self.total(index, revision).is_some_and(|total| Some(total) != written))
    }

    /// The last revision with this update time and total; `None` when the order never was like that.
    pub(crate) fn revision_of(
        &self,
        key: &Key,
        updated: Option<Seconds>,
        total: Option<Decimal>,
    ) -> Option<u32> {
        let index = self.find(key)?;
        let is_it = |revision: &u32| {
            updated == Some(self.updated_at(index, *revision)) && self.total(index, *revision) == total
        };
        (0..=self.entry(index).revision).rev().find(is_it)
    }

    /// Whether a record with this update time and total shows the order as it is now. Two revisions of one second are
    /// told apart by their totals.
    pub(crate) fn is_current(&self, index: u32, updated: Option<Seconds>, total: Option<Decimal>) -> bool {
        let entry = self.entry(index);
        if updated.is_some_and(|time| time != entry.times.updated) {
            return false;
        }
        let is_total_of = |revision: u32| total.is_some() && self.total(index, revision) == total;
        is_total_of(entry.revision)
            || !(0..entry.revision).any(|revision| {
                updated.is_none_or(|time| time == self.updated_at(index, revision)) && is_total_of(revision)
            })
    }

    fn updated_at(&self, index: u32, revision: u32) -> Seconds {
        let times = self.history.get(&index).and_then(|times| times.get(revision as usize));
        times.copied().unwrap_or(self.entry(index).times.updated)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::options::Orders;
    use crate::orders::Book;
    use crate::orders::change::Change;

    #[test]
    fn a_total_belongs_to_the_revision_its_time_names() {
        let mut book = Book::load(&Orders::Generated { count: 3 }, 1).unwrap();
        let key = book.key(1);
        let first = book.entry(1).times.updated;
        book.apply([Change::Edit { index: 1, at: first + 10 }, Change::Edit { index: 1, at: first + 10 }]);
        let totals = [0, 1, 2].map(|revision| book.total(1, revision));
        assert!(totals[0] < totals[1] && totals[1] < totals[2]);

        assert!(!book.is_wrong_total(&key, totals[0], Some(first)));
        assert!(book.is_wrong_total(&key, totals[1], Some(first)));
        // Two edits within one second: either total is right, only the last is current.
        assert!(!book.is_wrong_total(&key, totals[1], Some(first + 10)));
        assert!(!book.is_wrong_total(&key, totals[2], Some(first + 10)));
        assert!(book.is_wrong_total(&key, totals[0], Some(first + 10)));
        assert!(!book.is_current(1, Some(first + 10), totals[1]));
        assert!(book.is_current(1, Some(first + 10), totals[2]));
        assert!(!book.is_current(1, Some(first), totals[0]));
        // No update time in the record.
        assert!(!book.is_wrong_total(&key, totals[1], None));
        assert!(book.is_wrong_total(&key, None, None));
        assert!(!book.is_current(1, None, totals[1]) && book.is_current(1, None, totals[2]));
    }
}
