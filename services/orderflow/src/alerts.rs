//! `orderflow alerts`: what fires, who was told, and whether telling works.

mod show;
mod silence;

pub use show::Shown;

use std::path::{Path, PathBuf};

use alerter::{Channel, Message};
use clap::{Args, Subcommand};
use events::AlertState;
use journal::Journal;
use service::Config;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::Output;
use crate::columns::padded;
use crate::exit::{Exit, print_line, say_line};
use crate::reach::with_reached;

/// What to do about alerts.
#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Send a test message to every webhook, and say what came back. Exit status 1 when one did not take it.
    Test(TestArgs),
    /// What fires right now, what people were told, and whom it could not be told yet. Exit status
    /// 4 when something fires, silenced or not, or could not be told.
    Show(ShowArgs),
    /// Have nobody told of a condition for a while. When it still holds after that, people are told
    /// at once; its end is told also meanwhile, to those who were told that it began.
    Silence(silence::SilenceArgs),
    /// End a silence before its time.
    Unsilence(silence::UnsilenceArgs),
}

/// Flags of `alerts test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only this webhook.
    #[arg(long, value_name = "NAME")]
    webhook: Option<String>,
}

/// Flags of `alerts show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    data: PathBuf,
}

/// Looking and telling, beside the stages of a process.
pub struct Telling {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Telling {
    /// Begins, until `stop`.
    pub fn start(config: &Config, journal: &Journal, stop: &CancellationToken) -> Self {
        let (config, journal, stop) = (config.clone(), journal.clone(), stop.child_token());
        let until = stop.clone();
        Self { task: tokio::spawn(async move { alerter::run(&config, journal, until).await }), stop }
    }

    /// Ends, when the stages have.
    pub async fn end(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "looking and telling ended badly");
        }
    }
}

/// For `status`: the webhooks that do not take what they are told; empty when all do, or nobody says.
pub fn untold(alerts: &AlertState) -> String {
    let failing =
        alerts.deliveries.iter().filter_map(|(name, delivery)| Some((name, delivery.error.as_ref()?)));
    let line = |name: &String, why: &String| {
        let said = t!("webhook %{webhook} does not take alerts: %{why}", webhook = name, why = why);
        format!("{}{said}\n", padded(&t!("UNTOLD"), 13))
    };
    let mut said: String = failing.map(|(name, why)| line(name, why)).collect();
    if let Some(why) = &alerts.heartbeat.error {
        let failing = t!("the watchdog does not take its call: %{why}", why = why);
        said.push_str(&format!("{}{failing}\n", padded(&t!("UNTOLD"), 13)));
    }
    said
}

pub async fn run(command: AlertsCommand, path: &Path) -> anyhow::Result<Exit> {
    let config = Config::load(path)?;
    match command {
        AlertsCommand::Test(args) => test(&args, &config).await,
        AlertsCommand::Show(args) => {
            with_reached(config, &args.data, async |config| show::run(args.output, config).await).await
        }
        AlertsCommand::Silence(args) => {
            let asked = silence::asked(&args, &config, events::now())?;
            with_reached(config, &args.data, async |config| silence::begin(&asked, config).await).await
        }
        AlertsCommand::Unsilence(args) => {
            with_reached(config, &args.data, async |config| silence::end(&args, config).await).await
        }
    }
}

/// Nothing of it is stored, and no NATS is needed.
async fn test(args: &TestArgs, config: &Config) -> anyhow::Result<Exit> {
    let wanted = |name: &str| args.webhook.as_deref().is_none_or(|webhook| webhook == name);
    let webhooks: Vec<_> = config.alerts.webhooks.iter().filter(|webhook| wanted(&webhook.name)).collect();
    if webhooks.is_empty() {
        let none =
            t!("there is no such [[alerts.webhook]]; `orderflow check --defaults` shows how one is written");
        say_line(&none);
        return Ok(Exit::NothingMatched);
    }
    let mut exit = Exit::Ok;
    for webhook in webhooks {
        let name = &webhook.name;
        let told = match Channel::open(webhook, config) {
            Ok(channel) => channel.send(&Message::test(&config.flow)).await.map_err(|untold| untold.why),
            Err(error) => Err(service::chain(&error)),
        };
        match told {
            Ok(()) => print_line(&t!("%{webhook}: taken", webhook = name)),
            Err(why) => {
                print_line(&t!("%{webhook}: FAILED: %{why}", webhook = name, why = why));
                exit = Exit::Failure;
            }
        }
    }
    Ok(exit)
}
