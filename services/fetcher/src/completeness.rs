//! When is a window complete? A pure fold of the pages of one pass (rule 4 of ARCHITECTURE.md).
//!
//! The source pages by number over a set that changes while it is read: a row that is edited leaves the window, and all
//! rows behind it move up, so that one row is skipped although every page was full. No count of pages or rows shows
//! that. What does: a whole pass during which the source reported one unchanged total, with as many distinct ids.

use std::collections::{BTreeMap, HashSet};

use events::Proof;

/// What one page said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFacts {
    /// The total the source reported with it.
    pub(crate) total: u64,
    /// The ids of its rows.
    pub(crate) ids: Vec<String>,
}

/// The pages of one pass.
pub(crate) type Pass = BTreeMap<u32, PageFacts>;

/// What a pass proves so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assessment {
    /// These pages are still to be read.
    Wanted(Vec<u32>),
    /// The window is complete.
    Complete(Proof),
    /// The pass proves nothing, for this reason; another may.
    ReadAgain(String),
}

/// Assesses pass number `number`, whose pages hold up to `page_size` rows.
pub(crate) fn assess(number: u32, pass: &Pass, page_size: u32) -> Assessment {
    let Some(first) = pass.get(&1) else {
        return Assessment::Wanted(vec![1]);
    };
    let total = first.total;
    // A source that gives fewer rows a page than asked for would need more pages than we count.
    let full = usize::try_from(total.min(u64::from(page_size))).unwrap_or(usize::MAX);
    if first.ids.len() < full {
        return Assessment::ReadAgain(format!(
            "page 1 holds {} rows where {full} were asked for: lower source.request.count to what the source gives",
            first.ids.len()
        ));
    }
    // Rows that move do not end the pass: what is still to be read is worth having, whatever it proves.
    let largest = pass.values().map(|facts| facts.total).max().unwrap_or(total);
    let pages = u32::try_from(largest.div_ceil(u64::from(page_size.max(1)))).unwrap_or(u32::MAX).max(1);
    let wanted: Vec<u32> = (1..=pages).filter(|page| !pass.contains_key(page)).collect();
    if !wanted.is_empty() {
        return Assessment::Wanted(wanted);
    }
    if let Some((page, other)) = pass.iter().find(|(_, facts)| facts.total != total) {
        return Assessment::ReadAgain(format!(
            "the total changed from {total} to {} at page {page} while the pages were read",
            other.total
        ));
    }
    let distinct = distinct(pass);
    if distinct == total {
        return Assessment::Complete(Proof { pass: number, pages, total, distinct });
    }
    Assessment::ReadAgain(format!(
        "{distinct} distinct orders were read where the source counts {total}: rows moved"
    ))
}

/// How many distinct ids a pass has seen.
pub(crate) fn distinct(pass: &Pass) -> u64 {
    pass.values().flat_map(|facts| &facts.ids).collect::<HashSet<_>>().len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts(total: u64, ids: impl IntoIterator<Item = u32>) -> PageFacts {
        PageFacts { total, ids: ids.into_iter().map(|id| id.to_string()).collect() }
    }

    #[test]
    fn pages_are_asked_for_until_all_are_there() {
        let mut pass = Pass::new();
        assert_eq!(assess(1, &pass, 2), Assessment::Wanted(vec![1]));
        pass.insert(1, facts(5, [1, 2]));
        assert_eq!(assess(1, &pass, 2), Assessment::Wanted(vec![2, 3]));
        pass.insert(3, facts(5, [5]));
        assert_eq!(assess(1, &pass, 2), Assessment::Wanted(vec![2]));
        pass.insert(2, facts(5, [3, 4]));
        let proof = Proof { pass: 1, pages: 3, total: 5, distinct: 5 };
        assert_eq!(assess(1, &pass, 2), Assessment::Complete(proof));
    }

    #[test]
    fn an_empty_window_is_complete_after_one_page() {
        let pass = Pass::from([(1, facts(0, []))]);
        assert_eq!(
            assess(1, &pass, 100),
            Assessment::Complete(Proof { pass: 1, pages: 1, total: 0, distinct: 0 })
        );
    }

    #[test]
    fn what_moved_is_not_complete() {
        let moved = Pass::from([(1, facts(4, [1, 2])), (2, facts(4, [2, 4]))]);
        let Assessment::ReadAgain(why) = assess(1, &moved, 2) else { panic!("complete") };
        assert_eq!(why, "3 distinct orders were read where the source counts 4: rows moved");
        let changed = Pass::from([(1, facts(4, [1, 2])), (2, facts(3, [3]))]);
        assert!(matches!(assess(1, &changed, 2), Assessment::ReadAgain(_)));
        let short = Pass::from([(1, facts(4, [1]))]);
        assert!(
            matches!(assess(1, &short, 2), Assessment::ReadAgain(why) if why.contains("source.request.count"))
        );
    }

    proptest! {
        /// A source whose rows leave the window while it is read: every skipped row is noticed.
        #[test]
        fn a_pass_that_missed_an_order_is_never_complete(
            rows in 0_u32..60,
            page_size in 1_u32..12,
            edits in proptest::collection::vec(proptest::option::weighted(0.3, 0_usize..60), 0..60),
        ) {
            let mut source: Vec<u32> = (0..rows).collect();
            let at_opening = source.clone();
            let (mut pass, mut edits, mut edited) = (Pass::new(), edits.into_iter(), HashSet::new());
            while let Assessment::Wanted(pages) = assess(1, &pass, page_size) {
                let page = pages[0];
                let from = ((page - 1) * page_size) as usize;
                let rows = source.iter().skip(from).take(page_size as usize).copied();
                pass.insert(page, facts(source.len() as u64, rows));
                if let Some(Some(at)) = edits.next() && !source.is_empty() {
                    // An edit moves the order to a later update time: out of this window, into a later one.
                    let at = at % source.len();
                    edited.insert(source.remove(at));
                }
            }
            if let Assessment::Complete(_) = assess(1, &pass, page_size) {
                let seen: HashSet<String> = pass.values().flat_map(|facts| facts.ids.clone()).collect();
                for order in at_opening.iter().filter(|order| !edited.contains(order)) {
                    prop_assert!(seen.contains(&order.to_string()), "order {order} was missed");
                }
            }
        }
    }
}
