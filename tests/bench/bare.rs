//! What the machine can do without a fetcher: the same requests with the same client, and nothing stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use http::{Answer, Client, Method, Request};
use tokio::task::JoinSet;

use crate::flow::CONCURRENCY;

const TIMEOUT: Duration = Duration::from_secs(30);

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

/// The request of one page, as the demo's template makes it of a window that holds everything.
fn list(url: &str, token: &str, page: u64, page_size: u32) -> Request {
    let query = [
        ("start_time", "2009-01-01 00:00:00".to_string()),
        ("end_time", "2026-01-01 00:00:00".to_string()),
        ("start_index", page.to_string()),
        ("count", page_size.to_string()),
        ("removed", "0".to_string()),
        ("approval", "1".to_string()),
        ("status", "0".to_string()),
    ];
    Request {
        method: Method::Get,
        url: url.to_string(),
        query: query.map(|(name, value)| (name.to_string(), value)).into(),
        headers: vec![("Authorization".into(), format!("Bearer {token}"))],
        body: None,
        timeout: TIMEOUT,
    }
}

async fn token(url: &str) -> String {
    let grant = serde_json::json!({
        "grant_type": "client_credentials", "client_id": "demo", "client_secret": "demo-secret",
    });
    let request = Request {
        method: Method::Post,
        url: format!("{url}/v1/oauth2/access_token"),
        query: vec![],
        headers: vec![],
        body: Some(Bytes::from(grant.to_string())),
        timeout: TIMEOUT,
    };
    let Answer { body, .. } = Client::new(1).unwrap().send(&request).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    answer["access_token"].as_str().unwrap().to_string()
}
