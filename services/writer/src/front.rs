//! A refusal by something in front of the target (a proxy, a firewall), or of our credentials, is usually about all
//! requests: orders wait. If it stays with one order while others pass, it is that order's.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// An order is blamed after so many refusals.
const REFUSALS: u32 = 5;

/// One that is left over, so that nothing passes between its refusals, is blamed after so many since the last pass, when
/// that is so long ago: what ends sooner was an outage.
const REFUSALS_AT_LAST: u32 = 3;
const LASTING: Duration = Duration::from_secs(15);

/// How soon an order is sent again that may be to blame: nobody else should wait long for it.
const AGAIN: Duration = Duration::from_millis(500);

/// So many orders that are left over at most are blamed although few requests passed since they were refused first.
const FEW_SUSPECTS: u64 = 10;

/// More are blamed only if so many requests passed for each of them: else it cannot be told from an outage.
const PASSES_EACH: u64 = 5;

/// An answer for which an order was blamed is known for so long: the next order that meets the very same one, when nothing
/// else is left to pass, meets the same firewall.
const KNOWN: Duration = Duration::from_secs(600);

/// Entries of orders that went to other writers are forgotten when there are so many.
const MOST_ENTRIES: usize = 10_000;

/// How many orders a refused request held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestSize {
    One,
    Several,
}

/// A request that was refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusedRequest {
    /// The sequence of its order, or of the first order of a batch.
    pub(crate) seq: u64,
    pub(crate) size: RequestSize,
    /// A hash of the answer, without what differs from one to the next.
    pub(crate) answer: u64,
    /// How many requests had passed when a larger batch that held it was refused.
    pub(crate) passes_at_first: Option<u64>,
}

/// Whom a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    /// As far as is known, everybody: orders wait, for this long if that is said.
    Target(Option<Duration>),
    /// The order, or an order of the batch.
    Order,
    /// Perhaps an order of the batch: nothing passes, and its halves will show it. That blames nobody.
    OneOfTheBatch,
}

/// The refusals of one target, as this writer has seen them.
#[derive(Debug, Default)]
pub(crate) struct FrontRefusals {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many requests the target has taken.
    passes: u64,
    /// When it took the last one.
    last_pass: Option<Instant>,
    /// By the sequence of the order, or of the first order of a batch.
    refused: HashMap<u64, Refused>,
    /// The answers for which orders were blamed, by [`RefusedRequest::answer`], and when.
    known: HashMap<u64, Instant>,
    /// Those that were refused since a request passed.
    suspects: HashSet<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Refused {
    size: RequestSize,
    /// How many requests had passed at the first refusal, and at the last one.
    passes_at_first: u64,
    passes_at_last: u64,
    /// How many of these refusals had a request pass between them and the one before.
    apart: u32,
    /// The refusals since a request passed.
    in_a_row: u32,
}

impl Refused {
    fn first(size: RequestSize, passes: u64) -> Self {
        Self { size, passes_at_first: passes, passes_at_last: passes, apart: 0, in_a_row: 0 }
    }

    fn note(&mut self, passes: u64) {
        if self.passes_at_last < passes {
            self.apart += 1;
            self.in_a_row = 0;
        }
        self.passes_at_last = passes;
        self.in_a_row += 1;
    }
}

impl FrontRefusals {
    /// Notes that the target took a request.
    pub(crate) fn note_pass(&self, seq: u64, now: Instant) {
        let mut state = self.state();
        state.passes += 1;
        state.last_pass = Some(now);
        state.suspects.clear();
        let before = state.refused.remove(&seq);
        if before.is_some_and(|refused| refused.size == RequestSize::One) {
            // It passes as it was when it was refused: the refusals were not about orders.
            state.refused.clear();
        }
    }

    /// How many requests have passed.
    pub(crate) fn passes(&self) -> u64 {
        self.state().passes
    }

