//! One row of the source: what it becomes under a mapping, as messages.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use events::{
    ContentHash, LONGEST_TOKEN, Listing, MappedOrder, Micros, NumbersMapped, OrderDeleted, OrderKey, Origin,
    SkippedOrder, Version, shorten_owned,
};
use journal::{JournalError, Label, Record, Topology, TraceParent, panic_message};
use mapping::{Identity, Outcome, Plan, RowError};
use okki::DamagedRow;
use serde_json::value::RawValue;

use crate::fields::PageFields;
use crate::letter::{DAMAGED, Failure};

/// Keys and numbers are quoted in letters and skips up to here, in characters: they are there to be read.
const QUOTED: usize = 200;

/// What a row became.
pub(crate) enum Became {
    /// To be sent.
    Mapped(MappedRow),
    /// Not to be sent.
    Skipped(SkippedOrder),
    /// It cannot be mapped.
    Dead(Failure),
}

/// What a row that is to be sent became.
#[derive(Default)]
pub(crate) struct MappedRow {
    /// Messages for MAPPED, several where the mapping makes a record of each element of a list.
    pub(crate) records: Vec<Record>,
    /// The keys of these orders.
    pub(crate) keys: Vec<OrderKey>,
    /// The numbers that people know these orders by, each with its key, where they differ.
    pub(crate) numbers: Vec<(String, OrderKey)>,
}

/// What is said once of a page, and not of each of its rows.
#[derive(Debug, Default)]
pub(crate) struct Said {
    update_time: AtomicBool,
    repeated_field: AtomicBool,
}

/// What maps a row, and where its messages go.
pub(crate) struct Mapper<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) names: &'a Topology,
    /// The largest message that NATS takes, in bytes.
    pub(crate) max_payload: usize,
    /// No update time counts as later than this; `None` where it is not known when the row was
    /// read.
    pub(crate) latest: Option<Micros>,
    /// What was said already of the rows that it maps.
    pub(crate) said: Said,
    /// 0, and no name, for the live flow.
    pub(crate) generation: u32,
    pub(crate) run: &'a str,
    /// How many of the orders had each field, where that is counted.
    pub(crate) fields: Option<Mutex<PageFields>>,
}

/// An update time, but no later than `latest`.
pub(crate) fn no_later(stamped: Option<Micros>, latest: Option<Micros>) -> Option<Micros> {
    match (stamped, latest) {
        (Some(stamped), Some(latest)) => Some(stamped.min(latest)),
        (stamped, _) => stamped,
    }
}

/// What a row became, or the failure that mapping it panicked.
fn guarded(map: impl FnOnce() -> Result<Became, JournalError>) -> Result<Became, JournalError> {
    std::panic::catch_unwind(AssertUnwindSafe(map))
        .unwrap_or_else(|panic| Ok(Became::Dead(Failure::panicked(&panic_message(&*panic)))))
}

impl<'a> Mapper<'a> {
    /// The same for a replay, whose messages are others than those of the live flow.
    pub(crate) fn of_generation(self, generation: u32, run: &'a str) -> Self {
        Self { generation, run, ..self }
    }

    /// The same, counting how many orders have the fields that the mapping reads.
    pub(crate) fn counting(self, fields: PageFields) -> Self {
        Self { fields: Some(Mutex::new(fields)), ..self }
    }

