//! The plan: a compiled table, and what it makes of a row.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use crate::condition::Condition;
use crate::identity::{Identity, canonical};
use crate::mapping_error::MappingErrors;
use crate::members::Member;
use crate::record::{Unwatched, Watch, Writer};
use crate::reference::{Order, Ref, Scope};
use crate::row_error::{Fault, FieldProblem, Kind, RowError};
use crate::table::Table;
use crate::time;
use crate::version::{self, IDENTITY};

/// A mapping compiled once and applied to every row. Immutable: share it between
/// threads freely.
#[derive(Debug)]
pub struct Plan {
    pub(crate) table: Table,
    zone: TimeZone,
    /// What is true of a row of a list of deletions whose order is deleted; `None`: of every row.
    deleted_when: Option<Condition>,
}

/// What became of a row.
#[derive(Debug)]
pub enum Outcome {
    /// Its records: one, or where the mapping has an `each` one for each element
    /// of a list. Never none.
    Records(Vec<Mapped>),
    /// It is not to be sent.
    Skipped(Skipped),
}

/// A record.
#[derive(Debug)]
pub struct Mapped {
    /// What it is; the key is always there.
    pub identity: Identity,
    /// The record: one JSON object, its fields in the order of the table.
    pub record: Vec<u8>,
    /// Fields left out or defaulted because their value could not be converted.
    pub dropped: Vec<FieldProblem>,
    /// The names of the checks that its order failed and whose `on_fail` is `mark`.
    pub marks: Vec<String>,
}

/// A row that is not to be sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Skipped {
    /// What the row is, as far as it says so.
    pub identity: Identity,
    /// Why: the reason of the filter, or that it has no elements.
    pub reason: String,
}

/// A row of a deleted order, mapped.
#[derive(Debug)]
pub struct MappedDeletion {
    /// What the row is; the key is always there. The version is the later of the
    /// times at `version` and `deleted_at`, so far as the row has them.
    pub identity: Identity,
    /// What to send in place of the order, one JSON object of the
    /// `[[deleted_field]]`s; `None` when `on_delete` is `ignore`.
    pub record: Option<Vec<u8>>,
    /// Fields left out or defaulted because their value could not be converted.
    pub dropped: Vec<FieldProblem>,
}

impl Plan {
    /// Compiles a mapping. `source_name` names the text in errors, and local
    /// times of the rows are of `zone`.
    ///
    /// # Errors
    /// Everything in `text` that is not as the crate's documentation asks.
    pub fn compile(source_name: &str, text: &str, zone: &TimeZone) -> Result<Plan, MappingErrors> {
        let table = Table::read(source_name, text, zone)?;
        Ok(Plan { table, zone: zone.clone(), deleted_when: None })
    }

    /// Has only those rows of a list of deletions count for which a condition holds that `source_name` names. With one the
    /// version is another: what failed under a condition is tried again under the next.
    ///
    /// # Errors
    /// When the condition is not sound.
    pub fn with_deleted_when(
        mut self,
        source_name: &str,
        condition: Option<&str>,
    ) -> Result<Plan, MappingErrors> {
        if let Some(text) = condition {
            self.deleted_when = Some(Condition::compile(source_name, text, &self.zone)?);
            self.table.hash = version::with_condition(&self.table.hash, text);
        }
        Ok(self)
    }

    /// Whether a row of a list of deletions says that its order is deleted.
    ///
    /// # Errors
    /// When the condition cannot be computed for this row.
    pub fn is_deletion(&self, row: &RawValue) -> Result<bool, RowError> {
        self.deleted_when.as_ref().map_or(Ok(true), |condition| condition.holds(row))
    }

    /// Names what mapped an order: 16 hexadecimal digits of a hash of what the
    /// mapping says and of the zone. Comments and cases do not count.
    pub fn version(&self) -> &str {
        &self.table.hash
    }

    /// Whether the mapping of this version reads key and version of an order as this one does, so that the versions of
    /// orders can be compared.
    pub fn identifies_as(&self, version: &str) -> bool {
        version.len() == self.version().len() && version.get(..IDENTITY) == self.version().get(..IDENTITY)
    }

