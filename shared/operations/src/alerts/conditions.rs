//! Which conditions hold, as far as is known.

use std::collections::BTreeSet;

use events::{AlertState, Finding, LIVE, Micros, Stage, WindowId, pattern};
use service::Config;

use crate::account::{WindowLine, WindowState};
use crate::verdict::backlog_id;
use crate::{Concern, DeadGroup, Status, Verdict};

/// A mapping that is rejected, or differs from that of others, may be on its way in.
const RELOADING: Micros = 60_000_000;

/// What cannot be stored, or is not known of orders, mends itself most times.
const MENDING: Micros = 600_000_000;

/// A pause that somebody may have forgotten.
const FORGOTTEN: Micros = 86_400_000_000;

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its name, the same for as long as there is the flow: that of the [`Concern`], or `dead-group:<fingerprint>`.
    pub id: String,
    /// Since when, where that is known; otherwise since it was seen first.
    pub since: Option<Micros>,
    /// It is told when it has held for so long, in microseconds.
    pub after: Micros,
    /// Whether it is told again while it lasts.
    pub repeats: bool,
    /// What was found.
    pub finding: Finding,
}

/// What one look at a flow brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// What holds. A condition that is in neither list does not hold.
    pub holding: Vec<Condition>,
    /// What cannot be told at the moment, and stays as it was.
    pub undecided: BTreeSet<String>,
    /// Lanes whose newest window is proved. One that is not seen, because its windows are old, is not proved for that.
    pub proved: BTreeSet<String>,
}

impl Look {
    /// The conditions of a flow as its status and its groups of dead letters say; `alerts` is what the last look found.
    pub fn of(status: &Status, groups: &[DeadGroup], alerts: &AlertState, config: &Config) -> Self {
        let mut look = Self::default();
        let verdict = Verdict::of(status, alerts, config);
        look.holding = verdict.concerns.into_iter().filter_map(|concern| told(concern, config)).collect();
        look.windows(status, config);
        look.undecided_of(status, config);
        look.dead(groups, config);
        look
    }

    fn windows(&mut self, status: &Status, config: &Config) {
        if !config.alerts.failed_windows {
            return;
        }
        for WindowLine { window, state, .. } in status.window.iter().chain(&status.lanes) {
            let id = format!("window:{}", WindowId::named(window).lane());
            match state {
                WindowState::Failed { .. } => {}
                // Whether it can be proved is not known before it ends.
                WindowState::Open => _ = self.undecided.insert(id),
                WindowState::Closed { .. } => _ = self.proved.insert(id),
            }
        }
        if status.window.is_none() {
            self.undecided.insert(format!("window:{LIVE}"));
        }
    }

    /// What cannot be told because nobody is there to say, or nothing has happened yet.
    fn undecided_of(&mut self, status: &Status, config: &Config) {
        let alerts = &config.alerts;
        if status.watermark.is_none() && config.watermark_limit().is_some() {
            self.undecided.insert("watermark".into());
        }
        let unknown = status.stages.iter().filter(|stage| stage.waiting.is_none() && alerts.backlog > 0);
        self.undecided.extend(unknown.map(backlog_id));
        for target in config.targets.iter().map(|target| &target.name) {
            let stopped = status.stopped.iter().any(|stop| stop.target == *target);
            let writing = status.instances.iter().filter_map(|instance| instance.writing.as_ref());
            let silent = !writing.into_iter().any(|writing| writing.target.as_str() == target);
            // Who has stopped does not find out how the target does, and who does not answer says nothing of it.
            if (stopped || silent) && alerts.target_down.micros() > 0 {
                self.undecided.insert(format!("target:{target}"));
            }
            if silent && alerts.problems {
                self.undecided.insert(format!("unknown:{target}"));
            }
        }
        let runs = |stage| status.instances.iter().any(|instance| instance.stage == stage);
        if !runs(Stage::Fetch) && alerts.source_down.micros() > 0 {
            self.undecided.insert("source".into());
        }
        if alerts.problems {
            let stages = [Stage::Fetch, Stage::Transform, Stage::Write];
            let silent = stages.into_iter().filter(|stage| !runs(*stage));
            self.undecided.extend(silent.map(|stage| format!("storage:{stage}")));
            if !runs(Stage::Transform) {
                self.undecided.extend(["mapping".to_string(), "mappings".to_string()]);
            }
        }
    }

