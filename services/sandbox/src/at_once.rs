//! How many calls are under way at the same time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Calls under way, and the most there were.
#[derive(Debug, Default)]
pub(crate) struct AtOnce {
    now: AtomicU64,
    most: AtomicU64,
}

/// A call that is under way until this is dropped.
pub(crate) struct UnderWay<'a>(&'a AtOnce);

impl AtOnce {
    pub(crate) fn begin(&self) -> UnderWay<'_> {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        UnderWay(self)
    }

    pub(crate) fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_there_were_is_kept() {
        let calls = AtOnce::default();
        let (first, second) = (calls.begin(), calls.begin());
        drop(first);
        let third = calls.begin();
        drop((second, third));
        let _alone = calls.begin();
        assert_eq!(calls.most(), 2);
    }
}
