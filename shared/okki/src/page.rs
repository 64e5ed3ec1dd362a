//! Reading a page: what the answer must be, how many orders there are in all, and the id of each row.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use events::shorten_owned;
use http::foreign::{Code, Count, is_empty, read_count, read_message, shorten};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use crate::OkkiError;
use crate::asked::field_text;
use crate::damage::{Covered, cover_damage, legible_text};
use crate::envelope::{Envelope, PageData};

/// The start of an answer, for a message, is taken from so many bytes.
const SHOWN_OF: usize = 64 << 10;

/// One page, its bytes as received.
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
    /// Where each row lies in the body. A row may be damaged, so that it is no JSON: see [`crate::news`].
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
    /// How long the source asks us to wait.
    pub retry_after: Option<Duration>,
    /// The field that identifies an order.
    pub id: &'a str,
    /// The zone of the source's times.
    pub zone: &'a TimeZone,
}

/// What a page says, with rows that lie in the bytes it was read from.
struct PageContent<'a> {
    now: Option<&'a RawValue>,
    total: u64,
    list: Vec<&'a RawValue>,
}

impl Reader<'_> {
    fn malformed(&self, body: &Bytes, found: String, expected: &'static str) -> OkkiError {
        let request = self.request.to_string();
        let found = shorten_owned(found);
        OkkiError::Malformed { request, found, expected, status: self.status, body: body.clone() }
    }

    /// Reads an answer of which the data may be anything.
    fn envelope<'a>(&self, text: &'a [u8], body: &Bytes) -> Result<Envelope<'a, &'a RawValue>, OkkiError> {
        let envelope: Envelope<'a, &'a RawValue> = serde_json::from_slice(text).map_err(|error| {
            let found = format!("{} ({})", shown(body), secrets::redact(&error.to_string()));
            self.malformed(body, found, "a JSON object with code and data")
        })?;
        self.check(&envelope, body)?;
        Ok(envelope)
    }

    /// The source's clock and the data of a page.
    fn data<'a>(
        &self,
        text: &'a [u8],
        body: &Bytes,
    ) -> Result<(Option<&'a RawValue>, PageData<'a>), OkkiError> {
        if let Ok(envelope) = serde_json::from_slice::<Envelope<'_, PageData<'_>>>(text) {
            self.check(&envelope, body)?;
            if let Some(data) = envelope.data {
                return Ok((envelope.now, data));
            }
        }
        // It is read again, to say what is wrong with it.
        let envelope = self.envelope(text, body)?;
        let data = envelope.data.map(RawValue::get).unwrap_or("null");
        if is_empty(envelope.data) {
            // PHP writes an object without fields as a list. It has no total then, which is not zero.
            return Ok((envelope.now, PageData::default()));
        }
        let no_data = |error: serde_json::Error| {
            let found = format!("{} ({})", shown(data.as_bytes()), secrets::redact(&error.to_string()));
            self.malformed(body, found, "data with list and count")
        };
        Ok((envelope.now, serde_json::from_str(data).map_err(no_data)?))
    }

    /// Returns what the source says went wrong.
    fn check<D>(&self, envelope: &Envelope<'_, D>, body: &Bytes) -> Result<(), OkkiError> {
        let Some(refusal) = envelope.refusal() else { return Ok(()) };
        if refusal.is_of_credentials() {
            return Err(OkkiError::Credentials { said: refusal.message });
        }
        Err(OkkiError::Business {
            request: self.request.to_string(),
            class: refusal.class(self.retry_after),
            code: refusal.code,
            message: refusal.message.into(),
            status: self.status,
            body: body.clone(),
        })
    }

    /// Reads an answer as a page of orders. A row that is no JSON does not keep the others from being read.
    ///
    /// # Errors
    /// When the body is not JSON, carries an error code, or lacks its list or its total (a missing total is never zero).
    pub fn page(&self, body: &Bytes) -> Result<Page, OkkiError> {
        let error = match self.content(body, body) {
            Ok(content) => return Ok(self.page_of(body, body, content, &[])),
            Err(error @ OkkiError::Malformed { .. }) => error,
            Err(error) => return Err(error),
        };
        let Some(Covered { body: text, rows: damaged }) = cover_damage(body) else { return Err(error) };
        let content = self.content(&text, body)?;
        Ok(self.page_of(&text, body, content, &damaged))
    }

    fn content<'a>(&self, text: &'a [u8], body: &Bytes) -> Result<PageContent<'a>, OkkiError> {
        let (now, data) = self.data(text, body)?;
        let total = self.total(&data, body)?;
        match (data.list, total) {
            (Some(list), _) => Ok(PageContent { now, total, list }),
            // No order, no list.
            (None, 0) => Ok(PageContent { now, total, list: Vec::new() }),
            (None, _) => Err(self.malformed(body, "data without list".into(), "data.list")),
        }
    }

    /// The number of orders in all. Of two that differ the larger one is believed: the other one counts the rows of this
    /// page, or something else.
    fn total(&self, data: &PageData<'_>, body: &Bytes) -> Result<u64, OkkiError> {
        const EXPECTED: &str = "a number in data.count or data.totalItem";
        let mut largest = None;
        for (name, total) in &data.totals {
            match read_count(Some(total)) {
                Count::Absent => {}
                Count::Number(number) => largest = largest.max(Some(number)),
                Count::Unreadable => {
                    let found = format!("the total {} in data.{name}", shown(total.get().as_bytes()));
                    return Err(self.malformed(body, found, EXPECTED));
                }
            }
        }
        match (largest, &data.list) {
            (Some(total), _) => Ok(total),
            (None, None) => Err(self.malformed(body, "data without list".into(), "data.list")),
            (None, Some(_)) => Err(self.malformed(body, "the total null".into(), EXPECTED)),
        }
    }

    /// `text` is what the content was read from: the body, or as much of it as is JSON, every byte at its place.
    /// `damaged` are the rows that are not JSON.
    fn page_of(&self, text: &[u8], body: &Bytes, content: PageContent<'_>, damaged: &[Range<usize>]) -> Page {
        let begin = text.as_ptr() as usize;
        let mut ids = Vec::with_capacity(content.list.len());
        let mut rows = Vec::with_capacity(content.list.len());
        for row in content.list {
            let from = row.get().as_ptr() as usize - begin;
            match damaged.binary_search_by_key(&from, |range| range.start) {
                Ok(at) => {
                    ids.push(field_text(&legible_text(&body[damaged[at].clone()]), self.id));
                    rows.push(damaged[at].clone());
                }
                Err(_) => {
                    ids.push(field_text(row.get(), self.id));
                    rows.push(from..from + row.get().len());
                }
            }
        }
        Page {
            request: self.request.to_string(),
            status: self.status,
            total: content.total,
            ids,
            rows,
            now: read_message(content.now).and_then(|now| read_clock(&now, self.zone, Timestamp::now())),
            body: body.clone(),
        }
    }

    /// Reads an answer as one order. An order that is no JSON is found all the same: whoever maps it sees the damage.
    ///
    /// # Errors
    /// As [`Reader::page`]; an order that is not there is no error.
    pub fn detail(&self, body: &Bytes) -> Result<Detail, OkkiError> {
        let error = match self.envelope(body, body) {
            Ok(envelope) => return self.detail_of(&envelope, body),
            Err(OkkiError::Business { code: Code::Number(404), .. }) => return Ok(Detail::Gone),
            Err(error @ OkkiError::Malformed { .. }) => error,
            Err(error) => return Err(error),
        };
        let Some(covered) = cover_damage(body) else { return Err(error) };
        self.envelope(&covered.body, body)?;
        Ok(Detail::Found(body.clone()))
    }

    fn detail_of(&self, envelope: &Envelope<'_, &RawValue>, body: &Bytes) -> Result<Detail, OkkiError> {
        match envelope.data.map(RawValue::get) {
            Some(data) if data.starts_with('{') => Ok(Detail::Found(body.clone())),
            data => {
                let found = shown(data.unwrap_or("no data").as_bytes());
                Err(self.malformed(body, found, "an order object in data"))
            }
        }
    }
}

/// Reads the source's `2025-03-06 16:55:25`. In the hour that a zone repeats it means the one of two moments that is nearer
/// to our own clock.
fn read_clock(text: &str, zone: &TimeZone, ours: Timestamp) -> Option<Timestamp> {
    let local = zone.to_ambiguous_timestamp(text.trim().parse::<DateTime>().ok()?);
    let earlier = local.earlier().ok()?;
    let later = local.later().ok()?;
    let distance = |moment: Timestamp| (moment.as_second() - ours.as_second()).abs();
    Some(if distance(later) < distance(earlier) { later } else { earlier })
}

/// The start of some bytes without secrets of ours, for messages.
fn shown(bytes: &[u8]) -> String {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_OF)]);
    format!("{:?}", shorten(&start).trim())
}

/// The id of an order, as the source wrote it, without quotes.
pub fn id_of(row: &RawValue, id: &str) -> Option<String> {
    field_text(row.get(), id)
}

#[cfg(test)]
mod tests;
