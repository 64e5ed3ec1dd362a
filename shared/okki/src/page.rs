//! Reading a page: what the answer must be, how many orders there are in all, and the id of each row.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
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
    /// Where each row lies in the body.
    pub rows: Vec<Range<usize>>,
    /// The source's clock, when the answer shows it.
    pub now: Option<Timestamp>,
}

/// What the source knows of one order.
#[derive(Debug, Clone)]
pub enum Detail {
    /// The whole answer, its bytes exactly as received.
    Found(Bytes),
    /// The order is not there any more: it was listed, and then deleted.
    Gone,
}

/// What an answer is read with.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// What was asked: path and query, never a token.
    pub request: &'a str,
    /// HTTP status.
    pub status: u16,
    /// The field that identifies an order.
    pub id: &'a str,
    /// The zone of the source's times.
    pub zone: &'a TimeZone,
}

/// What every answer has around its data.
#[derive(Deserialize)]
#[serde(bound(deserialize = "D: Deserialize<'de>"))]
struct Envelope<'a, D> {
    #[serde(default, borrow)]
    code: Option<&'a RawValue>,
    #[serde(default, borrow)]
    message: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    #[serde(default, borrow)]
    error_description: Option<&'a RawValue>,
    #[serde(default, borrow)]
    now: Option<&'a RawValue>,
    data: Option<D>,
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

/// The order in a detail that was stored before, exactly as received.
///
/// # Errors
/// When the bytes are no detail; a stored one was when it was fetched.
pub fn detail(body: &[u8]) -> Result<&RawValue, serde_json::Error> {
    #[derive(Deserialize)]
    struct Outer<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    serde_json::from_slice::<Outer<'_>>(body).map(|outer| outer.data)
}

impl Reader<'_> {
    fn malformed(&self, body: &Bytes, found: String, expected: &'static str) -> OkkiError {
        let (request, status) = (self.request.to_string(), self.status);
        OkkiError::Malformed { request, found, expected, status, body: body.clone() }
    }

    /// Reads an answer of which the data may be anything.
    fn envelope<'a>(&self, body: &'a Bytes) -> Result<Envelope<'a, &'a RawValue>, OkkiError> {
        let envelope: Envelope<'a, &'a RawValue> = serde_json::from_slice(body).map_err(|error| {
            let found = format!("{} ({error})", shown(body));
            self.malformed(body, found, "a JSON object with code and data")
        })?;
        self.good(body, &envelope)?;
        Ok(envelope)
    }

    /// The source's clock and the data of a page.
    fn data<'a>(&self, body: &'a Bytes) -> Result<(Option<&'a RawValue>, Data<'a>), OkkiError> {
        if let Ok(envelope) = serde_json::from_slice::<Envelope<'_, Data<'_>>>(body) {
            self.good(body, &envelope)?;
            if let Some(data) = envelope.data {
                return Ok((envelope.now, data));
            }
        }
        // It is read again, to say what is wrong with it.
        let envelope = self.envelope(body)?;
        let data = envelope.data.map(RawValue::get).unwrap_or("null");
        let no_data = |_| self.malformed(body, shown(data.as_bytes()), "data with list and count");
        Ok((envelope.now, serde_json::from_str(data).map_err(no_data)?))
    }

    /// What the source says went wrong.
    fn good<D>(&self, body: &Bytes, envelope: &Envelope<'_, D>) -> Result<(), OkkiError> {
        if let Some(said) = plain(envelope.error) {
            let said = plain(envelope.error_description)
                .map_or_else(|| said.clone(), |more| format!("{said}: {more}"));
            return Err(OkkiError::Credentials { said });
        }
        let code = match envelope.code.map(RawValue::get) {
            None | Some("null") => 200,
            Some(text) => text.trim_matches('"').parse::<i64>().unwrap_or(-1),
        };
        if code != 200 && code != 0 {
            let message = plain(envelope.message).unwrap_or_else(|| "no message".into());
            let (request, status, body) = (self.request.to_string(), self.status, body.clone());
            return Err(OkkiError::Business { request, code, message, status, body });
        }
        Ok(())
    }

    /// Reads an answer as a page of orders.
    ///
    /// # Errors
    /// When the body is not JSON, carries an error code, or lacks its list or its total (a missing total is never zero).
    pub fn page(&self, body: &Bytes) -> Result<Page, OkkiError> {
        let (now, data) = self.data(body)?;
        let list = data.list.ok_or_else(|| self.malformed(body, "data without list".into(), "data.list"))?;
        let total = data.count.or(data.total_item).map(RawValue::get).unwrap_or("null");
        let total = total.trim_matches('"').trim().parse::<u64>().map_err(|_| {
            self.malformed(body, format!("the total {total}"), "a number in data.count or data.totalItem")
        })?;
        let ids = list.iter().map(|row| id_of(row, self.id)).collect();
        let begin = body.as_ptr() as usize;
        let place = |row: &&RawValue| {
            let from = row.get().as_ptr() as usize - begin;
            from..from + row.get().len()
        };
        Ok(Page {
            request: self.request.to_string(),
            status: self.status,
            total,
            ids,
            rows: list.iter().map(place).collect(),
            now: plain(now).and_then(|now| local(&now, self.zone)),
            body: body.clone(),
        })
    }

    /// Reads an answer as one order.
    ///
    /// # Errors
    /// As [`Reader::page`]; an order that is not there is no error.
    pub fn detail(&self, body: &Bytes) -> Result<Detail, OkkiError> {
        let envelope = match self.envelope(body) {
            Err(OkkiError::Business { code: 404, .. }) => return Ok(Detail::Gone),
            envelope => envelope?,
        };
        match envelope.data.map(RawValue::get) {
            Some(data) if data.starts_with('{') => Ok(Detail::Found(body.clone())),
            data => {
                let found = shown(data.unwrap_or("no data").as_bytes());
                Err(self.malformed(body, found, "an order object in data"))
            }
        }
    }
}

