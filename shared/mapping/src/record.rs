//! The record of one order or element, written field by field.

use std::borrow::Cow;

use crate::field::{Field, OnError, Origin, Stack};
use crate::members::{Content, Member};
use crate::reference::{Order, Ref, Scope};
use crate::row_error::{Fault, FieldProblem, Kind, RowError};
use crate::shape::ReadPath;
use crate::value::{Scalar, Type};

/// Is told of each field as it is written: [`Unwatched`] in the flow, an explanation for people.
pub(crate) trait Watch {
    /// What follows is within an element of a list.
    fn enter(&mut self, to: &str, from: &str, index: usize);
    fn leave(&mut self);
    /// An order was read.
    fn read(&mut self, _: &[ReadPath], _: &Order<'_>) {}
    /// What the source has for a field, before any default: its JSON, or `None` when there is nothing that could be used.
    fn found(&mut self, _: &Field, _: Option<&[u8]>) {}
    /// A field came to this: its JSON, or `None` when it was left out.
    fn wrote(
        &mut self,
        field: &Field,
        scope: &Scope<'_, '_>,
        json: Option<&[u8]>,
        problem: Option<&RowError>,
    );
}

/// Nobody is.
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    fn enter(&mut self, _: &str, _: &str, _: usize) {}
    fn leave(&mut self) {}
    fn wrote(&mut self, _: &Field, _: &Scope<'_, '_>, _: Option<&[u8]>, _: Option<&RowError>) {}
}

/// Writes records.
pub(crate) struct Writer<'w, W> {
    pub(crate) watch: &'w mut W,
    /// Fields left out or defaulted because their value could not be converted.
    pub(crate) dropped: Vec<FieldProblem>,
    pub(crate) stack: Stack,
}

impl<W: Watch> Writer<'_, W> {
    /// Appends `{...}`; false when nothing in it is present.
    pub(crate) fn object(
        &mut self,
        members: &[Member],
        scope: &Scope<'_, '_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, RowError> {
        out.push(b'{');
        let first = out.len();
        for member in members {
            let start = out.len();
            if start > first {
                out.push(b',');
            }
            out.extend_from_slice(&member.opening);
            let present = match &member.content {
                Content::Field(field) => self.field(field, scope, out)?,
                Content::Object(below) => self.object(below, scope, out)?,
            };
            if !present {
                out.truncate(start);
            }
        }
        let present = out.len() > first;
        out.push(b'}');
        Ok(present)
    }

    /// Appends the value of a field; false when it is left out.
    fn field(&mut self, field: &Field, scope: &Scope<'_, '_>, out: &mut Vec<u8>) -> Result<bool, RowError> {
        let start = out.len();
        let dropped = self.dropped.len();
        let present = match self.value(field, scope, out) {
            Ok(present) => present,
            Err(error) => {
                out.truncate(start);
                // What was dropped within a list goes with the list.
                self.dropped.truncate(dropped);
                self.watch.found(field, None);
                if field.on_error == OnError::Dead {
                    self.watch.wrote(field, scope, None, Some(&error));
                    return Err(error);
                }
                let defaulted = field.on_error == OnError::Default;
                let json = field.default.as_deref().filter(|_| defaulted);
                self.watch.wrote(field, scope, json, Some(&error));
                out.extend_from_slice(json.unwrap_or_default());
                self.dropped.push(FieldProblem { error, defaulted });
                return Ok(defaulted);
            }
        };
        self.watch.found(field, present.then(|| &out[start..]));
        let present = match &field.default {
            _ if present => true,
            Some(default) => {
                out.extend_from_slice(default);
                true
            }
            None if field.required => {
                let error = missing_field(field, scope);
                self.watch.wrote(field, scope, None, Some(&error));
                return Err(error);
            }
            None => false,
        };
        self.watch.wrote(field, scope, present.then(|| &out[start..]), None);
        Ok(present)
    }

    fn value(&mut self, field: &Field, scope: &Scope<'_, '_>, out: &mut Vec<u8>) -> Result<bool, RowError> {
        let of_field = |fault: Fault| fault.of_field(&field.to, field.from());
        match &field.origin {
            Origin::Constant(json) => {
                out.extend_from_slice(json);
                Ok(true)
            }
            Origin::From(paths) => match &paths[..] {
                [path] => one(field, path, scope, out).map_err(|fault| fault.of_field(&field.to, &path.text)),
                paths => first_present(field, paths, scope, out),
            },
            Origin::Sum(sum) => {
                let Some(total) = sum.total(scope, &mut self.stack).map_err(of_field)? else {
                    return Ok(false);
                };
                let total_text = || total.to_string();
                field.convert.scalar(&Scalar::Computed(total), None, out).map_err(|fault| {
                    let expected = match fault.kind {
                        Kind::NotAnInteger => Cow::Borrowed("a sum without decimals"),
                        _ => fault.expected.clone(),
                    };
                    of_field(Fault { found: total_text(), expected, ..fault })
                })
            }
            Origin::Concat(parts, separator) => concat(field, parts, separator, scope, out).map_err(of_field),
            Origin::Expression(expression, _) => {
                let scalar = match field.convert.kind {
                    Type::Decimal | Type::Integer if field.convert.map.is_none() => expression
                        .number(scope, &mut self.stack)
                        .map(|number| number.map_or(Scalar::Missing, Scalar::Computed)),
                    _ => expression.scalar(scope),
                };
                let scalar = scalar.map_err(|mut fault| {
                    // The operand is not a place below the expression: it is what was found.
                    if !fault.below.is_empty() {
                        let operand = std::mem::take(&mut fault.below);
                        fault.found = format!("{} = {}", operand.trim_start_matches('.'), fault.found);
                    }
                    of_field(fault)
                })?;
                let found = scalar.text().map(Cow::into_owned);
                field.convert.scalar(&scalar, found.as_deref(), out).map_err(of_field)
            }
            Origin::Each(list, members) => {
                let Some(elements) = list.elements(scope).map_err(of_field)? else {
                    return Ok(false);
                };
                out.push(b'[');
                for (index, text) in elements.texts.iter().enumerate() {
                    if !text.starts_with('{') {
                        let mut fault = Fault::new(Kind::BadElement, Some(text), "an object");
                        fault.below = format!("[{index}]");
                        return Err(of_field(fault));
                    }
                    if index > 0 {
                        out.push(b',');
                    }
                    let dropped = self.dropped.len();
                    self.watch.enter(&field.to, &list.text, index);
                    let written = self.object(members, &scope.element(&elements, index), out);
                    self.watch.leave();
                    let place = |error: RowError| error.within(&field.to, &list.text, index);
                    written.map_err(place)?;
                    for problem in self.dropped.split_off(dropped) {
                        let error = place(problem.error);
                        self.dropped.push(FieldProblem { error, ..problem });
                    }
                }
                out.push(b']');
                Ok(true)
            }
        }
    }
}

