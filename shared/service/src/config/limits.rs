//! How large the lengths of time and the numbers of the configuration may be: beyond that clocks
//! and memory end, or a digit was typed too much.

use std::time::Duration;

use super::{Config, Span};

const DAY: Duration = Duration::from_secs(86_400);

/// One call.
const LONGEST_CALL: Duration = Duration::from_secs(3_600);

/// A pause before something is tried again.
const LONGEST_PAUSE: Duration = DAY;

/// A length of time of a schedule, in days: a hundred years.
const LONGEST_SPAN: Duration = Duration::from_secs(36_500 * 86_400);

/// Calls at the same time.
const MOST_AT_ONCE: usize = 10_000;

/// Attempts, and passes.
const MOST_TIMES: u32 = 10_000;

/// Orders that `target.stop` looks back at.
const MOST_ORDERS: usize = 1_000_000;

/// The least rate that is no mistake, in requests a day.
const LEAST_A_DAY: f64 = 1.0;

/// The key whose value is too large, and what is expected; `None` when all is well.
pub(super) fn too_large(config: &Config) -> Option<(&'static str, String)> {
    too_long(config).or_else(|| too_many(config)).or_else(|| no_rate(config))
}

fn too_long(config: &Config) -> Option<(&'static str, String)> {
    let (schedule, alerts, backoff) = (&config.schedule, &config.alerts, &config.writer.backoff);
    let mut spans = vec![
        ("source.timeout", Some(config.source.timeout), LONGEST_CALL),
        ("schedule.every", schedule.every, LONGEST_SPAN),
        ("schedule.overlap", Some(schedule.overlap), LONGEST_SPAN),
        ("schedule.settle", Some(schedule.settle), LONGEST_SPAN),
        ("schedule.deleted.every", schedule.deleted.as_ref().map(|deleted| deleted.every), LONGEST_SPAN),
        ("writer.backoff.initial", Some(backoff.initial), LONGEST_PAUSE),
        ("writer.backoff.max", Some(backoff.max), LONGEST_PAUSE),
        ("alerts.every", Some(alerts.every), LONGEST_SPAN),
        ("alerts.repeat", Some(alerts.repeat), LONGEST_SPAN),
        ("alerts.watermark_age", alerts.watermark_age, LONGEST_SPAN),
        ("alerts.source_down", Some(alerts.source_down), LONGEST_SPAN),
        ("alerts.no_process", Some(alerts.no_process), LONGEST_SPAN),
    ];
    for sweep in &schedule.sweeps {
        spans.push(("schedule.sweep.every", Some(sweep.every), LONGEST_SPAN));
        spans.push(("schedule.sweep.reach", Some(sweep.reach), LONGEST_SPAN));
    }
    for target in &config.targets {
        spans.push(("target.timeout", Some(target.timeout), LONGEST_CALL));
        spans.push(("target.limit.penalty", Some(target.limit.penalty), LONGEST_PAUSE));
    }
    for webhook in &alerts.webhooks {
        spans.push(("alerts.webhook.timeout", Some(webhook.timeout), LONGEST_CALL));
    }
    spans.into_iter().find_map(|(key, found, most)| {
        let found = found.filter(|found| found.get() > most)?;
        Some((key, format!("found {}, expected at most {}", shown(found), shown(Span::from(most)))))
    })
}

fn too_many(config: &Config) -> Option<(&'static str, String)> {
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let mut numbers = vec![
        ("source.limit.concurrency", config.source.limit.concurrency, MOST_AT_ONCE),
        ("source.max_passes", number(config.source.max_passes), number(MOST_TIMES)),
        ("writer.max_attempts", number(config.writer.max_attempts), number(MOST_TIMES)),
    ];
    let detail = config.source.detail.as_ref();
    numbers.extend(detail.map(|detail| ("source.detail.concurrency", detail.concurrency, MOST_AT_ONCE)));
    for target in &config.targets {
        numbers.push(("target.concurrency", target.concurrency, MOST_AT_ONCE));
        numbers.push(("target.stop.of", target.stop.of, MOST_ORDERS));
    }
    numbers.into_iter().find_map(|(key, found, most)| {
        (found > most).then(|| (key, format!("found {found}, expected at most {most}")))
    })
}

