//! Streams that hold so many mapped orders and no receipt: what every run of the write stage begins with.

use bytes::Bytes;
use events::MappedOrder;
use journal::Topology;
use orderflow_tests::{Nats, World};
use sandbox::Faults;
use tokio_util::sync::CancellationToken;

/// The streams as a stopped server left them.
pub struct Mapped {
    nats: Nats,
    /// The names of the flow.
    pub names: Topology,
    /// The records, in the order of MAPPED.
    pub records: Vec<Bytes>,
}

impl Mapped {
    /// Fetches and maps so many generated orders.
    pub async fn prepare(orders: u64) -> Self {
        let mut world = World::new(orders, Faults::default()).await;
        world.config.source.request.insert("count".into(), 500.into());
        world.config.targets.clear();
        let (names, stop) = (world.names(), CancellationToken::new());
        world.journal.ensure(&names).await.unwrap();
        let stages = world.start(1, &stop).await;
        assert!(world.fetch().await.complete);
        operations::drained(&world.journal, &names, &[]).await.unwrap();
        stop.cancel();
        stages.join_all().await;
        let mapped = world.mapped().await.into_iter();
        let records: Vec<Bytes> =
            mapped.map(|entry| entry.event::<MappedOrder>().unwrap().body.record.into()).collect();
        assert_eq!(records.len() as u64, orders);
        let mut nats = world.nats;
        nats.stop().await;
        Self { nats, names, records }
    }

    /// A server with these streams.
    pub async fn server(&self) -> Nats {
        self.nats.copy().await
    }
}
