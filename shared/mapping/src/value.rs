//! One value of a row converted to what its field asks for.

use std::borrow::Cow;
use std::collections::HashMap;

use rust_decimal::Decimal;

use crate::number::{self, Rounding};
use crate::row_error::{Fault, Kind};
use crate::shape::is_empty_array;
use crate::times::Times;

/// The types a field can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Integer,
    Decimal,
    Date,
    Datetime,
    Boolean,
    Json,
}

impl Type {
    pub(crate) const NAMES: [&'static str; 7] =
        ["string", "integer", "decimal", "date", "datetime", "boolean", "json"];

    pub(crate) fn named(name: &str) -> Option<Type> {
        Some(match name {
            "string" => Type::String,
            "integer" => Type::Integer,
            "decimal" => Type::Decimal,
            "date" => Type::Date,
            "datetime" => Type::Datetime,
            "boolean" => Type::Boolean,
            "json" => Type::Json,
            _ => return None,
        })
    }

    /// What a value of this type is called in an error.
    pub(crate) fn expected(self) -> &'static str {
        match self {
            Type::String => "text, a number or a boolean",
            Type::Integer => "an integer",
            Type::Decimal => "a number",
            Type::Date | Type::Datetime => {
                "a date such as 2010-12-01 or 2010-12-01 08:26:00, or a time with an offset"
            }
            Type::Boolean => "true or false, 1 or 0, yes or no",
            Type::Json => "a value",
        }
    }

    fn mismatch(self) -> Kind {
        match self {
            Type::String | Type::Json => Kind::WrongType,
            Type::Integer | Type::Decimal => Kind::NotANumber,
            Type::Date | Type::Datetime => Kind::NotADate,
            Type::Boolean => Kind::NotABoolean,
        }
    }
}

/// How the values of a field become what the target wants.
#[derive(Debug, Clone)]
pub(crate) struct Convert {
    pub(crate) kind: Type,
    /// Of decimals.
    pub(crate) rounding: Option<Rounding>,
    /// Of dates and times.
    pub(crate) times: Option<Box<Times>>,
    /// The JSON that each text stands for.
    pub(crate) map: Option<Box<Map>>,
}

/// The values that a field can have, by the text the source has for them.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    pub(crate) values: HashMap<String, Vec<u8>>,
    /// For an error.
    pub(crate) expected: String,
}

/// A value that is no container; `Missing` stands for what sources send
/// in place of nothing: no member at all, null, or PHP's empty array.
#[derive(Debug, Clone)]
pub(crate) enum Scalar<'row> {
    Missing,
    Boolean(bool),
    /// The number as written.
    Number(&'row str),
    /// A number that was computed.
    Computed(Decimal),
    /// The decoded string; borrowed when it has no escapes.
    Text(Cow<'row, str>),
}

impl<'row> Scalar<'row> {
    pub(crate) fn read(json: Option<&'row str>, expected: &'static str) -> Result<Scalar<'row>, Fault> {
        let Some(json) = json else {
            return Ok(Scalar::Missing);
        };
        match json.as_bytes().first() {
            Some(b'"') => Ok(Scalar::Text(decode(json)?)),
            Some(b'n') | None => Ok(Scalar::Missing),
            Some(b't') => Ok(Scalar::Boolean(true)),
            Some(b'f') => Ok(Scalar::Boolean(false)),
            Some(b'[') if is_empty_array(json) => Ok(Scalar::Missing),
            Some(b'[' | b'{') => Err(Fault::new(Kind::WrongType, Some(json), expected)),
            Some(_) => Ok(Scalar::Number(json)),
        }
    }

    /// Its text, `None` when it is missing.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Scalar::Missing => return None,
            Scalar::Boolean(true) => Cow::Borrowed("true"),
            Scalar::Boolean(false) => Cow::Borrowed("false"),
            Scalar::Number(text) => Cow::Borrowed(text),
            Scalar::Text(text) => Cow::Borrowed(text),
            Scalar::Computed(number) => Cow::Owned(number.to_string()),
        })
    }

    /// Whether there is nothing to see: missing, or a blank text.
    pub(crate) fn is_blank(&self) -> bool {
        match self {
            Scalar::Missing => true,
            Scalar::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }
}

fn decode(json: &str) -> Result<Cow<'_, str>, Fault> {
    let inside = json.strip_prefix('"').and_then(|j| j.strip_suffix('"'));
    match inside {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str(json)
            .map(Cow::Owned)
            .map_err(|cause| Fault::new(Kind::BadText, Some(json), "Unicode text").caused_by(cause)),
    }
}

/// The exact decimal of a JSON number or numeric string; `None` when missing.
pub(crate) fn decimal(json: Option<&str>) -> Result<Option<Decimal>, Fault> {
    let expected = Type::Decimal.expected();
    let kind = match Scalar::read(json, expected)? {
        Scalar::Missing => return Ok(None),
        Scalar::Number(text) => number::decimal(text),
        Scalar::Computed(number) => return Ok(Some(number)),
        Scalar::Boolean(_) => Err(Kind::NotANumber),
        Scalar::Text(text) => match text.trim() {
            "" => return Ok(None),
            text => number::decimal(text),
        },
    };
    kind.map(Some).map_err(|kind| Fault::new(kind, json, expected))
}

impl Convert {
    /// A conversion without options.
    pub(crate) fn plain(kind: Type) -> Convert {
        Convert { kind, rounding: None, times: None, map: None }
    }

