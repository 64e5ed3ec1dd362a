//! Histories of a writer that does everything right are settled, whatever the order of things; each fault planted into one
//! is found, and found as what it is.

use std::collections::HashMap;

use events::{ContentHash, MappedEvent, MappedOrder, OrderDeleted, OrderKey, Origin, Receipt, WindowId};
use events::{DeadResolved, Outcome, TargetName, Version};
use proptest::prelude::*;

use super::Reconciliation;
use super::fold::Fold;

const KEYS: u8 = 4;

/// What is read from the three logs.
#[derive(Debug, Clone, Default)]
struct Logs {
    mapped: Vec<(u64, MappedEvent)>,
    receipts: Vec<Receipt>,
    /// The letter and the message it is about.
    letters: Vec<(u64, u64)>,
    resolved: Vec<DeadResolved>,
}

impl Logs {
    fn reconcile(&self) -> Reconciliation {
        let mut fold = Fold::default();
        self.mapped.iter().for_each(|(seq, event)| fold.mapped(*seq, event));
        self.receipts.iter().for_each(|receipt| fold.receipt(receipt));
        self.letters.iter().for_each(|(letter, mapped)| fold.letter(*letter, *mapped));
        self.resolved.iter().for_each(|resolved| fold.resolved(resolved));
        fold.end(&TargetName::new("t"))
    }
}

/// One message of MAPPED: which order, how new, and what becomes of it.
#[derive(Debug, Clone)]
struct Step {
    key: u8,
    updated_at: i64,
    content: u8,
    deleted: bool,
    refused: bool,
    /// When a writer takes it up; those of one order are taken up in any order.
    turn: u8,
    /// Its settlement was lost: it comes again at the end.
    again: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let fields = (0..KEYS, 0_i64..6, 0_u8..4, prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (fields, any::<u8>(), prop::bool::weighted(0.1)).prop_map(
        |((key, updated_at, content, deleted, refused), turn, again)| Step {
            key,
            updated_at,
            content,
            deleted,
            refused,
            turn,
            again,
        },
    )
}

fn event(step: &Step, seq: u64) -> MappedEvent {
    let record = if step.deleted { Vec::new() } else { vec![step.content] };
    let order = MappedOrder {
        key: OrderKey::new(step.key.to_string()).expect("not empty"),
        number: None,
        version: Version { updated_at: Some(step.updated_at), raw_seq: seq, generation: 0 },
        origin: Origin { window: WindowId::live(1), page: 1, row: 0, raw_seq: seq },
        mapping: "m".into(),
        content: ContentHash::of(&record),
        record,
        marks: Vec::new(),
    };
    if step.deleted { MappedEvent::Deleted(OrderDeleted(order)) } else { MappedEvent::Order(order) }
}

fn order(event: &MappedEvent) -> &MappedOrder {
    match event {
        MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order)) => order,
    }
}

/// A writer as the rules say: newer wins, equal content is not sent, a key changes as soon as the target took something.
#[derive(Default)]
struct Model {
    logs: Logs,
    held: HashMap<OrderKey, (Version, ContentHash, u64, bool)>,
}

impl Model {
    fn take(&mut self, seq: u64, event: &MappedEvent, refused: bool) {
        let order = order(event);
        let held = self.held.get(&order.key).copied();
        let empty = (Version::OLDEST, order.content, 0, false);
        let (version, content, basis, known) = held.unwrap_or(empty);
        let outcome = match held {
            // Each window has one page here, so what lies further on in RAW was read later.
            Some(_)
                if order.version.updated_at < version.updated_at
                    && order.version.raw_seq > version.raw_seq
                    && order.content != content
                    && matches!(event, MappedEvent::Order(_)) =>
            {
                Outcome::OlderStamp
            }
            Some(_) if order.version < version => Outcome::Superseded,
            Some(_) if known && content == order.content => Outcome::Unchanged,
            _ if matches!(event, MappedEvent::Deleted(_)) => Outcome::Ignored,
            _ if refused => {
                self.logs.letters.push((self.logs.letters.len() as u64 + 1, seq));
                return;
            }
            _ => Outcome::Written,
        };
        let next = match outcome {
            Outcome::Superseded | Outcome::OlderStamp | Outcome::Ignored => (version, content, basis, known),
            Outcome::Unchanged => (order.version.max(version), content, basis, known),
            _ => (order.version, order.content, self.logs.receipts.len() as u64 + 1, true),
        };
        self.logs.receipts.push(Receipt {
            target: TargetName::new("t"),
            key: order.key.clone(),
            number: None,
            outcome,
            mapped_seq: seq,
            version: order.version,
            held: next.0,
            content: next.1,
            known: next.3,
            status: None,
            attempts: u32::from(outcome == Outcome::Written),
            last_write: basis,
            idempotency_key: format!("{}-{basis}-{}", order.key, order.content),
            at: 0,
            older_stamp: (outcome == Outcome::OlderStamp).then_some(order.version),
        });
        self.held.insert(order.key.clone(), next);
    }
}

