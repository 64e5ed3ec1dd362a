//! `orderflow alerts show`.

use std::collections::BTreeMap;

use events::{AlertState, Finding, Heartbeat, Micros, Silence, now};
use jiff::tz::TimeZone;
use journal::Topology;
use operations::alerts::{EVERYTHING, Look, silence_of, silences, waiting};
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;

use crate::cli::Output;
use crate::columns::padded;
use crate::exit::{Exit, print, print_json};
use crate::language;
use crate::stages::connect;
use crate::status::time;

/// A condition, and what people know of it.
#[derive(Debug, JsonSchema, Serialize)]
struct Line {
    id: String,
    /// Since when it holds; `None` while nobody has noted that it does.
    since: Option<Micros>,
    /// When people were told last that it holds.
    told: Option<Micros>,
    /// Whether what people were told last is that it holds.
    announced: bool,
    /// Why people are not told of it for a while; `None` when they are.
    silence: Option<Silence>,
    #[serde(flatten)]
    finding: Finding,
}

/// A webhook, and what it was not told yet.
#[derive(Debug, JsonSchema, Serialize)]
struct Recipient {
    waiting: usize,
    failures: u32,
    error: Option<String>,
}

#[derive(Debug, JsonSchema, Serialize)]
pub struct Shown {
    /// When a process looked the last time; `None` when none has.
    looked_at: Option<Micros>,
    holding: Vec<Line>,
    /// What cannot be told at the moment.
    undecided: Vec<String>,
    webhooks: BTreeMap<String, Recipient>,
    /// What people are not told of for a while, by the name of the condition; `*` is all of them.
    silences: BTreeMap<String, Silence>,
    /// The watchdog; `None` when the configuration has none.
    heartbeat: Option<Heartbeat>,
}

pub async fn run(output: Output, config: &Config) -> anyhow::Result<Exit> {
    let journal = connect(config, "alerts").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let look = alerter::looked(config, &journal, &names).await?;
    let shown = Shown::of(look, &alerter::state(&journal, &names).await?, config, now());
    match output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&shown)?)),
        Output::Table => print(&shown.text(&config.zone())),
    }
    let unheard = shown.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.error.is_some());
    let untold = unheard || shown.webhooks.values().any(|webhook| webhook.error.is_some());
    Ok(if shown.holding.is_empty() && !untold { Exit::Ok } else { Exit::Partial })
}

impl Shown {
    fn of(look: Look, state: &AlertState, config: &Config, at: Micros) -> Self {
        let line = |id: String, since: Option<Micros>, finding: Finding| {
            let known = state.known.get(&id);
            let since = since.or(known.and_then(|known| known.since));
            let told = known.and_then(|known| known.told);
            let announced = known.is_some_and(|known| known.announced);
            let silence = silence_of(state, &id, at).cloned();
            Line { since, told, announced, silence, id, finding }
        };
        let mut holding: Vec<Line> =
            look.holding.into_iter().map(|found| line(found.id, found.since, found.finding)).collect();
        // What people believe to hold, and what cannot be told now, stays.
        let believed =
            state.known.iter().filter(|(id, known)| known.announced && look.undecided.contains(*id));
        holding.extend(believed.map(|(id, known)| line(id.clone(), known.since, known.finding.clone())));
        let webhooks = config.alerts.webhooks.iter().map(|webhook| {
            let delivery = state.deliveries.get(&webhook.name).cloned().unwrap_or_default();
            let waiting = waiting(state, &webhook.name).count();
            (webhook.name.clone(), Recipient { waiting, failures: delivery.failures, error: delivery.error })
        });
        Self {
            looked_at: (state.looked_at > 0).then_some(state.looked_at),
            holding,
            undecided: look.undecided.into_iter().collect(),
            webhooks: webhooks.collect(),
            silences: silences(state, at)
                .into_iter()
                .map(|(id, silence)| (id.to_string(), silence.clone()))
                .collect(),
            heartbeat: config.alerts.has_heartbeat().then(|| state.heartbeat.clone()),
        }
    }

