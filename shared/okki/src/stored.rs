//! What a stored page holds that is to be mapped: the rows that are news, each as its detail where one was fetched.

use std::collections::HashMap;

use events::{RawDetail, RawPage};
use serde_json::value::RawValue;

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
) -> Result<Vec<(u32, &'a RawValue)>, serde_json::Error> {
    let mut orders = HashMap::with_capacity(details.len());
    for detail in details {
        orders.insert(detail.row, crate::detail(&detail.body)?);
    }
    let rows = (0_u32..).zip(crate::rows(body)?);
    let is_news = |row: u32| page.news.as_ref().is_none_or(|rows| rows.binary_search(&row).is_ok());
    Ok(rows
        .filter(|(at, _)| is_news(*at))
        .map(|(at, row)| (at, orders.get(&at).copied().unwrap_or(row)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::{Listing, Payload, WindowId};

    #[test]
    fn only_news_go_on_and_a_detail_stands_for_its_row() {
        let body = br#"{"code":200,"data":{"count":3,"list":[{"id":1},{"id":2},{"id":3}]}}"#;
        let mut page = RawPage {
            window: WindowId::live(1),
            pass: 1,
            page: 1,
            part: 0,
            parts: 1,
            request: String::new(),
            status: 200,
            fetched_at: 0,
            rows: 3,
            body: Payload::pack(body),
            listing: Listing::Orders,
            news: None,
            details: None,
        };
        let texts = |page: &RawPage, details: &[RawDetail]| -> Vec<String> {
            news(page, body, details)
                .expect("sound")
                .iter()
                .map(|(at, row)| format!("{at} {}", row.get()))
                .collect()
        };
        assert_eq!(texts(&page, &[]), [r#"0 {"id":1}"#, r#"1 {"id":2}"#, r#"2 {"id":3}"#]);
        page.news = Some(vec![1, 2]);
        let detail = RawDetail { row: 2, body: br#"{"code":0,"data":{"id":3,"lines":[]}}"#.to_vec() };
        assert_eq!(texts(&page, &[detail]), [r#"1 {"id":2}"#, r#"2 {"id":3,"lines":[]}"#]);
        let damaged = RawDetail { row: 2, body: b"{".to_vec() };
        assert!(news(&page, body, &[damaged]).is_err());
    }
}
