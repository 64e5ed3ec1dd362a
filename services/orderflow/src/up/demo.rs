//! The demo: a sandbox beside the flow, and a configuration that points at it.

use crate::exit::say_line;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sandbox::{Faults, Options, Orders, Report, Sandbox};
use service::Config;
use service::config::Secret;
use tokio_util::sync::CancellationToken;

use super::home::Home;
use crate::cli::UpArgs;

const CONFIG: &str = include_str!("../../../../deploy/examples/demo.toml");
const CASE: &str = include_str!("../../../../deploy/examples/case.mapping.toml");
const OKKI: &str = include_str!("../../../../deploy/examples/okki.mapping.toml");

/// A running demo.
pub struct Demo {
    sandbox: Sandbox,
}

/// Each set of orders has a folder of its own: what one target holds says nothing about another set.
pub fn folder(args: &UpArgs) -> PathBuf {
    match &args.orders {
        Some(file) => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            PathBuf::from(format!("demo-{}", name.split('.').next().unwrap_or("orders")))
        }
        None => PathBuf::from(format!("demo-{}-{}", args.count, args.seed)),
    }
}

impl Demo {
    /// Starts the sandbox and makes the configuration for it.
    pub async fn start(
        args: &UpArgs,
        path: &Path,
        home: &Home,
        stop: CancellationToken,
    ) -> anyhow::Result<(Config, Self)> {
        let orders = match &args.orders {
            Some(file) => Orders::File(file.clone()),
            None => Orders::Generated { count: args.count },
        };
        let faults = match &args.faults {
            Some(file) => read_faults(file)?,
            None => Faults::default(),
        };
        let data_dir = Some(home.path("sandbox"));
        let options = Options { orders, data_dir, faults, seed: args.seed, ..Options::default() };
        let sandbox = sandbox::start(options, stop).await?;
        let mut config = if path.exists() {
            Config::load(path)?
        } else {
            let mapping = home.path("mapping.toml");
            let text = if sandbox.has_product_list() { OKKI } else { CASE };
            std::fs::write(&mapping, text)
                .with_context(|| t!("%{file} cannot be written", file = mapping.display()))?;
            // Kept beside the data, so that `dead`, `trace` and all other commands can look at them afterwards.
            let kept = home.path("orderflow.toml");
            std::fs::write(&kept, CONFIG)
                .with_context(|| t!("%{file} cannot be written", file = kept.display()))?;
            Config::parse(&kept, CONFIG, service::config::variables()?.into_iter())?
        };
        config.source.base_url = Some(sandbox.url());
        config.source.client_id = "demo".into();
        config.source.client_secret = Secret::new("demo-secret");
        for target in &mut config.targets {
            target.url = match target.kind {
                service::config::TargetKind::Execute => format!("{}/execute", sandbox.url()),
                service::config::TargetKind::Store => sandbox.url(),
                // The sandbox plays no database: one that is configured is a real one.
                service::config::TargetKind::Postgres => continue,
            };
        }
        say_line(&t!("sandbox at %{url} (report: %{url}/sandbox/report)", url = sandbox.url()));
        Ok((config, Self { sandbox }))
    }

    /// What the sandbox saw.
    pub fn report(&self) -> Report {
        self.sandbox.report()
    }

    /// Waits until it has ended.
    pub async fn stopped(self) {
        self.sandbox.stopped().await;
    }
}

fn read_faults(file: &Path) -> anyhow::Result<Faults> {
    let text =
        std::fs::read(file).with_context(|| t!("--faults %{file} cannot be read", file = file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("--faults {}", file.display()))
}