    fn dead(&mut self, groups: &[DeadGroup], config: &Config) {
        let groups = groups.iter().filter(|group| config.alerts.dead_groups && group.open > 0);
        self.holding.extend(groups.map(|group| Condition {
            id: format!("dead-group:{}", group.fingerprint),
            since: Some(group.first_seen),
            after: 0,
            repeats: false,
            finding: Finding::DeadGroup {
                fingerprint: group.fingerprint.clone(),
                stage: group.stage,
                failure: group.kind.clone(),
                pattern: group.pattern.clone(),
                targets: group.targets.clone(),
                open: group.open,
            },
        }));
    }
}

/// What is told of a concern, and after how long; `None` when the configuration does not want it told.
fn told(concern: Concern, config: &Config) -> Option<Condition> {
    let alerts = &config.alerts;
    let after = match &concern.finding {
        Finding::WindowFailed { .. } => alerts.failed_windows.then_some(0),
        Finding::DeadLetters { open, limit } => (*limit > 0 && open > limit).then_some(0),
        Finding::TargetStopped { .. } => some_length(alerts.target_stopped.micros()),
        Finding::TargetLeftAlone { .. } => some_length(alerts.target_down.micros()),
        Finding::SourceTrouble { .. } => some_length(alerts.source_down.micros()),
        Finding::NobodyRuns { .. } => some_length(alerts.no_process.micros()),
        // They are no concern when the configuration turns them off.
        Finding::WatermarkOld { .. } | Finding::Backlog { .. } | Finding::DeadGroup { .. } => Some(0),
        Finding::ClockAhead | Finding::OlderUpdateTimes { .. } | Finding::RunOverdue { .. } => {
            alerts.problems.then_some(0)
        }
        // It is no concern when the configuration turns it off; a summary is no condition.
        Finding::LimitNear { .. } => Some(0),
        Finding::Summary { .. } => None,
        Finding::MappingHeld { .. } | Finding::FieldEmpty { .. } => alerts.problems.then_some(0),
        Finding::MappingRejected { .. } | Finding::MappingsDiffer => alerts.problems.then_some(RELOADING),
        Finding::StorageTrouble { .. } | Finding::UnknownResults { .. } => alerts.problems.then_some(MENDING),
        Finding::Paused { .. } => alerts.problems.then_some(FORGOTTEN),
    }?;
    let finding = for_others(concern.finding);
    Some(Condition { id: concern.id, since: concern.since, after, repeats: true, finding })
}

/// A length of 0 turns a condition off.
fn some_length(length: Micros) -> Option<Micros> {
    (length > 0).then_some(length)
}

/// A finding as it may leave the house.
fn for_others(mut finding: Finding) -> Finding {
    match &mut finding {
        Finding::WindowFailed { reason, .. }
        | Finding::TargetStopped { reason, .. }
        | Finding::TargetLeftAlone { reason, .. }
        | Finding::SourceTrouble { reason } => *reason = without_particulars(reason),
        _ => {}
    }
    finding
}

/// What introduces the answer to one order in the reasons that our writers give.
const THE_LAST: &str = "; the last: ";

/// A reason without what the other side said of one order, for eyes outside of the house: numbers, ids and quoted values go,
/// but our own counts, HTTP status and the target's code stay.
fn without_particulars(reason: &str) -> String {
    if let Some((ours, theirs)) = reason.split_once(THE_LAST) {
        return format!("{ours}{}", codes(theirs));
    }
    [("HTTP ", 3), ("code ", 5)].into_iter().fold(pattern(reason, &[]), |text, (word, digits)| {
        let first = reason.split(word).nth(1).unwrap_or_default();
        let number: String = first.chars().take_while(char::is_ascii_digit).collect();
        let marked = format!("{word}#");
        // Only where it is certain which number stood there.
        let alone = reason.matches(word).count() == 1 && text.matches(&marked).count() == 1;
        match alone && (1..=digits).contains(&number.len()) {
            true => text.replace(&marked, &format!("{word}{number}")),
            false => text,
        }
    })
}

/// Of the answer to one order, which may name a person: the HTTP status and the target's code.
fn codes(theirs: &str) -> String {
    let codes = ["HTTP ", "code "].into_iter().filter_map(|word| {
        let number: String = theirs.split_once(word)?.1.chars().take_while(char::is_ascii_digit).collect();
        (1..=5).contains(&number.len()).then(|| format!("{word}{number}"))
    });
    let codes: Vec<String> = codes.collect();
    if codes.is_empty() { String::new() } else { format!("{THE_LAST}{}", codes.join(", ")) }
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
