//! What the log can do without a stage: its messages read and acked with nothing done, and stored once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use journal::{Consumption, From, Journal, Label, Record, Settlement, Stream, Topology};
use tokio_util::sync::CancellationToken;

/// Messages of one atomic batch, the most there can be, and batches on their way.
const BATCH: usize = 1_000;
const BATCHES: usize = 2;

/// Reads a stream from its beginning through a durable consumer of its own and acks each message, as the stages do, with so
/// many in hand; returns how long that took, from the consumer's creation to the last ack on its way.
pub async fn consume(journal: &Journal, names: &Topology, stream: Stream, in_flight: usize) -> Duration {
    let (all, _, _) = journal.size(names, stream).await.unwrap();
    let (seen, stop) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let consumption = Consumption {
        stream,
        durable: "bare".into(),
        filter: None,
        in_flight,
        ack_wait: Duration::from_secs(60),
        pinned: None,
        grace: Duration::from_secs(60),
        max_attempts: 10,
        target: None,
    };
    let (counted, last) = (Arc::clone(&seen), stop.clone());
    let began = Instant::now();
    let handler = move |_| {
        if counted.fetch_add(1, Ordering::Relaxed) + 1 == all {
            last.cancel();
        }
        futures::future::ready(Settlement::Done)
    };
    journal.consume(names, &consumption, &stop, handler).await.unwrap();
    journal.flush().await;
    let took = began.elapsed();
    assert_eq!(seen.load(Ordering::Relaxed), all, "each message once");
    took
}

/// Stores the messages of MAPPED once more, in the streams of another flow; returns how long that took.
pub async fn store_mapped(journal: &Journal, names: &Topology) -> Duration {
    let other = Topology::new("bare", names.partitions());
    journal.ensure(&other).await.unwrap();
    let log = journal.read(names, Stream::Mapped, None, From::Start, false).await.unwrap();
    let records: Vec<Record> = log
        .filter_map(|entry| {
            let entry = entry.unwrap();
            // The orders; what lists their numbers is one message a page.
            let place = entry.label(Label::Origin).map(str::to_string);
            let (_, subject) = entry.subject.split_once('.').unwrap();
            futures::future::ready(place.map(|place| Record {
                subject: format!("{}.{subject}", other.flow()),
                id: format!("bare:{place}"),
                payload: entry.payload.clone(),
                expected: None,
                trace: entry.trace(),
                labels: vec![(Label::Origin, place)],
            }))
        })
        .collect()
        .await;
    let began = Instant::now();
    futures::stream::iter(records.chunks(BATCH))
        .map(|batch| async move { journal.commit(batch).await.unwrap() })
        .buffer_unordered(BATCHES)
        .for_each(|_| futures::future::ready(()))
        .await;
    began.elapsed()
}
