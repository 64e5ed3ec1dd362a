//! A sandbox, a server and a configuration, and runs of the stages between them.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use events::{AlertState, TargetName};
use fetcher::{Ended, Mode};
use futures::StreamExt;
use journal::{Entry, From, Journal, Stream, Topology};
use operations::{Account, Status, Verdict};
use sandbox::{Faults, Options, Orders, Report, Sandbox};
use service::Config;
use service::config::Span;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{Nats, next_second};

const DEMO: &str = include_str!("../../deploy/examples/demo.toml");
const CASE: &str = include_str!("../../deploy/examples/case.mapping.toml");
const OKKI: &str = include_str!("../../deploy/examples/okki.mapping.toml");

/// Everything a pipeline needs around it.
pub struct World {
    /// The server.
    pub nats: Nats,
    /// Source and target.
    pub sandbox: Sandbox,
    /// The configuration; change it before a run.
    pub config: Config,
    /// A connection for looking.
    pub journal: Journal,
    _folder: TempDir,
    _stop: tokio_util::sync::DropGuard,
}

/// What a run came to.
pub struct Run {
    /// What the fetcher says.
    pub ended: Ended,
    /// What the logs say.
    pub account: Account,
}

impl World {
    /// Whether the verdict on this status is that a person has to do something.
    pub fn needs_person(&self, status: &Status) -> bool {
        Verdict::of(status, &AlertState::default(), &self.config).needs_person
    }

    /// `count` generated orders and a sandbox that behaves as `faults` say.
    pub async fn new(count: u64, faults: Faults) -> Self {
        Self::with(Options { orders: Orders::Generated { count }, faults, ..Options::default() }).await
    }

    /// The orders of a file.
    pub async fn of_file(file: &Path) -> Self {
        Self::with(Options { orders: Orders::File(file.to_path_buf()), ..Options::default() }).await
    }