    /// Notes a refusal, and says whom it is about.
    pub(crate) fn note_refusal(&self, request: RefusedRequest, now: Instant) -> Blame {
        let RefusedRequest { seq, size, .. } = request;
        let mut guard = self.state();
        let state = &mut *guard;
        if state.refused.len() >= MOST_ENTRIES {
            state.refused.clear();
        }
        let passes = state.passes;
        let refused = state
            .refused
            .entry(seq)
            .or_insert_with(|| Refused::first(size, request.passes_at_first.unwrap_or(passes)));
        refused.note(passes);
        let refused = *refused;
        state.suspects.insert(seq);
        // A request that passes after an order was refused shows that it is no outage that has begun meanwhile.
        let is_known = state.known.get(&request.answer).is_some_and(|at| now.duration_since(*at) < KNOWN);
        let others_passed = refused.passes_at_first < passes || is_known;
        let suspects = state.suspects.len() as u64;
        let many_passed = passes - refused.passes_at_first >= PASSES_EACH * suspects;
        let can_be_told = others_passed && (suspects <= FEW_SUSPECTS || many_passed);
        let is_blamed = match size {
            RequestSize::Several => true,
            RequestSize::One => {
                let is_long_ago = state.last_pass.is_some_and(|last| now.duration_since(last) >= LASTING);
                let lasts = refused.in_a_row >= REFUSALS_AT_LAST && is_long_ago;
                refused.apart >= REFUSALS - 1 || (lasts && can_be_told)
            }
        };
        if !is_blamed {
            return Blame::Target(can_be_told.then_some(AGAIN));
        }
        state.refused.remove(&seq);
        state.suspects.remove(&seq);
        if size == RequestSize::Several && !others_passed {
            return Blame::OneOfTheBatch;
        }
        if size == RequestSize::One {
            state.known.retain(|_, at| now.duration_since(*at) < KNOWN);
            state.known.insert(request.answer, now);
        }
        Blame::Order
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A front, and a clock that goes on by a second with each refusal.
    struct Trial {
        front: FrontRefusals,
        now: Instant,
        answer: u64,
    }

    impl Trial {
        fn new() -> Self {
            Self { front: FrontRefusals::default(), now: Instant::now(), answer: 1 }
        }

        fn pass(&self, seq: u64) {
            self.front.note_pass(seq, self.now);
        }

        fn refuse(&mut self, seq: u64, size: RequestSize) -> bool {
            self.now += Duration::from_secs(1);
            let request = RefusedRequest { seq, size, answer: self.answer, passes_at_first: None };
            self.front.note_refusal(request, self.now) == Blame::Order
        }
    }

    #[test]
    fn nobody_is_blamed_for_an_outage() {
        let mut trial = Trial::new();
        assert!((0..100).all(|_| !trial.refuse(1, RequestSize::One)), "nothing ever passed");
        trial.pass(7);
        assert!((0..100).all(|_| !trial.refuse(2, RequestSize::One)), "it may have begun since");
    }

    #[test]
    fn an_order_is_blamed_at_its_fifth_refusal_with_passes_in_between() {
        let mut trial = Trial::new();
        let blamed = (1..=9).find(|_| {
            trial.pass(1_000);
            trial.refuse(2, RequestSize::One)
        });
        // The first pass came before the first refusal.
        assert_eq!(blamed, Some(5));
    }

    #[test]
    fn one_that_is_left_over_is_blamed_when_its_refusals_last() {
        let mut trial = Trial::new();
        assert!(!trial.refuse(1, RequestSize::One));
        trial.pass(2);
        let later = (1..=40).find(|_| trial.refuse(1, RequestSize::One));
        assert_eq!(later, Some(15));
        assert!(!trial.refuse(1, RequestSize::One), "from then on it is judged anew");
    }

    #[test]
    fn the_same_answer_to_the_last_order_is_the_same_firewall() {
        let mut trial = Trial::new();
        assert!(!trial.refuse(1, RequestSize::One));
        trial.pass(2);
        assert!((0..15).any(|_| trial.refuse(1, RequestSize::One)));
        assert!((0..3).any(|_| trial.refuse(3, RequestSize::One)), "it was sent last of all");
        trial.answer = 2;
        assert!((0..100).all(|_| !trial.refuse(4, RequestSize::One)), "another answer is another matter");
    }

    #[test]
    fn many_orders_that_are_refused_at_once_are_an_outage() {
        let mut trial = Trial::new();
        trial.pass(0);
        assert!((0..600).all(|at| !trial.refuse(at % 30, RequestSize::One)));
        // A pass shows that it was none, or that it is over: each is judged by what comes.
        let blamed = (1..=9).find(|_| {
            trial.pass(1_000);
            trial.refuse(1, RequestSize::One)
        });
        assert_eq!(blamed, Some(4), "four passes between five refusals");
    }

    #[test]
    fn the_end_of_an_outage_blames_nobody_who_waited_through_it() {
        let mut trial = Trial::new();
        assert!((0..100).all(|_| !trial.refuse(1, RequestSize::One)));
        trial.pass(2);
        assert!((0..4).all(|_| !trial.refuse(1, RequestSize::One)), "only what comes now counts");
    }

    #[test]
    fn many_that_are_left_over_are_told_by_how_many_passed() {
        let mut trial = Trial::new();
        assert!((0..20).all(|seq| !trial.refuse(seq, RequestSize::One)));
        (0..100).for_each(|_| trial.pass(1_000));
        let blamed = (0..2_000).filter(|at| trial.refuse(at % 20, RequestSize::One)).count();
        assert!(blamed >= 20, "{blamed}");
    }

    #[test]
    fn a_batch_is_halved_and_what_passes_is_forgotten() {
        let trial = Trial::new();
        let batch = |passes_at_first| {
            let (seq, size) = (4, RequestSize::Several);
            let request = RefusedRequest { seq, size, answer: 1, passes_at_first };
            trial.front.note_refusal(request, trial.now)
        };
        assert_eq!(batch(None), Blame::OneOfTheBatch);
        trial.pass(3);
        assert_eq!(batch(Some(0)), Blame::Order, "others passed since a larger one was refused");
        assert!(trial.front.state().refused.is_empty());
    }
}