/// The value of one path: converted, or a list of the values where there is one for each element.
fn one(field: &Field, path: &Ref, scope: &Scope<'_, '_>, out: &mut Vec<u8>) -> Result<bool, Fault> {
    if !path.is_many() {
        return field.convert.json(path.value(scope)?, out);
    }
    let Some(values) = path.values(scope)? else {
        return Ok(false);
    };
    out.push(b'[');
    let first = out.len();
    for (index, json) in values.into_iter().enumerate() {
        let start = out.len();
        if start > first {
            out.push(b',');
        }
        let present = field.convert.json(json, out).map_err(|mut fault| {
            fault.below = format!(" at [{index}]");
            fault
        })?;
        if !present {
            out.truncate(start);
        }
    }
    out.push(b']');
    Ok(true)
}

/// The value of the first path that has one which is not blank.
fn first_present(
    field: &Field,
    paths: &[Ref],
    scope: &Scope<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<bool, RowError> {
    for path in paths {
        let start = out.len();
        let written = match used(field, path, scope) {
            Ok(true) => one(field, path, scope, out),
            Ok(false) => Ok(false),
            Err(fault) => Err(fault),
        };
        if written.map_err(|fault| fault.of_field(&field.to, &path.text))? {
            return Ok(true);
        }
        out.truncate(start);
    }
    Ok(false)
}

/// Whether a path of several has a value that is not blank.
pub(crate) fn used(field: &Field, path: &Ref, scope: &Scope<'_, '_>) -> Result<bool, Fault> {
    let present = |json: Option<&str>| match field.convert.kind {
        Type::Json => Ok(json.is_some_and(|json| json != "null")),
        kind => Scalar::read(json, kind.expected()).map(|scalar| !scalar.is_blank()),
    };
    for json in path.values(scope)?.unwrap_or_default() {
        if present(json)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The texts of the paths that have one, put together.
fn concat(
    field: &Field,
    parts: &[Ref],
    separator: &str,
    scope: &Scope<'_, '_>,
    out: &mut Vec<u8>,
) -> Result<bool, Fault> {
    let mut whole: Option<String> = None;
    for part in parts {
        for json in part.values(scope)?.unwrap_or_default() {
            let scalar = Scalar::read(json, Type::String.expected())?;
            if scalar.is_blank() {
                continue;
            }
            let text = scalar.text().unwrap_or_default();
            match &mut whole {
                None => whole = Some(text.into_owned()),
                Some(whole) => {
                    whole.push_str(separator);
                    whole.push_str(&text);
                }
            }
        }
    }
    let Some(text) = whole else { return Ok(false) };
    let found = text.clone();
    field.convert.scalar(&Scalar::Text(Cow::Owned(text)), Some(&found), out)
}

fn missing_field(field: &Field, scope: &Scope<'_, '_>) -> RowError {
    let (found, expected) = match &field.origin {
        Origin::From(paths) => {
            let found = paths.first().and_then(|path| path.value(scope).ok().flatten());
            (found, field.convert.kind.expected())
        }
        Origin::Sum(sum) => (sum.found(scope), "an array"),
        Origin::Each(list, _) => (list.found(scope), "an array"),
        _ => (None, field.convert.kind.expected()),
    };
    Fault::new(Kind::MissingField, found, expected).of_field(&field.to, field.from())
}
