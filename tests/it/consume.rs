//! The consume-handle-settle loop, against a real server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::{Attempt, DeadLetter, LetterOrigin, Listing, PageJob, Payload, Stage, WindowId};
use futures::StreamExt;
use journal::{Consumption, Delivery, From, Journal, LetterToStore, Record, Settlement, Stream, Topology};
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
        max_attempts: 10,
        target: None,
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
        1 => Settlement::Dead(Box::new(LetterToStore { letter: letter(job), said: "no".into() })),
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

async fn letters_of(journal: &Journal) -> Vec<DeadLetter> {
    let log = journal.read(&names(), Stream::Dead, None, From::Start, false).await.unwrap();
    log.map(|entry| entry.unwrap().event().unwrap().body).collect().await
}

#[tokio::test]
async fn a_message_over_which_the_handler_panics_becomes_a_letter_and_holds_up_no_other() {
    let (_nats, journal) = with_jobs(5).await;
    let wanted = Consumption { max_attempts: 3, ..consumption(Duration::from_secs(30)) };
    let before = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&before);
    let seen = handled(&journal, wanted, 5, move |job| match job.seq {
        2 => {
            noted.lock().unwrap().push(job.panics);
            panic!("attempt to multiply with overflow")
        }
        _ => Settlement::Done,
    });
    // The handler that panics reports nothing: four are seen, and the fifth never comes.
    let _ = tokio::time::timeout(Duration::from_secs(8), seen).await;
    let letters = letters_of(&journal).await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.stage, letter.kind.as_str(), letter.origin.sequence), (Stage::Fetch, "panic", 2));
    assert_eq!(letter.attempts.len(), 3);
    assert_eq!(*before.lock().unwrap(), [0, 1, 2], "who is handed it knows");
    assert!(letter.message.contains("attempt to multiply with overflow"), "{}", letter.message);
    assert_drained(&journal).await;
}

#[tokio::test]
async fn the_letter_of_an_order_whose_writer_panicked_names_the_order_and_its_target() {
    let nats = Nats::start().await;
    let journal = nats.journal().await;
    journal.ensure(&names()).await.unwrap();
    let key = events::OrderKey::new("A7").unwrap();
    let order = events::MappedOrder {
        version: events::Version { updated_at: Some(1), raw_seq: 9, generation: 0 },
        origin: events::Origin { window: WindowId::live(1), page: 1, row: 3, raw_seq: 9 },
        number: Some("N7".into()),
        mapping: "m".into(),
        content: events::ContentHash::of(b"{}"),
        record: b"{}".to_vec(),
        marks: Vec::new(),
        key: key.clone(),
    };
    journal.publish(&Record::new(names().mapped_of(&key), "order", &order).unwrap()).await.unwrap();
    let target = events::TargetName::new("erp");
    let wanted = Consumption {
        stream: Stream::Mapped,
        durable: "w".into(),
        max_attempts: 1,
        target: Some(target.clone()),
        ..consumption(Duration::from_secs(30))
    };
    let seen = handled(&journal, wanted, 1, |_| panic!("no"));
    let _ = tokio::time::timeout(Duration::from_secs(3), seen).await;
    let letters = letters_of(&journal).await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.stage, letter.target.as_ref()), (Stage::Write, Some(&target)));
    assert_eq!((letter.key.as_deref(), letter.number.as_deref()), (Some("A7"), Some("N7")));
    assert_eq!((letter.origin.raw_seq, letter.origin.row), (Some(9), Some(3)));
    assert_eq!(letter.payload.unpack().unwrap(), b"{}");
}
