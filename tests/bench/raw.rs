//! Streams that hold so many raw pages and nothing that was made of them: what every run of the transform stage begins with.

use journal::{Stream, Topology};
use orderflow_tests::{Nats, World};
use sandbox::Faults;

/// Orders a page, as the demo asks for them.
pub const PAGE_SIZE: u64 = 100;

/// The streams as a stopped server left them.
pub struct Raw {
    nats: Nats,
    /// The names of the flow.
    pub names: Topology,
}

impl Raw {
    /// Fetches so many pages of generated orders.
    pub async fn prepare(pages: u64) -> Self {
        let world = World::new(pages * PAGE_SIZE, Faults::default()).await;
        let names = world.names();
        world.journal.ensure(&names).await.unwrap();
        assert!(world.fetch().await.complete);
        assert_eq!(world.journal.size(&names, Stream::Raw).await.unwrap().0, pages);
        let mut nats = world.nats;
        nats.stop().await;
        Self { nats, names }
    }

    /// A server with these streams.
    pub async fn server(&self) -> Nats {
        self.nats.copy().await
    }
}
