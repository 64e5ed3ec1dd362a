//! What stands around the data of every answer, and what it says of success or failure.
//!
//! Fields are read one by one: a flag may be a number, a code a text. If a name occurs twice in an object, the last value
//! counts, here as in the mapping.

use std::fmt;
use std::marker::PhantomData;

use http::Class;
use http::foreign::{Code, Flag, read_error, read_flag, read_message};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// The words of OAuth that refuse the client itself (RFC 6749, section 5.2, and OKKI's own `access_denied`).
const REFUSALS: [&str; 4] = ["invalid_client", "unauthorized_client", "access_denied", "invalid_grant"];

/// The words for a request that stays wrong until somebody changes the configuration.
const LASTING: [&str; 5] =
    ["invalid_scope", "invalid_request", "unsupported_grant_type", "unsupported_response_type", "permission"];

/// An answer. `D` is what `data` is read as.
pub(crate) struct Envelope<'a, D> {
    code: Option<&'a RawValue>,
    success: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    error_description: Option<&'a RawValue>,
    pub(crate) now: Option<&'a RawValue>,
    pub(crate) data: Option<D>,
}

/// What an answer says went wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// The word in `error`, if there is one.
    pub(crate) word: Option<String>,
}

impl<D> Envelope<'_, D> {
    /// What the answer says went wrong; `None` if it says nothing of the kind.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        let code = Code::read(self.code);
        let word = read_error(self.error);
        let success = read_flag(self.success);
        let refuses = code.is_success() == Some(false) || matches!(success, Flag::No | Flag::Unreadable);
        if word.is_none() && !refuses {
            return None;
        }
        let message = match (&word, read_message(self.error_description), read_message(self.message)) {
            (Some(word), Some(more), _) | (Some(word), None, Some(more)) => format!("{word}: {more}"),
            (Some(word), None, None) => word.clone(),
            (None, _, Some(message)) | (None, Some(message), None) => message,
            (None, None, None) => "no message".into(),
        };
        Some(Refusal { code, message, word })
    }
}

impl Refusal {
    /// Whether it refuses our credentials, by its word alone.
    pub(crate) fn is_of_credentials(&self) -> bool {
        let word = self.word.as_deref().unwrap_or_default().to_ascii_lowercase();
        REFUSALS.contains(&word.as_str())
    }

    /// What it means. A code of three digits means what the same HTTP status means.
    pub(crate) fn class(&self, retry_after: Option<std::time::Duration>) -> Class {
        if self.is_of_credentials() {
            return Class::Credentials;
        }
        match self.code {
            // A bad request parameter is configuration, not something that passes.
            Code::Number(400 | 404 | 422) => return Class::Permanent,
            Code::Number(code @ 300..=599) => {
                let status = u16::try_from(code).unwrap_or(500);
                return Class::of_status(status, retry_after).unwrap_or(Class::Retryable);
            }
            _ => {}
        }
        let word = self.word.as_deref().unwrap_or_default().to_ascii_lowercase();
        match word.as_str() {
            "too_many_requests" | "slow_down" | "rate_limited" | "rate_limit_exceeded" => {
                Class::Throttled(retry_after)
            }
            "temporarily_unavailable" => Class::Outage,
            word if LASTING.iter().any(|lasting| word.contains(lasting)) => Class::Permanent,
            _ => Class::Retryable,
        }
    }
}

impl<'de: 'a, 'a, D: Deserialize<'de>> Deserialize<'de> for Envelope<'a, D> {
    fn deserialize<R: Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
        struct Reading<'a, D>(PhantomData<(&'a (), D)>);
        impl<'de: 'a, 'a, D: Deserialize<'de>> Visitor<'de> for Reading<'a, D> {
            type Value = Envelope<'a, D>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with code and data")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope {
                    code: None,
                    success: None,
                    message: None,
                    error: None,
                    error_description: None,
                    now: None,
                    data: None,
                };
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    let field = match name.as_ref() {
                        "data" => {
                            envelope.data = map.next_value()?;
                            continue;
                        }
                        "code" => &mut envelope.code,
                        "success" => &mut envelope.success,
                        "message" => &mut envelope.message,
                        "error" => &mut envelope.error,
                        "error_description" => &mut envelope.error_description,
                        "now" => &mut envelope.now,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *field = Some(map.next_value()?);
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Reading(PhantomData))
    }
}

/// The names under which the source says how many rows there are in all. Others may count something else.
const TOTALS: [&str; 2] = ["count", "totalItem"];

/// The data of a page.
#[derive(Default)]
pub(crate) struct PageData<'a> {
    /// The rows; `None` if there is no list.
    pub(crate) list: Option<Vec<&'a RawValue>>,
    /// What is given as the number of rows in all, by its name.
    pub(crate) totals: Vec<(&'static str, &'a RawValue)>,
}

impl<'de: 'a, 'a> Deserialize<'de> for PageData<'a> {
    fn deserialize<R: Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
        struct Reading<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Reading<'a> {
            type Value = PageData<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with list and count")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut data = PageData::default();
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    if name == "list" {
                        data.list = map.next_value::<RowList<'a>>()?.0;
                    } else if let Some(total) = TOTALS.iter().find(|total| **total == name) {
                        data.totals.retain(|(known, _)| known != total);
                        data.totals.push((total, map.next_value()?));
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(data)
            }
        }
        deserializer.deserialize_map(Reading(PhantomData))
    }
}

/// The rows of a list. PHP writes a list with holes as an object (`{"0": ..., "2": ...}`), and an empty one as null, `""`
/// or false.
struct RowList<'a>(Option<Vec<&'a RawValue>>);

impl<'de: 'a, 'a> Deserialize<'de> for RowList<'a> {
    fn deserialize<R: Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
        struct Reading<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Reading<'a> {
            type Value = RowList<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rows")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(row) = list.next_element()? {
                    rows.push(row);
                }
                Ok(RowList(Some(rows)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut rows = Vec::new();
                while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    let is_index = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
                    if !is_index {
                        return Err(serde::de::Error::custom(format!(
                            "a list of rows has an entry {name:?}, expected a number"
                        )));
                    }
                    rows.push(map.next_value()?);
                }
                Ok(RowList(Some(rows)))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(RowList(None))
            }

            fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Self::Value, E> {
                if value { Err(E::custom("the list of rows is true")) } else { Ok(RowList(None)) }
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
                if value.is_empty() {
                    Ok(RowList(None))
                } else {
                    Err(E::custom("the list of rows is a text"))
                }
            }
        }
        deserializer.deserialize_any(Reading(PhantomData))
    }
}
