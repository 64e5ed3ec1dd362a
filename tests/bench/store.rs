//! What the log can do without a fetcher: the messages of a run once more, into the streams of another flow.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{PageFetched, PageJob, WindowId};
use futures::StreamExt;
use journal::{Entry, From, Journal, Record, Stream, Topology};
use tokio::task::JoinSet;

use crate::flow::{CONCURRENCY, Flow};

/// What the fetcher stores of a page, in this order.
type Stored = (Option<Bytes>, Bytes);

/// Stores what the fetchers of this flow stored of each page, waiting for each message as they do, in as many loops;
/// returns how long that took. Jobs and acks are left out.
pub async fn again(flow: &Flow, loops: usize) -> Duration {
    let (pages, names) = (stored(flow).await, Topology::new("bare", 1));
    flow.nats.journal().await.ensure(&names).await.unwrap();
    let mut shares = Vec::new();
    for first in 0..loops {
        let share: Vec<(usize, Stored)> =
            pages.iter().cloned().enumerate().skip(first).step_by(loops).collect();
        shares.push((flow.nats.journal().await, share));
    }
    let (mut running, began) = (JoinSet::new(), Instant::now());
    for (journal, share) in shares {
        let names = names.clone();
        running.spawn(async move {
            futures::stream::iter(share)
                .map(|(number, page)| tokio::spawn(store(journal.clone(), names.clone(), number, page)))
                .buffer_unordered(CONCURRENCY)
                .for_each(|stored| async { stored.unwrap() })
                .await;
        });
    }
    running.join_all().await;
    began.elapsed()
}

async fn store(journal: Journal, names: Topology, number: usize, (raw, fetched): Stored) {
    let window = WindowId::live(1);
    // The event is a stand-in: what is stored is the payload.
    let event = PageJob { window: window.clone(), pass: 1, page: 1, slice: None };
    for (subject, payload) in [(names.raw(), raw), (names.window(&window), Some(fetched))] {
        let Some(payload) = payload else { continue };
        let mut record = Record::new(subject, format!("bare:{number}"), &event).unwrap();
        record.payload = payload;
        journal.publish(&record).await.unwrap();
    }
}

async fn stored(flow: &Flow) -> Vec<Stored> {
    let mut raw: HashMap<u64, Bytes> =
        entries(flow, Stream::Raw).await.into_iter().map(|entry| (entry.seq, entry.payload)).collect();
    let sync = entries(flow, Stream::Sync).await;
    let page = |entry: Entry| {
        let fetched = entry.event::<PageFetched>().ok()?.body;
        Some((raw.remove(&fetched.raw_seq), entry.payload))
    };
    sync.into_iter().filter_map(page).collect()
}

async fn entries(flow: &Flow, stream: Stream) -> Vec<Entry> {
    let journal = flow.nats.journal().await;
    let log = journal.read(&flow.names, stream, None, From::Start, false).await.unwrap();
    log.map(Result::unwrap).collect().await
}
