//! The attempts of the messages in hand that failed: how often and why, and which orders wait to be tried again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use events::{Attempt, MappedOrder, OrderKey};

/// The attempts of one message.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    /// The order, once one has failed.
    pub(crate) order: Option<Arc<MappedOrder>>,
    pub(crate) failed: Vec<Attempt>,
    /// The idempotency key of a request that may have been done all the same. The order goes out under it again, also
    /// when it was the key of a batch.
    pub(crate) uncertain: Option<String>,
}

impl Attempts {
    fn is_empty(&self) -> bool {
        self.failed.is_empty() && self.uncertain.is_none()
    }
}

/// Those of all messages of a partition, by their sequence in MAPPED.
#[derive(Debug, Default)]
pub(crate) struct AllAttempts {
    all: Mutex<Indexed>,
}

#[derive(Debug, Default)]
struct Indexed {
    by_seq: HashMap<u64, Attempts>,
    /// Every order that comes looks for older ones of its key: many may wait.
    by_key: HashMap<OrderKey, Vec<u64>>,
}

impl AllAttempts {
    /// Looks at those of a message; most have none.
    pub(crate) fn look<T>(&self, seq: u64, look: impl FnOnce(Option<&Attempts>) -> T) -> T {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        look(all.by_seq.get(&seq))
    }

    /// Forgets those of a message.
    pub(crate) fn forget(&self, seq: u64) {
        if self.look(seq, |attempts| attempts.is_some()) {
            self.with(seq, std::mem::take);
        }
    }

    /// Changes those of a message; left empty, they are forgotten.
    pub(crate) fn with<T>(&self, seq: u64, change: impl FnOnce(&mut Attempts) -> T) -> T {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let Indexed { by_seq, by_key } = &mut *all;
        let attempts = by_seq.entry(seq).or_default();
        let before = attempts.order.as_ref().map(|order| order.key.clone());
        let result = change(attempts);
        match (before, &attempts.order) {
            (None, Some(order)) => by_key.entry(order.key.clone()).or_default().push(seq),
            (Some(key), None) => {
                if let Some(seqs) = by_key.get_mut(&key) {
                    seqs.retain(|other| *other != seq);
                    if seqs.is_empty() {
                        by_key.remove(&key);
                    }
                }
            }
            _ => {}
        }
        if attempts.is_empty() && attempts.order.is_none() {
            by_seq.remove(&seq);
        }
        result
    }

    /// Versions of an order that failed and are to be tried again, with how often each failed.
    pub(crate) fn waiting(
        &self,
        key: &OrderKey,
        wanted: impl Fn(&MappedOrder) -> bool,
    ) -> Vec<(u64, Arc<MappedOrder>, usize)> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let seqs = all.by_key.get(key).into_iter().flatten();
        let waiting = seqs.filter_map(|seq| {
            let attempts = all.by_seq.get(seq)?;
            let order = attempts.order.as_ref().filter(|order| wanted(order))?;
            Some((*seq, Arc::clone(order), attempts.failed.len()))
        });
        waiting.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{ContentHash, Origin, Version, WindowId};

    fn order(key: &str, raw_seq: u64) -> Arc<MappedOrder> {
        Arc::new(MappedOrder {
            key: OrderKey::new(key).expect("not empty"),
            number: None,
            version: Version { updated_at: Some(1), raw_seq, generation: 0 },
            origin: Origin { window: WindowId::live(1), page: 1, row: 0, raw_seq },
            mapping: "m".into(),
            content: ContentHash::of(b""),
            record: Vec::new(),
            marks: Vec::new(),
        })
    }

    #[test]
    fn what_waits_is_found_by_its_key_until_it_is_forgotten() {
        let all = AllAttempts::default();
        for (seq, order) in [(1, order("a", 1)), (2, order("a", 2)), (3, order("b", 3))] {
            for _ in 0..2 {
                all.with(seq, |attempts| {
                    attempts.failed.push(Attempt { at: 0, message: "no".into() });
                    attempts.order = Some(Arc::clone(&order));
                });
            }
        }
        let waiting = |key: &str| {
            let key = OrderKey::new(key).expect("not empty");
            let found = all.waiting(&key, |_| true).into_iter();
            found.map(|(seq, _, failed)| (seq, failed)).collect::<Vec<_>>()
        };
        assert_eq!((waiting("a"), waiting("b")), (vec![(1, 2), (2, 2)], vec![(3, 2)]));
        all.forget(1);
        all.forget(3);
        all.with(9, |attempts| assert!(attempts.failed.is_empty()));
        assert_eq!(all.look(2, |attempts| attempts.map(|attempts| attempts.failed.len())), Some(2));
        assert!(all.look(9, |attempts| attempts.is_none()) && all.look(1, |attempts| attempts.is_none()));
        assert_eq!((waiting("a"), waiting("b")), (vec![(2, 2)], vec![]));
        let all = all.all.lock().expect("not poisoned");
        assert_eq!((all.by_seq.len(), all.by_key.len()), (1, 1), "nothing is left of the others");
    }
}
