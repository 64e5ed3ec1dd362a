//! Whether all is well with a flow: one answer, for `status`, for alerts and for whoever else asks.

use events::{AlertState, Finding, Instance, Micros, Stage, WindowId, Writing, now};
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;

use crate::account::{WindowLine, WindowState};
use crate::alerts::silence_of;
use crate::{StageStatus, Status, is_near};

/// A source that could not be asked for less than this may only have had a bad moment.
const BAD_MOMENT: Micros = 10_000_000;

/// How bad something is, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// All is well.
    Ok,
    /// Orders get through; there is something to know.
    Attention,
    /// Orders do not get through, or nobody can prove that all do.
    Fault,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Concern {
    /// Its name, the same for as long as there is the flow: `target:qeasy`, `window:live`.
    pub id: String,
    /// How bad it is.
    pub level: Level,
    /// Whether a person has to do something; `false` when it mends itself.
    pub needs_person: bool,
    /// Since when, in microseconds since the Unix epoch; `None` when nobody has noted that.
    pub since: Option<Micros>,
    /// How many messages wait for it: orders where they wait to be written, pages where they wait to be mapped; `None`
    /// when nothing waits for it, or that is not known.
    pub waiting: Option<u64>,
    /// When it is tried again, in microseconds since the Unix epoch.
    pub next_attempt: Option<Micros>,
    /// Until when people are not told of it, in microseconds since the Unix epoch; `None` when nobody has silenced it. It is
    /// no less a concern for that.
    pub silenced_until: Option<Micros>,
    /// The command that shows more.
    pub command: String,
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Whether all is well.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Verdict {
    /// The level of the worst concern.
    pub level: Level,
    /// Whether a person has to do something.
    pub needs_person: bool,
    /// What is not as it should be, the worst first.
    pub concerns: Vec<Concern>,
}

impl Verdict {
    /// The verdict on a flow with this status. `alerts` is what the last look for alerts found: since when something lasts,
    /// and how much waited then.
    pub fn of(status: &Status, alerts: &AlertState, config: &Config) -> Self {
        let mut found = Found { status, alerts, config, concerns: Vec::new() };
        found.processes();
        found.storage();
        found.targets();
        found.source();
        found.windows();
        found.watermark();
        found.backlog();
        found.mapping();
        found.orders();
        found.pauses();
        found.limits();
        let mut concerns = found.concerns;
        concerns.sort_by_key(|concern| std::cmp::Reverse((concern.level, concern.needs_person)));
        let level = concerns.iter().map(|concern| concern.level).max().unwrap_or(Level::Ok);
        Self { level, needs_person: concerns.iter().any(|concern| concern.needs_person), concerns }
    }
}

struct Found<'a> {
    status: &'a Status,
    alerts: &'a AlertState,
    config: &'a Config,
    concerns: Vec<Concern>,
}

impl<'a> Found<'a> {
    fn add(&mut self, level: Level, id: String, since: Option<Micros>, finding: Finding) -> &mut Concern {
        let known = self.alerts.known.get(&id).and_then(|known| known.since);
        let command = command_for(&finding);
        let silenced_until = silence_of(self.alerts, &id, now()).map(|silence| silence.until);
        let at = self.concerns.len();
        self.concerns.push(Concern {
            id,
            level,
            needs_person: true,
            since: since.or(known),
            waiting: None,
            next_attempt: None,
            silenced_until,
            command,
            finding,
        });
        &mut self.concerns[at]
    }

