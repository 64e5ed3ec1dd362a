use events::Outcome;
use journal::From;
use proptest::prelude::*;

use super::{FailedAgain, SentMessages};

fn messages(targets: &[&str]) -> SentMessages {
    let named = targets.iter().map(|name| (name.to_string(), name.to_string()));
    SentMessages::new(named.collect(), From::Start)
}

fn failed(letter: u64, target: &str) -> FailedAgain {
    FailedAgain {
        letter,
        of_letter: Some(1),
        target: target.into(),
        key: Some("7".into()),
        number: None,
        kind: "refused".into(),
        message: "40001: no such customer".into(),
        fingerprint: "e6b118f3".into(),
    }
}

#[test]
fn a_message_for_all_targets_counts_at_each_and_one_with_a_target_there_alone() {
    let mut sent = messages(&["a", "b"]);
    sent.add(1, None, None);
    sent.add(2, Some("b"), Some(9));
    sent.add(2, Some("b"), Some(9));
    assert_eq!((sent.sent(), sent.under_way(), sent.awaited()), (3, 3, vec!["a", "b"]));
    assert_eq!(sent.place(2, "a"), None);
    sent.settle((1, 0), Outcome::Written);
    assert_eq!((sent.under_way(), sent.awaited()), (2, vec!["b"]));
}

#[test]
fn a_target_that_is_not_configured_any_more_is_waited_for_all_the_same() {
    let mut sent = messages(&["a"]);
    sent.add(1, Some("gone"), None);
    assert_eq!((sent.under_way(), sent.awaited()), (1, vec!["gone"]));
}

#[test]
fn an_outcome_holds_against_a_letter_whichever_is_read_first() {
    for letter_first in [true, false] {
        let mut sent = messages(&["a"]);
        sent.add(1, None, Some(5));
        if letter_first {
            sent.fail((1, 0), failed(8, "a"));
        }
        sent.settle((1, 0), Outcome::Unknown);
        if !letter_first {
            sent.fail((1, 0), failed(8, "a"));
        }
        sent.settle((1, 0), Outcome::Written);
        let result = sent.result();
        assert_eq!((result.failed, result.unknown, result.succeeded), (0, 0, 1), "{result:?}");
        assert!(result.is_settled());
    }
}

proptest! {
    #[test]
    fn every_message_counts_once_whatever_is_heard_of_it(
        heard in proptest::collection::vec((1_u64..12, 0_usize..2, 0_usize..8), 0..60),
    ) {
        let mut sent = messages(&["a", "b"]);
        for seq in 1..12 {
            sent.add(seq, None, None);
        }
        for (seq, target, what) in heard {
            match Outcome::ALL.get(what) {
                Some(outcome) => sent.settle((seq, target), *outcome),
                None => sent.fail((seq, target), failed(seq + 100, "a")),
            }
        }
        let result = sent.result();
        prop_assert_eq!(result.sent, 22);
        prop_assert_eq!(result.under_way, sent.under_way());
        let counted = result.succeeded + result.failed + result.unknown + result.older_stamp + result.under_way;
        prop_assert_eq!(counted, result.sent);
        prop_assert_eq!(result.failures.len() as u64, result.failed);
        let outcomes: u64 = result.outcomes.values().sum();
        prop_assert_eq!(outcomes, result.sent - result.failed - result.under_way);
    }
}
