//! RAW: one page of the source, its bytes exactly as received.

use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{CodecError, Event, LARGEST_PAYLOAD, Listing, Micros, Payload, PayloadError, WindowId};

/// One page of orders as the source answered it. A page too large for one message is cut into `parts` messages that
/// are stored one after another in one atomic batch; each part carries a slice of the compressed bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawPage {
    /// The window it belongs to.
    pub window: WindowId,
    /// Which reading of the window, from 1.
    pub pass: u32,
    /// The page number, from 1.
    pub page: u32,
    /// Which part this is, from 0.
    pub part: u16,
    /// How many parts the page has, at least 1.
    pub parts: u16,
    /// What was asked: path and query, never a token.
    pub request: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// When the answer had arrived.
    pub fetched_at: Micros,
    /// How many rows the page holds.
    pub rows: u32,
    /// The body of the answer. For a part: `size` is that of the whole body, `bytes` are this part's slice.
    pub body: Payload,
    /// Which orders were listed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub listing: Listing,
    /// The rows (from 0) that are news; absent when all are. The others lie in RAW already, byte for byte, or are gone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub news: Option<Vec<u32>>,
    /// The details that were fetched, as [`RawDetail`]s ([`RawPage::pack_details`]). For a part: as for `body`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub details: Option<Payload>,
}

/// The detail of one row: the whole answer of the source, as received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawDetail {
    /// The row of the page, from 0.
    pub row: u32,
    /// The body of the answer.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
}

impl Event for RawPage {
    const KIND: &'static str = "RawPage";
}

impl RawPage {
    /// Packs the details of a page.
    ///
    /// # Errors
    /// None that our own types can cause.
    pub fn pack_details(details: &[RawDetail]) -> Result<Payload, CodecError> {
        let packed = rmp_serde::to_vec_named(details)
            .map_err(|source| CodecError::Encode { kind: "RawDetail", source })?;
        Ok(Payload::pack(&packed))
    }

    /// The details of a whole page.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn unpack_details(&self) -> Result<Vec<RawDetail>, PayloadError> {
        let Some(details) = &self.details else {
            return Ok(Vec::new());
        };
        let packed = details.unpack()?;
        rmp_serde::from_slice(&packed).map_err(PayloadError::Details)
    }

    /// How many bytes its body and its details take as they are stored.
    pub fn stored_size(&self) -> usize {
        self.body.bytes.len() + self.details.as_ref().map_or(0, |details| details.bytes.len())
    }

    /// Whether its body or its details are more than is restored.
    pub fn is_too_large(&self) -> bool {
        let details = self.details.as_ref().map_or(0, |details| details.size);
        self.body.size.max(details) > LARGEST_PAYLOAD
    }

    /// Cuts the page into parts whose stored bytes are at most `limit` bytes each (one part when it fits).
    pub fn into_parts(self, limit: usize) -> Vec<RawPage> {
        let limit = limit.max(1);
        let empty = |payload: &Payload| Payload { bytes: Vec::new(), ..payload.clone() };
        let detail_bytes = self.details.as_ref().map_or(0, |details| details.bytes.len());
        if self.body.bytes.len() + detail_bytes <= limit {
            return vec![Self { part: 0, parts: 1, ..self }];
        }
        let no_details = self.details.as_ref().map(empty);
        let mut chunks: Vec<(Payload, Option<Payload>)> = Vec::new();
        for bytes in self.body.bytes.chunks(limit) {
            chunks.push((Payload { bytes: bytes.to_vec(), ..self.body.clone() }, no_details.clone()));
        }
        for bytes in self.details.iter().flat_map(|details| details.bytes.chunks(limit)) {
            let details = no_details.as_ref().map(|none| Payload { bytes: bytes.to_vec(), ..none.clone() });
            chunks.push((empty(&self.body), details));
        }
        let parts = u16::try_from(chunks.len()).unwrap_or(u16::MAX);
        (0..parts)
            .zip(chunks)
            .map(|(part, (body, details))| {
                let news = self.news.clone().filter(|_| part == 0);
                RawPage {
                    part,
                    parts,
                    body,
                    details,
                    news,
                    window: self.window.clone(),
                    request: self.request.clone(),
                    ..self
                }
            })
            .collect()
    }

    /// Puts the parts of one page together again; `None` when one is missing or they are not of one page.
    pub fn join(mut parts: Vec<RawPage>) -> Option<RawPage> {
        parts.sort_by_key(|part| part.part);
        let first = parts.first()?.clone();
        let whole = parts.len() == usize::from(first.parts)
            && parts.iter().enumerate().all(|(at, part)| {
                usize::from(part.part) == at
                    && (part.parts, &part.window, part.pass, part.page)
                        == (first.parts, &first.window, first.pass, first.page)
            });
        let (mut body, mut details) = (Vec::new(), Vec::new());
        for part in parts {
            body.extend(part.body.bytes);
            details.extend(part.details.map(|details| details.bytes).unwrap_or_default());
        }
        let details = first.details.clone().map(|payload| Payload { bytes: details, ..payload });
        whole.then_some(RawPage {
            part: 0,
            parts: 1,
            body: Payload { bytes: body, ..first.body },
            details,
            ..first
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(body: &[u8]) -> RawPage {
        RawPage {
            window: WindowId::live(1),
            pass: 1,
            page: 1,
            part: 0,
            parts: 1,
            request: "/v1/invoices/order/list?start_index=1".into(),
            status: 200,
            fetched_at: 1,
            rows: 2,
            body: Payload::pack(body),
            listing: Listing::Orders,
            news: None,
            details: None,
        }
    }

    #[test]
    fn a_page_is_cut_and_joined_without_loss() {
        let body: Vec<u8> =
            (0..10_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let mut parts = page(&body).into_parts(1_000);
        assert!(parts.len() > 10 && parts.iter().all(|part| part.body.bytes.len() <= 1_000));
        parts.reverse();
        let joined = RawPage::join(parts.clone()).expect("all parts are there");
        assert_eq!(joined.body.unpack().expect("sound"), body);
        parts.pop();
        assert_eq!(RawPage::join(parts), None);
    }

    #[test]
    fn details_travel_with_their_page_also_in_parts() {
        let noise = |seed: u32| -> Vec<u8> {
            (0..3_000_u32).flat_map(|n| (n ^ seed).wrapping_mul(2_654_435_761).to_le_bytes()).collect()
        };
        let details = [RawDetail { row: 0, body: noise(1) }, RawDetail { row: 3, body: noise(2) }];
        let packed = RawPage::pack_details(&details).expect("packs");
        let whole = RawPage { details: Some(packed), news: Some(vec![0, 3]), ..page(&noise(3)) };
        for limit in [100, 1_000, 13_000, 1 << 20] {
            let parts = whole.clone().into_parts(limit);
            let fits = |part: &RawPage| {
                part.body.bytes.len() + part.details.as_ref().map_or(0, |details| details.bytes.len())
                    <= limit
            };
            assert!(parts.iter().all(fits), "limit {limit}");
            let joined = RawPage::join(parts).expect("all parts are there");
            assert_eq!(joined, whole);
            assert_eq!(joined.unpack_details().expect("sound"), details);
        }
    }

    #[test]
    fn a_small_page_stays_one_message() {
        assert_eq!(page(b"{}").into_parts(1_000), vec![page(b"{}")]);
        assert_eq!(page(b"").into_parts(1_000).len(), 1);
    }
}