    /// What compiles and is probably not meant, one sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.table.warnings
    }

    /// Whether a row becomes a record for each element of a list, which are not known when the order is deleted.
    pub fn is_by_element(&self) -> bool {
        self.table.each.is_some()
    }

    /// The first field of a row that the mapping reads and that stands there more than once; its
    /// last value is the one that counts.
    pub fn repeated_field(&self, row: &RawValue) -> Option<String> {
        self.table.shapes.repeated_name(row.get()).map(|name| name.into_owned())
    }

    /// Maps one row.
    ///
    /// # Errors
    /// The row has no key, lacks a required field, has a value that cannot be
    /// converted in a field whose `on_error` is `dead`, or fails a check. Of a row
    /// that becomes several records, all of them become records or none.
    pub fn map(&self, row: &RawValue) -> Result<Outcome, RowError> {
        self.watched(row, &mut Unwatched)
    }

    /// As [`Plan::map`], telling `watch` of every field.
    pub(crate) fn watched(&self, row: &RawValue, watch: &mut impl Watch) -> Result<Outcome, RowError> {
        let order = self.read(row)?;
        watch.read(&self.table.read_paths, &order);
        let scope = Scope::of(&self.table.shapes, &order);
        let Some(list) = &self.table.each else {
            let identity = self.keyed(&scope)?;
            if let Some(reason) = self.kept_back(&scope)? {
                return Ok(Outcome::Skipped(Skipped { identity, reason }));
            }
            let records = vec![self.mapped(&scope, identity, watch)?];
            return Ok(Outcome::Records(self.checked(&scope, records)?));
        };
        let skipped = |reason| Outcome::Skipped(Skipped { identity: self.identify_in(&scope), reason });
        if let Some(reason) = self.kept_back(&scope)? {
            return Ok(skipped(reason));
        }
        let elements = list.elements(&scope).map_err(|fault| fault.of_field("each", &list.text))?;
        let Some(elements) = elements.filter(|elements| !elements.texts.is_empty()) else {
            return Ok(skipped(format!("no {}", list.text)));
        };
        let (mut records, mut keys) = (Vec::with_capacity(elements.texts.len()), HashSet::new());
        for (index, text) in elements.texts.iter().enumerate() {
            let within = |error: RowError| error.within("", &list.text, index);
            if !text.starts_with('{') {
                let mut fault = Fault::new(Kind::BadElement, Some(text), "an object");
                fault.below = format!("[{index}]");
                return Err(fault.of_field("each", &list.text));
            }
            let element = scope.element(&elements, index);
            let identity = self.keyed(&element).map_err(within)?;
            if !keys.insert(identity.key.clone()) {
                let found = identity.key.as_deref();
                let fault = Fault::new(Kind::DuplicateKey, found, "a key that no other element has");
                return Err(within(fault.of_field("key", &self.table.key.text)));
            }
            watch.enter("", &list.text, index);
            let mapped = self.mapped(&element, identity, watch);
            watch.leave();
            records.push(mapped.map_err(within)?);
        }
        Ok(Outcome::Records(self.checked(&scope, records)?))
    }

    /// Maps one row of an order that the source deleted.
    ///
    /// # Errors
    /// The row has no key, as always where keys are those of elements; or `on_delete` is `record` and the row lacks a required
    /// `[[deleted_field]]`, or has a value that cannot be converted in one whose
    /// `on_error` is `dead`.
    pub fn map_deleted(&self, row: &RawValue) -> Result<MappedDeletion, RowError> {
        let order = self.read(row)?;
        let scope = Scope::of(&self.table.shapes, &order);
        if self.is_by_element() {
            let fault = Fault::new(
                Kind::MissingKey,
                None,
                "an element of a list, which a deleted order does not show",
            );
            return Err(fault.of_field("key", &self.table.key.text));
        }
        let identity = self.deleted(self.keyed(&scope)?, &scope);
        let Some(members) = &self.table.deletion.members else {
            return Ok(MappedDeletion { identity, record: None, dropped: Vec::new() });
        };
        let (record, dropped) = record(members, &scope, &mut Unwatched)?;
        Ok(MappedDeletion { identity, record: Some(record), dropped })
    }

    /// As much of the identity of a row as can be read, for a row that cannot be
    /// mapped. Never fails; what cannot be read is `None`.
    pub fn identify(&self, row: &RawValue) -> Identity {
        match Order::read(&self.table.shapes, row.get()) {
            Some(order) => self.identify_in(&Scope::of(&self.table.shapes, &order)),
            None => Identity::default(),
        }
    }

    /// As [`Plan::identify`], of the row of a deleted order.
    pub fn identify_deleted(&self, row: &RawValue) -> Identity {
        match Order::read(&self.table.shapes, row.get()) {
            Some(order) => {
                let scope = Scope::of(&self.table.shapes, &order);
                self.deleted(self.identify_in(&scope), &scope)
            }
            None => Identity::default(),
        }
    }

    /// A deletion need not count as a change at the source, and yet comes after every change.
    fn deleted(&self, identity: Identity, scope: &Scope<'_, '_>) -> Identity {
        let at = self.time(self.table.deletion.at.as_ref(), scope);
        Identity { version: identity.version.max(at), ..identity }
    }

    /// The top-level names of a row that the plan reads of an order. Those it reads
    /// of a deleted one only are left out, for an order need not have them.
    pub fn source_fields(&self) -> impl Iterator<Item = &str> {
        self.table.shapes.order_names().iter().take(self.table.order_names)
    }

    fn read<'r>(&self, row: &'r RawValue) -> Result<Order<'r>, RowError> {
        let row = row.get();
        Order::read(&self.table.shapes, row)
            .ok_or_else(|| Fault::new(Kind::NotAnObject, Some(row), "an object").of_field("", ""))
    }

    /// What an order or an element says it is; it has a key.
    fn keyed(&self, scope: &Scope<'_, '_>) -> Result<Identity, RowError> {
        let identity = self.identity(scope);
        if identity.key.is_some() {
            return Ok(identity);
        }
        let path = &self.table.key;
        let found = path.value(scope).map_or_else(|fault| Some(fault.found), |json| json.map(str::to_owned));
        Err(Fault::new(Kind::MissingKey, found.as_deref(), "a number or a text that is not empty")
            .of_field("key", &path.text))
    }

    /// What an order says it is, also where keys are those of its elements: then it has none of its own, and the rest is
    /// what its first element says.
    fn identify_in(&self, scope: &Scope<'_, '_>) -> Identity {
        let Some(list) = &self.table.each else { return self.identity(scope) };
        match list.elements(scope) {
            Ok(Some(elements)) if !elements.texts.is_empty() => {
                Identity { key: None, ..self.identity(&scope.element(&elements, 0)) }
            }
            _ => Identity::default(),
        }
    }

    fn identity(&self, scope: &Scope<'_, '_>) -> Identity {
        Identity {
            key: text(Some(&self.table.key), scope),
            number: text(self.table.number.as_ref(), scope),
            version: self.time(self.table.version.as_ref(), scope),
        }
    }

    /// The time at the end of a path, in microseconds since the Unix epoch.
    fn time(&self, path: Option<&Ref>, scope: &Scope<'_, '_>) -> Option<i64> {
        time::version(&text(path, scope)?, &self.zone)
    }

    /// Why a filter keeps the order back; `None` when none does.
    fn kept_back(&self, scope: &Scope<'_, '_>) -> Result<Option<String>, RowError> {
        for filter in &self.table.filters {
            if !filter.passes(scope)? {
                return Ok(Some(filter.reason.clone()));
            }
        }
        Ok(None)
    }

    /// Runs the checks of an order and marks its records with those that failed and only mark.
    fn checked(&self, scope: &Scope<'_, '_>, mut records: Vec<Mapped>) -> Result<Vec<Mapped>, RowError> {
        let (mut marks, mut stack) = (Vec::new(), Vec::new());
        for check in &self.table.checks {
            match check.run(scope, &mut stack) {
                Ok(()) => {}
                Err(_) if check.marks => marks.push(check.name.clone()),
                Err(error) => return Err(error),
            }
        }
        if marks.is_empty() {
            return Ok(records);
        }
        for Mapped { record, marks: own, .. } in &mut records {
            own.clone_from(&marks);
            let Some(opening) = &self.table.marks else { continue };
            record.pop();
            if record.len() > 1 {
                record.push(b',');
            }
            record.extend_from_slice(opening);
            serde_json::to_writer(&mut *record, &marks).expect("texts are JSON");
            record.push(b'}');
        }
        Ok(records)
    }

    fn mapped(
        &self,
        scope: &Scope<'_, '_>,
        identity: Identity,
        watch: &mut impl Watch,
    ) -> Result<Mapped, RowError> {
        let (record, dropped) = record(&self.table.members, scope, watch)?;
        Ok(Mapped { identity, record, dropped, marks: Vec::new() })
    }
}

fn record(
    members: &[Member],
    scope: &Scope<'_, '_>,
    watch: &mut impl Watch,
) -> Result<(Vec<u8>, Vec<FieldProblem>), RowError> {
    let mut record = Vec::with_capacity(64 * (members.len() + 1));
    let mut writer = Writer { watch, dropped: Vec::new(), stack: Vec::new() };
    writer.object(members, scope, &mut record)?;
    Ok((record, writer.dropped))
}

/// The canonical text at the end of a path.
fn text(path: Option<&Ref>, scope: &Scope<'_, '_>) -> Option<String> {
    canonical(path?.value(scope).ok()??)
}
