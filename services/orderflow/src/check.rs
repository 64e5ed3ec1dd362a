//! `orderflow check`: configuration and mapping, without connecting to anything.

use std::path::Path;

use mapping::Plan;
use service::Config;
use service::config::TargetKind;

use crate::cli::CheckArgs;
use crate::exit::{Exit, print};
use crate::map::{MappingArgs, Source};

pub fn run(args: CheckArgs, path: &Path) -> anyhow::Result<Exit> {
    if args.defaults {
        print(service::config::DEFAULTS);
        return Ok(Exit::Ok);
    }
    if args.mapping.is_some() {
        let source = Source::read(&MappingArgs { mapping: args.mapping }, path)?;
        print(&told(&source.name(), &source.plan()?));
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
    said.push_str(&told(&config.mapping.file.display().to_string(), &plan));
    if config.targets.is_empty() {
        said.push_str("there is no [[target]]: orders are fetched and mapped, and written nowhere\n");
    }
    for target in &config.targets {
        writer::check(&config, target)?;
        let (name, url, batch) = (&target.name, &target.url, target.batch);
        let how = match target.kind {
            TargetKind::Execute | TargetKind::Store => &target.method,
            TargetKind::Postgres => &target.table,
        };
        said.push_str(&format!("target {name}: {}, {how} {url}, {batch} a request\n", target.kind.name()));
    }
    for webhook in &config.alerts.webhooks {
        // Which process knows the address is not for this one to say.
        let note = webhook
            .address()
            .err()
            .map_or_else(String::new, |error| format!("; no address here: {}", service::chain(&error)));
        said.push_str(&format!("webhook {}: {}{note}\n", webhook.name, webhook.kind.name()));
    }
    print(&said);
    Ok(Exit::Ok)
}

/// What there is to say of a mapping that is sound.
fn told(file: &str, plan: &Plan) -> String {
    let fields: Vec<&str> = plan.source_fields().collect();
    let mut said = format!("{file}: ok, version {}, reads {}\n", plan.version(), fields.join(", "));
    for warning in plan.warnings() {
        said.push_str(&format!("  note: {warning}\n"));
    }
    said
}