    fn text(&self, zone: &TimeZone) -> String {
        let at = |moment: Option<Micros>| moment.map_or_else(|| "-".to_string(), |moment| time(moment, zone));
        let row = |name: &str, what: &str| format!("{}{what}\n", padded(name, 11));
        let under = " ".repeat(11);
        let mut out = row(&t!("checked"), &at(self.looked_at));
        if self.holding.is_empty() {
            out.push_str(&row(&t!("firing"), &t!("nothing")));
        }
        for line in &self.holding {
            let told = match (line.announced, line.told) {
                (true, told) => t!("told %{time}", time = at(told)),
                (false, Some(told)) => {
                    t!("told %{time} and resolved since; not told again yet", time = at(Some(told)))
                }
                (false, None) => t!("not told yet"),
            };
            let what = match language::code() {
                "zh" => alerter::sentence_in_chinese(&line.finding, zone),
                _ => alerter::sentence(&line.finding, zone),
            };
            let what = service::escape_value(&what);
            let since = t!("since %{since}, %{told}", since = at(line.since), told = told);
            out.push_str(&row(&t!("firing"), &format!("{}: {what}\n{under}{since}", line.id)));
            if let Some(silence) = &line.silence {
                out.push_str(&format!("{under}{}\n", silenced(silence, zone)));
            }
        }
        // Those of conditions that fire stand beside them.
        let firing = |id: &str| self.holding.iter().any(|line| line.id == id);
        for (id, silence) in self.silences.iter().filter(|(id, _)| !firing(id)) {
            let what = if id == EVERYTHING { t!("all conditions") } else { id.as_str().into() };
            out.push_str(&row(&t!("silence"), &format!("{what}: {}", silenced(silence, zone))));
        }
        for id in &self.undecided {
            out.push_str(&row(&t!("not known"), id));
        }
        if self.webhooks.is_empty() {
            out.push_str(&row(&t!("webhooks"), &t!("none: nobody is told, see [[alerts.webhook]]")));
        }
        for (name, webhook) in &self.webhooks {
            let waiting = match webhook.waiting {
                0 => t!("delivered"),
                waiting => t!("%{count} notices wait", count = waiting),
            };
            let error = webhook.error.as_ref().map_or_else(String::new, |why| {
                format!(
                    "\n{under}{}",
                    t!("FAILED %{count} times: %{why}", count = webhook.failures, why = why)
                )
            });
            out.push_str(&row("webhook", &format!("{name}: {waiting}{error}")));
        }
        if let Some(Heartbeat { told, failures, error, .. }) = &self.heartbeat {
            let sent = match told {
                Some(told) => t!("taken %{time}", time = at(Some(*told))),
                None => t!("not taken yet"),
            };
            let error = error.as_ref().map_or_else(String::new, |why| {
                format!("\n{under}{}", t!("FAILED %{count} times: %{why}", count = failures, why = why))
            });
            out.push_str(&row(&t!("heartbeat"), &format!("{sent}{error}")));
        }
        out
    }
}

/// Until when, by whom and why people are not told.
fn silenced(silence: &Silence, zone: &TimeZone) -> String {
    let Silence { by, reason, until, .. } = silence;
    t!(
        "SILENCED until %{time} by %{user}@%{host}: %{reason}",
        time = time(*until, zone),
        user = by.user,
        host = by.host,
        reason = reason
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Actor;

    #[test]
    fn what_fires_and_who_was_told_in_both_languages() {
        const AT: Micros = 1_741_251_325_000_000;
        let line = |id: &str, told, announced, finding| Line {
            id: id.into(),
            since: Some(AT - 60_000_000),
            told,
            announced,
            silence: None,
            finding,
        };
        let silence = |reason: &str| Silence {
            by: Actor { user: "li".into(), host: "erp-1".into() },
            reason: reason.into(),
            at: AT,
            until: AT + 7_200_000_000,
        };
        let limit =
            Finding::LimitNear { what: "disk".into(), used: 9 << 30, limit: 10 << 30, unit: "bytes".into() };
        let silent =
            Line { silence: Some(silence("a new disk comes")), ..line("limit:disk", None, false, limit) };
        let backlog =
            Finding::Backlog { stage: "write".into(), target: Some("qeasy".into()), lag: 7, limit: 5 };
        let shown = Shown {
            looked_at: Some(AT),
            holding: vec![
                line("dead", Some(AT), true, Finding::DeadLetters { open: 120, limit: 100 }),
                line("backlog:write:qeasy", None, false, backlog),
                silent,
            ],
            undecided: vec!["watermark".into()],
            webhooks: BTreeMap::from([
                ("duty".into(), Recipient { waiting: 2, failures: 3, error: Some("HTTP 503".into()) }),
                ("night".into(), Recipient { waiting: 0, failures: 0, error: None }),
            ]),
            silences: BTreeMap::from([
                ("limit:disk".into(), silence("a new disk comes")),
                ("*".into(), silence("the ERP is moved")),
            ]),
            heartbeat: Some(Heartbeat {
                looked_at: AT,
                told: Some(AT),
                failures: 2,
                error: Some("HTTP 404: not found".into()),
            }),
        };
        insta::assert_snapshot!(language::in_both(|| shown.text(&TimeZone::UTC)));
    }
}
