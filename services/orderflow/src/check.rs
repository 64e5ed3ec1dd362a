//! `orderflow check`: configuration and mapping, without connecting to anything.

use std::path::Path;

use service::Config;

use crate::cli::CheckArgs;
use crate::exit::Exit;

pub fn run(args: CheckArgs, path: &Path) -> anyhow::Result<Exit> {
    if args.defaults {
        print!("{}", service::config::DEFAULTS);
        return Ok(Exit::Ok);
    }
    let config = Config::load(path)?;
    println!("{}: ok, flow {}", path.display(), config.flow);
    fetcher::check(&config)?;
    println!("source: {} {}", config.source.base_url.as_deref().unwrap_or("-"), config.source.api);
    let plan = transformer::load_mapping(&config)?;
    let fields: Vec<&str> = plan.source_fields().collect();
    println!(
        "{}: ok, version {}, reads {}",
        config.mapping.file.display(),
        plan.version(),
        fields.join(", ")
    );
    if config.targets.is_empty() {
        println!("there is no [[target]]: orders are fetched and mapped, and written nowhere");
    }
    for target in &config.targets {
        println!("target {}: {} {}", target.name, target.method, target.url);
    }
    Ok(Exit::Ok)
}