    fn stage(&self, stage: Stage, target: Option<&str>) -> Option<&'a StageStatus> {
        let mut stages = self.status.stages.iter();
        stages.find(|one| one.stage == stage.name() && one.target.as_deref() == target)
    }

    fn waiting(&self, stage: Stage, target: Option<&str>) -> Option<u64> {
        self.stage(stage, target)?.waiting.filter(|waiting| *waiting > 0)
    }

    fn is_paused(&self, stage: Stage, target: Option<&str>) -> bool {
        self.status.paused.iter().any(|paused| paused.stage == stage && paused.target.as_deref() == target)
    }

    fn writers(&self, target: &str) -> impl Iterator<Item = &'a Writing> {
        let writing = self.status.instances.iter().filter_map(|instance| instance.writing.as_ref());
        writing.filter(move |writing| writing.target.as_str() == target)
    }

    /// Stages without a process: those that are expected to have one, and those for which something waits.
    fn processes(&mut self) {
        let stages = [(Stage::Fetch, None), (Stage::Transform, None)];
        let targets = self.config.targets.iter().map(|target| (Stage::Write, Some(target.name.as_str())));
        for (stage, target) in stages.into_iter().chain(targets) {
            let runs = match target {
                Some(target) => self.writers(target).next().is_some(),
                None => self.status.instances.iter().any(|instance| instance.stage == stage),
            };
            if runs || self.is_paused(stage, target) {
                continue;
            }
            let expected = self.status.expected.iter();
            let expected =
                expected.into_iter().find(|one| one.stage == stage && one.target.as_deref() == target);
            // Pages that nobody wants any more may be left for a fetcher.
            let waiting = self.waiting(stage, target).filter(|_| stage != Stage::Fetch);
            if expected.is_none() && waiting.is_none() {
                continue;
            }
            let of = target.map_or_else(String::new, |target| format!(":{target}"));
            let (host, since) = expected.map(|one| (one.host.clone(), one.seen_at)).unzip();
            let (stage, target) = (stage.name().to_string(), target.map(str::to_string));
            let finding = Finding::NobodyRuns { stage: stage.clone(), target, host };
            let has_own_server = self.config.nats.own_folder.is_some();
            let concern = self.add(Level::Fault, format!("nobody:{stage}{of}"), since, finding);
            concern.waiting = waiting;
            // That server ends with `up`: no stage could run alone.
            if has_own_server {
                concern.command = "orderflow up".into();
            }
        }
        for run in &self.status.overdue {
            if self.status.instances.iter().any(|instance| instance.stage == Stage::Fetch) {
                continue;
            }
            let (command, last, usual_seconds) = (run.command.clone(), run.last, run.usual_seconds);
            let id = format!("run:{}", command.replace(" --", "-"));
            let finding = Finding::RunOverdue { command, last, usual_seconds };
            self.add(Level::Fault, id, Some(last), finding);
        }
    }

    fn storage(&mut self) {
        for stage in [Stage::Fetch, Stage::Transform, Stage::Write] {
            let mut of = self.status.instances.iter().filter(|instance| instance.stage == stage);
            if let Some(reason) = of.find_map(|instance: &Instance| instance.storage.clone()) {
                let finding = Finding::StorageTrouble { stage, reason };
                self.add(Level::Fault, format!("storage:{stage}"), None, finding);
            }
        }
    }

    fn targets(&mut self) {
        for target in self.config.targets.iter().map(|target| target.name.as_str()) {
            let waiting = self.waiting(Stage::Write, Some(target));
            if let Some(stop) = self.status.stopped.iter().find(|stop| stop.target == target) {
                let finding = Finding::TargetStopped { target: target.into(), reason: stop.reason.clone() };
                self.add(Level::Fault, format!("stopped:{target}"), Some(stop.since), finding).waiting =
                    waiting;
                continue;
            }
            let troubled: Vec<_> = self.writers(target).filter(|writing| writing.trouble.is_some()).collect();
            let since = troubled.iter().filter_map(|writing| writing.trouble_since).min();
            let next_attempt = troubled.iter().filter_map(|writing| writing.next_attempt).min();
            if let Some(reason) = troubled.iter().find_map(|writing| writing.trouble.clone()) {
                let finding = Finding::TargetLeftAlone { target: target.into(), reason };
                let concern = self.add(Level::Fault, format!("target:{target}"), since, finding);
                (concern.waiting, concern.next_attempt) = (waiting, next_attempt);
            }
        }
    }

    fn source(&mut self) {
        let fetchers = self.status.instances.iter().filter(|instance| instance.stage == Stage::Fetch);
        let troubled = fetchers.filter(|fetcher| fetcher.trouble.is_some() && fetcher.storage.is_none());
        let Some(first) = troubled.min_by_key(|fetcher| fetcher.trouble_since) else { return };
        let reason = first.trouble.clone().unwrap_or_default();
        let lasts = first.trouble_since.is_none_or(|since| now() - since >= BAD_MOMENT);
        let level = if lasts { Level::Fault } else { Level::Attention };
        let concern =
            self.add(level, "source".into(), first.trouble_since, Finding::SourceTrouble { reason });
        (concern.needs_person, concern.next_attempt) = (lasts, first.next_attempt);
    }

    fn windows(&mut self) {
        for WindowLine { window, since, until, state } in self.status.window.iter().chain(&self.status.lanes)
        {
            if let WindowState::Failed { reason } = state {
                let id = format!("window:{}", WindowId::named(window).lane());
                let (window, reason) = (window.clone(), reason.clone());
                let finding = Finding::WindowFailed { window, from: *since, until: *until, reason };
                self.add(Level::Fault, id, None, finding);
            }
        }
    }

    fn watermark(&mut self) {
        if self.status.is_in_the_future() {
            self.add(Level::Attention, "clock".into(), None, Finding::ClockAhead);
        }
        let (Some(limit), Some(mark)) = (self.config.watermark_limit(), &self.status.watermark) else {
            return;
        };
        let limit_seconds = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
        if mark.age_seconds > limit_seconds {
            let (watermark, age_seconds) = (mark.to, mark.age_seconds);
            let since = watermark.saturating_add(limit_seconds.saturating_mul(1_000_000));
            let finding = Finding::WatermarkOld { watermark, age_seconds, limit_seconds };
            self.add(Level::Fault, "watermark".into(), Some(since), finding);
        }
    }

    fn backlog(&mut self) {
        let limit = self.config.alerts.backlog;
        for stage in self.status.stages.iter().filter(|_| limit > 0) {
            let id = backlog_id(stage);
            let Some(lag) = stage.waiting.filter(|waiting| *waiting > limit) else { continue };
            let falls = self.falls(&id, stage, lag);
            let level = if falls { Level::Attention } else { Level::Fault };
            let (stage, target) = (stage.stage.to_string(), stage.target.clone());
            let concern = self.add(level, id, None, Finding::Backlog { stage, target, lag, limit });
            (concern.needs_person, concern.waiting) = (!falls, Some(lag));
        }
    }

    /// Whether a backlog gets smaller: less waits than at the last look, or, where nobody has looked, more orders were
    /// settled in the last minute than came in.
    fn falls(&self, id: &str, stage: &StageStatus, waiting: u64) -> bool {
        if let Some(known) = self.alerts.known.get(id).filter(|known| known.since.is_some())
            && let Finding::Backlog { lag, .. } = known.finding
        {
            return waiting < lag;
        }
        let lately = |stream| self.status.last_minute.get(stream).copied().unwrap_or_default();
        stage.target.is_some() && lately("RECEIPTS") > lately("MAPPED")
    }

    fn mapping(&mut self) {
        let of = self.status.instances.iter().filter(|instance| instance.stage == Stage::Transform);
        let rejected = of.clone().find_map(|instance| instance.mapping_rejected.clone());
        if let Some(reason) = rejected {
            self.add(Level::Attention, "mapping".into(), None, Finding::MappingRejected { reason });
        }
        if let Some(held) = &self.status.mapping.held {
            let fields = held.fields.iter().map(|field| field.field.clone()).collect();
            let finding = Finding::MappingHeld { version: held.version.clone(), fields };
            self.add(Level::Attention, "mapping-held".into(), Some(held.since), finding);
        }
        for field in &self.status.mapping.empty {
            let (path, had, of, orders) = (field.path.clone(), field.had, field.of, field.orders);
            let finding = Finding::FieldEmpty { path: path.clone(), had, of, orders };
            self.add(Level::Attention, format!("field:{path}"), Some(field.since), finding);
        }
        let mut mappings = of.filter_map(|instance| instance.mapping.as_ref());
        let first = mappings.next();
        if mappings.any(|mapping| Some(mapping) != first) {
            self.add(Level::Attention, "mappings".into(), None, Finding::MappingsDiffer);
        }
    }

    /// Orders that did not arrive as they should.
    fn orders(&mut self) {
        let (open, limit) = (self.status.dead_open, self.config.alerts.dead_letters);
        if open > 0 {
            self.add(Level::Attention, "dead".into(), None, Finding::DeadLetters { open, limit });
        }
        for target in self.config.targets.iter().map(|target| target.name.as_str()) {
            let held = self.writers(target).flat_map(|writing| &writing.partitions);
            let orders: u64 = held.filter_map(|held| held.unknown).sum();
            if orders > 0 {
                let finding = Finding::UnknownResults { target: target.into(), orders };
                self.add(Level::Attention, format!("unknown:{target}"), None, finding);
            }
        }
        let orders = self.status.older_stamps;
        if orders > 0 {
            self.add(Level::Attention, "older".into(), None, Finding::OlderUpdateTimes { orders });
        }
    }

    fn limits(&mut self) {
        let percent = self.config.alerts.storage_percent;
        let near = self.status.limits.iter().filter(|one| is_near(one.used, one.limit, percent));
        for limit in near {
            self.add(Level::Attention, limit.id(), None, limit.finding());
        }
    }

    fn pauses(&mut self) {
        for paused in &self.status.paused {
            let of = paused.target.as_ref().map_or_else(String::new, |target| format!(":{target}"));
            let waiting = self.waiting(paused.stage, paused.target.as_deref());
            let finding = Finding::Paused {
                stage: paused.stage.name().into(),
                target: paused.target.clone(),
                by: paused.by.clone(),
                reason: paused.reason.clone(),
            };
            let id = format!("paused:{}{of}", paused.stage);
            self.add(Level::Attention, id, Some(paused.since), finding).waiting = waiting;
        }
    }
}

