use super::*;

fn row(record: &str) -> Write<'_> {
    Write {
        key: Key::Number(1),
        record,
        total: Total::Amount(Decimal::ONE),
        updated: None,
        revision: None,
        deletion: false,
        idempotency: None,
        id_check: false,
        wrong_total: false,
    }
}

fn count(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[test]
fn the_same_key_is_applied_once() {
    let ledger = Ledger::new();
    let keyed = |key, record| ledger.write(Write { idempotency: Some(key), ..row(record) }, None);
    assert_eq!(
        [keyed("a", "{}"), keyed("a", "{}"), keyed("b", "{ }"), keyed("a", "{}")],
        [Outcome::Applied, Outcome::Retried, Outcome::Applied, Outcome::Retried]
    );
    assert_eq!((count(&ledger.counts.accepted), count(&ledger.counts.retried)), (2, 2));
    assert_eq!((count(&ledger.counts.duplicates), ledger.keys().len()), (0, 1));
}

#[test]
fn the_same_content_again_is_a_duplicate() {
    let ledger = Ledger::new();
    for (key, record) in [(Some("a"), "{}"), (Some("b"), "{}"), (None, "{}"), (None, "[]"), (None, "{}")] {
        ledger.write(Write { idempotency: key, ..row(record) }, None);
    }
    assert_eq!((count(&ledger.counts.accepted), count(&ledger.counts.duplicates)), (5, 3));
    assert_eq!(ledger.record(&Key::Number(1)).as_deref(), Some("{}"));
}

#[test]
fn an_id_check_refuses_what_is_there_but_answers_a_retry() {
    let ledger = Ledger::new();
    let checked = |key| ledger.write(Write { idempotency: Some(key), id_check: true, ..row("{}") }, None);
    assert_eq!(
        [checked("a"), checked("a"), checked("b")],
        [Outcome::Applied, Outcome::Retried, Outcome::Repeat]
    );
    assert_eq!((count(&ledger.counts.accepted), count(&ledger.counts.repeats)), (1, 1));
}

#[test]
fn an_older_version_over_a_newer_one_is_stale() {
    let ledger = Ledger::new();
    for (updated, record) in [(Some(5), "5"), (Some(7), "7"), (Some(6), "6"), (Some(7), "77"), (None, "0")] {
        ledger.write(Write { updated, ..row(record) }, None);
    }
    assert_eq!(count(&ledger.counts.stale), 1);
    let mut newest = None;
    ledger.each(|_, version| newest = version.updated);
    assert_eq!(newest, Some(7));
}

#[test]
fn totals_are_counted_by_row() {
    let ledger = Ledger::new();
    for (total, wrong_total) in [
        (Total::Missing, false),
        (Total::Garbage, false),
        (Total::Amount(Decimal::ONE), true),
        (Total::Amount(Decimal::ONE), false),
    ] {
        ledger.write(Write { total, wrong_total, ..row("{}") }, None);
    }
    assert_eq!((count(&ledger.counts.missing_totals), count(&ledger.counts.wrong_totals)), (1, 2));
}

#[test]
fn counts_are_exact_when_many_write_at_once() {
    let ledger = Ledger::new();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ledger = &ledger;
            scope.spawn(move || {
                for number in 0..500 {
                    let key = format!("{number}-{}", thread % 2);
                    let write = Write { key: Key::Number(number), idempotency: Some(&key), ..row("{}") };
                    ledger.write(write, None);
                }
            });
        }
    });
    let counts = &ledger.counts;
    assert_eq!(
        (count(&counts.accepted), count(&counts.retried), count(&counts.duplicates)),
        (1000, 1000, 500)
    );
    assert_eq!(ledger.keys().len(), 500);
}

fn deletion(record: &str) -> Write<'_> {
    Write { total: Total::Missing, deletion: true, ..row(record) }
}

fn newest(ledger: &Ledger) -> Newest {
    let mut newest = None;
    ledger.each(|_, version| newest = Some(*version));
    newest.expect("an order is held")
}

#[test]
fn a_deletion_is_neither_stale_nor_a_duplicate_of_what_it_ends() {
    let ledger = Ledger::new();
    ledger.write(Write { updated: Some(7), ..row("live") }, None);
    ledger.write(Write { updated: Some(5), ..deletion("gone") }, None);
    let expected = Newest { updated: Some(7), total: Some(Decimal::ONE), revision: None, deletion: true };
    assert_eq!(newest(&ledger), expected);
    let counts = &ledger.counts;
    assert_eq!((count(&counts.deletions), count(&counts.accepted)), (1, 2));
    let wrong = [&counts.stale, &counts.duplicates, &counts.missing_totals, &counts.wrong_totals];
    assert_eq!(wrong.map(count), [0; 4]);
}

#[test]
fn a_deletion_is_repeated_by_any_other_but_not_by_its_own_key() {
    let ledger = Ledger::new();
    for (key, record) in [("a", "gone"), ("a", "gone"), ("b", "gone"), ("c", "gone, says another")] {
        ledger.write(Write { idempotency: Some(key), ..deletion(record) }, None);
    }
    let counts = &ledger.counts;
    assert_eq!([&counts.deletions, &counts.retried, &counts.duplicates].map(count), [1, 1, 2]);
    // Back, and gone again: that is news.
    ledger.write(Write { updated: Some(9), ..row("back") }, None);
    ledger.write(deletion("gone again"), None);
    assert_eq!([&counts.deletions, &counts.duplicates].map(count), [1, 2]);
    assert!(newest(&ledger).deletion);
}

#[test]
fn a_row_over_a_deletion_is_stale_or_the_newest() {
    for (deleted, updated, stale, stays) in [
        (Some(9), Some(5), 1, true),
        (Some(5), Some(5), 0, false),
        (Some(5), Some(9), 0, false),
        (None, Some(5), 0, false),
        // Without a time it cannot be said to be older.
        (Some(9), None, 0, false),
    ] {
        let ledger = Ledger::new();
        ledger.write(Write { updated: deleted, ..deletion("gone") }, None);
        ledger.write(Write { updated, ..row("live") }, None);
        assert_eq!(
            (count(&ledger.counts.stale), newest(&ledger).deletion),
            (stale, stays),
            "{deleted:?} {updated:?}"
        );
    }
}

#[test]
fn a_later_revision_with_an_older_time_is_not_stale() {
    let ledger = Ledger::new();
    let write = |revision, updated, record| {
        ledger.write(Write { updated: Some(updated), revision, ..row(record) }, None);
    };
    write(Some(0), 9, "first");
    write(Some(1), 5, "set back");
    assert_eq!(count(&ledger.counts.stale), 0);
    assert_eq!(newest(&ledger).updated, Some(5));
    write(Some(0), 9, "the first again");
    write(None, 3, "never like that");
    assert_eq!(count(&ledger.counts.stale), 1);
}
