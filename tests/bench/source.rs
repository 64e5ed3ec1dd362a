//! The calls of the source, as a bench makes them by itself.

use std::time::Duration;

use bytes::Bytes;
use http::{Answer, Client, Method, Request};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The request of one page, as the demo's template makes it of a window that holds everything.
pub fn list(url: &str, token: &str, page: u64, page_size: u32) -> Request {
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
        most: http::LARGEST_PAGE,
    }
}

/// A token of the sandbox.
pub async fn token(url: &str) -> String {
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
        most: http::LARGEST_PAGE,
    };
    let Answer { body, .. } = Client::new(1).unwrap().send(&request).await.unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&body).unwrap();
    answer["access_token"].as_str().unwrap().to_string()
}
