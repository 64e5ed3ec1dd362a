//! The flags of `orderflow backfill` as a plan; whatever is wrong with them is said by the name of the flag.

use events::{Micros, Slice};
use jiff::Timestamp;
use operations::backfill::{BackfillPlan, PlanError};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use service::config::Span;
use service::{Config, ConfigError};

use crate::cli::BackfillArgs;
use crate::status::time;

const SECOND: Micros = 1_000_000;

/// What is asked for.
#[derive(Debug)]
pub struct Asked {
    /// The plan.
    pub plan: BackfillPlan,
    /// Whether `--to` lay later than anything can be read yet.
    pub capped: bool,
}

/// The plan that the flags describe, at `now`.
///
/// # Errors
/// [`ConfigError`] naming the flag, what was found and what is expected.
pub fn asked(args: &BackfillArgs, config: &Config, now: Micros) -> Result<Asked, ConfigError> {
    let settle = Micros::try_from(config.schedule.settle.get().as_micros()).unwrap_or(Micros::MAX);
    // What was changed later than this may still become visible: the live windows end there as well.
    let last = whole_seconds(now.saturating_sub(settle));
    let wanted = args.to.as_deref().map(|text| moment("--to", text, config)).transpose()?;
    let capped = wanted.is_some_and(|to| to > last);
    let until = wanted.unwrap_or(last).min(last);
    let since = moment("--from", &args.from, config)?;
    let shown = |at| time(at, &config.zone());
    if since < 0 {
        let message =
            t!("found \"%{found}\", expected a time from %{time} on", found = args.from, time = shown(0));
        return Err(flag("--from", message.into()));
    }
    if since >= until {
        let until = match &args.to {
            Some(_) if !capped => t!("--to (%{time})", time = shown(until)),
            _ => t!("%{time} (now minus schedule.settle)", time = shown(until)),
        };
        return Err(flag("--from", not_before(&args.from, &until)));
    }
    let step = span(&args.step).map_err(|expected| wrong("--step", &args.step, &expected))?;
    let plan = BackfillPlan::new(Slice { since, until }, step, now).map_err(|error| match error {
        PlanError::Empty => flag("--from", not_before(&args.from, "--to")),
        PlanError::Step => wrong("--step", &args.step, &t!("at least 1s, in whole seconds")),
    })?;
    Ok(Asked { plan, capped })
}

/// Why it is to be done.
///
/// # Errors
/// When nothing was said.
pub fn reason(args: &BackfillArgs) -> Result<&str, ConfigError> {
    let expected = t!(
        "a few words on why this is read again; they are kept with the operation, and --execute needs them"
    );
    match args.reason.as_deref().map(str::trim) {
        None => Err(flag("--reason", t!("found none, expected %{expected}", expected = expected).into())),
        Some("") => Err(wrong("--reason", "", &expected)),
        Some(reason) => Ok(reason),
    }
}

/// The moment that a flag names, in whole seconds.
///
/// # Errors
/// When it names none.
pub fn moment(name: &str, text: &str, config: &Config) -> Result<Micros, ConfigError> {
    // A time with an offset says exactly what it means; status prints them so.
    if let Ok(at) = text.trim().parse::<Timestamp>() {
        return Ok(whole_seconds(at.as_microsecond()));
    }
    // Any other is read by the very rules of schedule.since.
    let mut like_since = config.clone();
    like_since.schedule.since = Some(text.to_string());
    let at = like_since.since().map_err(|message| flag(name, message))?;
    Ok(whole_seconds(at.as_microsecond()))
}

/// The source's filter counts in whole seconds, and both ends belong to a range.
fn whole_seconds(at: Micros) -> Micros {
    at - at.rem_euclid(SECOND)
}

/// Reads a length of time as the configuration has it; the error is what was expected.
pub fn span(text: &str) -> Result<Micros, String> {
    let text: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    let span = Span::deserialize(text).map_err(|_| t!("a number and s, m, h or d, such as 1d"))?;
    Ok(Micros::try_from(span.get().as_micros()).map_err(|_| t!("a shorter one"))?)
}

/// That a range does not begin before it ends.
pub fn not_before(found: &str, end: &str) -> String {
    t!("found \"%{found}\", expected a time before %{time}", found = found, time = end).into()
}

