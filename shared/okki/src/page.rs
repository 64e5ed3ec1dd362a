//! Reading a page: what the answer must be, how many orders there are in all, and the id of each row.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::OkkiError;

/// One page, its bytes exactly as received.
#[derive(Debug, Clone)]
pub struct Page {
    /// What was asked: path and query, never a token.
    pub request: String,
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// The total the source reports for the whole query.
    pub total: u64,
    /// The id of each row as the source wrote it, without quotes; `None` for a row without one.
    pub ids: Vec<Option<String>>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(default, borrow)]
    code: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error_description: Option<&'a RawValue>,
    #[serde(default, borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(default, borrow)]
    list: Option<Vec<&'a RawValue>>,
    #[serde(default, borrow)]
    count: Option<&'a RawValue>,
    #[serde(default, borrow, rename = "totalItem")]
    total_item: Option<&'a RawValue>,
}

/// The rows of a page that was stored before, each exactly as received.
///
/// # Errors
/// [`OkkiError::Malformed`] when the bytes are no page; a stored page was one when it was fetched.
pub fn rows(body: &[u8]) -> Result<Vec<&RawValue>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        data: Inner<'a>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow)]
        list: Vec<&'a RawValue>,
    }
    serde_json::from_slice::<Outer<'_>>(body).map(|outer| outer.data.list)
}

/// Reads an answer as a page of orders whose id field is `id`.
///
/// # Errors
/// When the body is not JSON, carries an error code, or lacks its list or its total (a missing total is never zero).
pub fn read_page(request: &str, status: u16, body: &Bytes, id: &str) -> Result<Page, OkkiError> {
    let malformed = |found: String, expected| OkkiError::Malformed {
        request: request.to_string(),
        found,
        expected,
        status,
        body: body.clone(),
    };
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| {
        malformed(format!("{} ({error})", shown(body)), "a JSON object with code and data")
    })?;
    if let Some(said) = plain(envelope.error) {
        let said =
            plain(envelope.error_description).map_or_else(|| said.clone(), |more| format!("{said}: {more}"));
        return Err(OkkiError::Credentials { said });
    }
    let code = match envelope.code.map(RawValue::get) {
        None | Some("null") => 200,
        Some(text) => text.trim_matches('"').parse::<i64>().unwrap_or(-1),
    };
    if code != 200 && code != 0 {
        let message = plain(envelope.message).unwrap_or_else(|| "no message".into());
        return Err(OkkiError::Business { request: request.to_string(), code, message });
    }
    let data = envelope.data.map(RawValue::get).unwrap_or("null");
    let data: Data<'_> = serde_json::from_str(data)
        .map_err(|_| malformed(shown(data.as_bytes()), "data with list and count"))?;
    let list = data.list.ok_or_else(|| malformed("data without list".into(), "data.list"))?;
    let total = data.count.or(data.total_item).map(RawValue::get).unwrap_or("null");
    let total =
        total.trim_matches('"').trim().parse::<u64>().map_err(|_| {
            malformed(format!("the total {total}"), "a number in data.count or data.totalItem")
        })?;
    let ids = list.iter().map(|row| id_of(row, id)).collect();
    Ok(Page { request: request.to_string(), status, body: body.clone(), total, ids })
}

/// The text of a JSON value, whatever its type; `None` for null and for an empty text.
fn plain(raw: Option<&RawValue>) -> Option<String> {
    let text = raw?.get();
    let text = serde_json::from_str::<String>(text).unwrap_or_else(|_| text.to_string());
    (!text.is_empty() && text != "null").then_some(text)
}

/// The start of some bytes, for messages.
fn shown(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(80).collect();
    format!("{:?}", text.trim())
}

fn id_of(row: &RawValue, id: &str) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_str(row.get());
    let raw = FieldOf(id).deserialize(&mut deserializer).ok()??;
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw.get()).ok().filter(|text| !text.is_empty()),
        b'0'..=b'9' | b'-' => Some(raw.get().to_string()),
        _ => None,
    }
}

/// Finds one field of an object without building the others.
struct FieldOf<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for FieldOf<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldOf<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == self.0 {
                found = Some(map.next_value::<&RawValue>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &str) -> Result<Page, OkkiError> {
        read_page("/list?start_index=1", 200, &Bytes::copy_from_slice(body.as_bytes()), "order_id")
    }

    #[test]
    fn every_variant_of_a_good_page_is_read() {
        for (body, total) in [
            (r#"{"code":200,"data":{"list":[],"count":0}}"#, 0),
            (r#"{"code":0,"data":{"list":[],"totalItem":"7"}}"#, 7),
            (r#"{"code":"200","data":{"list":[],"count":" 7 "}}"#, 7),
            (r#"{"data":{"list":[],"count":7,"other":[]}}"#, 7),
        ] {
            assert_eq!(page(body).expect(body).total, total);
        }
    }

    #[test]
    fn ids_keep_their_digits() {
        let body = r#"{"code":200,"data":{"count":5,"list":[{"order_id":12345678901234567890123},
            {"order_id":"007"},{"a":{"order_id":1}},{"order_id":""},{"order_id":null}]}}"#;
        let ids = page(body).expect("a page").ids;
        assert_eq!(ids, [Some("12345678901234567890123".into()), Some("007".into()), None, None, None]);
        assert_eq!(rows(body.as_bytes()).expect("rows").len(), 5);
    }

    #[test]
    fn what_is_no_page_says_what_it_is() {
        for (body, expected) in [
            (
                "<html>moved</html>",
                "the source answered /list?start_index=1 with \"<html>moved</html>\" (expected value at line 1 column 1), \
                 expected a JSON object with code and data",
            ),
            (
                r#"{"code":200,"data":{"list":[]}}"#,
                "the source answered /list?start_index=1 with the total null, expected a number in data.count or data.totalItem",
            ),
            (
                r#"{"code":200,"data":[]}"#,
                "the source answered /list?start_index=1 with data without list, expected data.list",
            ),
            (
                r#"{"code":404,"message":"Not Found"}"#,
                "the source answered /list?start_index=1 with code 404: Not Found",
            ),
        ] {
            assert_eq!(page(body).expect_err(body).to_string(), expected);
        }
        let denied = page(r#"{"error":"access_denied"}"#).expect_err("denied");
        assert_eq!(denied.class(), http::Class::Credentials);
    }
}
