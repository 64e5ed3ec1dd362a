//! Which orders are being worked on at this moment: two requests for one order at the same time are counted.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::Key;
use crate::lock::lock;

/// Enough that two requests rarely meet at one lock.
const SHARDS: usize = 16;

/// The orders in hand, each with how many requests hold it.
pub(crate) struct InHand {
    shards: [Mutex<HashMap<Key, u32>>; SHARDS],
    overlapping: AtomicU64,
}

impl InHand {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), overlapping: AtomicU64::new(0) }
    }

    /// Takes the orders of one request in hand, until what is returned is dropped: also when the caller has gone.
    pub(crate) fn take(&self, mut keys: Vec<Key>) -> Held<'_> {
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            let mut shard = lock(self.shard(key));
            let requests = shard.entry(key.clone()).or_default();
            *requests += 1;
            if *requests > 1 {
                self.overlapping.fetch_add(1, Ordering::Relaxed);
            }
        }
        Held { all: self, keys }
    }

    /// How often an order was taken while another request had it.
    pub(crate) fn overlapping(&self) -> u64 {
        self.overlapping.load(Ordering::Relaxed)
    }

    fn shard(&self, key: &Key) -> &Mutex<HashMap<Key, u32>> {
        &self.shards[key.stable_hash() as usize % SHARDS]
    }
}

/// The orders of one request.
pub(crate) struct Held<'a> {
    all: &'a InHand,
    keys: Vec<Key>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for key in &self.keys {
            let mut shard = lock(self.all.shard(key));
            if let Some(requests) = shard.get_mut(key) {
                *requests -= 1;
                if *requests == 0 {
                    shard.remove(key);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_in_two_requests_is_counted_and_nothing_is_kept() {
        let in_hand = InHand::new();
        let first = in_hand.take(vec![Key::Number(1), Key::Number(2), Key::Number(1)]);
        assert_eq!(in_hand.overlapping(), 0, "twice in one request");
        let second = in_hand.take(vec![Key::Number(2), Key::Number(3)]);
        assert_eq!(in_hand.overlapping(), 1);
        drop((first, second));
        drop(in_hand.take(vec![Key::Number(2)]));
        assert_eq!(in_hand.overlapping(), 1);
        assert!(in_hand.shards.iter().all(|shard| lock(shard).is_empty()));
    }
}
