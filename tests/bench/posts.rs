//! What the machine can do without a writer: the same bytes to the same target with the same client, and nothing stored.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use http::{Client, Method, Request};

/// Posts all records, so many a request and so many requests at a time; returns how long that took.
pub async fn all(url: &str, records: &[Bytes], batch: usize, in_flight: usize) -> Duration {
    let client = Client::new(in_flight).unwrap();
    let began = Instant::now();
    futures::stream::iter(records.chunks(batch).enumerate())
        .map(|(number, records)| {
            let (client, request) = (client.clone(), request(url, number, records));
            // A task each, so that both cores work for it.
            async move { tokio::spawn(async move { client.send(&request).await.unwrap() }).await.unwrap() }
        })
        .buffer_unordered(in_flight)
        .for_each(|answer| {
            assert_eq!(answer.status, 200);
            futures::future::ready(())
        })
        .await;
    began.elapsed()
}

/// The request that a writer makes of these records.
pub fn request(url: &str, number: usize, records: &[Bytes]) -> Request {
    let mut body = "{\"api\":\"写入空操作\",\"idCheck\":false,\"data\":".as_bytes().to_vec();
    match records {
        [one] => body.extend_from_slice(one),
        many => {
            body.push(b'[');
            body.extend(many.join(&b','));
            body.push(b']');
        }
    }
    body.push(b'}');
    Request {
        method: Method::Post,
        url: url.to_string(),
        query: vec![],
        headers: vec![("Idempotency-Key".into(), format!("bare-{number}"))],
        body: Some(Bytes::from(body)),
        timeout: Duration::from_secs(30),
        most: http::LARGEST_PAGE,
    }
}