    /// A sandbox of one's own choice. The seed is printed, so that a failure can be repeated.
    pub async fn with(options: Options) -> Self {
        println!("sandbox seed {}", options.seed);
        let (nats, stop) = (Nats::start().await, CancellationToken::new());
        let sandbox = sandbox::start(options, stop.clone()).await.unwrap_or_else(|error| panic!("{error}"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mapping = if sandbox.has_product_list() { OKKI } else { CASE };
        std::fs::write(folder.path().join("mapping.toml"), mapping).expect("written");
        let path = folder.path().join("orderflow.toml");
        let mut config =
            Config::parse(&path, DEMO, std::iter::empty()).unwrap_or_else(|error| panic!("{error}"));
        config.source.base_url = Some(sandbox.url());
        config.source.client_secret = service::config::Secret::new("demo-secret");
        config.targets[0].url = format!("{}/execute", sandbox.url());
        config.nats.url = Some(nats.url());
        let journal = nats.journal().await;
        Self { nats, sandbox, config, journal, _folder: folder, _stop: stop.drop_guard() }
    }

    /// The names of the flow.
    pub fn names(&self) -> Topology {
        Topology::new(&self.config.flow, self.config.writer.partitions)
    }

    /// The names of the targets.
    pub fn targets(&self) -> Vec<TargetName> {
        self.config.targets.iter().map(|target| TargetName::new(&target.name)).collect()
    }

    /// Replaces the mapping.
    pub fn map_with(&self, text: &str) {
        std::fs::write(&self.config.mapping.file, text).expect("written");
    }

    /// Starts `replicas` transformers and writers, each with a connection of its own.
    pub async fn start(&self, replicas: usize, stop: &CancellationToken) -> JoinSet<()> {
        let mut stages = JoinSet::new();
        for _ in 0..replicas {
            let (config, journal, token) = (self.config.clone(), self.nats.journal().await, stop.clone());
            stages.spawn(async move {
                transformer::run(&config, journal, token).await.unwrap_or_else(|error| panic!("{error}"));
            });
            for target in self.config.targets.clone() {
                let (config, journal, token) = (self.config.clone(), self.nats.journal().await, stop.clone());
                stages.spawn(async move {
                    let live = writer::Live::default();
                    writer::run(&config, &target, journal, live, token)
                        .await
                        .unwrap_or_else(|error| panic!("{error}"));
                });
            }
        }
        stages
    }

    /// Fetches everything up to now with one fetcher.
    pub async fn fetch(&self) -> Ended {
        let (journal, live) = (self.nats.journal().await, fetcher::Live::default());
        fetcher::run(&self.config, journal, Mode::Once, live, CancellationToken::new())
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// One sync up to now with one of each stage; then everything is drained and accounted for.
    pub async fn sync(&self) -> Run {
        self.sync_with(1).await
    }

    /// One sync with as many replicas of each stage.
    pub async fn sync_with(&self, replicas: usize) -> Run {
        let names = self.names();
        self.journal.ensure(&names).await.unwrap_or_else(|error| panic!("{error}"));
        let from = operations::account_from(&self.journal, &names, "test").await.expect("readable");
        let stop = CancellationToken::new();
        let mut stages = self.start(replicas, &stop).await;
        let fetched = futures::future::join_all((0..replicas).map(|_| self.fetch())).await;
        self.drained(&mut stages).await;
        stop.cancel();
        stages.join_all().await;
        let account = Account::of(&self.journal, &names, &self.targets(), from).await.expect("readable");
        Run { ended: fetched.into_iter().next().expect("one fetcher"), account }
    }

    /// Waits until these stages have nothing left to do.
    ///
    /// # Panics
    /// When one of them ends by itself: nobody would do the rest.
    pub async fn drained(&self, stages: &mut JoinSet<()>) {
        let (names, targets) = (self.names(), self.targets());
        tokio::select! {
            drained = operations::drained(&self.journal, &names, &targets) => {
                drained.unwrap_or_else(|error| panic!("{error}"));
            }
            Some(ended) = stages.join_next() => panic!("a stage has ended by itself: {ended:?}"),
        }
    }

    /// What MAPPED holds for writers, in its order. What lies there beside the partitions is not for them.
    pub async fn mapped(&self) -> Vec<Entry> {
        let names = self.names();
        let partitions: HashSet<String> =
            (0..names.partitions()).map(|partition| names.mapped(partition)).collect();
        let log = self.journal.read(&names, Stream::Mapped, None, From::Start, false).await;
        let entries = log.unwrap_or_else(|error| panic!("{error}")).map(|entry| entry.expect("readable"));
        entries.filter(|entry| std::future::ready(partitions.contains(&entry.subject))).collect().await
    }

    /// Has windows end right now, with no overlap to hide what they miss, and waits until what has been done to the source
    /// lies in a second that is over.
    pub async fn let_settle(&mut self) {
        self.config.schedule.settle = Span::from(Duration::ZERO);
        next_second().await;
    }

    /// A folder with this world's configuration, for processes that join in; `schedule` stands in for the demo's own
    /// `[schedule]` unless it is empty.
    pub fn folder_of_a_program(&self, schedule: &str) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (url, limit) = (self.sandbox.url(), &self.config.source.limit);
        let text = DEMO
            .replace("client_id = \"demo\"", &format!("client_id = \"demo\"\nbase_url = \"{url}\""))
            .replace("http://127.0.0.1/execute", &format!("{url}/execute"))
            .replace("concurrency = 4", &format!("concurrency = {}", limit.concurrency));
        let text = match (schedule, text.split_once("[schedule]"), text.find("[[target]]")) {
            ("", _, _) | (_, None, _) | (_, _, None) => text,
            (schedule, Some((before, _)), Some(target)) => format!("{before}{schedule}\n{}", &text[target..]),
        };
        let text = format!("{text}\n[nats]\nurl = \"{}\"\n", self.nats.url());
        std::fs::write(folder.path().join("orderflow.toml"), text).expect("written");
        std::fs::copy(&self.config.mapping.file, folder.path().join("mapping.toml")).expect("copied");
        folder
    }

    /// What the sandbox saw.
    pub fn report(&self) -> Report {
        self.sandbox.report()
    }

    /// Asserts that the target holds every live order of the source in its newest version, each written once; it may hold
    /// others, which were deleted at the source since.
    pub fn assert_source_arrived_once(&self) {
        let report = self.report();
        let target = &report.target;
        let wrong = [target.missing, target.extra, target.duplicates, target.stale_overwrites];
        assert_eq!(wrong, [0; 4], "missing, extra, duplicates, stale\n{report}");
        assert_eq!([target.outdated, target.wrong_totals, target.missing_totals], [0; 3], "{report}");
    }

    /// Asserts that the target holds every order of the source in its newest version, each written once.
    pub fn assert_all_arrived_once(&self) {
        let report = self.report();
        assert_eq!(report.target.distinct_orders, report.source.live, "{report}");
        self.assert_source_arrived_once();
    }
}
