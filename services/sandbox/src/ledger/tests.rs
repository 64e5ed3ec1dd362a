use super::*;

fn row(record: &str) -> Write<'_> {
    Write {
        key: Key::Number(1),
        record,
        total: Total::Amount(Decimal::ONE),
        updated: None,
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
    ledger.each(|_, updated, _| newest = updated);
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