/// What the logs hold after a writer has done these steps.
fn written(steps: &[Step]) -> Logs {
    let mut model = Model::default();
    // Skipped orders lie between.
    model.logs.mapped = steps.iter().zip(1..).map(|(step, n)| (n * 2 + 5, event(step, n * 2 + 5))).collect();
    let mapped = model.logs.mapped.clone();
    let mut work: Vec<_> = mapped.iter().zip(steps).collect();
    work.sort_by_key(|((seq, _), step)| (step.turn, *seq));
    for ((seq, event), step) in &work {
        model.take(*seq, event, step.refused);
    }
    for ((seq, event), _) in work.iter().filter(|(_, step)| step.again) {
        let last = model.logs.receipts.iter().rev().find(|receipt| receipt.key == order(event).key);
        // The ledger knows its own last message; of a dead one it knows nothing.
        if last.is_none_or(|last| last.mapped_seq != *seq) {
            model.take(*seq, event, false);
        }
    }
    model.logs
}

proptest! {
    #[test]
    fn what_a_right_writer_did_is_settled(steps in prop::collection::vec(step(), 0..40)) {
        let logs = written(&steps);
        let result = logs.reconcile();
        prop_assert!(result.is_settled(), "{result:?}");
        prop_assert_eq!(result.faults(), vec![]);
        prop_assert!(result.messages.is_balanced());
        prop_assert_eq!(result.messages.mapped, steps.len() as u64);
        let listed = result.dead.len() + result.discarded.len();
        prop_assert_eq!(result.orders, result.up_to_date + result.nothing_to_hold + listed as u64);
    }

    #[test]
    fn a_lost_outcome_is_found(steps in prop::collection::vec(step(), 1..40), which in any::<prop::sample::Index>()) {
        let mut logs = written(&steps);
        prop_assume!(!logs.receipts.is_empty());
        let gone = logs.receipts.remove(which.index(logs.receipts.len()));
        let result = logs.reconcile();
        let again = logs.receipts.iter().any(|receipt| receipt.mapped_seq == gone.mapped_seq);
        let letter = logs.letters.iter().any(|(_, mapped)| *mapped == gone.mapped_seq);
        prop_assert_eq!(result.messages.is_balanced(), again || letter);
    }

    #[test]
    fn the_content_last_given_decides(mut steps in prop::collection::vec(step(), 1..40), key in 0..KEYS) {
        steps.iter_mut().for_each(|step| step.refused = false);
        let mut logs = written(&steps);
        let key = key.to_string();
        let Some(last) = logs.receipts.iter_mut().rev().find(|receipt| receipt.key.as_str() == key) else {
            return Ok(());
        };
        prop_assume!(last.known);
        last.content = ContentHash::of(b"something older");
        let result = logs.reconcile();
        prop_assert_eq!(result.stale.iter().map(|order| &order.key).collect::<Vec<_>>(), vec![&key]);
        prop_assert!(!result.is_settled() && result.faults() == vec![("stale", key.as_str())]);
    }
}

/// One order, edited once; both versions were written.
fn edited() -> Logs {
    let step = |updated_at, content, turn| Step {
        key: 1,
        updated_at,
        content,
        deleted: false,
        refused: false,
        turn,
        again: false,
    };
    written(&[step(1, 1, 0), step(2, 2, 1)])
}

#[test]
fn nothing_written_is_missing_and_half_written_is_stale() {
    let mut logs = edited();
    logs.receipts.pop();
    let result = logs.reconcile();
    assert_eq!((result.stale.len(), result.messages.in_flight, result.is_settled()), (1, 1, false));
    assert_eq!(result.stale[0].held.expect("the first").updated_at, Some(1));
    logs.receipts.pop();
    let result = logs.reconcile();
    assert_eq!((result.missing.len(), result.messages.in_flight, result.is_settled()), (1, 2, false));
    assert_eq!((result.missing[0].held, result.missing[0].mapped_seq), (None, 9));
}

