//! The consume-handle-settle loop, against a real server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::{Attempt, DeadLetter, LetterOrigin, Listing, PageJob, Payload, Stage, WindowId};
use futures::StreamExt;
use journal::{Consumption, Delivery, From, Journal, Record, Settlement, Stream, Topology};
use orderflow_tests::Nats;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

fn names() -> Topology {
    Topology::new("test", 4)
}

fn consumption(ack_wait: Duration) -> Consumption {
    Consumption {
        stream: Stream::Jobs,
        durable: "fetch".into(),
        filter: None,
        in_flight: 4,
        ack_wait,
        pinned: None,
        grace: Duration::from_secs(5),
    }
}

async fn with_jobs(pages: u32) -> (Nats, Journal) {
    let nats = Nats::start().await;
    let journal = nats.journal().await;
    journal.ensure(&names()).await.unwrap();
    for page in 1..=pages {
        let job = PageJob { window: WindowId::live(1), pass: 1, page, slice: None };
        journal.publish(&Record::new(names().jobs(), format!("job:{page}"), &job).unwrap()).await.unwrap();
    }
    (nats, journal)
}

fn letter(job: &Delivery) -> DeadLetter {
    DeadLetter {
        stage: Stage::Fetch,
        kind: "test".into(),
        message: "no".into(),
        causes: vec![],
        origin: LetterOrigin {
            stream: job.stream.clone(),
            sequence: job.seq,
            window: None,
            page: None,
            row: None,
            raw_seq: None,
            listing: Listing::Orders,
        },
        target: None,
        key: None,
        number: None,
        payload: Payload::pack(&job.payload),
        answer: None,
        attempts: vec![Attempt { at: 1, message: "no".into() }],
        mapping: None,
        trace_id: None,
        retries: 0,
    }
}

/// Consumes until `count` messages were handed to the handler; returns their sequence and delivery count.
async fn handled(
    journal: &Journal,
    consumption: Consumption,
    count: usize,
    decide: impl Fn(&Delivery) -> Settlement + Send + Sync + 'static,
) -> Vec<(u64, u64, Instant)> {
    let (seen, mut news) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (journal, stop, decide) = (journal.clone(), stop.clone(), Arc::new(decide));
        async move {
            let handler = move |job: Delivery| {
                let (seen, decide) = (seen.clone(), Arc::clone(&decide));
                async move {
                    let settlement = decide(&job);
                    seen.send((job.seq, job.delivered, Instant::now())).unwrap();
                    settlement
                }
            };
            journal.consume(&names(), &consumption, &stop, handler).await.unwrap();
        }
    });
    let mut all = Vec::new();
    while all.len() < count {
        all.push(news.recv().await.unwrap());
    }
    stop.cancel();
    running.await.unwrap();
    all
}

/// An ack is sent and not waited for: it takes a moment until the server has counted it.
async fn assert_drained(journal: &Journal) {
    let drained = async {
        while !journal.lag(&names(), Stream::Jobs, "fetch").await.unwrap().unwrap().is_drained() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(30), drained).await.is_ok(), "not settled");
}

#[tokio::test]
async fn done_is_done_and_retry_comes_again_no_sooner_than_asked() {
    let (_nats, journal) = with_jobs(3).await;
    let after = Duration::from_millis(300);
    let seen = handled(&journal, consumption(Duration::from_secs(30)), 4, move |job| {
        match (job.seq, job.delivered) {
            (2, 1) => Settlement::Retry(after),
            _ => Settlement::Done,
        }
    })
    .await;
    let of_second: Vec<_> = seen.iter().filter(|(seq, ..)| *seq == 2).collect();
    assert_eq!(of_second.len(), 2);
    assert!(of_second[1].2 - of_second[0].2 >= after - Duration::from_millis(20), "a nak without its delay");
    assert_drained(&journal).await;
}