fn wrong(name: &str, found: &str, expected: &str) -> ConfigError {
    flag(name, t!("found \"%{found}\", expected %{expected}", found = found, expected = expected).into())
}

fn flag(name: &str, message: String) -> ConfigError {
    ConfigError::Key { place: name.into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::path::Path;

    use crate::cli::{Cli, Command};

    /// 2025-03-06 12:00:00 in Asia/Shanghai.
    const NOW: Micros = 1_741_233_600 * SECOND;

    fn flags(line: &[&str]) -> BackfillArgs {
        let line = ["orderflow", "backfill"].iter().chain(line);
        match Cli::try_parse_from(line).expect("flags").command {
            Command::Backfill(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn plan(line: &[&str]) -> Result<Asked, String> {
        let config = Config::parse(Path::new("o.toml"), "", std::iter::empty()).expect("the defaults");
        asked(&flags(line), &config, NOW).map_err(|error| error.to_string())
    }

    #[test]
    fn times_are_in_the_zone_of_the_source_unless_they_say_another() {
        let since = |text| plan(&["--from", text]).expect("sound").plan.range.since;
        assert_eq!(since("2025-01-01"), 1_735_660_800 * SECOND);
        assert_eq!(since("2025-01-01 08:00:00"), 1_735_689_600 * SECOND);
        assert_eq!(since("2025-01-01T00:00:00Z"), 1_735_689_600 * SECOND);
        assert_eq!(since("2025-01-01 08:00:00+08:00"), 1_735_689_600 * SECOND, "as status prints it");
        assert_eq!(since("2025-01-01 00:00:00.7"), 1_735_660_800 * SECOND, "the source counts whole seconds");
    }

    #[test]
    fn a_range_ends_where_everything_is_visible() {
        let last = NOW - 60 * SECOND;
        let of = |line: &[&str]| plan(line).map(|asked| (asked.plan.range.until, asked.capped));
        assert_eq!(of(&["--from", "2025-03-06"]), Ok((last, false)));
        assert_eq!(of(&["--from", "2025-03-06", "--to", "2031-01-01"]), Ok((last, true)));
        assert_eq!(of(&["--from", "2025-03-06", "--to", "2025-03-06 12:00:00"]), Ok((last, true)));
        assert_eq!(of(&["--from", "2025-03-06", "--to", "2025-03-06 11:59:00"]), Ok((last, false)));
    }

    #[test]
    fn what_is_wrong_is_said_by_flag() {
        let said = |line: &[&str]| plan(line).expect_err("refused");
        assert_eq!(
            said(&["--from", "yesterday"]),
            "--from: found \"yesterday\", expected a time such as 2025-01-01 00:00:00"
        );
        assert_eq!(
            said(&["--from", "2025-01-01", "--to", "2025-13-01"]),
            "--to: found \"2025-13-01\", expected a time such as 2025-01-01 00:00:00"
        );
        assert_eq!(
            said(&["--from", "1969-12-31"]),
            "--from: found \"1969-12-31\", expected a time from 1970-01-01 08:00:00+08:00 on"
        );
        assert_eq!(
            said(&["--from", "2025-02-01", "--to", "2025-01-01"]),
            "--from: found \"2025-02-01\", expected a time before --to (2025-01-01 00:00:00+08:00)"
        );
        assert_eq!(
            said(&["--from", "2031-01-01", "--to", "2032-01-01"]),
            "--from: found \"2031-01-01\", expected a time before 2025-03-06 11:59:00+08:00 (now minus schedule.settle)"
        );
        for (step, expected) in [
            ("day", "a number and s, m, h or d, such as 1d"),
            ("0s", "at least 1s, in whole seconds"),
            ("1500ms", "at least 1s, in whole seconds"),
        ] {
            let error = said(&["--from", "2025-01-01", "--step", step]);
            assert_eq!(error, format!("--step: found \"{step}\", expected {expected}"));
        }
    }

    #[test]
    fn a_reason_says_something() {
        for none in [&["--from", "x"][..], &["--from", "x", "--reason", "  "][..]] {
            let error = reason(&flags(none)).expect_err("refused").to_string();
            assert!(error.starts_with("--reason: found ") && error.contains("--execute"), "{error}");
        }
        assert_eq!(reason(&flags(&["--from", "x", "--reason", " lost "])).ok(), Some("lost"));
    }
}
