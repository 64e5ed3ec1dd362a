//! The failed attempts of the jobs in hand.

use std::collections::HashMap;

use events::{Attempt, WindowId};

/// The failed attempts of one job.
#[derive(Debug, Default)]
pub(crate) struct JobAttempts {
    /// Those that count against the page.
    pub(crate) counted: Vec<Attempt>,
    /// How many there were beside these.
    pub(crate) uncounted: u32,
    /// The window of the job; none before the first attempt failed.
    pub(crate) window: Option<WindowId>,
}

/// Keeps the attempts of jobs whose windows are open, and of jobs whose windows are not known.
pub(crate) fn retain_open(all: &mut HashMap<u64, JobAttempts>, mut is_open: impl FnMut(&WindowId) -> bool) {
    all.retain(|_, attempts| attempts.window.as_ref().is_none_or(&mut is_open));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempts_of_a_window_that_is_over_are_dropped() {
        let of = |number| JobAttempts { window: Some(WindowId::live(number)), ..JobAttempts::default() };
        let mut all = HashMap::from([(1, of(1)), (2, of(2)), (3, JobAttempts::default())]);
        retain_open(&mut all, |window| *window == WindowId::live(2));
        let mut kept: Vec<u64> = all.into_keys().collect();
        kept.sort_unstable();
        assert_eq!(kept, [2, 3]);
    }
}
