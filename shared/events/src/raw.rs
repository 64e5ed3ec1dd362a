//! RAW: one page of the source, its bytes exactly as received.

use serde::{Deserialize, Serialize};

use crate::{Event, Micros, Payload, WindowId};

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
}

impl Event for RawPage {
    const KIND: &'static str = "RawPage";
}

impl RawPage {
    /// Cuts the page into parts whose stored bytes are at most `limit` bytes each (one part when it fits).
    pub fn into_parts(self, limit: usize) -> Vec<RawPage> {
        let chunks: Vec<Vec<u8>> = match self.body.bytes.len() {
            0 => vec![Vec::new()],
            _ => self.body.bytes.chunks(limit.max(1)).map(<[u8]>::to_vec).collect(),
        };
        let parts = u16::try_from(chunks.len()).unwrap_or(u16::MAX);
        (0..parts)
            .zip(chunks)
            .map(|(part, bytes)| RawPage {
                part,
                parts,
                body: Payload { bytes, ..self.body.clone() },
                ..self.clone()
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
        let bytes = parts.into_iter().flat_map(|part| part.body.bytes).collect();
        whole.then_some(RawPage { part: 0, parts: 1, body: Payload { bytes, ..first.body }, ..first })
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
        }
    }

    #[test]
    fn a_page_is_cut_and_joined_without_loss() {
        let body: Vec<u8> =
            (0..10_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let whole = page(&body);
        let mut parts = whole.into_parts(1_000);
        assert!(parts.len() > 10 && parts.iter().all(|part| part.body.bytes.len() <= 1_000));
        parts.reverse();
        let joined = RawPage::join(parts.clone()).expect("all parts are there");
        assert_eq!(joined.body.unpack().expect("sound"), body);
        parts.pop();
        assert_eq!(RawPage::join(parts), None);
    }

    #[test]
    fn a_small_page_stays_one_message() {
        assert_eq!(page(b"{}").into_parts(1_000), vec![page(b"{}")]);
        assert_eq!(page(b"").into_parts(1_000).len(), 1);
    }
}
