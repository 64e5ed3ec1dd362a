//! One row of the source: what it becomes under a mapping, as messages.

use events::{
    ContentHash, Listing, MappedOrder, NumbersMapped, OrderDeleted, OrderKey, Origin, SkippedOrder, Version,
};
use journal::{JournalError, Label, Record, Topology, TraceParent};
use mapping::{Identity, Outcome, Plan, RowError};
use serde_json::value::RawValue;

use crate::letter::Failure;

/// Keys and numbers are quoted in letters and skips up to here, in characters: they are there to be read.
const QUOTED: usize = 200;

/// What a row became.
pub(crate) enum Became {
    /// Messages for MAPPED, several where the mapping makes a record of each element of a list; and the numbers that people know
    /// these orders by.
    Mapped(Vec<Record>, Vec<(String, OrderKey)>),
    /// Not to be sent.
    Skipped(SkippedOrder),
    /// It cannot be mapped.
    Dead(Failure),
}

/// What maps a row, and where its messages go.
pub(crate) struct Mapper<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) names: &'a Topology,
    /// The largest message that NATS takes, in bytes.
    pub(crate) max_payload: usize,
    /// 0, and no name, for the live flow.
    pub(crate) generation: u32,
    pub(crate) run: &'a str,
}

impl<'a> Mapper<'a> {
    /// The same for a replay, whose messages are others than those of the live flow.
    pub(crate) fn of_generation(self, generation: u32, run: &'a str) -> Self {
        Self { generation, run, ..self }
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
        match listing {
            Listing::Orders => self.order(row, origin, trace),
            Listing::Deleted => self.deletion(row, origin, trace),
        }
    }

    fn order(&self, row: &RawValue, origin: &Origin, trace: TraceParent) -> Result<Became, JournalError> {
        let mapped = match self.plan.map(row) {
            Ok(Outcome::Records(mapped)) => mapped,
            Ok(Outcome::Skipped(skipped)) => {
                return Ok(Became::Skipped(skip(origin.row, skipped.identity, skipped.reason)));
            }
            Err(error) => return Ok(Became::Dead(self.failed(row, &error))),
        };
        let (mut records, mut numbers) = (Vec::with_capacity(mapped.len()), Vec::with_capacity(mapped.len()));
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
                Ok(()) => records.push(record),
                Err(failure) => return Ok(Became::Dead(failure)),
            }
            numbers.extend(NumbersMapped::of(order));
        }
        Ok(Became::Mapped(records, numbers))
    }

    fn deletion(&self, row: &RawValue, origin: &Origin, trace: TraceParent) -> Result<Became, JournalError> {
        if self.plan.is_by_element() {
            let reason = "a deletion: which elements the order had is not known".to_string();
            return Ok(Became::Skipped(skip(origin.row, self.plan.identify(row), reason)));
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
            Ok(()) => Became::Mapped(vec![record], NumbersMapped::of(deleted.0).into_iter().collect()),
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
        Ok(MappedOrder {
            version: Version {
                updated_at: identity.version,
                raw_seq: origin.raw_seq,
                generation: self.generation,
            },
            number: identity.number,
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
