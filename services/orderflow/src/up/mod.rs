//! `orderflow up`: everything in one process.

mod demo;
mod home;
mod once;
mod progress;
mod report;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use events::{Stage, TargetName};
use fetcher::Mode;
use journal::{Journal, LocalServer, Topology};
use operations::PausedStage;
use service::Config;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::alerts::Telling;
use crate::caution;
use crate::cli::UpArgs;
use crate::exit::Exit;
use crate::stages::{connection, use_local};
use demo::Demo;
pub use demo::last_demo;
use home::Home;
pub use home::{resting, running_server};
pub use report::OnceReport;

/// What runs in this process.
struct Flow {
    config: Config,
    journal: Journal,
    names: Topology,
    targets: Vec<TargetName>,
    fetcher: fetcher::Live,
    writers: Vec<writer::Live>,
}

pub async fn run(args: UpArgs, path: &Path, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let config = if args.demo { None } else { Some(Config::load(path)?) };
    let folder = if args.demo { args.data.join(demo::folder(&args)) } else { args.data.clone() };
    config.iter().for_each(caution::log);
    let home = Home::open(&folder)?;
    // The sandbox and the server outlive the stages, which still need them to drain.
    let support = CancellationToken::new();
    let _support = support.clone().drop_guard();
    let (mut config, demo) = match config {
        Some(config) => (config, None),
        None => {
            let (config, demo) = Demo::start(&args, path, &home, support.clone()).await?;
            (config, Some(demo))
        }
    };
    let mut server = match config.nats.url {
        Some(_) => None,
        None => Some(LocalServer::start(&journal::find_server().await?, &home.nats()).await?),
    };
    if let Some(server) = &server {
        use_local(&mut config, server.url().to_string(), server.identity());
    }
    let url = config.nats.url.clone().context(t!("nats.url is missing"))?;
    let is_ours = server.is_some();
    let died = async {
        match &mut server {
            Some(server) => server.died().await,
            None => std::future::pending().await,
        }
    };
    let result = tokio::select! {
        result = carry(&args, config, url, demo.as_ref(), is_ours, shutdown) => result,
        // Without the log nothing can be finished, so nothing is waited for.
        how = died => return Err(journal::ServerError::Died(how).into()),
    };
    if let Some(server) = server {
        server.stop().await;
    }
    support.cancel();
    if let Some(demo) = demo {
        demo.stopped().await;
    }
    result
}

async fn carry(
    args: &UpArgs,
    config: Config,
    url: String,
    demo: Option<&Demo>,
    is_ours: bool,
    shutdown: CancellationToken,
) -> anyhow::Result<Exit> {
    let journal = Box::pin(Journal::connect(&connection(&config, url, "up")?)).await?;
    let flow = Arc::new(Flow {
        names: Topology::new(&config.flow, config.writer.partitions),
        targets: config.targets.iter().map(|target| TargetName::new(&target.name)).collect(),
        fetcher: fetcher::Live::default(),
        writers: config.targets.iter().map(|_| writer::Live::default()).collect(),
        journal,
        config,
    });
    flow.journal.ensure(&flow.names).await?;
    let looked = caution::log_server(&flow.journal, &flow.config, is_ours);
    let exit =
        if args.once { once::run(args, &flow, demo, shutdown).await } else { forever(&flow, shutdown).await };
    looked.ended().await;
    flow.journal.flush().await;
    exit
}

/// Runs all stages until the shutdown signal, or until one cannot run.
async fn forever(flow: &Arc<Flow>, shutdown: CancellationToken) -> anyhow::Result<Exit> {
    let mut stages = JoinSet::new();
    flow.start(&mut stages, &shutdown, true);
    let (fetching, stop) = (Arc::clone(flow), shutdown.clone());
    stages.spawn(async move {
        let (live, journal) = (fetching.fetcher.clone(), &fetching.journal);
        let running =
            Box::pin(fetcher::run(&fetching.config, journal.clone(), Mode::Forever, live, stop.clone()));
        operations::serve(journal, &fetching.names, (Stage::Fetch, None), &stop, running).await?;
        Ok(())
    });
    let showing = progress::show(Arc::clone(flow), shutdown.clone());
    let telling = Telling::start(&flow.config, &flow.journal, &shutdown);
    let mut result = Ok(Exit::Ok);
    while let Some(ended) = stages.join_next().await {
        if let Err(error) = ended.context(t!("a stage ended badly")).and_then(|ended| ended) {
            result = Err(error);
            shutdown.cancel();
        }
    }
    shutdown.cancel();
    showing.await?;
    telling.end().await;
    result
}

impl Flow {
    /// Starts the transformer and the writers; as services when they are to run until somebody ends them.
    fn start(
        self: &Arc<Self>,
        stages: &mut JoinSet<anyhow::Result<()>>,
        stop: &CancellationToken,
        as_services: bool,
    ) {
        let (flow, token) = (Arc::clone(self), stop.clone());
        stages.spawn(async move {
            let running = Box::pin(transformer::run(&flow.config, flow.journal.clone(), token.clone()));
            flow.served((Stage::Transform, None), &token, as_services, running).await
        });
        for (at, live) in self.writers.iter().enumerate() {
            let (flow, token, live) = (Arc::clone(self), stop.clone(), live.clone());
            stages.spawn(async move {
                let target = &flow.config.targets[at];
                let running =
                    Box::pin(writer::run(&flow.config, target, flow.journal.clone(), live, token.clone()));
                let stage = (Stage::Write, Some(&flow.targets[at]));
                flow.served(stage, &token, as_services, running).await
            });
        }
    }

    async fn served<E: Into<anyhow::Error>>(
        &self,
        stage: PausedStage<'_>,
        stop: &CancellationToken,
        as_service: bool,
        running: impl Future<Output = Result<(), E>>,
    ) -> anyhow::Result<()> {
        let ended = match as_service {
            true => operations::serve(&self.journal, &self.names, stage, stop, running).await,
            false => running.await,
        };
        ended.map_err(Into::into)
    }

    /// What stands in the way at the moment, for a person.
    fn trouble(&self) -> Option<String> {
        let writers = self.targets.iter().zip(&self.writers);
        let writing = writers.filter_map(|(target, live)| {
            Some(t!("target %{target}: %{why}", target = target, why = live.trouble()?).into_owned())
        });
        self.fetcher.trouble().into_iter().chain(writing).reduce(|all, one| format!("{all}; {one}"))
    }
}
