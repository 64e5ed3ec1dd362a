//! One order is in one pair of hands at a time; those that wait for it keep their order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use events::OrderKey;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// The orders that are in hand.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    turns: Mutex<HashMap<OrderKey, Arc<Turn<()>>>>,
}

/// The right to work on one order.
#[derive(Debug)]
pub(crate) struct InHand {
    keys: Arc<Keys>,
    key: OrderKey,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Keys {
    /// Waits until nobody else works on this order.
    pub(crate) async fn take(self: &Arc<Self>, key: &OrderKey) -> InHand {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(key.clone()).or_default())
        };
        let turn = turn.lock_owned().await;
        InHand { keys: Arc::clone(self), key: key.clone(), turn: Some(turn) }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        let mut turns = self.keys.turns.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn = None;
        // Only the map itself still knows it: nobody waits.
        if turns.get(&self.key).is_some_and(|turn| Arc::strong_count(turn) == 1) {
            turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_in_order_and_nothing_is_kept() {
        let (keys, key) = (Arc::new(Keys::default()), OrderKey::new("1").expect("not empty"));
        let first = keys.take(&key).await;
        let (second, third) = (keys.take(&key), keys.take(&key));
        tokio::pin!(second, third);
        assert!(futures::poll!(&mut second).is_pending());
        assert!(futures::poll!(&mut third).is_pending());
        drop(first);
        let second = second.await;
        assert!(futures::poll!(&mut third).is_pending());
        drop(second);
        drop(third.await);
        assert!(keys.turns.lock().expect("sound").is_empty());
    }
}
