//! What the target looks at in a record: whose it is, how much, of when, and whether it is the order's end.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::civil::{self, Seconds};
use crate::key::Key;
use crate::ledger::Total;
use crate::money;

#[derive(Deserialize)]
struct Looked<'a> {
    #[serde(rename = "orderId", borrow, default)]
    order_id: Option<&'a RawValue>,
    #[serde(rename = "totalAmount", borrow, default)]
    total: Option<&'a RawValue>,
    #[serde(rename = "updateTime", borrow, default)]
    updated: Option<&'a RawValue>,
    #[serde(borrow, default)]
    deleted: Option<&'a RawValue>,
}

/// What matters of one record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Key,
    pub(crate) total: Total,
    pub(crate) updated: Option<Seconds>,
    /// It says that the order is gone.
    pub(crate) deletion: bool,
}

/// `None` when it is no object with an `orderId`.
pub(crate) fn look(json: &str, zone: &TimeZone) -> Option<Record> {
    let looked: Looked<'_> = serde_json::from_str(json).ok()?;
    Some(Record {
        key: Key::from_json(looked.order_id?)?,
        total: match looked.total {
            None => Total::Missing,
            Some(raw) => money::decimal(raw.get()).map_or(Total::Garbage, Total::Amount),
        },
        updated: looked.updated.and_then(|raw| time(raw.get(), zone)),
        deletion: looked.deleted.is_some_and(|raw| matches!(raw.get(), "true" | "1" | "\"1\"")),
    })
}

/// A text as either system writes it, or a number of seconds or milliseconds since 1970 UTC.
fn time(json: &str, zone: &TimeZone) -> Option<Seconds> {
    match json.strip_prefix('"') {
        Some(text) => civil::parse_in(text.strip_suffix('"')?, zone),
        None => {
            let number: i64 = json.parse().ok()?;
            // As seconds this would be beyond the year 5000.
            let instant = if number.abs() >= 100_000_000_000 {
                Timestamp::from_millisecond(number)
            } else {
                Timestamp::from_second(number)
            };
            Some(civil::at(instant.ok()?, zone))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_understood_in_its_spellings() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let expected = Record {
            key: Key::Number(12),
            total: Total::Amount(money::decimal("1.5").unwrap()),
            updated: civil::parse("2025-03-06 16:55:25"),
            deletion: false,
        };
        for json in [
            r#"{"orderId":12,"totalAmount":1.50,"updateTime":"2025-03-06 16:55:25"}"#,
            r#"{"orderId":"12","totalAmount":"1.5","updateTime":"2025-03-06T08:55:25Z","more":{}}"#,
            r#"{"orderId":12,"totalAmount":1.5,"updateTime":1741251325}"#,
            r#"{"orderId":12,"totalAmount":1.5,"updateTime":1741251325000}"#,
        ] {
            assert_eq!(look(json, &zone).unwrap(), expected, "{json}");
        }
        let bare = look(r#"{"orderId":"A","totalAmount":null}"#, &zone).unwrap();
        assert_eq!((bare.total, bare.updated), (Total::Missing, None));
        assert_eq!(look(r#"{"orderId":1,"totalAmount":"x"}"#, &zone).unwrap().total, Total::Garbage);
        for (deleted, expected) in [
            ("true", true),
            ("1", true),
            ("\"1\"", true),
            ("false", false),
            ("0", false),
            ("\"0\"", false),
            ("null", false),
        ] {
            let json = format!(r#"{{"orderId":1,"deleted": {deleted} }}"#);
            assert_eq!(look(&json, &zone).unwrap().deletion, expected, "{json}");
        }
        for none in ["{}", "[]", "1", r#"{"orderId":null}"#] {
            assert_eq!(look(none, &zone), None, "{none}");
        }
    }
}
