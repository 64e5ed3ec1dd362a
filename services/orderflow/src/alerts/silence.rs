//! `orderflow alerts silence` and `alerts unsilence`.

use std::path::PathBuf;

use clap::Args;
use events::{Micros, now};
use journal::Topology;
use operations::alerts::{EVERYTHING, is_condition_name};
use service::{Config, ConfigError};

use crate::backfill::flags::{moment, span};
use crate::exit::{Exit, print_line};
use crate::stages::connect;
use crate::status::time;

/// A silence lasts at most so long, in microseconds: 90 days.
const LONGEST: Micros = 90 * 86_400_000_000;

/// Flags of `alerts silence`.
#[derive(Debug, Args)]
pub struct SilenceArgs {
    /// The condition, as `alerts show` names it: dead, target:qeasy. It need not hold yet.
    #[arg(value_name = "CONDITION", required_unless_present = "all", conflicts_with = "all")]
    condition: Option<String>,
    /// All conditions.
    #[arg(long)]
    all: bool,
    /// For how long: 30m, 2h, 1d; at most 90d.
    #[arg(long = "for", value_name = "LENGTH", required_unless_present = "until", conflicts_with = "until")]
    length: Option<String>,
    /// Until when: "2025-01-01 08:00:00", in source.time_zone.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Why; it is shown with the condition, and kept with the operation.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// Flags of `alerts unsilence`.
#[derive(Debug, Args)]
pub struct UnsilenceArgs {
    /// The condition whose silence ends.
    #[arg(value_name = "CONDITION", required_unless_present = "all", conflicts_with = "all")]
    condition: Option<String>,
    /// The silence of all conditions; those of single ones stay.
    #[arg(long)]
    all: bool,
    /// Why; it is kept with the operation.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Without nats.url: the folder that `orderflow up` keeps its data in.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow")]
    pub data: PathBuf,
}

/// What is to be silent, and until when.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    id: String,
    until: Micros,
    reason: String,
}

/// What the flags ask for at `at`.
///
/// # Errors
/// [`ConfigError`] naming the flag, what was found and what is expected.
pub fn asked(args: &SilenceArgs, config: &Config, at: Micros) -> Result<Asked, ConfigError> {
    let id = args.condition.clone().unwrap_or_else(|| EVERYTHING.to_string());
    if id != EVERYTHING && !is_condition_name(&id) {
        return Err(wrong(
            "CONDITION",
            &id,
            &t!("the name of a condition as `orderflow alerts show` prints it"),
        ));
    }
    let until = match (&args.length, &args.until) {
        (Some(length), _) => {
            let length = span(length).map_err(|expected| wrong("--for", length, &expected))?;
            whole_seconds(at.saturating_add(length))
        }
        (None, Some(until)) => moment("--until", until, config)?,
        (None, None) => at, // clap wants one of them
    };
    let (flag, found) = match (&args.length, &args.until) {
        (Some(length), _) => ("--for", length.as_str()),
        (None, until) => ("--until", until.as_deref().unwrap_or_default()),
    };
    if until <= at {
        return Err(wrong(flag, found, &t!("a moment that has not come yet")));
    }
    if until - at > LONGEST {
        return Err(wrong(flag, found, &t!("at most 90d; what is never wanted is turned off in [alerts]")));
    }
    Ok(Asked { id, until, reason: reason(&args.reason)? })
}

fn whole_seconds(at: Micros) -> Micros {
    at - at.rem_euclid(1_000_000)
}

fn reason(text: &str) -> Result<String, ConfigError> {
    match text.trim() {
        "" => Err(wrong("--reason", "", &t!("a few words"))),
        reason => Ok(reason.to_string()),
    }
}

fn wrong(flag: &str, found: &str, expected: &str) -> ConfigError {
    let message = t!("found \"%{found}\", expected %{expected}", found = found, expected = expected);
    ConfigError::Key { place: flag.into(), message: message.into() }
}

/// The name of the one condition that fires and begins so: messages name a group of letters by the
/// first digits of its fingerprint.
fn whole_name<'a>(id: &'a str, firing: &'a [String]) -> &'a str {
    let is_group = |fires: &&String| id.starts_with("dead-group:") && fires.starts_with(id);
    let mut groups = firing.iter().filter(is_group);
    match (groups.next(), groups.next()) {
        (Some(only), None) => only,
        _ => id,
    }
}

/// Silences. The condition need not hold: works at a target are known beforehand.
pub async fn begin(asked: &Asked, config: &Config) -> anyhow::Result<Exit> {
    let Asked { id, until, reason } = asked;
    let journal = connect(config, "alerts").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let look = alerter::looked(config, &journal, &names).await?;
    let firing: Vec<String> = look.holding.into_iter().map(|condition| condition.id).collect();
    let id = whole_name(id, &firing);
    operations::begin_silence(&journal, &names, id, *until, reason).await?;
    let until = time(*until, &config.zone());
    print_line(&match id {
        EVERYTHING => t!("all conditions: silent until %{time}; nobody is told meanwhile", time = until),
        id => t!("%{id}: silent until %{time}; nobody is told meanwhile", id = id, time = until),
    });
    if !firing.iter().any(|fires| id == EVERYTHING || fires == id) {
        print_line(&match id {
            EVERYTHING => t!("nothing fires at the moment"),
            id => t!("%{id} does not fire at the moment", id = id),
        });
    }
    Ok(Exit::Ok)
}

