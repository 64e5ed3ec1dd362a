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

/// What the configuration of a demo is called, in its folder.
const CONFIG_FILE: &str = "orderflow.toml";

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

/// The folder of the demo that was started last in the data folder of `up`; `None` when there is none.
pub fn last_demo(data: &Path) -> Option<PathBuf> {
    let folders = std::fs::read_dir(data).ok()?.flatten().map(|entry| entry.path());
    let of_demos = folders.filter(|folder| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("demo-") && folder.join("nats").is_dir()
    });
    // Written at each start.
    let started =
        |folder: &PathBuf| folder.join(CONFIG_FILE).metadata().and_then(|file| file.modified()).ok();
    of_demos.filter_map(|folder| Some((started(&folder)?, folder))).max().map(|(_, folder)| folder)
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
            let kept = home.path(CONFIG_FILE);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_that_was_started_last_is_found() {
        let data = tempfile::tempdir().expect("a folder");
        assert_eq!(last_demo(data.path()), None);
        for name in ["demo-10-1", "demo-20-1", "demo-30-1", "other"] {
            std::fs::create_dir_all(data.path().join(name).join("nats")).expect("made");
        }
        for (name, seconds) in [("demo-10-1", 10), ("demo-20-1", 20), ("other", 30)] {
            let file = std::fs::File::create(data.path().join(name).join(CONFIG_FILE)).expect("made");
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).expect("set");
        }
        assert_eq!(last_demo(data.path()), Some(data.path().join("demo-20-1")), "30 was never started");
    }
}