    /// Appends the JSON of a value of the source. `Ok(false)` when it is missing
    /// and nothing was written; after an error `out` may end in a part of it.
    pub(crate) fn json(&self, json: Option<&str>, out: &mut Vec<u8>) -> Result<bool, Fault> {
        if self.kind == Type::Json && self.map.is_none() {
            let value = json.filter(|json| *json != "null");
            out.extend_from_slice(value.unwrap_or_default().as_bytes());
            return Ok(value.is_some());
        }
        // The usual case: a plain text or number that stays as it is.
        if let (Some(json), None) = (json, &self.map)
            && self.is_copied(json)
        {
            out.extend_from_slice(json.as_bytes());
            return Ok(true);
        }
        let scalar = Scalar::read(json, self.kind.expected())?;
        self.scalar(&scalar, json, out)
    }

    /// Whether a value is already what it is to become.
    fn is_copied(&self, json: &str) -> bool {
        let bytes = json.as_bytes();
        match self.kind {
            Type::String => bytes.first() == Some(&b'"') && memchr::memchr(b'\\', bytes).is_none(),
            Type::Decimal => {
                self.rounding.is_none()
                    && bytes.len() <= 28
                    && bytes.first().is_some_and(u8::is_ascii_digit)
                    && bytes.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
            }
            _ => false,
        }
    }

    /// Appends the JSON of a scalar; `found` is what an error shows.
    pub(crate) fn scalar(
        &self,
        scalar: &Scalar<'_>,
        found: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        if let Some(map) = &self.map {
            return map.write(scalar, found, out);
        }
        let to = self.kind;
        let fault = |kind| Fault::new(kind, found, to.expected());
        let text = match scalar {
            Scalar::Missing => return Ok(false),
            // Before blanks are looked at: to a text they are a value.
            _ if to == Type::String || to == Type::Json => return Ok(write_text(scalar, out)),
            Scalar::Boolean(value) if to == Type::Boolean => {
                write_boolean(*value, out);
                return Ok(true);
            }
            Scalar::Boolean(_) => return Err(fault(to.mismatch())),
            Scalar::Computed(number) => match to {
                Type::Decimal | Type::Integer => return self.number(*number, found, out).map(|()| true),
                _ => Cow::Owned(number.to_string()),
            },
            Scalar::Number(text) => Cow::Borrowed(*text),
            Scalar::Text(text) => Cow::Borrowed(text.trim()),
        };
        if text.is_empty() {
            return Ok(false);
        }
        match to {
            Type::String | Type::Json => return Ok(write_text(scalar, out)),
            Type::Integer => number::write_integer(&text, out).map_err(fault)?,
            Type::Decimal => self.number(number::decimal(&text).map_err(fault)?, found, out)?,
            Type::Boolean => match boolean(&text) {
                Some(value) => write_boolean(value, out),
                None => return Err(fault(Kind::NotABoolean)),
            },
            Type::Date | Type::Datetime => {
                // MySQL's zero date, by which exporters mean "none".
                if text.starts_with("0000-00-00") {
                    return Ok(false);
                }
                let times = self.times.as_deref();
                let written = times.and_then(|times| times.write(to == Type::Date, &text, out));
                written.ok_or_else(|| match times.and_then(Times::expected) {
                    Some(formats) => Fault::expecting(Kind::NotADate, found, formats),
                    None => fault(Kind::NotADate),
                })?;
            }
        }
        Ok(true)
    }

    fn number(&self, value: Decimal, found: Option<&str>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let written = match (self.kind, self.rounding) {
            (Type::Integer, _) => number::integral(value),
            (_, Some(rounding)) => rounding.of(value),
            (_, None) => Ok(value),
        };
        let value = written.map_err(|kind| match (kind, self.rounding) {
            (Kind::TooPrecise, Some(rounding)) => Fault::expecting(kind, found, rounding.expected()),
            _ => Fault::new(kind, found, self.kind.expected()),
        })?;
        number::write_decimal(value, out);
        Ok(())
    }
}

impl Map {
    fn write(&self, scalar: &Scalar<'_>, found: Option<&str>, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let text = match scalar {
            // The author of a map writes 1, not 1.00.
            Scalar::Computed(number) => Some(Cow::Owned(number.normalize().to_string())),
            other => other.text(),
        };
        let Some(text) = text else {
            return Ok(false);
        };
        match self.values.get(text.as_ref()).or_else(|| self.values.get(text.trim())) {
            Some(json) => {
                out.extend_from_slice(json);
                Ok(true)
            }
            None if text.trim().is_empty() => Ok(false),
            None => Err(Fault::expecting(Kind::NotInMap, found, self.expected.clone())),
        }
    }
}

fn write_text(scalar: &Scalar<'_>, out: &mut Vec<u8>) -> bool {
    match scalar {
        // A string without escapes is its own JSON.
        Scalar::Text(Cow::Owned(text)) => write_string(text, out),
        other => {
            let Some(plain) = other.text() else { return false };
            out.push(b'"');
            out.extend_from_slice(plain.as_bytes());
            out.push(b'"');
        }
    }
    true
}

/// Appends a string as JSON.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a Vec takes every byte and a str is JSON");
}

fn write_boolean(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["true", "1", "yes", "y"]) {
        Some(true)
    } else if is(["false", "0", "no", "n"]) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
