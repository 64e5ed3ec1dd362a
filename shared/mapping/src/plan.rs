//! The plan: a compiled table, and what it makes of a row.

use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use crate::mapping_error::MappingError;
use crate::number;
use crate::row::{self, Path};
use crate::row_error::{Fault, FieldProblem, Kind, RowError};
use crate::sum;
use crate::table::{Field, OnError, Origin, Table};
use crate::time;
use crate::value::{self, Scalar, Type};

/// A mapping compiled once and applied to every row. Immutable: share it between
/// threads freely.
#[derive(Debug)]
pub struct Plan {
    table: Table,
    zone: TimeZone,
    version: String,
}

/// A row mapped.
#[derive(Debug)]
pub struct Mapped {
    /// What the row is; the key is always there.
    pub identity: Identity,
    /// The record: one JSON object, its fields in the order of the table.
    pub record: Vec<u8>,
    /// Fields left out or defaulted because their value could not be converted.
    pub dropped: Vec<FieldProblem>,
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

/// What a row says it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The business key in canonical text: `12`, `"12"` and `12.0` are one key.
    pub key: Option<String>,
    /// The number people know the order by.
    pub number: Option<String>,
    /// The source's update time in microseconds since the Unix epoch.
    pub version: Option<i64>,
}

impl Plan {
    /// Compiles a mapping. `source_name` names the text in errors, and local
    /// times of the rows are of `zone`.
    ///
    /// # Errors
    /// The first thing in `text` that is not as the crate's documentation asks.
    pub fn compile(source_name: &str, text: &str, zone: &TimeZone) -> Result<Plan, MappingError> {
        let hash = blake3::hash(text.as_bytes()).to_hex();
        Ok(Plan {
            table: Table::read(source_name, text, zone)?,
            zone: zone.clone(),
            version: hash[..16].to_owned(),
        })
    }

    /// Names what mapped an order: the first 16 hexadecimal digits of the BLAKE3
    /// hash of the mapping's text.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Maps one row.
    ///
    /// # Errors
    /// The row has no key, lacks a required field, or has a value that cannot be
    /// converted in a field whose `on_error` is `dead`.
    pub fn map(&self, row: &RawValue) -> Result<Mapped, RowError> {
        let (slots, identity) = self.keyed(row)?;
        let (record, dropped) = self.record(&self.table.fields, &slots)?;
        Ok(Mapped { identity, record, dropped })
    }

    /// Maps one row of an order that the source deleted.
    ///
    /// # Errors
    /// The row has no key; or `on_delete` is `record` and the row lacks a required
    /// `[[deleted_field]]`, or has a value that cannot be converted in one whose
    /// `on_error` is `dead`.
    pub fn map_deleted(&self, row: &RawValue) -> Result<MappedDeletion, RowError> {
        let (slots, mut identity) = self.keyed(row)?;
        // A deletion need not count as a change at the source, and yet comes after every change.
        identity.version = identity.version.max(self.time(self.table.deletion.at.as_ref(), &slots));
        let (record, dropped) = match &self.table.deletion.fields {
            Some(fields) => self.record(fields, &slots).map(|(record, dropped)| (Some(record), dropped))?,
            None => (None, Vec::new()),
        };
        Ok(MappedDeletion { identity, record, dropped })
    }

    /// As much of the identity of a row as can be read, for a row that cannot be
    /// mapped. Never fails; what cannot be read is `None`.
    pub fn identify(&self, row: &RawValue) -> Identity {
        match row::members(&self.table.names, row.get()) {
            Some(slots) => self.identity(&slots),
            None => Identity::default(),
        }
    }

    /// The top-level names of a row that the plan reads of an order. Those it reads
    /// of a deleted one only are left out, for an order need not have them.
    pub fn source_fields(&self) -> impl Iterator<Item = &str> {
        self.table.names.iter().take(self.table.order_names)
    }

