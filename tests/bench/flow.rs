//! A flow that only fetches: a nats-server, a source, and as many fetchers as one likes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use events::{Micros, PageFetched};
use fetcher::{Live, Mode};
use futures::StreamExt;
use journal::{From, Stream, Topology};
use orderflow_tests::Nats;
use sandbox::{Faults, Options, Orders, Sandbox, SourceFaults};
use service::Config;
use service::config::Secret;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

const DEMO: &str = include_str!("../../deploy/examples/demo.toml");

/// Requests at the same time, in each fetcher.
pub const CONCURRENCY: usize = 4;

/// A server, a source, and the configuration of the fetchers between them.
pub struct Flow {
    /// The server.
    pub nats: Nats,
    /// The source.
    pub sandbox: Sandbox,
    /// The configuration; change it before a run.
    pub config: Config,
    /// Its names.
    pub names: Topology,
    _stop: DropGuard,
}

impl Flow {
    /// A source of so many pages of so many orders, and no limit but its latency.
    pub async fn new(pages: u64, page_size: u32, latency_ms: u64) -> Self {
        let source = SourceFaults { latency_ms, ..SourceFaults::default() };
        let faults = Faults { source, ..Faults::default() };
        let orders = Orders::Generated { count: pages * u64::from(page_size) };
        let (nats, stop) = (Nats::start().await, CancellationToken::new());
        let options = Options { orders, faults, ..Options::default() };
        let sandbox = sandbox::start(options, stop.clone()).await.unwrap();
        let mut config = Config::parse("orderflow.toml".as_ref(), DEMO, std::iter::empty()).unwrap();
        config.source.base_url = Some(sandbox.url());
        config.source.client_secret = Secret::new("demo-secret");
        config.source.request.insert("count".into(), page_size.into());
        config.source.limit.requests_per_second = 0.0;
        config.source.limit.concurrency = CONCURRENCY;
        config.nats.url = Some(nats.url());
        let names = Topology::new(&config.flow, config.writer.partitions);
        nats.journal().await.ensure(&names).await.unwrap();
        Self { nats, sandbox, config, names, _stop: stop.drop_guard() }
    }

    /// Fetches everything with so many fetchers, each with a connection of its own; returns how long that took.
    pub async fn fetch(&self, fetchers: usize) -> Duration {
        let mut journals = Vec::new();
        for _ in 0..fetchers {
            journals.push(self.nats.journal().await);
        }
        let (mut running, began) = (JoinSet::new(), Instant::now());
        for journal in journals {
            let config = self.config.clone();
            running.spawn(async move {
                let (live, stop) = (Live::default(), CancellationToken::new());
                fetcher::run(&config, journal, Mode::Once, live, stop).await.unwrap()
            });
        }
        for ended in running.join_all().await {
            assert!(ended.complete, "{ended:?}");
        }
        began.elapsed()
    }

    /// When each page was recorded, by window and pass, in order of time. The first page of a pass is left out: the others
    /// are asked for when its total is known, so that between it and them nothing is measured but that turn.
    pub async fn passes(&self) -> Vec<Vec<Micros>> {
        let journal = self.nats.journal().await;
        let sync = journal.read(&self.names, Stream::Sync, None, From::Start, false).await.unwrap();
        let passes = sync.fold(BTreeMap::<_, Vec<Micros>>::new(), |mut passes, entry| async move {
            // What is no page is another event of the window.
            if let Ok(page) = entry.unwrap().event::<PageFetched>()
                && page.body.page > 1
            {
                passes.entry((page.body.window.to_string(), page.body.pass)).or_default().push(page.at);
            }
            passes
        });
        let mut passes: Vec<Vec<Micros>> = passes.await.into_values().collect();
        passes.iter_mut().for_each(|times| times.sort_unstable());
        passes
    }
}

/// From the first to the last of these times, in seconds.
pub fn seconds(times: &[Micros]) -> f64 {
    (times[times.len() - 1] - times[0]) as f64 / 1e6
}
