//! `orderflow check`: configuration and mapping, without connecting to anything.

use std::path::Path;

use mapping::Plan;
use schemars::JsonSchema;
use secrets::address::shown;
use serde::Serialize;
use service::Config;
use service::config::TargetKind;

use crate::caution;
use crate::cli::{CheckArgs, Output};
use crate::exit::{Exit, print, print_json};
use crate::language;
use crate::map::{MappingArgs, Source};

/// What `check -o json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CheckReport {
    /// Whether the configuration and the mapping can be used.
    ok: bool,
    /// What was looked at and what is worth knowing of it, one sentence each; empty when something cannot be used.
    findings: Vec<String>,
    /// What is wrong, with file and key.
    error: Option<String>,
}

pub fn run(args: CheckArgs, path: &Path) -> anyhow::Result<Exit> {
    if args.defaults {
        print(service::config::DEFAULTS);
        return Ok(Exit::Ok);
    }
    let output = args.output;
    if output == Output::Table {
        print(&check(args, path)?);
        return Ok(Exit::Ok);
    }
    let checked = language::english(|| check(args, path));
    let exit = checked.as_ref().err().map_or(Exit::Ok, Exit::of);
    let report = match checked {
        Ok(said) => {
            let findings = said.lines().map(|line| line.trim().to_string()).collect();
            CheckReport { ok: true, findings, error: None }
        }
        Err(error) => {
            CheckReport { ok: false, findings: Vec::new(), error: Some(service::chain(error.as_ref())) }
        }
    };
    print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?));
    Ok(exit)
}

/// What there is to say of a configuration and a mapping that can be used, one line each.
fn check(args: CheckArgs, path: &Path) -> anyhow::Result<String> {
    if args.mapping.is_some() {
        let source = Source::read(&MappingArgs { mapping: args.mapping }, path)?;
        return Ok(told(&source.name(), &source.plan()?));
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
    said.push_str(&caution::told(&config));
    Ok(said)
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
