//! `orderflow check`: configuration and mapping, without connecting to anything.

use std::path::Path;

use mapping::Plan;
use secrets::address::shown;
use service::Config;
use service::config::TargetKind;

use crate::caution;
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
    let mut said =
        format!("{}\n", t!("%{file}: ok, flow %{flow}", file = path.display(), flow = config.flow));
    fetcher::check(&config)?;
    let url = shown(config.source.base_url.as_deref().unwrap_or("-"));
    if let Some(url) = &config.nats.url {
        journal::Address::from(url.as_str()).check()?;
    }
    said.push_str(&format!("{}\n", t!("source: %{url} %{api}", url = url, api = config.source.api)));
    let plan = transformer::load_mapping(&config)?;
    said.push_str(&told(&config.mapping.file.display().to_string(), &plan));
    if config.targets.is_empty() {
        let none = t!("there is no [[target]]: orders are fetched and mapped, and written nowhere");
        said.push_str(&format!("{none}\n"));
    }
    for target in &config.targets {
        writer::check(&config, target)?;
        let (name, url, batch) = (&target.name, shown(&target.url), target.batch);
        let how = match target.kind {
            TargetKind::Execute | TargetKind::Store => &target.method,
            TargetKind::Postgres => &target.table,
        };
        let line = t!(
            "target %{name}: %{kind}, %{how} %{url}, %{batch} a request",
            name = name,
            kind = target.kind.name(),
            how = how,
            url = url,
            batch = batch
        );
        said.push_str(&format!("{line}\n"));
    }
    for webhook in &config.alerts.webhooks {
        // Which process knows the address is not for this one to say.
        let is_given = webhook.has_address();
        if is_given {
            alerter::Channel::open(webhook, &config)?;
        }
        let unknown = webhook.address().err().filter(|_| !is_given);
        let note = unknown.map_or_else(String::new, |error| {
            t!("; no address here: %{why}", why = service::chain(&error)).into_owned()
        });
        let line = t!("webhook %{webhook}: %{kind}", webhook = webhook.name, kind = webhook.kind.name());
        said.push_str(&format!("{line}{note}\n"));
    }
    if config.alerts.has_heartbeat() {
        // As with a webhook: another process may have the file.
        let missing = |file: &std::path::PathBuf| !file.exists();
        let is_elsewhere = config.alerts.heartbeat_url.is_empty()
            && config.alerts.heartbeat_url_file.as_ref().is_some_and(missing);
        let unknown = match alerter::Watchdog::open(&config) {
            Err(error) if is_elsewhere => {
                t!("; no address here: %{why}", why = service::chain(&error)).into_owned()
            }
            opened => opened.map(|_| String::new())?,
        };
        let every = config.alerts.every;
        let line = t!("heartbeat: called after each check, every %{every}", every = every);
        said.push_str(&format!("{line}{unknown}\n"));
    }
    said.push_str(&caution::told(&config));
    print(&said);
    Ok(Exit::Ok)
}

/// What there is to say of a mapping that is sound.
fn told(file: &str, plan: &Plan) -> String {
    let fields: Vec<&str> = plan.source_fields().collect();
    let ok = t!(
        "%{file}: ok, version %{version}, reads %{fields}",
        file = file,
        version = plan.version(),
        fields = fields.join(", ")
    );
    let mut said = format!("{ok}\n");
    for warning in plan.warnings() {
        said.push_str(&format!("  {}\n", t!("note: %{warning}", warning = warning)));
    }
    said
}
