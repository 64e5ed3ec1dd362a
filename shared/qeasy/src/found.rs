//! Asking back: what the `store` form holds of an order whose answer was lost, and whether that is what was sent.

use http::foreign::{Fields, read_fields, read_scalar};
use serde_json::value::RawValue;

/// What the target holds of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// What was sent: every field of it, with the same value; it may have put fields of its own beside them.
    ThisOne,
    /// Something else: an older version, for example.
    Another,
}

/// The body of the question for a record; `None` when it has no such field, or no value in it.
pub(crate) fn question(record: &[u8], key: &str) -> Option<String> {
    let fields: Fields<'_> = serde_json::from_slice(record).ok()?;
    let value = fields.get(key).filter(|value| value.get() != "null")?;
    let name = serde_json::Value::from(format!("CONTENT_{key}"));
    Some(format!(r#"{{"page":1,"pageSize":100,{name}:{value}}}"#))
}

/// Why an answer does not say whether the target holds a record.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnAnswer {
    /// There is no list of records.
    #[error("expected a list of records in content")]
    NoList,
    /// It is about other records: a cache in between, or a target that ignores what it is asked for.
    #[error("none of the {0} records in content has the {1} that was asked for")]
    OtherRecords(usize, String),
}

/// What the answer says of the record, whose field `key` was asked for. Where the list stands within `content` is not
/// documented, so the first list of records in it is taken.
///
/// # Errors
/// [`NotAnAnswer`]: it is to be asked again.
pub(crate) fn find_record(body: &[u8], record: &[u8], key: &str) -> Result<Found, NotAnAnswer> {
    let fields = read_fields(body).ok_or(NotAnAnswer::NoList)?;
    let content = fields.get("content").ok_or(NotAnAnswer::NoList)?;
    let list = records_in(content).ok_or(NotAnAnswer::NoList)?;
    let sent = std::str::from_utf8(record).map_err(|_| NotAnAnswer::NoList)?;
    let asked = key_of(record, key);
    // A record without the key field is not told apart by it.
    let is_asked = |held: &&&RawValue| match key_of(held.get().as_bytes(), key) {
        Some(found) => Some(found) == asked,
        None => true,
    };
    let matching: Vec<&&RawValue> = list.iter().filter(is_asked).collect();
    match matching.as_slice() {
        [] if list.is_empty() => Ok(Found::Nothing),
        [] => Err(NotAnAnswer::OtherRecords(list.len(), key.to_string())),
        [held] if contains(held.get(), sent) => Ok(Found::ThisOne),
        // Of several it is not known which one counts.
        _ => Ok(Found::Another),
    }
}

fn records_in(content: &RawValue) -> Option<Vec<&RawValue>> {
    if let Ok(list) = serde_json::from_str(content.get()) {
        return Some(list);
    }
    let fields: Fields<'_> = serde_json::from_str(content.get()).ok()?;
    fields.values().find_map(|value| serde_json::from_str(value.get()).ok())
}

/// The key of a record as text, whether it is a number or a text there.
fn key_of(record: &[u8], key: &str) -> Option<String> {
    read_scalar(read_fields(record)?.get(key).copied())
}

/// Whether `held` is `sent`, with fields of its own in its objects perhaps. Numbers are compared as they are written: a
/// target that writes them otherwise is asked in vain, and the order is sent again under its key.
fn contains(held: &str, sent: &str) -> bool {
    let (held, sent) = (held.trim(), sent.trim());
    if held == sent {
        return true;
    }
    if let (Ok(held), Ok(sent)) =
        (serde_json::from_str::<Fields<'_>>(held), serde_json::from_str::<Fields<'_>>(sent))
    {
        return sent
            .iter()
            .all(|(name, value)| held.get(name).is_some_and(|held| contains(held.get(), value.get())));
    }
    if let (Ok(held), Ok(sent)) =
        (serde_json::from_str::<Vec<&RawValue>>(held), serde_json::from_str::<Vec<&RawValue>>(sent))
    {
        let pairs = held.iter().zip(&sent);
        return held.len() == sent.len()
            && pairs.into_iter().all(|(held, sent)| contains(held.get(), sent.get()));
    }
    // The same text, escaped otherwise.
    let text = |json: &str| serde_json::from_str::<String>(json).ok();
    text(held).is_some_and(|held| Some(held) == text(sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_names_the_key_as_it_stands_in_the_record() {
        let asked = question(r#"{"orderId": 12345678901234567890, "a": 1}"#.as_bytes(), "orderId");
        assert_eq!(
            asked.expect("a question"),
            r#"{"page":1,"pageSize":100,"CONTENT_orderId":12345678901234567890}"#
        );
        assert_eq!(question(b"{\"a\":1}", "orderId"), None);
        assert_eq!(question(b"{\"orderId\":null}", "orderId"), None);
    }

    #[test]
    fn what_is_held_is_what_was_sent_when_no_field_differs() {
        let sent = r#"{"orderId":1,"name":"小满","lines":[{"amount":0.10}]}"#;
        let of = |list: &str| {
            let body = format!(r#"{{"success":true,"content":{{"total":1,"list":{list}}}}}"#);
            find_record(body.as_bytes(), sent.as_bytes(), "orderId")
        };
        assert_eq!(of("[]"), Ok(Found::Nothing));
        assert_eq!(of(&format!("[{sent},{sent}]")), Ok(Found::Another));
        let more = r#"[{"_id":"x","lines":[ {"amount": 0.10, "at":1} ],"name":"\u5c0f满","orderId":1}]"#;
        assert_eq!(of(more), Ok(Found::ThisOne));
        for other in [
            r#"[{"orderId":1,"name":"小满","lines":[{"amount":0.11}]}]"#,
            r#"[{"orderId":1,"name":"小满","lines":[]}]"#,
            r#"[{"orderId":1,"lines":[{"amount":0.10}]}]"#,
            r#"[{"orderId":"1","name":"小满","lines":[{"amount":0.10}]}]"#,
        ] {
            assert_eq!(of(other), Ok(Found::Another), "{other}");
        }
        let empty = |body: &[u8]| find_record(body, sent.as_bytes(), "orderId");
        assert_eq!(empty(b"{\"content\":{\"total\":0}}"), Err(NotAnAnswer::NoList));
        assert_eq!(empty(b"{\"content\":[]}"), Ok(Found::Nothing));
    }

    #[test]
    fn a_record_of_another_order_answers_nothing() {
        let sent = br#"{"orderId":"7","name":"a"}"#;
        let of = |list: &str| {
            let body = format!(r#"{{"content":{list}}}"#);
            find_record(body.as_bytes(), sent, "orderId")
        };
        let other = NotAnAnswer::OtherRecords(1, "orderId".into());
        assert_eq!(of(r#"[{"orderId":"8","name":"a"}]"#), Err(other));
        assert_eq!(of(r#"[{"orderId":"8","name":"a"},{"orderId":"7","name":"a"}]"#), Ok(Found::ThisOne));
        assert_eq!(of(r#"[{"orderId":7,"name":"b"}]"#), Ok(Found::Another));
        assert_eq!(of(r#"[{"name":"a"}]"#), Ok(Found::Another));
    }
}
