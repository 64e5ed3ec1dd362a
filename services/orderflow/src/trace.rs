//! `orderflow trace`.

use std::borrow::Cow;
use std::path::Path;

use events::{Stage, TargetName};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use journal::Topology;
use operations::{Happened, Mask, Step, Story, UpdateTimes};
use schemars::JsonSchema;
use serde::Serialize;
use service::Config;

use crate::cli::{Output, TraceArgs};
use crate::columns::padded;
use crate::exit::{Exit, print, print_json, say_line};
use crate::language;
use crate::reach::with_reached;
use crate::stages::connect;
use crate::status::time;
use crate::words;

/// So many other orders of the same number are named.
const OTHERS: usize = 5;

pub async fn run(args: TraceArgs, path: &Path) -> anyhow::Result<Exit> {
    with_reached(Config::load(path)?, &args.data, async |config| tell(&args, config).await).await
}

async fn tell(args: &TraceArgs, config: &Config) -> anyhow::Result<Exit> {
    let journal = connect(config, "trace").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let targets: Vec<TargetName> =
        config.targets.iter().map(|target| TargetName::new(&target.name)).collect();
    let Some(story) = Story::of(&journal, &names, &targets, args.order.trim(), &Mask::of(config)).await?
    else {
        let none = t!(
            "no stream knows an order with the key or the number %{order}; what was fetched and not mapped yet has neither",
            order = args.order
        );
        say_line(&none);
        return Ok(Exit::NothingMatched);
    };
    match args.output {
        Output::Json => {
            print_json(&format!("{}\n", serde_json::to_string_pretty(&Report::of(&story, &config.zone()))?))
        }
        Output::Table => print(&shown(&story, &config.zone())),
    }
    Ok(Exit::Ok)
}

/// What `-o json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Report<'a> {
    /// The order's key.
    key: &'a str,
    /// The number people use.
    number: Option<&'a str>,
    /// What happened, in time order.
    steps: Vec<Line<'a>>,
    /// Messages in MAPPED that have neither an outcome nor a letter at some target yet.
    under_way: &'a [u64],
    /// The keys of other orders that have, or had, the number that was asked for.
    others: &'a [String],
}

#[derive(Debug, JsonSchema, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    step: &'a Step,
    /// The same for a person.
    told: String,
}

impl<'a> Report<'a> {
    fn of(story: &'a Story, zone: &TimeZone) -> Self {
        let Story { key, number, steps, under_way, others } = story;
        let line = |step| Line { step, told: language::english(|| told(step, zone)) };
        Self { key, number: number.as_deref(), steps: steps.iter().map(line).collect(), under_way, others }
    }
}

fn shown(story: &Story, zone: &TimeZone) -> String {
    let number = story.number.as_deref().unwrap_or("-");
    let mut out = format!("{}\n", t!("order %{key} (number %{number})", key = story.key, number = number));
    for step in &story.steps {
        // Steps lie close together: a second is too coarse here.
        let at = Timestamp::from_microsecond(step.at).map_or_else(
            |_| "-".into(),
            |at| at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%.3f%:z").to_string(),
        );
        let what = padded(&what(&step.happened), 10);
        let told = told(step, zone);
        let told = service::escape_value(&told);
        out.push_str(&format!("{at}  {:<14} {:>6}  {what}  {told}\n", step.stream, step.seq));
    }
    for seq in &story.under_way {
        out.push_str(&format!("{}\n", t!("message %{seq} is under way", seq = seq)));
    }
    if let Some((some, more)) = some(&story.others) {
        let said = match more {
            0 => t!("of the same number: %{keys}", keys = some),
            more => t!("of the same number: %{keys}, and %{more} more", keys = some, more = more),
        };
        out.push_str(&format!("{said}\n"));
    }
    out
}

/// As many of the other orders as fit on a line, and how many there are besides; `None` when there are none.
fn some(others: &[String]) -> Option<(String, usize)> {
    let shown = others.get(..OTHERS).unwrap_or(others);
    (!others.is_empty()).then(|| (shown.join(", "), others.len() - shown.len()))
}

fn what(happened: &Happened) -> Cow<'static, str> {
    match happened {
        Happened::Fetched { .. } => t!("fetched"),
        Happened::Mapped(_) => t!("mapped"),
        Happened::Deleted(_) => t!("deleted"),
        Happened::Attempt { .. } => t!("attempt"),
        Happened::Outcome { .. } => t!("outcome"),
        Happened::Dead { .. } => t!("dead"),
        Happened::DealtWith { .. } => t!("dealt with"),
    }
}

