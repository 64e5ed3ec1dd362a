//! Orders that were refused with an error that sounds as if it were about all orders: whether
//! others have passed since.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::sqlstate::Others;

/// What was observed longer ago says nothing about the error of today.
const REMEMBERED: Duration = Duration::from_secs(600);

/// More suspects than this are not remembered: so many orders are not at fault, the target is.
const MOST: usize = 1_000;

#[derive(Debug, Clone, Copy)]
struct Suspect {
    /// How many orders had passed when it was refused first.
    passed_before: u64,
    last_refused: Instant,
}

#[derive(Debug, Default)]
struct Observed {
    passed: u64,
    suspects: HashMap<String, Suspect>,
}

/// The suspects of one target.
#[derive(Debug, Default)]
pub(crate) struct Suspects(Mutex<Observed>);

impl Suspects {
    /// Notes that these orders have passed.
    pub(crate) fn note_passed<'a>(&self, keys: impl Iterator<Item = &'a str>) {
        let mut observed = self.observed();
        for key in keys {
            observed.passed += 1;
            if !observed.suspects.is_empty() {
                observed.suspects.remove(key);
            }
        }
    }

    /// Notes that an order was refused; says whether others have passed since it was refused first.
    pub(crate) fn note_refused(&self, key: &str) -> Others {
        let now = Instant::now();
        let mut observed = self.observed();
        observed.suspects.retain(|_, suspect| now - suspect.last_refused < REMEMBERED);
        let passed = observed.passed;
        if let Some(suspect) = observed.suspects.get_mut(key) {
            suspect.last_refused = now;
            return if passed > suspect.passed_before { Others::Pass } else { Others::Unknown };
        }
        if observed.suspects.len() < MOST {
            let suspect = Suspect { passed_before: passed, last_refused: now };
            observed.suspects.insert(key.to_string(), suspect);
        }
        Others::Unknown
    }

    fn observed(&self) -> std::sync::MutexGuard<'_, Observed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_at_fault_once_others_have_passed_since() {
        let suspects = Suspects::default();
        suspects.note_passed(["a", "b"].into_iter());
        assert_eq!(suspects.note_refused("bad"), Others::Unknown, "those passed before");
        assert_eq!(suspects.note_refused("bad"), Others::Unknown);
        suspects.note_passed(["c"].into_iter());
        assert_eq!(suspects.note_refused("bad"), Others::Pass);
        assert_eq!(suspects.note_refused("other"), Others::Unknown, "each by itself");
        suspects.note_passed(["bad"].into_iter());
        assert_eq!(suspects.note_refused("bad"), Others::Unknown, "it has passed itself");
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_observation_is_forgotten() {
        let suspects = Suspects::default();
        suspects.note_refused("bad");
        suspects.note_passed(["c"].into_iter());
        tokio::time::advance(REMEMBERED).await;
        assert_eq!(suspects.note_refused("bad"), Others::Unknown);
    }
}
