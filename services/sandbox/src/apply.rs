//! Writing the rows of one call: what is refused, what is judged, what reaches the ledger.

use serde_json::value::RawValue;

use crate::dial::Armed;
use crate::draw::{hash_text, in_share};
use crate::key::Key;
use crate::ledger::{Outcome, Total, Write};
use crate::lock::{lock, read};
use crate::record;
use crate::state::{State, add};

/// What holds for all rows of a call.
pub(crate) struct Call<'a> {
    pub(crate) id_check: bool,
    pub(crate) idempotency: Option<&'a str>,
}

/// What became of the rows of a call.
#[derive(Debug, Default, Clone)]
pub(crate) struct Done {
    pub(crate) inserted: u64,
    pub(crate) failed: u64,
    /// Code and message of the first row that failed.
    pub(crate) first_failure: Option<(u32, String)>,
}

impl Done {
    pub(crate) fn rows(&self) -> u64 {
        self.inserted + self.failed
    }
}

/// The orders of a call, as far as they can be told; looked at only when somebody wants to know.
pub(crate) fn keys(state: &State, rows: &RawValue) -> Vec<Key> {
    let rows = match rows.get().as_bytes().first() {
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(rows.get()).unwrap_or_default(),
        _ => vec![rows],
    };
    rows.into_iter().filter_map(|row| record::look(row.get(), &state.zone)).map(|record| record.key).collect()
}

/// Writes one record, or each of a list (then `true`); `None` when the text is neither.
pub(crate) fn rows(state: &State, armed: &Armed, rows: &RawValue, call: &Call<'_>) -> Option<(Done, bool)> {
    // The answers by key, where keys stand for requests.
    let key = call.idempotency.filter(|_| armed.faults.target.answer_by_key).map(hash_text);
    if let Some(known) = key.and_then(|key| lock(&state.answers).get(&key).cloned()) {
        return Some(known);
    }
    let done = applied(state, armed, rows, call)?;
    if let Some(key) = key {
        lock(&state.answers).insert(key, done.clone());
    }
    Some(done)
}

fn applied(state: &State, armed: &Armed, rows: &RawValue, call: &Call<'_>) -> Option<(Done, bool)> {
    let mut done = Done::default();
    let batch = match rows.get().as_bytes().first()? {
        b'{' => {
            row(state, armed, rows.get(), call, &mut done);
            false
        }
        b'[' => {
            let rows: Vec<&RawValue> = serde_json::from_str(rows.get()).ok()?;
            for one in rows {
                row(state, armed, one.get(), call, &mut done);
            }
            true
        }
        _ => return None,
    };
    Some((done, batch))
}

fn row(state: &State, armed: &Armed, json: &str, call: &Call<'_>, done: &mut Done) {
    match write(state, armed, json, call) {
        Ok(()) => done.inserted += 1,
        Err(failure) => {
            done.failed += 1;
            done.first_failure.get_or_insert(failure);
        }
    }
}

fn write(state: &State, armed: &Armed, json: &str, call: &Call<'_>) -> Result<(), (u32, String)> {
    let Some(record) = record::look(json, &state.zone) else {
        add(&state.calls.refused_rows);
        return Err((40001, "orderId is required".to_owned()));
    };
    if is_refused(armed, &record.key) {
        add(&state.calls.refused_rows);
        return Err((40002, format!("{}: {}", reason(armed, &record.key), record.key)));
    }
    // Judged before the ledger is locked: no thread may wait for the book while it holds a part of the ledger.
    let (wrong_total, revision) = match record.total {
        Total::Amount(amount) if !record.deletion => {
            let book = read(&state.book);
            let wrong = book.is_wrong_total(&record.key, Some(amount), record.updated);
            (wrong, book.revision_of(&record.key, record.updated, Some(amount)))
        }
        Total::Amount(_) | Total::Missing | Total::Garbage => (false, None),
    };
    let write = Write {
        key: record.key,
        record: json,
        total: record.total,
        updated: record.updated,
        revision,
        deletion: record.deletion,
        idempotency: call.idempotency,
        id_check: call.id_check,
        wrong_total,
    };
    match state.ledger.write(write, state.target_log.as_ref()) {
        Outcome::Applied | Outcome::Retried => Ok(()),
        Outcome::Repeat => Err((40901, "REPEAT".to_owned())),
    }
}

/// Why orders are refused.
const REASONS: [&str; 3] = ["客户不存在", "物料编码不存在", "单据日期不在当前会计期间"];

fn reason(armed: &Armed, key: &Key) -> &'static str {
    let among = armed.faults.target.refuse_reasons.clamp(1, REASONS.len() as u64);
    REASONS[usize::try_from(key.stable_hash() % among).unwrap_or_default()]
}

fn is_refused(armed: &Armed, key: &Key) -> bool {
    armed.refused.contains(key)
        || in_share(key.stable_hash().rotate_left(32), armed.faults.target.refuse_share)
}
