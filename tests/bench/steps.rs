//! What one order's way took, step by step, from what the log says.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use events::{MappedOrder, Micros, Outcome, PageJob, RawPage, Receipt, WindowId, WindowOpened};
use futures::StreamExt;
use http::Client;
use journal::{Entry, From, Journal, Record, Stream, Topology};

use crate::{live, posts};

/// The steps, in their order.
pub const STEPS: [&str; 4] = [
    "window opened to page read",
    "page read to stored in RAW",
    "stored in RAW to stored in MAPPED",
    "stored in MAPPED to taken by the target",
];

/// The first step after the page was read.
pub const READ: usize = 1;

/// Between two bare ways: the machine is as idle as it is between two orders.
const PAUSE: Duration = Duration::from_millis(25);

/// The milliseconds of each step.
pub struct Steps(pub [f64; STEPS.len()]);

/// The ways of all orders behind the first `before` that were written.
pub async fn read(journal: &Journal, before: usize) -> Vec<Steps> {
    let names = live::names();
    let sync = entries(journal, &names, Stream::Sync).await.into_iter();
    let opened: HashMap<WindowId, Micros> = sync
        .filter_map(|entry| entry.event::<WindowOpened>().ok())
        .map(|opened| (opened.body.window, opened.at))
        .collect();
    let receipts = entries(journal, &names, Stream::Receipts).await;
    let receipts = receipts.iter().map(|entry| entry.event::<Receipt>().unwrap().body);
    let mut all = Vec::new();
    for receipt in receipts.skip(before) {
        assert_eq!(receipt.outcome, Outcome::Written);
        let mapped = journal.get(&names, Stream::Mapped, receipt.mapped_seq).await.unwrap();
        let origin = mapped.event::<MappedOrder>().unwrap().body.origin;
        let raw = journal.get(&names, Stream::Raw, origin.raw_seq).await.unwrap();
        let fetched = raw.event::<RawPage>().unwrap().body.fetched_at;
        let times = [opened[&origin.window], fetched, raw.stored_at, mapped.stored_at, receipt.at];
        all.push(Steps(std::array::from_fn(|step| (times[step + 1] - times[step]) as f64 / 1e3)));
    }
    all
}

async fn entries(journal: &Journal, names: &Topology, stream: Stream) -> Vec<Entry> {
    let log = journal.read(names, stream, None, From::Start, false).await.unwrap();
    log.map(Result::unwrap).collect().await
}

/// Stores a message, stores another one, and sends a record to the target, so many times; returns the milliseconds of each.
pub async fn bare(journal: &Journal, url: &str, times: u64) -> Vec<f64> {
    let names = Topology::new("bare", 1);
    journal.ensure(&names).await.unwrap();
    let (client, url) = (Client::new(1).unwrap(), format!("{url}/execute"));
    // The event is a stand-in: what is stored is the payload.
    let event = PageJob { window: WindowId::live(1), pass: 1, page: 1, slice: None };
    let mut all = Vec::new();
    for number in 0..times {
        let records = [names.raw(), names.mapped(0)].map(|subject| {
            let mut record = Record::new(subject, format!("bare:{number}"), &event).unwrap();
            record.payload = Bytes::from(vec![b'x'; 1_024]);
            record
        });
        // Ids that no order of the source has.
        let body = Bytes::from(format!(
            "{{\"orderId\":{},\"orderNumber\":\"B-{number}\",\"totalAmount\":1.00}}",
            number + 1
        ));
        let request = posts::request(&url, usize::try_from(number).unwrap(), &[body]);
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        for record in &records {
            journal.publish(record).await.unwrap();
        }
        assert_eq!(client.send(&request).await.unwrap().status, 200);
        all.push(began.elapsed().as_secs_f64() * 1e3);
    }
    all
}
