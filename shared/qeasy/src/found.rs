//! Asking back: what the `store` form holds of an order whose answer was lost, and whether that is what was sent.

use std::collections::BTreeMap;

use serde::Deserialize;
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

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The body of the question for a record; `None` when it has no such field, or no value in it.
pub(crate) fn question(record: &[u8], key: &str) -> Option<String> {
    let fields: Fields<'_> = serde_json::from_slice(record).ok()?;
    let value = fields.get(key).filter(|value| value.get() != "null")?;
    let name = serde_json::Value::from(format!("CONTENT_{key}"));
    Some(format!(r#"{{"page":1,"pageSize":100,{name}:{value}}}"#))
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
}

/// What the answer says of the record; `None` when it holds no list. Where the list stands within `content` is not
/// documented, so the first list of records in it is taken.
pub(crate) fn answered(body: &[u8], record: &[u8]) -> Option<Found> {
    let content = serde_json::from_slice::<Body<'_>>(body).ok()?.content;
    let list: Vec<&RawValue> = match serde_json::from_str(content.get()) {
        Ok(list) => list,
        Err(_) => {
            let fields: Fields<'_> = serde_json::from_str(content.get()).ok()?;
            fields.values().find_map(|value| serde_json::from_str(value.get()).ok())?
        }
    };
    let sent = std::str::from_utf8(record).ok()?;
    Some(match list.as_slice() {
        [] => Found::Nothing,
        [held] if contains(held.get(), sent) => Found::ThisOne,
        // Of several it is not known which one counts.
        _ => Found::Another,
    })
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
            answered(
                format!(r#"{{"success":true,"content":{{"total":1,"list":{list}}}}}"#).as_bytes(),
                sent.as_bytes(),
            )
        };
        assert_eq!(of("[]"), Some(Found::Nothing));
        assert_eq!(of(&format!("[{sent},{sent}]")), Some(Found::Another));
        let more = r#"[{"_id":"x","lines":[ {"amount": 0.10, "at":1} ],"name":"\u5c0f满","orderId":1}]"#;
        assert_eq!(of(more), Some(Found::ThisOne));
        for other in [
            r#"[{"orderId":1,"name":"小满","lines":[{"amount":0.11}]}]"#,
            r#"[{"orderId":1,"name":"小满","lines":[]}]"#,
            r#"[{"orderId":1,"lines":[{"amount":0.10}]}]"#,
            r#"[{"orderId":"1","name":"小满","lines":[{"amount":0.10}]}]"#,
        ] {
            assert_eq!(of(other), Some(Found::Another), "{other}");
        }
        assert_eq!(answered(b"{\"content\":{\"total\":0}}", sent.as_bytes()), None);
        assert_eq!(answered(b"{\"content\":[]}", sent.as_bytes()), Some(Found::Nothing));
    }
}
