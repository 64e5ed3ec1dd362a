//! Sharing partitions out over replicas, against a real server.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::{PageJob, WindowId};
use journal::{Consumption, Delivery, Partitions, Record, Settlement, Stream, Topology};
use orderflow_tests::Nats;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const PARTITIONS: u16 = 8;

fn names() -> Topology {
    Topology::new("test", PARTITIONS)
}

/// Who holds which partition, as the holders themselves say.
#[derive(Default)]
struct Held(Mutex<BTreeMap<u16, Vec<&'static str>>>);

fn consumption(partition: u16) -> Consumption {
    let wait = Duration::from_secs(5);
    Consumption {
        stream: Stream::Mapped,
        durable: format!("write-{partition}"),
        filter: Some(names().mapped(partition)),
        in_flight: 4,
        ack_wait: wait,
        pinned: Some(wait),
        grace: wait,
        max_attempts: 10,
        target: None,
    }
}

struct Replica {
    stop: CancellationToken,
    running: tokio::task::JoinHandle<()>,
}

async fn replica(nats: &Nats, name: &'static str, held: Arc<Held>, news: watch::Sender<u64>) -> Replica {
    let (journal, stop) = (nats.journal().await, CancellationToken::new());
    let token = stop.clone();
    let running = tokio::spawn(async move {
        let partitions = Partitions::new(journal.clone(), names(), "write.test", name);
        let hold = |partition: u16, token: CancellationToken| {
            let (journal, held, news) = (journal.clone(), Arc::clone(&held), news.clone());
            async move {
                held.0.lock().unwrap().entry(partition).or_default().push(name);
                news.send_modify(|count| *count += 1);
                let seen = Arc::clone(&held);
                let handler = move |order: Delivery| {
                    let holders = seen.0.lock().unwrap().get(&partition).cloned().unwrap_or_default();
                    assert!(
                        holders.contains(&name),
                        "{name} got message {} of {partition} of {holders:?}",
                        order.seq
                    );
                    async { Settlement::Done }
                };
                let result = journal.consume(&names(), &consumption(partition), &token, handler).await;
                held.0.lock().unwrap().entry(partition).or_default().retain(|holder| *holder != name);
                news.send_modify(|count| *count += 1);
                result
            }
        };
        partitions.run(&token, hold).await.unwrap();
    });
    Replica { stop, running }
}

impl Held {
    fn shares(&self) -> BTreeMap<&'static str, usize> {
        let mut shares = BTreeMap::new();
        for holder in self.0.lock().unwrap().values().flatten() {
            *shares.entry(*holder).or_default() += 1;
        }
        shares
    }
}

async fn until(news: &mut watch::Receiver<u64>, held: &Held, expected: &[(&'static str, usize)]) {
    let expected: BTreeMap<_, _> = expected.iter().copied().collect();
    let reached = tokio::time::timeout(Duration::from_secs(30), async {
        while held.shares() != expected {
            news.changed().await.unwrap();
        }
    });
    assert!(reached.await.is_ok(), "expected {expected:?}, found {:?}", held.shares());
}

#[tokio::test]
async fn replicas_share_evenly_and_hand_over() {
    let nats = Nats::start().await;
    let journal = nats.journal().await;
    journal.ensure(&names()).await.unwrap();
    let held = Arc::new(Held::default());
    let (news, mut seen) = watch::channel(0);
    let first = replica(&nats, "a", Arc::clone(&held), news.clone()).await;
    until(&mut seen, &held, &[("a", 8)]).await;
    let second = replica(&nats, "b", Arc::clone(&held), news.clone()).await;
    until(&mut seen, &held, &[("a", 4), ("b", 4)]).await;

    // Every partition is served, by whoever holds it.
    for partition in 0..PARTITIONS {
        let job = PageJob { window: WindowId::live(1), pass: 1, page: u32::from(partition), slice: None };
        let record = Record::new(names().mapped(partition), format!("m:{partition}"), &job).unwrap();
        journal.publish(&record).await.unwrap();
    }
    for partition in 0..PARTITIONS {
        let durable = format!("write-{partition}");
        let drained = async {
            while !journal
                .lag(&names(), Stream::Mapped, &durable)
                .await
                .unwrap()
                .is_some_and(|lag| lag.is_drained())
            {
                tokio::task::yield_now().await;
            }
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(10), drained).await.is_ok(),
            "{durable} is not served"
        );
    }

    first.stop.cancel();
    first.running.await.unwrap();
    until(&mut seen, &held, &[("b", 8)]).await;
    second.stop.cancel();
    second.running.await.unwrap();
    assert!(held.shares().is_empty());
}

#[tokio::test]
async fn a_replica_that_is_full_keeps_its_pin() {
    let nats = Nats::start().await;
    let journal = nats.journal().await;
    journal.ensure(&names()).await.unwrap();
    let lasts = Duration::from_secs(1);
    let consumption =
        Consumption { in_flight: 1, ack_wait: lasts, pinned: Some(lasts), grace: lasts, ..consumption(0) };
    let (got, mut seen) = watch::channel(Vec::<&'static str>::new());
    let (stop, free) = (CancellationToken::new(), CancellationToken::new());
    let mut replicas = tokio::task::JoinSet::new();
    for name in ["first", "second"] {
        let (own, consumption, stop) = (nats.journal().await, consumption.clone(), stop.clone());
        let (got, free) = (got.clone(), free.clone());
        replicas.spawn(async move {
            let handler = move |_: Delivery| {
                got.send_modify(|got| got.push(name));
                let free = free.clone();
                async move {
                    free.cancelled().await;
                    Settlement::Done
                }
            };
            own.consume(&names(), &consumption, &stop, handler).await.unwrap();
        });
        for page in 0..2 {
            let job = PageJob { window: WindowId::live(1), pass: 1, page, slice: None };
            let record = Record::new(names().mapped(0), format!("m:{name}:{page}"), &job).unwrap();
            journal.publish(&record).await.unwrap();
        }
        seen.wait_for(|got| !got.is_empty()).await.unwrap();
    }
    // Full for five times as long as a pin lasts without a pull: nobody else gets what waits.
    let others = tokio::time::timeout(lasts * 5, seen.wait_for(|got| got.len() > 1)).await.is_ok();
    assert!(!others, "another replica got one");
    free.cancel();
    assert_eq!(seen.wait_for(|got| got.len() == 4).await.unwrap().as_slice(), ["first"; 4]);
    stop.cancel();
    replicas.join_all().await;
}
