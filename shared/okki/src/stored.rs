//! What a stored page holds that is to be mapped: the rows that are news, each as its detail where one was fetched.

use std::borrow::Cow;
use std::collections::HashMap;

use events::{RawDetail, RawPage};
use serde_json::value::RawValue;

use crate::damage::{cover_damage, explain_damage, legible_text};
use crate::envelope::{Envelope, PageData};

/// A row as it lies in the bytes of a page.
#[derive(Debug, Clone)]
pub enum StoredRow<'a> {
    /// An order, or at least JSON.
    Whole(&'a RawValue),
    /// Bytes that are no JSON.
    Damaged(DamagedRow<'a>),
}

/// A row that is no JSON, so that nothing can be read of it for certain.
#[derive(Debug, Clone)]
pub struct DamagedRow<'a> {
    /// The row as it was sent.
    pub bytes: &'a [u8],
    /// What is wrong with it, and where.
    pub reason: String,
}

impl<'a> StoredRow<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let whole = serde_json::from_slice(bytes).map(Self::Whole);
        whole.unwrap_or_else(|error| {
            let reason = explain_damage(bytes).unwrap_or_else(|| error.to_string());
            Self::Damaged(DamagedRow { bytes, reason })
        })
    }

    /// The row as it was sent.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Whole(row) => row.get().as_bytes(),
            Self::Damaged(row) => row.bytes,
        }
    }

    /// The row as text, with a `?` for each byte that is not UTF-8.
    pub(crate) fn legible(&self) -> Cow<'a, str> {
        match self {
            Self::Whole(row) => Cow::Borrowed(row.get()),
            Self::Damaged(row) => Cow::Owned(legible_text(row.bytes)),
        }
    }

    /// The row, if it is JSON.
    pub fn whole(&self) -> Option<&'a RawValue> {
        match self {
            Self::Whole(row) => Some(row),
            Self::Damaged(_) => None,
        }
    }
}

impl DamagedRow<'_> {
    /// The row with a `?` for each byte that is not UTF-8, if that makes it JSON: good enough to say which order it is, and
    /// for nothing else.
    pub fn legible(&self) -> Option<Box<RawValue>> {
        RawValue::from_string(legible_text(self.bytes)).ok()
    }
}

/// The rows of a page that are news, by their number on the page.
#[derive(Debug, Default)]
pub struct News<'a> {
    /// Those that can be mapped, each as its detail where there is one.
    pub rows: Vec<(u32, &'a RawValue)>,
    /// Those that are damaged.
    pub damaged: Vec<(u32, DamagedRow<'a>)>,
}

/// The rows of a page that was stored before, each exactly as received.
///
/// # Errors
/// When the bytes are no page; a stored page was one when it was fetched.
pub fn rows(body: &[u8]) -> Result<Vec<StoredRow<'_>>, serde_json::Error> {
    let error = match serde_json::from_slice::<Envelope<'_, PageData<'_>>>(body) {
        Ok(envelope) => {
            let list = envelope.data.and_then(|data| data.list).unwrap_or_default();
            return Ok(list.into_iter().map(StoredRow::Whole).collect());
        }
        Err(error) => error,
    };
    let Some(covered) = cover_damage(body) else { return Err(error) };
    let envelope: Envelope<'_, PageData<'_>> = serde_json::from_slice(&covered.body)?;
    let begin = covered.body.as_ptr() as usize;
    let list = envelope.data.and_then(|data| data.list).unwrap_or_default();
    let places = list.into_iter().map(|row| {
        let from = row.get().as_ptr() as usize - begin;
        let damaged = covered.rows.iter().find(|range| range.start == from);
        damaged.cloned().unwrap_or(from..from + row.get().len())
    });
    Ok(places.map(|place| StoredRow::of(&body[place])).collect())
}

/// The order in a detail that was stored before, exactly as received.
///
/// # Errors
/// When the bytes are no detail; a stored one was when it was fetched.
pub fn detail(body: &[u8]) -> Result<StoredRow<'_>, serde_json::Error> {
    let error = match serde_json::from_slice::<Envelope<'_, &RawValue>>(body) {
        Ok(Envelope { data: Some(data), .. }) => return Ok(StoredRow::Whole(data)),
        Ok(_) => serde::de::Error::missing_field("data"),
        Err(error) => error,
    };
    match cover_damage(body).and_then(|covered| covered.rows.into_iter().next()) {
        Some(place) => Ok(StoredRow::of(&body[place])),
        None => Err(error),
    }
}

/// The rows of a whole page that are news, each with its number on the page and as its detail where there is one.
///
/// `body` and `details` are what the page holds, unpacked ([`RawPage::unpack_details`]).
///
/// # Errors
/// When the bytes are no page, or a detail is no detail: they were when they were fetched.
pub fn news<'a>(
    page: &RawPage,
    body: &'a [u8],
    details: &'a [RawDetail],
) -> Result<News<'a>, serde_json::Error> {
    let mut orders = HashMap::with_capacity(details.len());
    for stored in details {
        orders.insert(stored.row, detail(&stored.body)?);
    }
    let mut news = News::default();
    for (at, row) in (0_u32..).zip(rows(body)?) {
        if page.news.as_ref().is_some_and(|rows| rows.binary_search(&at).is_err()) {
            continue;
        }
        match orders.remove(&at).unwrap_or(row) {
            StoredRow::Whole(row) => news.rows.push((at, row)),
            StoredRow::Damaged(row) => news.damaged.push((at, row)),
        }
    }
    Ok(news)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_row_lies_between_the_good_ones() {
        let body = b"{\"data\":{\"list\":{\"0\":{\"order_id\":1},\"2\":{\"order_id\":2,\"name\":\"\xE8\"},\"3\":7},\"count\":3}}";
        let rows = rows(body).expect("a page");
        let whole: Vec<Option<&str>> = rows.iter().map(|row| row.whole().map(RawValue::get)).collect();
        assert_eq!(whole, [Some("{\"order_id\":1}"), None, Some("7")]);
        let StoredRow::Damaged(damaged) = &rows[1] else { panic!("{:?}", rows[1]) };
        assert_eq!(damaged.bytes, b"{\"order_id\":2,\"name\":\"\xE8\"}");
        assert_eq!(damaged.reason, "byte 22 of the row, 0xE8, is not UTF-8");
        assert_eq!(damaged.legible().expect("legible").get(), "{\"order_id\":2,\"name\":\"?\"}");
    }

    #[test]
    fn a_damaged_detail_is_one_row() {
        let body = b"{\"code\":200,\"data\":{\"order_id\":2,\"amount\":NaN}}";
        let row = detail(body).expect("a detail");
        assert!(matches!(row, StoredRow::Damaged(row) if row.bytes == &body[19..body.len() - 1]));
        assert!(detail(b"{\"code\":200}").is_err());
    }
}
