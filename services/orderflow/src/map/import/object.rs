//! A JSON object in the order it is written, with its values as they stand: a number keeps every digit.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Members in the order of the text.
#[derive(Debug, Default)]
pub(super) struct Object<'j>(pub(super) Vec<(String, &'j RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// A value of the metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    /// A text, without its quotes.
    Text(String),
    /// A number, digit for digit.
    Number(String),
    /// true or false.
    Flag(bool),
    /// An object or a list, as it stands.
    Other(String),
}

impl Literal {
    /// A JSON value; `None` for null.
    pub(super) fn of(json: &RawValue) -> Option<Self> {
        let text = json.get();
        Some(match text.as_bytes().first() {
            Some(b'n') => return None,
            Some(b'"') => Self::Text(serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())),
            Some(b't') => Self::Flag(true),
            Some(b'f') => Self::Flag(false),
            Some(b'{' | b'[') => Self::Other(text.to_owned()),
            _ => Self::Number(text.to_owned()),
        })
    }

    /// Whether it says nothing: a blank text, `[]` or `{}`.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.trim().is_empty(),
            Self::Other(text) => {
                text.bytes().all(|byte| byte.is_ascii_whitespace() || b"[]{}".contains(&byte))
            }
            _ => false,
        }
    }

    /// Its text as people would type it.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Number(text) | Self::Other(text) => text,
            Self::Flag(true) => "true",
            Self::Flag(false) => "false",
        }
    }

    /// What it is, for messages.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Number(text) => text.clone(),
            Self::Flag(flag) => flag.to_string(),
            Self::Other(text) if text.starts_with('{') => "an object".into(),
            Self::Other(_) => "a list".into(),
        }
    }
}
