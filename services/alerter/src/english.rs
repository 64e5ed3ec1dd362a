//! Findings in English, for `alerts show` and for programs that pass them on.

use events::{Announcement, Finding, TargetSummary};
use jiff::tz::TimeZone;

use crate::harmless::make_harmless;
use crate::message::Message;
use crate::wording::{Wording, amount, percent, short};

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
        Finding::SourceTrouble { reason } => format!("the source cannot be read: {reason}"),
        Finding::NobodyRuns { stage, target, host } => {
            let seen = host.as_ref().map_or_else(String::new, |host| format!("; the last one was on {host}"));
            format!("no process runs {stage}{}{seen}", of(target))
        }
        Finding::RunOverdue { command, last, usual_seconds } => format!(
            "`orderflow {command}` has not ended well since {}; it usually does every {usual_seconds} s",
            time(*last)
        ),
        Finding::MappingRejected { reason } => {
            format!("the new mapping cannot be used, the one before goes on: {reason}")
        }
        Finding::MappingHeld { version, fields } => format!(
            "the new mapping {version} would leave {} empty and waits for a person; the one before goes on",
            fields.join(", ")
        ),
        Finding::FieldEmpty { path, had, of, orders } => {
            format!("field {path} has gone empty: {had} of {of} orders had it, none of the {orders} since")
        }
        Finding::MappingsDiffer => "transformers work with different mappings".into(),
        Finding::UnknownResults { target, orders } => {
            format!("of {orders} orders it is not known whether {target} took them")
        }
        Finding::OlderUpdateTimes { orders } => format!(
            "{orders} orders were read later with other content and an older update time, and were not written"
        ),
        Finding::StorageTrouble { stage, reason } => format!("{stage} cannot store in NATS: {reason}"),
        Finding::ClockAhead => "the watermark or a window lies in the future: a clock was ahead".into(),
        Finding::Paused { stage, target, by, reason } => {
            format!("{stage}{} was paused by {by}: {reason}", of(target))
        }
        Finding::LimitNear { what, used, limit, unit } => {
            let (share, counted) =
                (percent(*used, *limit), if unit == "messages" { " messages" } else { "" });
            let (used, limit) = (amount(*used, unit), amount(*limit, unit));
            format!("{what}: {used} of {limit}{counted} are used, {share} %; soon nothing more can be stored")
        }
        Finding::Summary { since, until, read, targets, dead_open, watermark_age_seconds, firing } => {
            let mut parts = vec![format!("{} to {}: {read} orders read", time(*since), time(*until))];
            parts.extend(targets.iter().map(target_summary));
            parts.push(format!("{dead_open} dead letters open"));
            let age = watermark_age_seconds.map(|age| format!("the watermark is {age} s old"));
            parts.push(age.unwrap_or_else(|| "there is no watermark yet".into()));
            let firing = if firing.is_empty() { "nothing".to_string() } else { firing.join(", ") };
            parts.push(format!("firing: {firing}"));
            parts.join("; ")
        }
    }
}

fn target_summary(summary: &TargetSummary) -> String {
    let TargetSummary { target, written, unchanged, refused, other, waiting } = summary;
    let waiting = waiting.map_or_else(|| "an unknown number".into(), |waiting| waiting.to_string());
    format!(
        "{target}: {written} written, {unchanged} unchanged, {refused} refused, {other} other, \
         {waiting} waiting"
    )
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
    let what = match (message.count(Announcement::Summary), counted.is_empty()) {
        (0, true) => "test".into(),
        (_, true) => "daily summary".into(),
        _ => counted.join(", "),
    };
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
            Announcement::Summary => "SUMMARY",
        };
        let what = make_harmless(&sentence(&notice.finding, zone));
        format!("{word} {what} (more: {})", operations::command_for(&notice.finding))
    };
    message.notices.iter().map(line).collect::<Vec<_>>().join("\n")
}