/// Reads the source's `2025-03-06 16:55:25`.
fn local(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    zone.to_timestamp(text.trim().parse::<DateTime>().ok()?).ok()
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
    let mut found = None;
    // That it stops within the object is no error here: the row was read as JSON before.
    let _ = FieldOf { name: id, found: &mut found }
        .deserialize(&mut serde_json::Deserializer::from_str(row.get()));
    let raw = found?;
    match raw.get().as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw.get()).ok().filter(|text| !text.is_empty()),
        b'0'..=b'9' | b'-' => Some(raw.get().to_string()),
        _ => None,
    }
}

/// Finds one field of an object, and reads no further.
struct FieldOf<'n, 'de> {
    name: &'n str,
    found: &'n mut Option<&'de RawValue>,
}

impl<'de> DeserializeSeed<'de> for FieldOf<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldOf<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == self.name {
                *self.found = Some(map.next_value()?);
                return Ok(());
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READER: Reader<'_> =
        Reader { request: "/list?start_index=1", status: 200, id: "order_id", zone: &TimeZone::UTC };

    fn page(body: &str) -> Result<Page, OkkiError> {
        READER.page(&Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn rows_are_found_in_the_body_and_the_clock_is_read() {
        let body = r#"{"code":200,"now":"2025-03-06 16:55:25","data":{"count":2,"list":[ {"order_id":1} ,{"a":"订单"}]}}"#;
        let page = page(body).expect("a page");
        let rows: Vec<&str> = page.rows.iter().map(|row| &body[row.clone()]).collect();
        assert_eq!(rows, [r#"{"order_id":1}"#, r#"{"a":"订单"}"#]);
        assert_eq!(page.now, "2025-03-06T16:55:25Z".parse().ok());
        for now in [r#""now":"","#, r#""now":null,"#, r#""now":"0000-00-00 00:00:00","#, r#""now":7,"#, ""] {
            let body = format!(r#"{{"code":200,{now}"data":{{"count":0,"list":[]}}}}"#);
            assert_eq!(READER.page(&Bytes::from(body)).expect(now).now, None, "{now}");
        }
    }

    #[test]
    fn a_detail_is_an_order_or_gone() {
        let read = |body: &'static str| READER.detail(&Bytes::from_static(body.as_bytes()));
        let body = r#"{"code":200,"data":{"order_id":7,"product_list":[]}}"#;
        assert!(matches!(read(body), Ok(Detail::Found(found)) if found == body));
        assert_eq!(detail(body.as_bytes()).expect("an order").get(), r#"{"order_id":7,"product_list":[]}"#);
        assert!(matches!(
            read(r#"{"code":404,"message":"Not Found Resource","data":null}"#),
            Ok(Detail::Gone)
        ));
        let error = read(r#"{"code":200,"data":[]}"#).expect_err("no order");
        assert!(error.to_string().ends_with("with \"[]\", expected an order object in data"), "{error}");
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