/// Ends a silence before its time.
pub async fn end(args: &UnsilenceArgs, config: &Config) -> anyhow::Result<Exit> {
    let id = args.condition.as_deref().unwrap_or(EVERYTHING);
    let reason = reason(&args.reason)?;
    let journal = connect(config, "alerts").await?;
    let names = Topology::new(&config.flow, config.writer.partitions);
    let ended = operations::lift_silence(&journal, &names, id, &reason).await?;
    let Some(ended) = ended else {
        print_line(&match id {
            EVERYTHING => t!("there is no silence of all conditions"),
            id => t!("%{id} is not silenced", id = id),
        });
        let state = alerter::state(&journal, &names).await?;
        let others: Vec<&str> = operations::alerts::silences(&state, now()).into_keys().collect();
        if !others.is_empty() {
            print_line(&t!("silenced: %{names}", names = others.join(", ")));
        }
        return Ok(Exit::NothingMatched);
    };
    let until = time(ended.until, &config.zone());
    print_line(&match id {
        EVERYTHING => t!(
            "all conditions are told again; they were to be silent until %{time}, because %{reason}",
            time = until,
            reason = ended.reason
        ),
        id => t!(
            "%{id} is told again; it was to be silent until %{time}, because %{reason}",
            id = id,
            time = until,
            reason = ended.reason
        ),
    });
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::path::Path;

    use crate::alerts::AlertsCommand;
    use crate::cli::{Cli, Command};

    const HOUR: Micros = 3_600_000_000;
    /// 2025-03-06 12:00:00 in Asia/Shanghai.
    const NOW: Micros = 1_741_233_600_000_000;

    fn read(line: &[&str]) -> Result<Asked, String> {
        let line = ["orderflow", "alerts", "silence"].iter().chain(line);
        let args = match Cli::try_parse_from(line).map_err(|error| error.to_string())?.command {
            Command::Alerts { command: AlertsCommand::Silence(args) } => args,
            other => panic!("{other:?}"),
        };
        let config = Config::parse(Path::new("o.toml"), "", std::iter::empty()).expect("the defaults");
        asked(&args, &config, NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn a_condition_is_silenced_for_a_while_or_until_a_moment() {
        let expected = |id: &str| Asked { id: id.into(), until: NOW + 2 * HOUR, reason: "works".into() };
        let reason = ["--reason", " works "];
        let dead = [&["dead", "--for", "2h"][..], &reason].concat();
        assert_eq!(read(&dead), Ok(expected("dead")));
        let all = [&["--all", "--until", "2025-03-06 14:00:00"][..], &reason].concat();
        assert_eq!(read(&all), Ok(expected("*")));
    }

    #[test]
    fn a_group_may_be_named_by_its_first_digits() {
        let firing = ["dead", "dead-group:e6b118f346c5dc4f", "dead-group:e6b2", "target:ab"];
        let firing = firing.map(String::from);
        for (id, expected) in [
            ("dead-group:e6b118f3", "dead-group:e6b118f346c5dc4f"),
            ("dead-group:e6b", "dead-group:e6b"),
            ("dead", "dead"),
            ("dead-group:77", "dead-group:77"),
            ("target:a", "target:a"),
            ("*", "*"),
        ] {
            assert_eq!(whole_name(id, &firing), expected);
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_flag() {
        for (line, expected) in [
            (&["ded", "--for", "2h"][..], "CONDITION: found \"ded\", expected the name of a condition"),
            (&["dead", "--for", "2 weeks"], "--for: found \"2 weeks\", expected a number and s, m, h or d"),
            (&["dead", "--for", "91d"], "--for: found \"91d\", expected at most 90d"),
            (&["dead", "--for", "0s"], "--for: found \"0s\", expected a moment that has not come yet"),
            (&["dead", "--until", "2025-03-06"], "--until: found \"2025-03-06\", expected a moment"),
            (&["dead", "--until", "soon"], "--until: "),
            (&["dead", "--all", "--for", "2h"], "cannot be used with"),
            (&["dead"], "required"),
            (&["--for", "2h"], "required"),
        ] {
            let error = read(&[line, &["--reason", "works"]].concat()).expect_err("wrong");
            assert!(error.contains(expected), "{error}");
        }
        let error = read(&["dead", "--for", "2h", "--reason", " "]).expect_err("no reason");
        assert!(error.contains("--reason: found \"\", expected a few words"), "{error}");
    }
}
