//! `orderflow check`: configuration and mapping without connecting to anything, and with `--live` every connection as well.

mod addresses;
mod configuration;
mod finding;
mod live;
mod mapping;
mod tried;

use std::path::Path;

use ::mapping::Plan;
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;

use crate::caution;
use crate::cli::{CheckArgs, Output};
use crate::exit::{Exit, print, print_json, say_line};
use crate::language;
use crate::map::{MappingArgs, Source};
use addresses::called_by_target;
use finding::Finding;
use tried::LiveTry;

/// What a check of the files came to.
#[derive(Default)]
struct FileReport {
    /// What is sound, a line each.
    said: String,
    findings: Vec<Finding>,
    errors: Vec<anyhow::Error>,
}

pub async fn run(args: CheckArgs, path: &Path) -> anyhow::Result<Exit> {
    if args.defaults {
        print(service::config::DEFAULTS);
        return Ok(Exit::Ok);
    }
    match args.output {
        Output::Table => {
            looked(&args, path, true).await.map(|(report, tried)| exit_of(&report, tried.as_deref()))
        }
        // Its texts are in English: they are made in one thread.
        Output::Json => tokio::task::block_in_place(|| {
            let runtime = tokio::runtime::Handle::current();
            let (json, exit) = match language::english(|| runtime.block_on(looked(&args, path, false))) {
                Ok((report, tried)) => {
                    let exit = exit_of(&report, tried.as_deref());
                    (CheckReport::of(report, tried), exit)
                }
                Err(error) => {
                    let errors = vec![service::chain(error.as_ref())];
                    (CheckReport { errors, findings: Vec::new(), tried: None }, Exit::of(&error))
                }
            };
            print_json(&format!("{}\n", serde_json::to_string_pretty(&json)?));
            Ok(exit)
        }),
    }
}

/// Looks at the files, and tries the connections where that is asked for; tells a person as it goes, unless it is not to.
async fn looked(
    args: &CheckArgs,
    path: &Path,
    is_told: bool,
) -> anyhow::Result<(FileReport, Option<Vec<LiveTry>>)> {
    if args.mapping.is_some() {
        let source = Source::read(&MappingArgs { mapping: args.mapping.clone() }, path)?;
        let said = told(&source.name(), &source.plan()?);
        let findings = mapping::findings(&source.name(), &source.text);
        let report = FileReport { said, findings, errors: Vec::new() };
        if is_told {
            report.print();
        }
        return Ok((report, None));
    }
    let config = Config::load(path)?;
    let report = FileReport::of(&config, path);
    if is_told {
        report.print();
    }
    if !args.live {
        return Ok((report, None));
    }
    let tried = live::try_all(&config, &args.data).await;
    if is_told {
        print(&format!("\n{}", tried::text(&tried)));
    }
    Ok((report, Some(tried)))
}

fn exit_of(report: &FileReport, tried: Option<&[LiveTry]>) -> Exit {
    tried.map_or(report.exit(), |tried| worse(report.exit(), tried::exit(tried)))
}

/// What `-o json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub struct CheckReport {
    /// What keeps the files from being used.
    errors: Vec<String>,
    /// What is found in files that can be used.
    findings: Vec<Finding>,
    /// What was tried; `null` without `--live`.
    tried: Option<Vec<LiveTry>>,
}

impl CheckReport {
    fn of(report: FileReport, tried: Option<Vec<LiveTry>>) -> Self {
        let errors = report.errors.iter().map(|error| service::chain(error.as_ref()));
        Self { errors: errors.collect(), findings: report.findings, tried }
    }
}

/// The status of two that says more: what is wrong with the files, then that NATS cannot be reached, then the rest.
fn worse(first: Exit, second: Exit) -> Exit {
    let weight = |exit: &Exit| match exit {
        Exit::Usage => 3,
        Exit::Unreachable => 2,
        Exit::Ok => 0,
        _ => 1,
    };
    if weight(&second) > weight(&first) { second } else { first }
}

impl FileReport {
    fn of(config: &Config, path: &Path) -> Self {
        let file = path.display().to_string();
        let mut report = Self::default();
        report.say(&t!("%{file}: ok, flow %{flow}", file = file, flow = config.flow));
        report.keep(fetcher::check(config).map_err(Into::into));
        if let Some(url) = &config.nats.url {
            report.keep(journal::Address::from(url.as_str()).check().map_err(Into::into));
        }
        let address = addresses::called_for_orders(config);
        report.say(&t!("source: %{method} %{url}", method = config.source.method, url = address));
        report.findings.extend(configuration::findings(config, &file));
        report.look_at_mapping(config, &file);
        report.look_at_targets(config);
        report.look_at_webhooks(config);
        report.said.push_str(&caution::told(config));
        report
    }

