//! One JSON value of a row converted to the type its field asks for.

use std::borrow::Cow;

use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use crate::number;
use crate::row::is_empty_array;
use crate::row_error::{Fault, Kind};
use crate::time::{self, Written};

/// The types a field can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    Integer,
    Decimal,
    Date,
    Datetime,
    Boolean,
}

impl Type {
    pub(crate) const NAMES: [&'static str; 6] =
        ["string", "integer", "decimal", "date", "datetime", "boolean"];

    pub(crate) fn named(name: &str) -> Option<Type> {
        Some(match name {
            "string" => Type::String,
            "integer" => Type::Integer,
            "decimal" => Type::Decimal,
            "date" => Type::Date,
            "datetime" => Type::Datetime,
            "boolean" => Type::Boolean,
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
        }
    }

    fn mismatch(self) -> Kind {
        match self {
            Type::String => Kind::WrongType,
            Type::Integer | Type::Decimal => Kind::NotANumber,
            Type::Date | Type::Datetime => Kind::NotADate,
            Type::Boolean => Kind::NotABoolean,
        }
    }
}

/// A JSON value that is no container; `Missing` stands for what sources send
/// in place of nothing: no member at all, null, or PHP's empty array.
pub(crate) enum Scalar<'row> {
    Missing,
    Boolean(bool),
    /// The number as written.
    Number(&'row str),
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
        Scalar::Boolean(_) => Err(Kind::NotANumber),
        Scalar::Text(text) => match text.trim() {
            "" => return Ok(None),
            text => number::decimal(text),
        },
    };
    kind.map(Some).map_err(|kind| Fault::new(kind, json, expected))
}

/// Appends the JSON of `json` converted to `to`. `Ok(false)` when the value is
/// missing and nothing was written; after an error `out` may end in a part of it.
pub(crate) fn write(to: Type, json: Option<&str>, zone: &TimeZone, out: &mut Vec<u8>) -> Result<bool, Fault> {
    let fault = |kind| Fault::new(kind, json, to.expected());
    let scalar = Scalar::read(json, to.expected())?;
    if to == Type::String {
        // Before blanks are looked at: to a text they are a value.
        return Ok(write_text(&scalar, out));
    }
    let text = match &scalar {
        Scalar::Missing => return Ok(false),
        Scalar::Boolean(value) if to == Type::Boolean => {
            write_boolean(*value, out);
            return Ok(true);
        }
        Scalar::Boolean(_) => return Err(fault(to.mismatch())),
        Scalar::Number(text) => text,
        Scalar::Text(text) => text.trim(),
    };
    if text.is_empty() {
        return Ok(false);
    }
    match to {
        Type::String => return Ok(write_text(&scalar, out)),
        Type::Integer => number::write_integer(text, out).map_err(fault)?,
        Type::Decimal => number::write_decimal(number::decimal(text).map_err(fault)?, out),
        Type::Boolean => match boolean(text) {
            Some(value) => write_boolean(value, out),
            None => return Err(fault(Kind::NotABoolean)),
        },
        Type::Date | Type::Datetime => {
            // MySQL's zero date, by which exporters mean "none".
            if text.starts_with("0000-00-00") {
                return Ok(false);
            }
            write_time(to, text, zone, out).ok_or_else(|| fault(Kind::NotADate))?;
        }
    }
    Ok(true)
}

fn write_text(scalar: &Scalar<'_>, out: &mut Vec<u8>) -> bool {
    let plain = match scalar {
        Scalar::Missing => return false,
        Scalar::Boolean(true) => "true",
        Scalar::Boolean(false) => "false",
        Scalar::Number(text) => text,
        // A string without escapes is its own JSON.
        Scalar::Text(Cow::Borrowed(text)) => text,
        Scalar::Text(Cow::Owned(text)) => {
            write_string(text, out);
            return true;
        }
    };
    out.push(b'"');
    out.extend_from_slice(plain.as_bytes());
    out.push(b'"');
    true
}

/// Appends a string as JSON.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a Vec takes every byte and a str is JSON");
}

fn write_boolean(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn write_time(to: Type, text: &str, zone: &TimeZone, out: &mut Vec<u8>) -> Option<()> {
    let written = Written::read(text)?;
    out.push(b'"');
    if to == Type::Date {
        time::write_date(written.date(zone)?, out);
    } else {
        time::write_datetime(written.instant(zone)?, zone, out)?;
    }
    out.push(b'"');
    Some(())
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The JSON written, `missing`, or the kind of error.
    fn converted(to: Type, json: &str) -> String {
        let mut out = Vec::new();
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        match write(to, Some(json), &zone, &mut out) {
            Ok(true) => String::from_utf8(out).unwrap(),
            Ok(false) => "missing".to_owned(),
            Err(fault) => format!("{:?}", fault.kind),
        }
    }

    #[test]
    fn each_type_takes_what_it_can_hold() {
        use Type::*;
        for (to, json, expected) in [
            (String, r#""a \"b\" \u00e9\/""#, r#""a \"b\" é/""#),
            (String, r#""""#, r#""""#),
            (String, "1.50e2", r#""1.50e2""#),
            (String, "false", r#""false""#),
            (String, r#""\ud800""#, "BadText"),
            (String, "{}", "WrongType"),
            (String, "[1]", "WrongType"),
            (String, "[ ]", "missing"),
            (Integer, r#"" 0012 ""#, "12"),
            (Integer, "12345678901234567890123", "12345678901234567890123"),
            (Integer, "5.5", "NotAnInteger"),
            (Integer, "true", "NotANumber"),
            (Integer, r#""  ""#, "missing"),
            (Decimal, r#""1.10""#, "1.10"),
            (Decimal, r#""\u0031.10""#, "1.10"),
            (Decimal, "-0.0", "0.0"),
            (Decimal, r#""abc""#, "NotANumber"),
            (Decimal, "[]", "missing"),
            (Decimal, "{}", "WrongType"),
            (Date, r#""2010-12-01 08:26:00""#, r#""2010-12-01""#),
            (Date, r#""0000-00-00 00:00:00""#, "missing"),
            (Date, "20101201", "NotADate"),
            (Datetime, r#""2010-12-01""#, r#""2010-12-01T00:00:00+08:00""#),
            (Datetime, "false", "NotADate"),
            (Boolean, "true", "true"),
            (Boolean, "0", "false"),
            (Boolean, r#""Y""#, "true"),
            (Boolean, r#""FALSE""#, "false"),
            (Boolean, "2", "NotABoolean"),
            (Boolean, "null", "missing"),
        ] {
            assert_eq!(converted(to, json), expected, "{to:?} of {json}");
        }
    }
}