/// What there is to say of a step.
fn told(step: &Step, zone: &TimeZone) -> String {
    // A hash tells apart by its first digits.
    let short = |hash: &str| hash.get(..8).unwrap_or(hash).to_string();
    let who = |stage: Stage, target: &Option<String>| target.clone().unwrap_or_else(|| stage.to_string());
    match &step.happened {
        Happened::Fetched { window, page, row } => {
            t!("window %{window}, page %{page}, row %{row}", window = window, page = page, row = row).into()
        }
        Happened::Mapped(made) | Happened::Deleted(made) => {
            let mut told = t!(
                "message %{seq}: mapping %{mapping}, content %{content}",
                seq = step.seq,
                mapping = short(&made.mapping),
                content = short(&made.content)
            )
            .into_owned();
            if made.generation > 0 {
                told.push_str(&t!(", generation %{number}", number = made.generation));
            }
            if let Some(letter) = &made.letter {
                told.push_str(&t!(", again of letter %{letter}", letter = letter));
            }
            told
        }
        Happened::Attempt { stage, target, message } => format!("{}: {message}", who(*stage, target)),
        Happened::Outcome { target, outcome, mapped_seq, status, attempts, times } => {
            let mut told = t!(
                "%{target} %{outcome}: message %{seq}",
                target = target,
                outcome = words::outcome(*outcome),
                seq = mapped_seq
            )
            .into_owned();
            if let Some(status) = status {
                told.push_str(&t!(", HTTP %{status}", status = status));
            }
            match attempts {
                0 => told.push_str(&t!(", nothing sent")),
                1 => {}
                attempts => told.push_str(&t!(", attempt %{number}", number = attempts)),
            }
            if let Some(UpdateTimes { read, held }) = times {
                let at = |at: Option<i64>| at.map_or_else(|| "-".to_string(), |at| time(at, zone));
                told.push_str(&t!(
                    ": it was read later than what the target holds, and its update time is older (%{read}, not %{held}); \
                     `orderflow reconcile --repair` writes it",
                    read = at(*read),
                    held = at(*held)
                ));
            }
            told
        }
        Happened::Dead { stage, target, kind, message } => t!(
            "%{who}: letter %{letter}, %{kind}: %{message}",
            who = who(*stage, target),
            letter = step.seq,
            kind = kind,
            message = message
        )
        .into(),
        Happened::DealtWith { letter, how, reason } => {
            t!("letter %{letter} %{how}: %{reason}", letter = letter, how = words::how(how), reason = reason)
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::Outcome;
    use operations::Made;

    use crate::language::{Language, in_both, within};

    fn story() -> Story {
        let at = 1_741_233_600_123_000;
        let made = |generation, letter: Option<&str>| Made {
            mapping: "0123456789abcdef".into(),
            content: "fedcba9876543210".into(),
            generation,
            letter: letter.map(str::to_string),
        };
        let (stage, target) = (Stage::Write, Some("qeasy".to_string()));
        let message = "50001: database busy".to_string();
        let happened = [
            ("RAW", 7, Happened::Fetched { window: "live-000001".into(), page: 1, row: 3 }),
            ("MAPPED", 41, Happened::Mapped(made(0, None))),
            ("DEAD", 5, Happened::Attempt { stage, target: target.clone(), message: message.clone() }),
            ("DEAD", 5, Happened::Dead { stage, target, kind: "failed".into(), message }),
            (
                "DEAD",
                5,
                Happened::DealtWith { letter: 5, how: "retried".into(), reason: "li@erp: mended".into() },
            ),
            ("MAPPED", 77, Happened::Mapped(made(9, Some("5")))),
            (
                "RECEIPTS",
                80,
                Happened::Outcome {
                    target: "qeasy".into(),
                    outcome: Outcome::Written,
                    mapped_seq: 77,
                    status: Some(200),
                    attempts: 2,
                    times: None,
                },
            ),
            ("MAPPED", 90, Happened::Deleted(made(0, None))),
            (
                "RECEIPTS",
                95,
                Happened::Outcome {
                    target: "qeasy".into(),
                    outcome: Outcome::Superseded,
                    mapped_seq: 41,
                    status: None,
                    attempts: 0,
                    times: None,
                },
            ),
            (
                "RECEIPTS",
                97,
                Happened::Outcome {
                    target: "qeasy".into(),
                    outcome: Outcome::OlderStamp,
                    mapped_seq: 92,
                    status: None,
                    attempts: 0,
                    times: Some(UpdateTimes { read: None, held: Some(at) }),
                },
            ),
        ];
        let steps = happened.into_iter().zip(0..).map(|((stream, seq, happened), place)| Step {
            at: at + place * 1_000_000,
            happened,
            stream: format!("orders-{stream}"),
            seq,
        });
        let (key, number) = ("5203550000".into(), Some("SO-1001".into()));
        let others = (0..7).map(|n| format!("52036{n}")).collect();
        Story { key, number, steps: steps.collect(), under_way: vec![96], others }
    }

    #[test]
    fn a_story_in_both_languages() {
        insta::assert_snapshot!(in_both(|| shown(&story(), &TimeZone::UTC)));
    }

    #[test]
    fn programs_read_the_facts_and_english() {
        let json = within(Language::Zh, || {
            serde_json::to_value(Report::of(&story(), &TimeZone::UTC)).expect("JSON")
        });
        insta::assert_snapshot!(serde_json::to_string_pretty(&json["steps"][5]).expect("JSON"));
    }
}