    /// The members of a row that has a key, and what it says it is.
    fn keyed<'row>(&self, row: &'row RawValue) -> Result<(Vec<Option<&'row str>>, Identity), RowError> {
        let row = row.get();
        let slots = row::members(&self.table.names, row)
            .ok_or_else(|| Fault::new(Kind::NotAnObject, Some(row), "an object").of_field("", ""))?;
        let identity = self.identity(&slots);
        if identity.key.is_none() {
            return Err(self.missing_key(&slots));
        }
        Ok((slots, identity))
    }

    /// The record of these fields, and the fields that could not be converted.
    fn record(
        &self,
        fields: &[Field],
        slots: &[Option<&str>],
    ) -> Result<(Vec<u8>, Vec<FieldProblem>), RowError> {
        let mut record = Vec::with_capacity(32 * (fields.len() + 1));
        let mut dropped = Vec::new();
        record.push(b'{');
        for field in fields {
            let start = record.len();
            if start > 1 {
                record.push(b',');
            }
            record.extend_from_slice(&field.opening);
            let opened = record.len();
            let present = match self.write(field, slots, &mut record) {
                Ok(present) => present,
                Err(fault) => {
                    let error = fault.of_field(&field.to, field.from());
                    if field.on_error == OnError::Dead {
                        return Err(error);
                    }
                    let defaulted = field.on_error == OnError::Default;
                    dropped.push(FieldProblem { error, defaulted });
                    record.truncate(opened);
                    if !defaulted {
                        record.truncate(start);
                        continue;
                    }
                    false
                }
            };
            match &field.default {
                _ if present => {}
                Some(default) => record.extend_from_slice(default),
                None if field.required => return Err(missing_field(field, slots)),
                None => record.truncate(start),
            }
        }
        record.push(b'}');
        Ok((record, dropped))
    }

    fn identity(&self, slots: &[Option<&str>]) -> Identity {
        Identity {
            key: text(Some(&self.table.key), slots),
            number: text(self.table.number.as_ref(), slots),
            version: self.time(self.table.version.as_ref(), slots),
        }
    }

    /// The time at the end of a path, in microseconds since the Unix epoch.
    fn time(&self, path: Option<&Path>, slots: &[Option<&str>]) -> Option<i64> {
        time::version(&text(path, slots)?, &self.zone)
    }

    fn missing_key(&self, slots: &[Option<&str>]) -> RowError {
        let path = &self.table.key;
        let found = path.find(slots).unwrap_or_else(Some);
        Fault::new(Kind::MissingKey, found, "a number or a text that is not empty")
            .of_field("key", &path.text)
    }

    /// Appends the value of a field; `Ok(false)` when it is missing.
    fn write(&self, field: &Field, slots: &[Option<&str>], out: &mut Vec<u8>) -> Result<bool, Fault> {
        match &field.origin {
            Origin::Constant(json) => {
                out.extend_from_slice(json);
                Ok(true)
            }
            Origin::From(path) => value::write(field.kind, find(path, slots)?, &self.zone, out),
            Origin::Sum(path, expression) => {
                let Some(json) = find(path, slots)?.filter(|json| !is_nothing(json)) else {
                    return Ok(false);
                };
                let total = sum::sum(expression, json)?;
                match field.kind {
                    Type::Integer => {
                        let whole = number::integral(total).map_err(|kind| {
                            Fault::computed(kind, &total.to_string(), "a sum without decimals")
                        })?;
                        number::write_decimal(whole, out);
                    }
                    Type::String => {
                        out.push(b'"');
                        number::write_decimal(total, out);
                        out.push(b'"');
                    }
                    _ => number::write_decimal(total, out),
                }
                Ok(true)
            }
        }
    }
}

impl Field {
    /// The source path, for errors.
    fn from(&self) -> &str {
        match &self.origin {
            Origin::From(path) | Origin::Sum(path, _) => &path.text,
            Origin::Constant(_) => "a constant",
        }
    }
}

/// The canonical text at the end of a path.
fn text(path: Option<&Path>, slots: &[Option<&str>]) -> Option<String> {
    canonical(path?.find(slots).ok()??)
}

fn find<'row>(path: &Path, slots: &[Option<&'row str>]) -> Result<Option<&'row str>, Fault> {
    path.find(slots).map_err(|found| Fault::new(Kind::WrongType, Some(found), "an object on the way there"))
}

/// What stands for a missing array.
fn is_nothing(json: &str) -> bool {
    json == "null" || (json.starts_with('"') && json.trim_matches('"').trim().is_empty())
}

fn missing_field(field: &Field, slots: &[Option<&str>]) -> RowError {
    let (found, expected) = match &field.origin {
        Origin::From(path) => (path.find(slots).ok().flatten(), field.kind.expected()),
        Origin::Sum(path, _) => (path.find(slots).ok().flatten(), "an array"),
        Origin::Constant(_) => (None, field.kind.expected()),
    };
    Fault::new(Kind::MissingField, found, expected).of_field(&field.to, field.from())
}

/// The text of a number or a string that is not blank. An integer is its plain
/// digits however it was written, so that a key is one key.
fn canonical(json: &str) -> Option<String> {
    match Scalar::read(Some(json), "").ok()? {
        Scalar::Missing | Scalar::Boolean(_) => None,
        Scalar::Text(text) => match text.trim() {
            "" => None,
            text => Some(text.to_owned()),
        },
        Scalar::Number(text) => {
            let mut digits = Vec::new();
            match number::write_integer(text, &mut digits) {
                Ok(()) => String::from_utf8(digits).ok(),
                Err(_) => Some(text.to_owned()),
            }
        }
    }
}
