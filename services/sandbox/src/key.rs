//! The id of an order, whichever way it is written: `12345` and `"12345"` are the same order.

use std::fmt;

use serde_json::value::RawValue;

use crate::draw::{hash_text, mix};

/// An order's id. Plain numbers, which nearly all are, take no allocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Number(u64),
    Text(Box<str>),
}

impl Key {
    /// `None` for an empty text.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let plain =
            text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
        match text.parse() {
            Ok(number) if plain => Some(Self::Number(number)),
            _ => Some(Self::Text(text.into())),
        }
    }

    /// A JSON number or string; anything else is no id.
    pub(crate) fn from_json(raw: &RawValue) -> Option<Self> {
        let text = raw.get();
        match text.as_bytes().first()? {
            b'"' if !text.contains('\\') => Self::from_text(&text[1..text.len() - 1]),
            b'"' => Self::from_text(&serde_json::from_str::<String>(text).ok()?),
            b'0'..=b'9' | b'-' => Self::from_text(text),
            _ => None,
        }
    }

    /// The same for an id on every machine and in every run.
    pub(crate) fn stable_hash(&self) -> u64 {
        match self {
            Self::Number(number) => mix(*number),
            Self::Text(text) => hash_text(text),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_its_text_are_one_key() {
        let of = |json: &str| Key::from_json(&RawValue::from_string(json.to_owned()).unwrap());
        assert_eq!(of("5203550000"), of("\"5203550000\""));
        assert_eq!(of("\"0\""), Some(Key::Number(0)));
        assert_eq!(of("\"007\""), Some(Key::Text("007".into())));
        assert_eq!(of("\"A\\u0031\""), Some(Key::Text("A1".into())));
        for none in ["null", "\"\"", "{}", "true"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