#[test]
fn an_older_version_written_after_a_newer_one_is_found() {
    let mut logs = edited();
    logs.receipts.swap(0, 1);
    let result = logs.reconcile();
    assert_eq!((result.overwritten.len(), result.stale.len()), (1, 1));
    // Recorded as the writer does when it notices: not known, and said so.
    let (newest, older) = (logs.receipts[0].held, &mut logs.receipts[1]);
    (older.outcome, older.known, older.held) = (Outcome::Unknown, false, newest);
    let result = logs.reconcile();
    assert_eq!((result.overwritten.len(), result.stale.len(), result.unknown.len()), (0, 0, 1));
    assert_eq!(result.faults(), vec![("unknown", "1")]);
}

#[test]
fn the_same_content_under_another_key_is_a_duplicate_unless_it_was_not_known() {
    let mut logs = edited();
    let mut twice = logs.receipts[1].clone();
    logs.receipts.push(twice.clone());
    assert_eq!(logs.reconcile().sent_twice.len(), 0, "the same key: the target did nothing");
    twice.idempotency_key = "another".into();
    logs.receipts.push(twice.clone());
    assert_eq!(logs.reconcile().sent_twice, vec!["1"]);
    let unknown = Receipt { outcome: Outcome::Unknown, known: false, ..twice };
    logs.receipts.insert(3, unknown);
    assert_eq!(logs.reconcile().sent_twice.len(), 0, "something else may have been there");
}

#[test]
fn a_letter_waits_until_it_is_resolved() {
    let mut logs = edited();
    let refused = logs.receipts.pop().expect("the second");
    logs.letters.push((3, refused.mapped_seq));
    let result = logs.reconcile();
    assert_eq!((result.dead.len(), result.open_letters, result.messages.dead), (1, 1, 1));
    assert!(result.is_settled() && result.faults().is_empty() && result.messages.is_balanced());
    let resolved =
        |how: &str| DeadResolved { letter: 3, how: how.into(), reason: String::new(), operation: None };
    logs.resolved = vec![resolved("discarded")];
    let result = logs.reconcile();
    assert_eq!((result.discarded.len(), result.dead.len(), result.is_settled()), (1, 0, true));
    logs.resolved = vec![resolved("retried")];
    let result = logs.reconcile();
    assert_eq!((result.stale.len(), result.is_settled()), (1, false), "tried again, and nothing came of it");
    logs.receipts.push(refused);
    let result = logs.reconcile();
    assert_eq!((result.up_to_date, result.messages.also_dead, result.messages.dead), (1, 1, 0));
}

#[test]
fn content_that_came_back_may_be_written_again_and_so_may_what_is_forced() {
    let twice = |contents: [u8; 3], forced: bool| {
        let steps = contents.map(|content| Step {
            key: 1,
            updated_at: 1,
            content,
            deleted: false,
            refused: false,
            turn: 0,
            again: false,
        });
        let mut logs = written(&steps);
        // A writer that was lost had the second, and the third was written for that.
        logs.receipts.truncate(1);
        let first = logs.receipts[0].clone();
        logs.receipts.push(Receipt { mapped_seq: 11, idempotency_key: "another".into(), ..first });
        let mut fold = Fold::default();
        logs.mapped.iter().for_each(|(seq, event)| fold.mapped(*seq, event));
        if forced {
            fold.forced(11);
        }
        logs.receipts.iter().for_each(|receipt| fold.receipt(receipt));
        fold.end(&TargetName::new("t")).sent_twice.len()
    };
    assert_eq!((twice([1, 1, 1], false), twice([1, 2, 1], false), twice([1, 1, 1], true)), (1, 0, 0));
}

#[test]
fn a_message_that_cannot_be_read_needs_a_letter() {
    let mut fold = Fold::default();
    fold.unreadable(4);
    assert_eq!(fold.end(&TargetName::new("t")).messages.in_flight, 1);
    let mut fold = Fold::default();
    fold.unreadable(4);
    fold.letter(1, 4);
    let result = fold.end(&TargetName::new("t"));
    assert!(result.messages.is_balanced() && result.is_settled() && result.orders == 0);
}
