//! Whether all is well, in one line for people: how bad the worst is, what waits for it, since when, and what shows more.

use events::{Finding, Micros, now};
use jiff::tz::TimeZone;
use operations::{Concern, Level, Verdict};

use crate::columns::padded;
use crate::exit::Colour;
use crate::status::time;
use crate::summary::grouped;

/// So many columns are for the word.
const LABEL: usize = 11;

/// More concerns than this are only counted.
const SHOWN: usize = 8;

/// The word for a level, and how it is coloured on a terminal.
pub fn word(level: Level) -> (String, Colour) {
    match level {
        Level::Ok => (t!("OK").into(), Colour::Green),
        Level::Attention => (t!("ATTENTION").into(), Colour::Yellow),
        Level::Fault => (t!("FAULT").into(), Colour::Red),
    }
}

/// The lines for people: the word of the whole, what is behind it on the same line, and the other concerns below.
pub fn lines(verdict: &Verdict, zone: &TimeZone) -> Vec<(String, Colour, String)> {
    let line = |level, text| {
        let (word, colour) = word(level);
        (padded(&word, LABEL), colour, text)
    };
    let mut lines: Vec<_> = verdict
        .concerns
        .iter()
        .take(SHOWN)
        .map(|concern| line(concern.level, concern_line(concern, zone)))
        .collect();
    if lines.is_empty() {
        lines.push(line(Level::Ok, t!("nobody has to do anything").into()));
    }
    let more = verdict.concerns.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.push(line(
            Level::Attention,
            t!("and %{count} more: orderflow status -o json", count = more).into(),
        ));
    }
    lines
}

/// What is wrong, how much waits for it, since when, when it is tried again, and the command; why stands below.
fn concern_line(concern: &Concern, zone: &TimeZone) -> String {
    let mut facts = vec![headline(&concern.finding, zone)];
    if let Some(waiting) = concern.waiting {
        let count = grouped(waiting);
        facts.push(match counts_orders(&concern.finding) {
            true => t!("%{count} orders wait", count = count).into(),
            false => t!("%{count} pages wait", count = count).into(),
        });
    }
    if let Some(since) = concern.since {
        facts.push(t!("since %{time} (%{ago})", time = time(since, zone), ago = ago(since)).into());
    }
    if let Some(next) = concern.next_attempt.filter(|next| *next > now()) {
        facts.push(t!("next attempt %{time}", time = time(next, zone)).into());
    }
    let why = reason(&concern.finding)
        .map_or_else(String::new, |why| format!("\n{}{}", " ".repeat(LABEL), service::escape_value(why)));
    if let Some(until) = concern.silenced_until {
        facts.push(t!("nobody is told until %{time}", time = time(until, zone)).into());
    }
    let said = t!("%{what}; more: %{command}", what = facts.join(&t!(", ")), command = concern.command);
    format!("{said}{why}")
}

fn counts_orders(finding: &Finding) -> bool {
    match finding {
        Finding::NobodyRuns { stage, .. }
        | Finding::Paused { stage, .. }
        | Finding::Backlog { stage, .. } => stage == "write",
        _ => true,
    }
}

/// How long ago a moment is, in its largest unit.
fn ago(moment: Micros) -> String {
    let seconds = ((now() - moment) / 1_000_000).max(0);
    match seconds {
        0..60 => t!("%{count} s ago", count = seconds),
        60..3_600 => t!("%{count} min ago", count = seconds / 60),
        3_600..172_800 => t!("%{count} h ago", count = seconds / 3_600),
        _ => t!("%{count} days ago", count = seconds / 86_400),
    }
    .into()
}

/// A stage, as people call it.
pub fn stage_name(stage: &str, target: Option<&str>) -> String {
    match (stage, target) {
        ("fetch", _) => t!("fetch").into(),
        ("fetch background", _) => t!("fetch background").into(),
        ("transform", _) => t!("transform").into(),
        (_, Some(target)) => t!("write to %{target}", target = target).into(),
        (_, None) => t!("write").into(),
    }
}

fn headline(finding: &Finding, zone: &TimeZone) -> String {
    let stage = |stage: &str, target: &Option<String>| stage_name(stage, target.as_deref());
    match finding {
        Finding::WindowFailed { window, .. } => {
            t!("window %{window} could not be proved complete", window = window)
        }
        Finding::WatermarkOld { watermark, .. } => {
            t!("nothing newer than %{time} is proved", time = time(*watermark, zone))
        }
        Finding::DeadLetters { open, .. } => t!("%{count} dead letters are open", count = grouped(*open)),
        Finding::DeadGroup { fingerprint, .. } => {
            let group = fingerprint.get(..8).unwrap_or(fingerprint);
            t!("dead letters of group %{group} are open", group = group)
        }
        Finding::TargetLeftAlone { target, .. } => t!("target %{target} cannot be written to", target = target),
        Finding::TargetStopped { target, .. } => {
            t!("writing to %{target} has stopped: too much was refused", target = target)
        }
        Finding::Backlog { stage: name, target, .. } => {
            t!("too much waits for %{stage}", stage = stage(name, target))
        }
        Finding::SourceTrouble { .. } => t!("the source cannot be read"),
        Finding::NobodyRuns { stage: name, target, .. } => {
            t!("no process runs %{stage}", stage = stage(name, target))
        }
        Finding::RunOverdue { command, .. } => {
            t!("`orderflow %{command}` has not ended well for longer than usual", command = command)
        }
        Finding::MappingRejected { .. } => t!("the new mapping cannot be used; the one before goes on"),
        Finding::MappingHeld { version, fields } => t!(
            "the new mapping %{version} would leave %{fields} empty; the one before goes on until somebody accepts it",
            version = version,
            fields = fields.join(", ")
        ),
        Finding::FieldEmpty { path, had, of, orders } => t!(
            "field %{path} has gone empty: %{had} of %{of} orders had it, none of the %{count} since",
            path = path,
            had = grouped(*had),
            of = grouped(*of),
            count = grouped(*orders)
        ),
        Finding::MappingsDiffer => t!("transformers work with different mappings"),
        Finding::UnknownResults { target, orders } => t!(
            "of %{count} orders it is not known whether %{target} took them",
            count = grouped(*orders),
            target = target
        ),
        Finding::OlderUpdateTimes { orders } => t!(
            "%{count} orders were read later with other content and an older update time, and were not written",
            count = grouped(*orders)
        ),
        Finding::StorageTrouble { stage: name, .. } => {
            t!("%{stage} cannot store in NATS", stage = stage_name(name.name(), None))
        }
        Finding::LimitNear { what, used, limit, .. } => t!(
            "%{percent} % of what %{what} may hold is used",
            what = what,
            percent = u128::from(*used) * 100 / u128::from((*limit).max(1))
        ),
        Finding::Summary { .. } => t!("a summary"),
        Finding::ClockAhead => t!("the watermark or a window lies in the future: a clock was ahead"),
        Finding::Paused { stage: name, target, by, .. } => {
            t!("%{stage} is paused by %{by}", stage = stage(name, target), by = by)
        }
    }
    .into()
}

/// Why, as somebody else said it.
fn reason(finding: &Finding) -> Option<&str> {
    match finding {
        Finding::WindowFailed { reason, .. }
        | Finding::TargetLeftAlone { reason, .. }
        | Finding::TargetStopped { reason, .. }
        | Finding::SourceTrouble { reason }
        | Finding::MappingRejected { reason }
        | Finding::StorageTrouble { reason, .. }
        | Finding::Paused { reason, .. } => Some(reason),
        _ => None,
    }
}
