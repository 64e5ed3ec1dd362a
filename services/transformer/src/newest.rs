//! The newest orders of RAW.

use events::Listing;
use futures::StreamExt;
use journal::{Journal, JournalError, StoredPage, Stream, Topology};
use serde_json::value::RawValue;

/// So many messages are read first; more when there are too few orders in them.
const FIRST: u64 = 4;

/// So many messages are read at most: pages of a calm flow hold few orders each.
const MOST: u64 = 512;

/// The newest orders, at most so many, the oldest of them first. Deletions and what cannot be read are left out.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn newest_orders(
    journal: &Journal,
    names: &Topology,
    count: usize,
) -> Result<Vec<Box<RawValue>>, JournalError> {
    let (_, last, _) = journal.size(names, Stream::Raw).await?;
    let mut messages = FIRST;
    loop {
        let first = (last + 1).saturating_sub(messages).max(1);
        let mut orders = orders_since(journal, names, first).await?;
        if orders.len() >= count || first == 1 || messages >= MOST {
            let too_many = orders.len().saturating_sub(count);
            orders.drain(..too_many);
            return Ok(orders);
        }
        messages *= 8;
    }
}

async fn orders_since(
    journal: &Journal,
    names: &Topology,
    first: u64,
) -> Result<Vec<Box<RawValue>>, JournalError> {
    let mut orders = Vec::new();
    let mut pages = journal.pages(names, first..).await?;
    while let Some(page) = pages.next().await {
        match page {
            Ok(stored) if stored.page.listing == Listing::Orders => orders.extend(rows(&stored)),
            Ok(_) => {}
            Err(error) if error.is_retryable() => return Err(error),
            Err(_) => {} // no page, or not whole
        }
    }
    Ok(orders)
}

fn rows(StoredPage { page, .. }: &StoredPage) -> Vec<Box<RawValue>> {
    let (Ok(body), Ok(details)) = (page.body.unpack(), page.unpack_details()) else { return Vec::new() };
    let news = okki::news(page, &body, &details).unwrap_or_default();
    news.rows.into_iter().map(|(_, row)| row.to_owned()).collect()
}