    fn look_at_mapping(&mut self, config: &Config, config_file: &str) {
        let file = config.mapping.file.display().to_string();
        let Some(plan) = self.keep(transformer::load_mapping(config).map_err(Into::into)) else { return };
        self.said.push_str(&told(&file, &plan));
        let text = self.keep(transformer::read_mapping(&config.mapping.file).map_err(Into::into));
        let Some(text) = text else { return };
        self.findings.extend(mapping::findings(&file, &text));
        self.findings.extend(mapping::findings_with(config, config_file, &plan, &text));
    }

    fn look_at_targets(&mut self, config: &Config) {
        if config.targets.is_empty() {
            let none = t!("there is no [[target]]: orders are fetched and mapped, and written nowhere");
            self.say(&none);
        }
        for target in &config.targets {
            // What is found there is said as a finding, with what is expected.
            if configuration::lacks_secret(target) {
                continue;
            }
            if self.keep(writer::check(config, target).map_err(Into::into)).is_none() {
                continue;
            }
            let line = t!(
                "target %{name}: %{kind}, %{how}, %{batch} a request",
                name = target.name,
                kind = target.kind.name(),
                how = called_by_target(target),
                batch = target.batch
            );
            self.say(&line);
        }
    }

    fn look_at_webhooks(&mut self, config: &Config) {
        for webhook in &config.alerts.webhooks {
            // Which process knows the address is not for this one to say.
            let is_given = webhook.has_address();
            if is_given {
                self.keep(alerter::Channel::open(webhook, config).map_err(Into::into));
            }
            let unknown = webhook.address().err().filter(|_| !is_given);
            let note = unknown.map_or_else(String::new, |error| {
                t!("; no address here: %{why}", why = service::chain(&error)).into_owned()
            });
            let line = t!("webhook %{webhook}: %{kind}", webhook = webhook.name, kind = webhook.kind.name());
            self.say(&format!("{line}{note}"));
        }
        if config.alerts.has_heartbeat() {
            self.look_at_heartbeat(config);
        }
    }

    fn look_at_heartbeat(&mut self, config: &Config) {
        // As with a webhook: another process may have the file.
        let missing = |file: &std::path::PathBuf| !file.exists();
        let is_elsewhere = config.alerts.heartbeat_url.is_empty()
            && config.alerts.heartbeat_url_file.as_ref().is_some_and(missing);
        let note = match alerter::Watchdog::open(config) {
            Err(error) if is_elsewhere => {
                t!("; no address here: %{why}", why = service::chain(&error)).into_owned()
            }
            opened => {
                self.keep(opened.map(drop).map_err(Into::into));
                String::new()
            }
        };
        let every = config.alerts.every;
        let line = t!("heartbeat: called after each check, every %{every}", every = every);
        self.say(&format!("{line}{note}"));
    }

    fn say(&mut self, line: &str) {
        self.said.push_str(&format!("{line}\n"));
    }

    /// What was read; an error is kept, so that all of them are told at once.
    fn keep<T>(&mut self, read: anyhow::Result<T>) -> Option<T> {
        read.map_err(|error| self.errors.push(error)).ok()
    }

    /// Prints everything.
    fn print(&self) {
        let findings: String = self.findings.iter().map(|finding| format!("{}\n", finding.text())).collect();
        print(&format!("{}{findings}", self.said));
        for error in &self.errors {
            say_line(&t!("error: %{why}", why = service::chain(error.as_ref()); lines));
        }
    }

    fn exit(&self) -> Exit {
        match self.errors.first().map(Exit::of) {
            Some(exit) => exit,
            None if self.findings.iter().any(Finding::is_problem) => Exit::Usage,
            None => Exit::Ok,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_the_files_goes_before_what_cannot_be_reached() {
        assert_eq!(worse(Exit::Ok, Exit::Partial), Exit::Partial);
        assert_eq!(worse(Exit::Partial, Exit::Unreachable), Exit::Unreachable);
        assert_eq!(worse(Exit::Usage, Exit::Unreachable), Exit::Usage);
        assert_eq!(worse(Exit::Ok, Exit::Usage), Exit::Usage);
    }
}