fn no_rate(config: &Config) -> Option<(&'static str, String)> {
    let targets = config.targets.iter().filter_map(|target| target.limit.requests_per_minute);
    let source = config.source.limit.requests_per_second;
    let rates = std::iter::once(("source.limit.requests_per_second", source, 86_400.0))
        .chain(targets.map(|rate| ("target.limit.requests_per_minute", rate, 1_440.0)));
    rates.into_iter().find_map(|(key, found, a_day)| {
        let is_rate = found.is_finite() && (found == 0.0 || found * a_day >= LEAST_A_DAY);
        let expected = "expected 0 (no limit), or at least one request a day";
        (!is_rate).then(|| (key, format!("found {found}, {expected}")))
    })
}

/// A length of time in the largest unit that the configuration knows and that leaves nothing over.
fn shown(span: Span) -> String {
    let seconds = span.get().as_secs();
    let whole = span.get().subsec_nanos() == 0;
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];
    let unit = units.into_iter().find(|(size, _)| whole && seconds.is_multiple_of(*size));
    unit.map_or_else(|| span.to_string(), |(size, unit)| format!("{}{unit}", seconds / size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const TARGET: &str = "[[target]]\nname = \"t\"\nkind = \"execute\"\nurl = \"http://h/\"\n";

    fn refused(text: &str) -> String {
        let parsed = Config::parse(Path::new("orderflow.toml"), text, std::iter::empty());
        parsed.expect_err(text).to_string()
    }

    #[test]
    fn a_length_of_time_that_no_clock_bears_is_refused_with_its_key() {
        let wild = "18446744073709551615s";
        for (before, key, most) in [
            ("[source]\ntimeout", "source.timeout", "1h"),
            ("[schedule]\nevery", "schedule.every", "36500d"),
            ("[schedule]\noverlap", "schedule.overlap", "36500d"),
            ("[schedule]\nsettle", "schedule.settle", "36500d"),
            ("[schedule.deleted]\nevery", "schedule.deleted.every", "36500d"),
            ("[[schedule.sweep]]\nevery = \"1h\"\nreach", "schedule.sweep.reach", "36500d"),
            ("[writer.backoff]\ninitial", "writer.backoff.initial", "1d"),
            ("[writer.backoff]\nmax", "writer.backoff.max", "1d"),
            ("[alerts]\nrepeat", "alerts.repeat", "36500d"),
            ("[alerts]\nwatermark_age", "alerts.watermark_age", "36500d"),
            (&format!("{TARGET}timeout"), "target.timeout", "1h"),
            (&format!("{TARGET}[target.limit]\npenalty"), "target.limit.penalty", "1d"),
        ] {
            let error = refused(&format!("{before} = \"{wild}\"\n"));
            let said = format!("`{key}`: found {wild}, expected at most {most}");
            assert!(error.contains(&said), "{error}");
            assert!(error.contains("orderflow.toml:"), "{error}");
        }
    }

    #[test]
    fn a_number_that_no_memory_bears_is_refused_with_its_key() {
        for (text, said) in [
            ("[source.limit]\nconcurrency = 9223372036854775807\n", "expected at most 10000"),
            ("[source.detail]\nconcurrency = 10001\n", "`source.detail.concurrency`: found 10001"),
            ("[source]\nmax_passes = 4294967295\n", "`source.max_passes`: found 4294967295"),
            ("[writer]\nmax_attempts = 4294967295\n", "`writer.max_attempts`: found 4294967295"),
            ("[source.limit]\nrequests_per_second = 1e-300\n", "at least one request a day"),
            ("[source.limit]\nrequests_per_second = -1.0\n", "found -1, expected 0"),
            (&format!("{TARGET}concurrency = 9223372036854775807\n"), "`target.concurrency`: found 92"),
            (
                &format!("{TARGET}stop = {{ after = 1, of = 9223372036854775807 }}\n"),
                "`target.stop.of`: found 92",
            ),
            (&format!("{TARGET}[target.limit]\nrequests_per_minute = nan\n"), "expected 0 (no limit)"),
        ] {
            let error = refused(text);
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn the_largest_that_are_allowed_are_allowed() {
        let text = format!(
            "[schedule]\nevery = \"36500d\"\noverlap = \"36500d\"\nsettle = \"36500d\"\n{TARGET}timeout = \"1h\"\n"
        );
        let config = Config::parse(Path::new("orderflow.toml"), &text, std::iter::empty());
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        assert!(config.watermark_limit().is_some());
    }
}
