//! Whether an answer belongs to the question: a cache or a proxy between may give another one's.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The text of a top-level field of an order, or the digits of its number; `None` when it is neither, blank, or not there. If
/// the field occurs twice, the last one counts. The row may be JSON only as far as the field.
pub fn field_text(row: &str, name: &str) -> Option<String> {
    let mut found = None;
    let field = FieldOf { name, row, found: &mut found };
    // That it stops within the object is no error here: whoever maps the row sees it.
    let _ = serde_json::Deserializer::from_str(row).deserialize_map(field);
    let raw = found?;
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw.get()).ok().filter(|text| !text.trim().is_empty()),
        b'0'..=b'9' | b'-' => Some(raw.get().to_string()),
        _ => None,
    }
}

/// The id that an order has, when it has one and it is not the one that was asked for.
pub(crate) fn other_id(order: &str, field: &str, asked: &str) -> Option<String> {
    let found = field_text(order, field)?;
    (!plain_id(&found).eq_ignore_ascii_case(plain_id(asked))).then_some(found)
}

/// An id without what differs between ways of writing it: `7`, `"007"`, `" 7 "` and `7.0` are one.
/// Whether its letters are small or large is not looked at either.
fn plain_id(id: &str) -> &str {
    let id = id.trim();
    let whole = id.split_once('.').filter(|(_, rest)| rest.bytes().all(|byte| byte == b'0'));
    let digits = whole.map_or(id, |(digits, _)| digits);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return id;
    }
    let short = digits.trim_start_matches('0');
    if short.is_empty() { "0" } else { short }
}

/// Finds one field of an object, and reads on only if the field may occur once more.
struct FieldOf<'n, 'de> {
    name: &'n str,
    row: &'de str,
    found: &'n mut Option<&'de RawValue>,
}

impl FieldOf<'_, '_> {
    /// Whether the name may stand in the row behind this value, in plain letters or in escaped ones.
    fn may_come_again(&self, value: &RawValue) -> bool {
        let end = value.get().as_ptr() as usize + value.get().len() - self.row.as_ptr() as usize;
        let rest = &self.row.as_bytes()[end..];
        let is_there = |text: &[u8]| memchr::memmem::find(rest, text).is_some();
        is_there(self.name.as_bytes()) || is_there(b"\\u00") || (!self.name.is_ascii() && is_there(b"\\u"))
    }
}

impl<'de> Visitor<'de> for FieldOf<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name != self.name {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: &'de RawValue = map.next_value()?;
            *self.found = Some(value);
            if !self.may_come_again(value) {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_as_text_whatever_its_type() {
        for (row, found) in [
            (r#"{"id":7,"at":"2025-03-06 16:55:25"}"#, Some("2025-03-06 16:55:25")),
            (r#"{"at":1741251325}"#, Some("1741251325")),
            (r#"{"at":"a","at":"b"}"#, Some("b")),
            (r#"{"a":{"at":1}}"#, None),
            (r#"{"at":[]}"#, None),
            (r#"{"at":null}"#, None),
            (r#"{"at":" "}"#, None),
            ("[]", None),
        ] {
            assert_eq!(field_text(row, "at").as_deref(), found, "{row}");
        }
    }

    #[test]
    fn another_id_is_told_from_another_way_of_writing_it() {
        for (order, asked) in [
            (r#"{"order_id":7}"#, "7"),
            (r#"{"order_id":"7"}"#, "7"),
            (r#"{"order_id":"007"}"#, "7"),
            (r#"{"order_id":7.0}"#, "7"),
            (r#"{"order_id":" A-7"}"#, "A-7"),
            (r#"{"order_id":"9F3A-c1"}"#, "9f3a-C1"),
            (r#"{"order_id":0}"#, "000"),
            (r#"{"order_id":12345678901234567890123}"#, "12345678901234567890123"),
            (r#"{"order_no":"8"}"#, "7"),
            (r#"{"order_id":null}"#, "7"),
        ] {
            assert_eq!(other_id(order, "order_id", asked), None, "{order} for {asked}");
        }
        for (order, found) in
            [(r#"{"order_id":8}"#, "8"), (r#"{"order_id":"70"}"#, "70"), (r#"{"order_id":7.5}"#, "7.5")]
        {
            assert_eq!(other_id(order, "order_id", "7").as_deref(), Some(found), "{order}");
        }
    }
}