    /// What was counted.
    pub(crate) fn counted(&mut self) -> Option<PageFields> {
        self.fields.take().map(|fields| fields.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Mapper<'_> {
    /// Maps a row.
    ///
    /// # Errors
    /// None that the row can cause.
    pub(crate) fn map(
        &self,
        row: &RawValue,
        listing: Listing,
        origin: &Origin,
        trace: TraceParent,
    ) -> Result<Became, JournalError> {
        // One row does not spoil a page, also when it makes us panic.
        guarded(|| {
            self.look_for_repeated_field(row, origin);
            match listing {
                Listing::Orders => self.order(row, origin, trace),
                Listing::Deleted => self.deletion(row, origin, trace),
            }
        })
    }

    fn look_for_repeated_field(&self, row: &RawValue, origin: &Origin) {
        if self.said.repeated_field.load(Ordering::Relaxed) {
            return;
        }
        if let Some(field) = self.plan.repeated_field(row) {
            self.said.repeated_field.store(true, Ordering::Relaxed);
            let (raw_seq, row) = (origin.raw_seq, origin.row);
            tracing::warn!(raw_seq, row, field, "an order has a field more than once: its last value counts");
        }
    }

    fn outcome(&self, row: &RawValue) -> Result<Outcome, RowError> {
        let Some(fields) = &self.fields else { return self.plan.map(row) };
        let mut fields = fields.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.plan.map_noting(row, fields.filled());
        fields.count_order();
        outcome
    }

    fn order(&self, row: &RawValue, origin: &Origin, trace: TraceParent) -> Result<Became, JournalError> {
        let mapped = match self.outcome(row) {
            Ok(Outcome::Records(mapped)) => mapped,
            Ok(Outcome::Skipped(skipped)) => {
                return Ok(Became::Skipped(skip(origin.row, skipped.identity, skipped.reason)));
            }
            Err(error) => return Ok(Became::Dead(self.failed(row, &error))),
        };
        let mut row = MappedRow::default();
        for (element, mapped) in mapped.into_iter().enumerate() {
            for problem in &mapped.dropped {
                let (field, why) = (problem.error.field(), problem.error.kind());
                tracing::debug!(
                    raw_seq = origin.raw_seq,
                    row = origin.row,
                    field,
                    why,
                    "field dropped or defaulted"
                );
            }
            if !mapped.marks.is_empty() {
                let failed = mapped.marks.join(", ");
                let number = mapped.identity.number.as_deref();
                tracing::warn!(
                    raw_seq = origin.raw_seq,
                    row = origin.row,
                    number,
                    failed,
                    "an order fails checks and is sent, marked"
                );
            }
            let content = ContentHash::of(&mapped.record);
            let order = match self.message(mapped.identity, mapped.record, content, origin) {
                Ok(order) => MappedOrder { marks: mapped.marks, ..order },
                Err(failure) => return Ok(Became::Dead(failure)),
            };
            let (id, place, subject) = self.address(&order, element);
            let record = Record::new(subject, id, &order)?.traced(Some(trace)).labelled(Label::Origin, place);
            match self.fits(&record, &order) {
                Ok(()) => row.records.push(record),
                Err(failure) => return Ok(Became::Dead(failure)),
            }
            row.keys.push(order.key.clone());
            row.numbers.extend(NumbersMapped::of(order));
        }
        Ok(Became::Mapped(row))
    }

    fn deletion(&self, row: &RawValue, origin: &Origin, trace: TraceParent) -> Result<Became, JournalError> {
        if self.plan.is_by_element() {
            let reason = "a deletion: which elements the order had is not known".to_string();
            return Ok(Became::Skipped(skip(origin.row, self.plan.identify(row), reason)));
        }
        match self.plan.is_deletion(row) {
            Ok(true) => {}
            Ok(false) => {
                let reason = "on the list of deletions, but schedule.deleted.when does not hold".to_string();
                return Ok(Became::Skipped(skip(origin.row, self.plan.identify_deleted(row), reason)));
            }
            Err(error) => return Ok(Became::Dead(self.failed(row, &error))),
        }
        let mapped = match self.plan.map_deleted(row) {
            Ok(mapped) => mapped,
            Err(error) => return Ok(Became::Dead(self.failed(row, &error))),
        };
        let record = mapped.record.unwrap_or_default();
        // A deletion differs from every state of the order, also where its record happens to be the same.
        let content = ContentHash::of(&[b"deleted:", &record[..]].concat());
        let order = match self.message(mapped.identity, record, content, origin) {
            Ok(order) => order,
            Err(failure) => return Ok(Became::Dead(failure)),
        };
        let (id, place, subject) = self.address(&order, 0);
        let deleted = OrderDeleted(order);
        let record = Record::new(subject, id, &deleted)?.traced(Some(trace)).labelled(Label::Origin, place);
        Ok(match self.fits(&record, &deleted.0) {
            Ok(()) => Became::Mapped(MappedRow {
                records: vec![record],
                keys: vec![deleted.0.key.clone()],
                numbers: NumbersMapped::of(deleted.0).into_iter().collect(),
            }),
            Err(failure) => Became::Dead(failure),
        })
    }

    /// Whether NATS takes the message: one that is too large would keep its page waiting for ever.
    fn fits(&self, record: &Record, order: &MappedOrder) -> Result<(), Failure> {
        let (size, limit) = (record.size(), self.max_payload);
        if size <= limit {
            return Ok(());
        }
        let message = format!("the mapped order has {size} bytes, NATS takes {limit} (max_payload)");
        let (key, number) = (Some(quoted(order.key.as_str())), order.number.as_deref().map(quoted));
        Err(Failure { kind: "too_large".to_string(), message, causes: Vec::new(), key, number })
    }

    /// The update time that counts. One of tomorrow would hide every change until then, so it is
    /// taken for that of the reading: of two such states the one that was read later is the newer.
    fn update_time(&self, stamped: Option<Micros>, origin: &Origin) -> Option<Micros> {
        let counts = no_later(stamped, self.latest);
        if counts < stamped && !self.said.update_time.swap(true, Ordering::Relaxed) {
            let seconds = stamped.unwrap_or(0).saturating_sub(counts.unwrap_or(0)) / 1_000_000;
            tracing::warn!(
                raw_seq = origin.raw_seq,
                row = origin.row,
                ahead_seconds = seconds,
                "orders carry an update time later than when they were read: it counts as the time of their reading. Is \
                 source.time_zone right, and is `version` of the mapping the time of the last change?"
            );
        }
        counts
    }

    fn message(
        &self,
        identity: Identity,
        record: Vec<u8>,
        content: ContentHash,
        origin: &Origin,
    ) -> Result<MappedOrder, Failure> {
        let Some(key) = identity.key.and_then(OrderKey::new) else {
            let (kind, message) = ("missing_key".to_string(), "the mapped order has no key".to_string());
            let number = identity.number.as_deref().map(quoted);
            return Err(Failure { kind, message, causes: Vec::new(), key: None, number });
        };
        let found = key.token_len();
        if found > LONGEST_TOKEN {
            // What became of it could not be recorded: a receipt has the key in its subject.
            let message = format!(
                "the key of the order has {found} bytes as part of a subject, expected at most {LONGEST_TOKEN}"
            );
            let (key, number) = (Some(quoted(key.as_str())), identity.number.as_deref().map(quoted));
            return Err(Failure {
                kind: "key_too_long".to_string(),
                message,
                causes: Vec::new(),
                key,
                number,
            });
        }
        Ok(MappedOrder {
            version: Version {
                updated_at: self.update_time(identity.version, origin),
                raw_seq: origin.raw_seq,
                generation: self.generation,
            },
            // People look for it, and every receipt repeats it.
            number: identity.number.map(shorten_owned),
            mapping: self.plan.version().to_string(),
            content,
            origin: origin.clone(),
            record,
            key,
            marks: Vec::new(),
        })
    }

    /// The message id, the place for the account, and the subject. A redelivered page maps to the same messages; after the
    /// broker's dedupe window the ledger knows them.
    fn address(&self, order: &MappedOrder, element: usize) -> (String, String, String) {
        let origin = &order.origin;
        let place = match element {
            0 => format!("{}/{}", origin.raw_seq, origin.row),
            element => format!("{}/{}/{element}", origin.raw_seq, origin.row),
        };
        let mut id = format!("map:{place}:{}", order.mapping);
        if !self.run.is_empty() {
            id = format!("{id}:{}", self.run);
        }
        (id, place, self.names.mapped_of(&order.key))
    }

    /// Why a row that is no JSON cannot be mapped, with as much of who it is as can be made out.
    pub(crate) fn damaged(&self, row: &DamagedRow<'_>, listing: Listing) -> Failure {
        let legible = row.legible();
        let who = match (&legible, listing) {
            (Some(row), Listing::Orders) => self.plan.identify(row),
            (Some(row), Listing::Deleted) => self.plan.identify_deleted(row),
            (None, _) => Identity::default(),
        };
        Failure {
            kind: DAMAGED.to_string(),
            message: format!("the source sent an order that cannot be read: {}", row.reason),
            causes: Vec::new(),
            key: who.key.as_deref().map(quoted),
            number: who.number.as_deref().map(quoted),
        }
    }

    fn failed(&self, row: &RawValue, error: &RowError) -> Failure {
        let who = self.plan.identify(row);
        let (key, number) = (who.key.as_deref().map(quoted), who.number.as_deref().map(quoted));
        let (kind, message) = (error.kind().to_string(), error.to_string());
        Failure { kind, message, causes: service::causes(error), key, number }
    }
}

fn skip(row: u32, identity: Identity, reason: String) -> SkippedOrder {
    let (key, number) = (identity.key.as_deref().map(quoted), identity.number.as_deref().map(quoted));
    SkippedOrder { row, key, number, reason: quoted(&reason) }
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_makes_the_mapping_panic_is_a_letter_of_its_own() {
        let became = guarded(|| panic!("attempt to add with overflow")).expect("no error of the log");
        let Became::Dead(failure) = became else { unreachable!("it panicked") };
        assert_eq!(failure.kind, "panic");
        assert!(failure.message.contains("attempt to add with overflow"), "{}", failure.message);
    }

    #[test]
    fn an_update_time_counts_no_later_than_it_can_be() {
        assert_eq!(no_later(Some(9), Some(7)), Some(7));
        assert_eq!(no_later(Some(5), Some(7)), Some(5));
        assert_eq!(no_later(None, Some(7)), None, "one without a time stays older than one with");
        assert_eq!(no_later(Some(9), None), Some(9));
    }
}
