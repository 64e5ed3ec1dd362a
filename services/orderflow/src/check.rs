//! `orderflow check`: configuration and mapping, without connecting to anything.

use std::path::Path;

use service::Config;

use crate::cli::CheckArgs;
use crate::exit::{Exit, print};

pub fn run(args: CheckArgs, path: &Path) -> anyhow::Result<Exit> {
    if args.defaults {
        print(service::config::DEFAULTS);
        return Ok(Exit::Ok);
    }
    let config = Config::load(path)?;
    let mut said = format!("{}: ok, flow {}\n", path.display(), config.flow);
    fetcher::check(&config)?;
    said.push_str(&format!(
        "source: {} {}\n",
        config.source.base_url.as_deref().unwrap_or("-"),
        config.source.api
    ));
    let plan = transformer::load_mapping(&config)?;
    let fields: Vec<&str> = plan.source_fields().collect();
    said.push_str(&format!(
        "{}: ok, version {}, reads {}\n",
        config.mapping.file.display(),
        plan.version(),
        fields.join(", ")
    ));
    for warning in plan.warnings() {
        said.push_str(&format!("  note: {warning}\n"));
    }
    if config.targets.is_empty() {
        said.push_str("there is no [[target]]: orders are fetched and mapped, and written nowhere\n");
    }
    for target in &config.targets {
        target.secret()?;
        target.resolved_headers()?;
        said.push_str(&format!("target {}: {} {}\n", target.name, target.method, target.url));
    }
    print(&said);
    Ok(Exit::Ok)
}
