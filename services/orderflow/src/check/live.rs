//! Trying every connection of a configuration, and writing nothing: the source, the targets, NATS.

use std::path::Path;
use std::time::Duration;

use events::{Stage, TargetName};
use fetcher::{FirstOrders, SourceProbe};
use journal::{Journal, Permission, ServerFacts, ServerWeakness, SyncPolicy, Topology};
use mapping::{Outcome, Plan, record_names};
use service::Config;
use service::config::Target;
use writer::{TableReport, TargetReply};

use super::addresses::{STORE_TOKEN, called_by_target};
use super::tried::{LiveTry, TryOutcome};
use crate::caution;
use crate::exit::Exit;
use crate::stages::connect;
use crate::status::with_server;
use crate::up;

/// Tries everything. `data` is the folder of an `up` that may run its own server.
pub async fn try_all(config: &Config, data: &Path) -> Vec<LiveTry> {
    let mut tried = source(config).await;
    let fields = transformer::read_mapping(&config.mapping.file).ok();
    let fields = fields.and_then(|text| record_names(&text).ok()).unwrap_or_default();
    for target in &config.targets {
        tried.push(try_target(config, target, &fields).await);
    }
    for webhook in &config.alerts.webhooks {
        let what = t!("webhook %{name}", name = webhook.name);
        tried.push(LiveTry::new(what, TryOutcome::Untried, t!("`orderflow alerts test` tries it")));
    }
    tried.extend(nats(config, data).await);
    tried
}

/// The token, one order, and what the mapping makes of it.
async fn source(config: &Config) -> Vec<LiveTry> {
    let (token, list) = (t!("source, token"), t!("source, one order"));
    let untried =
        |what: &str| LiveTry::new(what, TryOutcome::Untried, t!("what stands before it does not work"));
    let probe = match SourceProbe::new(config, 1) {
        Ok(probe) => probe,
        Err(error) => {
            let failed = LiveTry::new(token, TryOutcome::Fails, service::chain(&error));
            return vec![failed, untried(&list)];
        }
    };
    let given = match probe.token().await {
        Ok(given) => given,
        Err(error) => {
            return vec![LiveTry::new(token, TryOutcome::Fails, probe.said(&error)), untried(&list)];
        }
    };
    let life = given.life.map_or_else(
        || t!("given; the source does not say for how long"),
        |life| t!("given, good for %{length}", length = hours(life)),
    );
    let mut tried = vec![LiveTry::new(token, TryOutcome::Works, life)];
    match probe.first_orders(&given).await {
        Err(error) => tried.push(LiveTry::new(list, TryOutcome::Fails, probe.said(&error))),
        Ok(found) => {
            let said = match (found.orders.is_empty(), &config.source.detail) {
                (true, _) => {
                    t!("%{total} orders since schedule.since, and none was given", total = found.total)
                }
                (false, None) => t!("read; %{total} orders since schedule.since", total = found.total),
                (false, Some(_)) => {
                    t!("read with its detail; %{total} orders since schedule.since", total = found.total)
                }
            };
            tried.push(LiveTry::new(list, TryOutcome::Works, said));
            tried.extend(mapped(config, &found));
        }
    }
    tried
}

/// What the mapping makes of the first order.
fn mapped(config: &Config, found: &FirstOrders) -> Option<LiveTry> {
    let order = found.orders.first()?;
    let what = t!("mapping, that order");
    // A mapping that does not compile was told before.
    let plan: Plan = transformer::load_mapping(config).ok()?;
    Some(match plan.map(order) {
        Ok(Outcome::Records(records)) if records.len() == 1 => {
            LiveTry::new(what, TryOutcome::Works, t!("it becomes a record"))
        }
        Ok(Outcome::Records(records)) => {
            LiveTry::new(what, TryOutcome::Works, t!("%{count} records", count = records.len()))
        }
        Ok(Outcome::Skipped(skipped)) => {
            LiveTry::new(what, TryOutcome::Works, t!("skipped: %{reason}", reason = skipped.reason))
        }
        // Its words may repeat a value.
        Err(error) => {
            let fails = t!("it becomes a dead letter, %{kind}; see `orderflow peek`", kind = error.kind());
            LiveTry::new(what, TryOutcome::Fails, fails)
        }
    })
}

