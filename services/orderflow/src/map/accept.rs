//! `orderflow map accept`: a version of the mapping that is held because it would leave fields empty is put in use.

use std::path::{Path, PathBuf};

use clap::Args;
use journal::Topology;
use operations::{Acceptance, HeldMapping, accept_mapping};
use service::Config;

use crate::dead::reason;
use crate::exit::{Exit, print, print_line};
use crate::reach::with_reached;
use crate::stages::connect;
use crate::status::time;

/// Flags of `map accept`.
#[derive(Debug, Args)]
pub struct AcceptArgs {
    /// The version that is held, as `map drift` and `status` name it.
    #[arg(value_name = "VERSION")]
    mapping: String,
    /// Do it, instead of only saying what it is held for. Needs --reason.
    #[arg(long)]
    execute: bool,
    /// Why; it is kept with the operation.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Without nats.url: the folder that a running `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    data: PathBuf,
}

pub async fn run(args: AcceptArgs, path: &Path) -> anyhow::Result<Exit> {
    let config = Config::load(path)?;
    let reason = reason(args.execute, args.reason.as_deref())?;
    // What is held may be put in use with the next `up`.
    with_reached(config, &args.data, async |config| accept(&args, config, reason).await).await
}

async fn accept(args: &AcceptArgs, config: &Config, reason: Option<&str>) -> anyhow::Result<Exit> {
    let journal = connect(config, "map accept").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let version = args.mapping.trim();
    match accept_mapping(&journal, &names, version, reason).await? {
        Acceptance::Accepted(held) => {
            print(&told(&held, config));
            print_line(&match args.execute {
                true => t!("it is accepted: the transformers put it in use now"),
                false => t!("nothing was changed; --execute --reason \"...\" puts it in use"),
            });
            Ok(Exit::Ok)
        }
        Acceptance::Before => {
            print_line(&t!("mapping %{version} is accepted already", version = version));
            Ok(Exit::Refused)
        }
        Acceptance::Unknown(held) => {
            print_line(&match held {
                Some(held) => {
                    t!("no mapping %{version} is held; %{held} is", version = version, held = held.version)
                }
                None => t!("no mapping is held, so %{version} is not either", version = version),
            });
            Ok(Exit::NothingMatched)
        }
    }
}

/// What a version is held for, one field a line.
pub(super) fn told(held: &HeldMapping, config: &Config) -> String {
    let mut said = format!(
        "{}\n",
        t!(
            "mapping %{version} is held since %{time}, and %{instead} goes on: of the last %{orders} orders none would have",
            version = held.version,
            time = time(held.since, &config.zone()),
            instead = held.instead,
            orders = held.orders
        )
    );
    for field in &held.fields {
        let line = t!("%{field} (%{had} orders have it now)", field = field.field, had = field.had);
        said.push_str(&format!("  {line}\n"));
    }
    said
}
