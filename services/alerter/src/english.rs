//! Findings in English, for `alerts show` and for programs that pass them on.

use events::{Announcement, Finding};
use jiff::tz::TimeZone;

use crate::harmless::make_harmless;
use crate::message::Message;
use crate::wording::{Wording, short};

/// What was found, in one line.
pub fn sentence(finding: &Finding, zone: &TimeZone) -> String {
    let wording = Wording { zone: zone.clone() };
    let time = |micros| wording.time(micros);
    let of =
        |target: &Option<String>| target.as_ref().map_or_else(String::new, |target| format!(" {target}"));
    match finding {
        Finding::WindowFailed { window, from, until, reason } => {
            format!("window {window}, {} to {}, has no proof: {reason}", time(*from), time(*until))
        }
        Finding::WatermarkOld { watermark, age_seconds, limit_seconds } => {
            format!(
                "the watermark stands at {}, {age_seconds} s ago; {limit_seconds} s are allowed",
                time(*watermark)
            )
        }
        Finding::DeadLetters { open, limit } => format!("{open} dead letters are open; {limit} are allowed"),
        Finding::DeadGroup { fingerprint, stage, failure, pattern, targets, open } => {
            let targets: String = targets.iter().map(|target| format!(" to {target}")).collect();
            format!(
                "new dead letters {}: {stage}{targets} {failure}, {open} open: {pattern}",
                short(fingerprint)
            )
        }
        Finding::TargetLeftAlone { target, reason } => format!("target {target} is left alone: {reason}"),
        Finding::TargetStopped { target, reason } => {
            format!("the writers of {target} have stopped: {reason}")
        }
        Finding::Backlog { stage, target, lag, limit } => {
            format!("{lag} messages wait for {stage}{}; {limit} are allowed", of(target))
        }
    }
}

/// The command that shows more.
pub(crate) fn command(finding: &Finding) -> String {
    match finding {
        Finding::WindowFailed { window, .. } => format!("orderflow windows {window}"),
        Finding::WatermarkOld { .. } => "orderflow windows".into(),
        Finding::DeadLetters { .. } => "orderflow dead groups".into(),
        Finding::DeadGroup { fingerprint, .. } => {
            format!("orderflow dead list --group {}", short(fingerprint))
        }
        Finding::TargetLeftAlone { .. } | Finding::Backlog { .. } => "orderflow status".into(),
        Finding::TargetStopped { target, .. } => format!("orderflow resume --target {target}"),
    }
}

/// How many began, last and ended.
pub(crate) fn title(message: &Message) -> String {
    let counts = [
        (Announcement::Firing, "firing"),
        (Announcement::Again, "lasting"),
        (Announcement::Resolved, "resolved"),
    ];
    let counts = counts.map(|(event, word)| (message.count(event), word));
    let counted: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let what = if counted.is_empty() { "test".into() } else { counted.join(", ") };
    format!("[orderflow] {}: {what}", message.flow)
}

/// One line a notice.
pub(crate) fn text(message: &Message, zone: &TimeZone) -> String {
    if message.is_test() {
        return "this is a test: alerts arrive here".into();
    }
    let line = |notice: &events::Notice| {
        let word = match notice.event {
            Announcement::Firing => "FIRING",
            Announcement::Again => "STILL FIRING",
            Announcement::Resolved => "RESOLVED",
        };
        let what = make_harmless(&sentence(&notice.finding, zone));
        format!("{word} {what} (more: {})", command(&notice.finding))
    };
    message.notices.iter().map(line).collect::<Vec<_>>().join("\n")
}
