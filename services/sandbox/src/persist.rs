//! What survives the process: the lines of both logs, and how they are read back.
//!
//! `source.log` starts with a line naming its orders, then has `E index second`, `I template second` and
//! `R index second`. A silent edit is an `E` at the order's own update time, a backdated
//! one an `E` before it, a late insert an `I` in the past. `target.log` has `{"key":idempotency key or null,"row":record}`.

use std::path::Path;

use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ledger::{Ledger, Total, Write};
use crate::log::Log;
use crate::options::SandboxError;
use crate::orders::Book;
use crate::orders::change::Change;
use crate::record;

/// Brings a freshly loaded book up to the last change that was kept.
pub(crate) fn open_source(path: &Path, book: &mut Book) -> Result<Log, SandboxError> {
    let wanted = book.fingerprint();
    let mut found = None;
    let mut changes = Vec::new();
    let mut length = book.len();
    let log = Log::open(path, |line| {
        if found.is_none() {
            found = Some(line.to_owned());
            return Ok(());
        }
        if found.as_ref() != Some(&wanted) {
            return Ok(()); // The first line decides; its error says more than any later one's.
        }
        let change = parse_change(line).ok_or("not a change of an order")?;
        match change {
            Change::Insert { .. } => length += 1,
            Change::Edit { index, .. } | Change::Remove { index, .. } if u64::from(index) < length => {}
            Change::Edit { .. } | Change::Remove { .. } => {
                return Err("a change of an order that is not there".into());
            }
        }
        changes.push(change);
        Ok(())
    })?;
    match found {
        None => {
            log.push(&[wanted.as_bytes()]);
            log.flush().map_err(|source| SandboxError::File { path: path.to_owned(), source })?;
        }
        Some(found) if found != wanted => {
            return Err(SandboxError::OtherOrders { path: path.to_owned(), found, wanted });
        }
        Some(_) => {
            book.apply(changes);
        }
    }
    Ok(log)
}

/// Queues the lines of changes.
pub(crate) fn push_changes(log: &Log, changes: &[Change]) {
    for change in changes {
        let line = match change {
            Change::Edit { index, at } => format!("E {index} {at}"),
            Change::Insert { template, at } => format!("I {template} {at}"),
            Change::Remove { index, at } => format!("R {index} {at}"),
        };
        log.push(&[line.as_bytes()]);
    }
}

fn parse_change(line: &str) -> Option<Change> {
    let mut words = line.split(' ');
    let (kind, number, at) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    match kind {
        "E" => Some(Change::Edit { index: number, at }),
        "I" => Some(Change::Insert { template: number, at }),
        "R" => Some(Change::Remove { index: number, at }),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    key: Option<String>,
    #[serde(borrow)]
    row: &'a RawValue,
}

/// Applies every row that was kept once more, which also brings the counts of rows back.
pub(crate) fn open_target(
    path: &Path,
    ledger: &Ledger,
    book: &Book,
    zone: &TimeZone,
) -> Result<Log, SandboxError> {
    Log::open(path, |text| {
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let row = line.row.get();
        let record = record::look(row, zone).ok_or("a row without orderId")?;
        let amount = if let Total::Amount(amount) = record.total { Some(amount) } else { None };
        let wrong_total =
            amount.is_some() && !record.deletion && book.is_wrong_total(&record.key, amount, record.updated);
        let revision = amount.and_then(|_| book.revision_of(&record.key, record.updated, amount));
        let write = Write {
            wrong_total,
            revision,
            key: record.key,
            record: row,
            total: record.total,
            updated: record.updated,
            deletion: record.deletion,
            // Every line was applied, so no key here wrote the same order in an earlier line: nothing is refused.
            idempotency: line.key.as_deref(),
            id_check: false,
        };
        ledger.write(write, None);
        Ok(())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::options::Orders;

    fn book(seed: u64) -> Book {
        Book::load(&Orders::Generated { count: 20 }, seed).unwrap()
    }

    #[test]
    fn changes_of_the_source_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("source.log");
        let mut first = book(1);
        let log = open_source(&path, &mut first).unwrap();
        for changes in [first.plan_edits(3, 2_000_000_000), first.plan_inserts(2, 2_000_000_001)] {
            push_changes(&log, &changes);
            first.apply(changes);
        }
        let changes = first.plan_removals(4, 2_000_000_002);
        push_changes(&log, &changes);
        first.apply(changes);
        log.flush().unwrap();

        let mut second = book(1);
        open_source(&path, &mut second).unwrap();
        assert_eq!((second.len(), second.live_count(), second.edits()), (22, 18, 3));
        // The next choice continues where the first process stopped.
        assert_eq!(first.plan_edits(5, 2_000_000_003), second.plan_edits(5, 2_000_000_003));
        let error = open_source(&path, &mut book(2)).err().unwrap().to_string();
        assert!(error.contains("(generated 20 seed 1), not for these (generated 20 seed 2)"), "{error}");
    }

    #[test]
    fn rows_at_the_target_come_back_with_their_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("target.log");
        let (book, zone) = (book(1), TimeZone::UTC);
        let write = |ledger: &Ledger, key: Option<&str>, record: &str, log: Option<&Log>| {
            let looked = record::look(record, &zone).unwrap();
            let write = Write {
                key: looked.key,
                record,
                total: looked.total,
                updated: looked.updated,
                revision: None,
                deletion: looked.deletion,
                idempotency: key,
                id_check: false,
                wrong_total: false,
            };
            ledger.write(write, log)
        };
        let first = Ledger::new();
        let log = open_target(&path, &first, &book, &zone).unwrap();
        write(&first, Some("k\"1"), "{\"orderId\":1,\n\"totalAmount\":1}", Some(&log));
        write(&first, None, r#"{"orderId":"2","updateTime":"2025-01-01 00:00:00"}"#, Some(&log));
        log.flush().unwrap();
        // The process dies in the middle of a line.
        let torn = std::fs::read_to_string(&path).unwrap() + "{\"key\":nu";
        std::fs::write(&path, torn).unwrap();

        let second = Ledger::new();
        let log = open_target(&path, &second, &book, &zone).unwrap();
        assert_eq!(second.counts.accepted.load(Ordering::Relaxed), 2);
        assert_eq!(second.counts.missing_totals.load(Ordering::Relaxed), 1);
        let retried = write(&second, Some("k\"1"), r#"{"orderId":1}"#, Some(&log));
        assert_eq!(retried, crate::ledger::Outcome::Retried);
        log.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }
}