#[tokio::test]
async fn dead_is_stored_with_its_payload_before_the_message_is_given_up() {
    let (_nats, journal) = with_jobs(2).await;
    handled(&journal, consumption(Duration::from_secs(30)), 2, |job| match job.seq {
        1 => Settlement::Dead(Box::new(letter(job))),
        _ => Settlement::Done,
    })
    .await;
    let log = journal.read(&names(), Stream::Dead, None, From::Start, false).await.unwrap();
    let letters: Vec<_> = log.map(|entry| entry.unwrap()).collect().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].subject, "test.dead.fetch.test");
    let job = journal.get(&names(), Stream::Jobs, 1).await.unwrap();
    let stored = letters[0].event::<DeadLetter>().unwrap().body;
    assert_eq!(stored.payload.unpack().unwrap(), job.payload, "the very bytes");
    assert_drained(&journal).await;
}

#[tokio::test]
async fn a_consumer_that_the_server_has_forgotten_is_set_up_again() {
    let (mut nats, journal) = with_jobs(2).await;
    for pinned in [None, Some(Duration::from_secs(5))] {
        let stop = CancellationToken::new();
        let (seen, mut jobs) = mpsc::unbounded_channel();
        let durable = if pinned.is_some() { "pinned" } else { "shared" };
        let wanted = Consumption { pinned, durable: durable.into(), ..consumption(Duration::from_secs(5)) };
        let running = tokio::spawn({
            let (journal, stop) = (journal.clone(), stop.clone());
            let handler = move |job: Delivery| {
                seen.send(job.seq).unwrap();
                std::future::ready(Settlement::Done)
            };
            async move { journal.consume(&names(), &wanted, &stop, handler).await.unwrap() }
        });
        let mut next = async || {
            let next = tokio::time::timeout(Duration::from_secs(60), jobs.recv()).await;
            next.expect("nothing is delivered any more").unwrap()
        };
        assert_eq!((next().await, next().await), (1, 2));
        nats.kill().await;
        nats.forget_consumer("test-JOBS", durable);
        nats.restart().await;
        assert_eq!((next().await, next().await), (1, 2), "what it had settled is forgotten too");
        stop.cancel();
        running.await.unwrap();
    }
}

#[tokio::test]
async fn work_that_takes_longer_than_the_ack_wait_is_kept_alive() {
    let (_nats, journal) = with_jobs(1).await;
    let stop = CancellationToken::new();
    let deliveries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&deliveries);
    let (done, mut is_done) = mpsc::unbounded_channel();
    let running = tokio::spawn({
        let (journal, stop) = (journal.clone(), stop.clone());
        async move {
            let handler = move |_job| {
                let (counted, done) = (Arc::clone(&counted), done.clone());
                async move {
                    counted.fetch_add(1, Ordering::SeqCst);
                    // The work itself takes this long; nothing is waited for.
                    tokio::time::sleep(Duration::from_secs(4)).await;
                    done.send(()).unwrap();
                    Settlement::Done
                }
            };
            journal.consume(&names(), &consumption(Duration::from_secs(1)), &stop, handler).await.unwrap();
        }
    });
    is_done.recv().await.unwrap();
    stop.cancel();
    running.await.unwrap();
    assert_eq!(deliveries.load(Ordering::SeqCst), 1, "it was delivered again while it was in hand");
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_hand_and_leaves_the_rest() {
    let (_nats, journal) = with_jobs(40).await;
    let stop = CancellationToken::new();
    let finished = Arc::new(Mutex::new(Vec::new()));
    let running = tokio::spawn({
        let (journal, stop, finished) = (journal.clone(), stop.clone(), Arc::clone(&finished));
        async move {
            let token = stop.clone();
            let handler = move |job: Delivery| {
                let (finished, token) = (Arc::clone(&finished), token.clone());
                async move {
                    token.cancel(); // the first message brings the signal; it and its neighbours still end
                    tokio::task::yield_now().await;
                    finished.lock().unwrap().push(job.seq);
                    Settlement::Done
                }
            };
            journal.consume(&names(), &consumption(Duration::from_secs(2)), &stop, handler).await.unwrap();
        }
    });
    running.await.unwrap();
    let mut seen: Vec<u64> = finished.lock().unwrap().clone();
    assert!(!seen.is_empty() && seen.len() < 40, "{seen:?}");
    let left = 40 - seen.len();
    let rest = handled(&journal, consumption(Duration::from_secs(2)), left, |_| Settlement::Done).await;
    seen.extend(rest.iter().map(|(seq, ..)| *seq));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (1..=40).collect::<Vec<u64>>(), "every message was handled");
}