async fn try_target(config: &Config, target: &Target, fields: &[String]) -> LiveTry {
    let what = t!("target %{name}", name = target.name);
    let reply = match writer::probe(config, target, fields).await {
        Ok(reply) => reply,
        Err(error) => return LiveTry::new(what, TryOutcome::Fails, service::chain(&error)),
    };
    match reply {
        TargetReply::Failed(why) => LiveTry::new(what, TryOutcome::Fails, why),
        TargetReply::Token => {
            let url = secrets::address::shown(target.url.trim_end_matches('/'));
            let said =
                t!("%{url} gives a token; whether it takes orders is not tried", url = url + STORE_TOKEN);
            LiveTry::new(what, TryOutcome::Works, said)
        }
        // Behind a proxy or a firewall nobody is there.
        TargetReply::Status(status @ 500..) => {
            let said = t!("HTTP %{status} to a GET: it does not work at the moment", status = status);
            LiveTry::new(what, TryOutcome::Fails, said)
        }
        TargetReply::Status(status) => {
            let said = t!(
                "it answers HTTP %{status} to a GET; whether it takes orders (%{called}) is not tried",
                status = status,
                called = called_by_target(target)
            );
            LiveTry::new(what, TryOutcome::Works, said)
        }
        TargetReply::Table(report) if report.is_sound() => {
            let said = t!("table %{table}: columns, key and rights are there", table = target.table);
            LiveTry::new(what, TryOutcome::Works, said)
        }
        TargetReply::Table(report) => {
            let said = lacking(&report, target);
            LiveTry::new(
                what,
                TryOutcome::Fails,
                t!("table %{table}: %{lacks}", table = target.table, lacks = said),
            )
        }
    }
}

/// What a table lacks.
fn lacking(report: &TableReport, target: &Target) -> String {
    if !report.exists {
        return t!("it is not there").into();
    }
    let mut lacks = Vec::new();
    if !report.missing_columns.is_empty() {
        lacks.push(t!("no column for %{fields}", fields = report.missing_columns.join(", ")));
    }
    if !report.is_key_unique {
        lacks.push(t!("\"%{key}\" is neither the primary key nor unique", key = target.key));
    }
    if !report.missing_rights.is_empty() {
        lacks.push(t!("no right to %{rights}", rights = report.missing_rights.join(", ")));
    }
    if !report.missing_ledger_rights.is_empty() {
        let rights = report.missing_ledger_rights.join(", ");
        lacks.push(t!("no right to %{rights} of %{table}", rights = rights, table = target.versions));
    }
    lacks.join("; ")
}

async fn nats(config: &Config, data: &Path) -> Vec<LiveTry> {
    let what = t!("NATS");
    let is_ours = config.nats.url.is_none();
    if is_ours && up::running_server(data).is_err() {
        let said = t!("nats.url is not given: `orderflow up` starts its own server, and none runs now");
        return vec![LiveTry::new(what, TryOutcome::Untried, said)];
    }
    let connected = async {
        let config = with_server(config.clone(), data)?;
        connect(&config, "check").await
    };
    let journal = match connected.await {
        Ok(journal) => journal,
        Err(error) => {
            let outcome = match Exit::of(&error) {
                Exit::Usage => TryOutcome::Refused,
                Exit::Unreachable => TryOutcome::Unreachable,
                _ => TryOutcome::Fails,
            };
            return vec![LiveTry::new(what, outcome, service::chain(error.as_ref()))];
        }
    };
    let names = Topology::new(&config.flow, config.writer.partitions);
    let facts = journal.server_facts(&names, &caution::monitor(config, is_ours)).await;
    let mut tried = told_facts(&facts, is_ours);
    tried.extend(permissions(&journal, &names, config).await);
    tried
}

/// What the server is like.
fn told_facts(facts: &ServerFacts, is_ours: bool) -> Vec<LiveTry> {
    let streams = match facts.streams.len() {
        0 => t!("its streams are made at the first start"),
        count => t!("streams of the flow: %{count}", count = count),
    };
    let said = t!(
        "version %{version} with JetStream, max_payload %{bytes} bytes, %{streams}",
        version = facts.version,
        bytes = facts.max_payload,
        streams = streams
    );
    let mut tried = vec![LiveTry::new(t!("NATS"), TryOutcome::Works, said)];
    let what = t!("NATS, sync_interval");
    match facts.sync {
        SyncPolicy::Always if is_ours => {
            tried.push(LiveTry::new(
                what,
                TryOutcome::Works,
                t!("always: it is the server of `orderflow up`"),
            ));
        }
        SyncPolicy::Always => tried.push(LiveTry::new(what, TryOutcome::Works, t!("always"))),
        SyncPolicy::Every(every) => {
            let every = journal::shown_duration(every);
            let said = t!("%{every}, and every stream has replicas", every = every);
            tried.push(LiveTry::new(what, TryOutcome::Works, said));
        }
        SyncPolicy::Unknown => {
            let said = t!(
                "only the monitoring port says it; give nats.monitor_url, or see that the server has sync_interval: always"
            );
            tried.push(LiveTry::new(what, TryOutcome::Untried, said));
        }
    }
    let weak = journal::weaknesses(facts);
    if weak.iter().any(|weakness| matches!(weakness, ServerWeakness::LateSync { .. })) {
        tried.pop();
    }
    tried.extend(
        weak.iter().map(|weakness| LiveTry::new(t!("NATS"), TryOutcome::Weak, told_weakness(weakness))),
    );
    tried
}

