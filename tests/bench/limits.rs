//! What the machine can do without the pipeline: bare publishes to JetStream, bare requests to the same target.

use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{PageJob, WindowId};
use futures::StreamExt;
use http::{Client, Method, Request};
use journal::{Record, Topology};
use orderflow_tests::Nats;
use sandbox::{Faults, Options, Orders, TargetFaults};
use tokio_util::sync::CancellationToken;

/// Messages of 1 KiB a second into one stream: awaited one by one, and in atomic batches.
pub async fn publish() -> Vec<(&'static str, f64)> {
    let nats = Nats::start().await;
    let (journal, names) = (nats.journal().await, Topology::new("bench", 16));
    journal.ensure(&names).await.unwrap();
    let record = |number: u32| {
        let job = PageJob { window: WindowId::live(1), pass: 1, page: number, slice: None };
        let mut record = Record::new(names.jobs(), format!("bench:{number}"), &job).unwrap();
        record.payload = Bytes::from(vec![b'x'; 1_024]);
        record
    };
    let began = Instant::now();
    for number in 0..1_000 {
        journal.publish(&record(number)).await.unwrap();
    }
    let each = 1_000.0 / began.elapsed().as_secs_f64();
    let mut rates = vec![("bare publish, each awaited, 1 KiB", each)];
    for (what, size, from) in [
        ("bare publish, atomic batches of 100, 3 in flight, 1 KiB", 100_u32, 100_000),
        ("bare publish, atomic batches of 1,000, 3 in flight, 1 KiB", 1_000, 500_000),
    ] {
        let batches = 60_000 / size;
        let began = Instant::now();
        futures::stream::iter(0..batches)
            .map(|batch| {
                let records: Vec<Record> = (0..size).map(|at| record(from + batch * size + at)).collect();
                let journal = journal.clone();
                async move { journal.commit(&records).await.unwrap() }
            })
            .buffer_unordered(3)
            .for_each(|_| futures::future::ready(()))
            .await;
        rates.push((what, 60_000.0 / began.elapsed().as_secs_f64()));
    }
    rates
}

/// Requests of one order a second to the sandbox, 64 in flight, with the client the writer uses.
pub async fn post(latency_ms: u64) -> Vec<(&'static str, f64)> {
    let faults =
        Faults { target: TargetFaults { latency_ms, ..TargetFaults::default() }, ..Faults::default() };
    let options = Options { orders: Orders::Generated { count: 1 }, faults, ..Options::default() };
    let stop = CancellationToken::new();
    let sandbox = sandbox::start(options, stop.clone()).await.unwrap();
    let (client, url) = (Client::new(64).unwrap(), format!("{}/execute", sandbox.url()));
    let count = if latency_ms == 0 { 60_000_u32 } else { 20_000 };
    let began = Instant::now();
    futures::stream::iter(0..count)
        .map(|number| {
            let body = format!(
                "{{\"api\":\"x\",\"idCheck\":false,\"data\":{{\"orderId\":{number},\"orderNumber\":\"SO-{number}\",\
                 \"customerName\":\"x\",\"totalAmount\":1.00}}}}"
            );
            let request = Request {
                method: Method::Post,
                url: url.clone(),
                query: vec![],
                headers: vec![("Idempotency-Key".into(), number.to_string())],
                body: Some(Bytes::from(body)),
                timeout: Duration::from_secs(30),
                most: http::LARGEST_ANSWER,
            };
            let client = client.clone();
            // A task each, so that both cores work for it.
            async move { tokio::spawn(async move { client.send(&request).await.unwrap() }).await.unwrap() }
        })
        .buffer_unordered(64)
        .for_each(|answer| {
            assert_eq!(answer.status, 200);
            futures::future::ready(())
        })
        .await;
    let rate = f64::from(count) / began.elapsed().as_secs_f64();
    stop.cancel();
    vec![("bare requests to the sandbox in the same process, 64 in flight", rate)]
}
