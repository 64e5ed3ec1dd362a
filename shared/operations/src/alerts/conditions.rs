//! Which conditions hold, as far as is known.

use std::collections::BTreeSet;

use events::{Finding, LIVE, Micros, WindowId, pattern};
use service::Config;

use crate::account::{WindowLine, WindowState};
use crate::{DeadGroup, Status};

/// A condition that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its name, the same for as long as there is the flow: `watermark`, `window:<lane>`, `dead`, `dead-group:<fingerprint>`,
    /// `target:<name>`, `stopped:<name>`, `backlog:<stage>[:<target>]`.
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
    /// The conditions of a flow as its status and its groups of dead letters say.
    pub fn of(status: &Status, groups: &[DeadGroup], config: &Config) -> Self {
        let mut look = Self::default();
        look.windows(status, config);
        look.watermark(status, config);
        look.targets(status, config);
        look.backlog(status, config);
        look.dead(status, groups, config);
        look
    }

    fn holds(&mut self, id: String, since: Option<Micros>, after: Micros, finding: Finding) {
        self.holding.push(Condition { id, since, after, repeats: true, finding });
    }

    fn windows(&mut self, status: &Status, config: &Config) {
        if !config.alerts.failed_windows {
            return;
        }
        for line in status.window.iter().chain(&status.lanes) {
            let WindowLine { window, since: from, until, state } = line;
            let id = format!("window:{}", WindowId::named(window).lane());
            match state {
                WindowState::Failed { reason } => {
                    let (window, reason) = (window.clone(), without_particulars(reason));
                    let finding = Finding::WindowFailed { window, from: *from, until: *until, reason };
                    self.holds(id, None, 0, finding);
                }
                // Whether it can be proved is not known before it ends.
                WindowState::Open => _ = self.undecided.insert(id),
                WindowState::Closed { .. } => _ = self.proved.insert(id),
            }
        }
        if status.window.is_none() {
            self.undecided.insert(format!("window:{LIVE}"));
        }
    }

    fn watermark(&mut self, status: &Status, config: &Config) {
        let Some(limit) = config.watermark_limit() else { return };
        let limit_seconds = limit.as_secs() as i64;
        match &status.watermark {
            None => _ = self.undecided.insert("watermark".into()),
            Some(mark) if mark.age_seconds > limit_seconds => {
                let (watermark, age_seconds) = (mark.to, mark.age_seconds);
                let finding = Finding::WatermarkOld { watermark, age_seconds, limit_seconds };
                let since = watermark.saturating_add(limit_seconds.saturating_mul(1_000_000));
                self.holds("watermark".into(), Some(since), 0, finding);
            }
            Some(_) => {}
        }
    }

    fn targets(&mut self, status: &Status, config: &Config) {
        let (down, stopped) = (config.alerts.target_down.micros(), config.alerts.target_stopped.micros());
        for target in config.targets.iter().map(|target| target.name.clone()) {
            let stop = status.stopped.iter().find(|stop| stop.target == target);
            if let (Some(stop), 1..) = (stop, stopped) {
                let (target, reason) = (target.clone(), without_particulars(&stop.reason));
                let finding = Finding::TargetStopped { target, reason };
                self.holds(format!("stopped:{}", stop.target), Some(stop.since), stopped, finding);
            }
            if down == 0 {
                continue;
            }
            let id = format!("target:{target}");
            let writing = status.instances.iter().filter_map(|instance| instance.writing.as_ref());
            let writers: Vec<_> = writing.filter(|writing| writing.target.as_str() == target).collect();
            // Who has stopped does not find out how the target does, and who does not answer says nothing of it.
            if stop.is_some() || writers.is_empty() {
                self.undecided.insert(id);
            } else if let Some(trouble) = writers.iter().find_map(|writing| writing.trouble.as_ref()) {
                let reason = without_particulars(trouble);
                self.holds(id, None, down, Finding::TargetLeftAlone { target, reason });
            }
        }
    }

    fn backlog(&mut self, status: &Status, config: &Config) {
        let limit = config.alerts.backlog;
        for stage in status.stages.iter().filter(|_| limit > 0) {
            let name = stage.stage.replace(' ', "-");
            let of = stage.target.as_ref().map_or_else(String::new, |target| format!(":{target}"));
            let id = format!("backlog:{name}{of}");
            match stage.lag {
                None => _ = self.undecided.insert(id),
                Some(lag) if lag > limit => {
                    let (stage, target) = (stage.stage.to_string(), stage.target.clone());
                    self.holds(id, None, 0, Finding::Backlog { stage, target, lag, limit });
                }
                Some(_) => {}
            }
        }
    }

    fn dead(&mut self, status: &Status, groups: &[DeadGroup], config: &Config) {
        let (open, limit) = (status.dead_open, config.alerts.dead_letters);
        if limit > 0 && open > limit {
            self.holds("dead".into(), None, 0, Finding::DeadLetters { open, limit });
        }
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