/// The name of the condition that too much waits for a stage.
pub(crate) fn backlog_id(stage: &StageStatus) -> String {
    let of = stage.target.as_ref().map_or_else(String::new, |target| format!(":{target}"));
    format!("backlog:{}{of}", stage.stage.replace(' ', "-"))
}

/// The command that shows more of what was found.
pub fn command_for(finding: &Finding) -> String {
    match finding {
        Finding::WindowFailed { window, .. } => format!("orderflow windows {window}"),
        Finding::WatermarkOld { .. } | Finding::ClockAhead => "orderflow windows".into(),
        Finding::DeadLetters { .. } => "orderflow dead groups".into(),
        Finding::DeadGroup { fingerprint, .. } => {
            format!("orderflow dead list --group {}", fingerprint.get(..8).unwrap_or(fingerprint))
        }
        Finding::TargetStopped { target, .. } | Finding::Paused { target: Some(target), .. } => {
            format!("orderflow resume --target {target}")
        }
        Finding::Paused { stage, target: None, .. } => format!("orderflow resume --stage {stage}"),
        Finding::MappingHeld { version, .. } => format!("orderflow map accept {version}"),
        Finding::FieldEmpty { .. } => "orderflow map drift".into(),
        Finding::MappingRejected { .. } => "orderflow check".into(),
        Finding::SourceTrouble { .. } => "orderflow check --live".into(),
        Finding::NobodyRuns { stage, target: Some(target), .. } => {
            format!("orderflow {stage} --target {target}")
        }
        Finding::NobodyRuns { stage, .. } => format!("orderflow {stage}"),
        Finding::RunOverdue { command, .. } => format!("orderflow {command}"),
        Finding::UnknownResults { .. } | Finding::OlderUpdateTimes { .. } => {
            "orderflow reconcile --from DATE".into()
        }
        Finding::TargetLeftAlone { .. }
        | Finding::Backlog { .. }
        | Finding::MappingsDiffer
        | Finding::StorageTrouble { .. }
        | Finding::LimitNear { .. }
        | Finding::Summary { .. } => "orderflow status".into(),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