fn told_weakness(weakness: &ServerWeakness) -> String {
    match weakness {
        ServerWeakness::SmallPayload { found } => t!(
            "max_payload: found %{found} bytes, expected at least %{least} (8MB): a full page of orders may not fit into one message",
            found = found,
            least = journal::RECOMMENDED_PAYLOAD
        ),
        ServerWeakness::LateSync { every } => t!(
            "sync_interval: found %{every}, expected always: a power cut loses messages that were acknowledged",
            every = journal::shown_duration(*every)
        ),
        ServerWeakness::LateWrite { stream } => t!(
            "stream %{stream}, persist_mode: found async, expected default: a crash loses messages that were acknowledged",
            stream = stream
        ),
        ServerWeakness::InMemory { stream } => t!(
            "stream %{stream}, storage: found memory, expected file: everything is lost when the server ends",
            stream = stream
        ),
        ServerWeakness::Forgets { stream, after } => t!(
            "stream %{stream}: found %{after}, expected no limit: old messages are deleted, and the streams are the only state",
            stream = stream,
            after = after
        ),
    }
    .into()
}

/// Whether the user of this configuration may run each stage. A user that may run one is meant for that one.
async fn permissions(journal: &Journal, names: &Topology, config: &Config) -> Vec<LiveTry> {
    let targets: Vec<TargetName> =
        config.targets.iter().map(|target| TargetName::new(&target.name)).collect();
    let mut tried = Vec::new();
    for stage in [Stage::Fetch, Stage::Transform, Stage::Write] {
        let what = t!("NATS, permissions of %{stage}", stage = stage);
        let (mut refused, mut unknown) = (Vec::new(), Vec::new());
        for subject in names.published_by(stage, &targets) {
            match journal.permission(&subject).await {
                Permission::Granted => {}
                Permission::Refused(_) => refused.push(subject),
                Permission::Unknown(why) => unknown.push(format!("{subject}: {why}")),
            }
        }
        tried.push(match (&refused[..], &unknown[..]) {
            ([], []) => LiveTry::new(what, TryOutcome::Works, t!("may publish all that it needs")),
            ([], unknown) => LiveTry::new(what, TryOutcome::Untried, unknown.join("; ")),
            (refused, _) => LiveTry::new(
                what,
                TryOutcome::Fails,
                t!("may not publish on %{subjects}", subjects = refused.join(", ")),
            ),
        });
    }
    if tried.iter().any(|tried| tried.outcome == TryOutcome::Works) {
        let of_others = tried.iter_mut().filter(|tried| tried.outcome == TryOutcome::Fails);
        of_others.for_each(|tried| tried.outcome = TryOutcome::Untried);
    }
    tried
}

/// A length of time in the largest unit that leaves something before the point.
fn hours(length: Duration) -> String {
    match length.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use journal::StreamFacts;

    use crate::language::in_both;

    #[test]
    fn a_weak_server_in_both_languages() {
        let stream = StreamFacts {
            name: "f-RAW".into(),
            is_in_memory: true,
            replicas: 1,
            is_written_late: true,
            forgets_after: Some("max_age 60m".into()),
        };
        let weak = ServerFacts {
            version: "2.12.1".into(),
            max_payload: 1 << 20,
            sync: SyncPolicy::Every(Duration::from_secs(120)),
            streams: vec![stream],
        };
        let sound = ServerFacts {
            max_payload: 8 << 20,
            sync: SyncPolicy::Unknown,
            streams: Vec::new(),
            ..weak.clone()
        };
        insta::assert_snapshot!(in_both(|| {
            let text = |facts, is_ours| super::super::tried::text(&told_facts(facts, is_ours));
            format!("{}\n{}", text(&weak, false), text(&sound, false))
        }));
    }

    #[test]
    fn what_a_table_lacks_in_both_languages() {
        let text =
            "[[target]]\nname = \"w\"\nkind = \"postgres\"\nurl = \"postgres://u@h/d\"\ntable = \"orders\"\n";
        let config = Config::parse(Path::new("o.toml"), text, std::iter::empty()).expect("sound");
        let report = TableReport {
            exists: true,
            missing_columns: vec!["lines".into()],
            missing_rights: vec!["INSERT"],
            is_key_unique: false,
            missing_ledger_rights: vec!["CREATE"],
        };
        insta::assert_snapshot!(in_both(|| lacking(&report, &config.targets[0])));
    }

    #[test]
    fn lengths_are_in_the_unit_people_use() {
        let shown = [30, 300, 28_800].map(|seconds| hours(Duration::from_secs(seconds)));
        assert_eq!(shown, ["30 s", "5 min", "8 h"]);
    }
}
