//! What the machine can do without a fetcher: the same requests with the same client, and nothing stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use http::Client;
use tokio::task::JoinSet;

use crate::flow::CONCURRENCY;
use crate::source::{list, token};

/// Asks the source for its pages over and over until `calls` are made, as `loops` fetchers would; returns how long that
/// took, without the token.
pub async fn read(url: &str, calls: u64, pages: u64, page_size: u32, loops: usize) -> Duration {
    let token: Arc<str> = token(url).await.into();
    let (mut running, began) = (JoinSet::new(), Instant::now());
    for first in 0..loops as u64 {
        let (client, token) = (Client::new(CONCURRENCY).unwrap(), Arc::clone(&token));
        let url = format!("{url}/v1/invoices/order/list");
        running.spawn(async move {
            futures::stream::iter((first..calls).step_by(loops))
                .map(|call| {
                    let (client, request) = (client.clone(), list(&url, &token, call % pages + 1, page_size));
                    // A task each, as a page has in the fetcher.
                    async move { tokio::spawn(async move { client.send(&request).await.unwrap() }).await }
                })
                .buffer_unordered(CONCURRENCY)
                .for_each(|answer| {
                    assert_eq!(answer.unwrap().status, 200);
                    futures::future::ready(())
                })
                .await;
        });
    }
    running.join_all().await;
    began.elapsed()
}
