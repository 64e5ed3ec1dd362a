//! The mapping that a command works on: the one that the configuration names, or one that is named on the command line.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use jiff::tz::TimeZone;
use mapping::Plan;
use operations::Mask;
use service::Config;

/// Flags of the commands that work on a mapping.
#[derive(Debug, Args)]
pub struct MappingArgs {
    /// The mapping; without it the one that the configuration names.
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
}

/// A mapping, its text and where that stands.
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// The zone of local times.
    pub zone: TimeZone,
    /// `schedule.deleted.when`.
    pub deleted_when: Option<String>,
    /// What is not shown of orders.
    pub mask: Mask,
}

impl Source {
    /// Reads the mapping. The configuration at `config` need not exist when the mapping is named on the command line.
    pub fn read(args: &MappingArgs, config: &Path) -> anyhow::Result<Source> {
        let config = match &args.mapping {
            Some(_) if !config.exists() => {
                // Only the zone is wanted of it, and that has a default.
                Config::parse(config, "", std::iter::empty())?
            }
            _ => Config::load(config)?,
        };
        let path = args.mapping.clone().unwrap_or_else(|| config.mapping.file.clone());
        let text = transformer::read_mapping(&path)?;
        let deleted_when = config.schedule.deleted.as_ref().and_then(|deleted| deleted.when.clone());
        Ok(Source { path, text, zone: config.zone(), deleted_when, mask: Mask::of(&config) })
    }

    /// The plan.
    pub fn plan(&self) -> anyhow::Result<Plan> {
        let plan = Plan::compile(&self.name(), &self.text, &self.zone)?;
        Ok(plan.with_deleted_when("schedule.deleted.when", self.deleted_when.as_deref())?)
    }

    /// The name of the file, for errors.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// A file that is named in the mapping, which stands beside it unless it is absolute.
    pub fn beside(&self, file: &str) -> anyhow::Result<String> {
        let path = self.path.parent().unwrap_or(Path::new("")).join(file);
        std::fs::read_to_string(&path).with_context(|| {
            t!("%{mapping}: the file %{file} cannot be read", mapping = self.name(), file = path.display())
        })
    }
}
