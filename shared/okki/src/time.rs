//! Times in requests: the source takes local times without offset, in the zone of the account.

use jiff::Span;

use crate::Moment;

/// Replaces every `{{NAME|format}}` of a request parameter. Where the zone puts its clock back within the window, its start
/// and its end are the earliest and the latest time that a clock there shows, so that every moment lies between the two texts.
///
/// Names are `LAST_SYNC_TIME`, `CURRENT_TIME` and `DAYS_AGO_n`, which is `CURRENT_TIME` less `n` days; formats are
/// `datetime` (`2025-03-06 16:55:25`, also when none is given), `date` (`2025-03-06`) and `timestamp` (seconds since
/// the Unix epoch). An offset may follow the name, as in `CURRENT_TIME-1d` or `LAST_SYNC_TIME + 8h`: a whole number of
/// seconds `s`, minutes `m`, hours `h` or days `d`. Days are those of the calendar: the time of day stays, even where
/// the zone changes its clock in between.
///
/// # Errors
/// A message that names what was found and what is known.
pub fn expand(text: &str, moment: &Moment) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    for piece in parse(text)? {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Variable(variable) => out.push_str(&variable.at(moment)?),
        }
    }
    Ok(out)
}

/// Whether a request parameter names a time in the format `date`, so that its source counts in whole days.
///
/// False for a text that [`expand`] refuses.
pub fn uses_dates(text: &str) -> bool {
    let is_date = |piece: &Piece<'_>| matches!(piece, Piece::Variable(Variable { format: Format::Date, .. }));
    parse(text).is_ok_and(|pieces| pieces.iter().any(is_date))
}

/// The furthest `DAYS_AGO_n` reaches: about a century, more is a slip.
const MOST_DAYS_AGO: i64 = 36_500;

/// The most days a span can have, from the first day of the calendar to its last.
const LONGEST_DAYS: i64 = 7_304_484;

/// A part of a request parameter.
enum Piece<'t> {
    Text(&'t str),
    Variable(Variable<'t>),
}

/// What stands between `{{` and `}}`.
struct Variable<'t> {
    inner: &'t str,
    base: Base,
    offset: Span,
    format: Format,
}

enum Base {
    Since,
    /// The end of the window, less so many days.
    Until(i64),
}

enum Format {
    Datetime,
    Date,
    Timestamp,
}

fn parse(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, behind) = after
            .split_once("}}")
            .ok_or_else(|| format!("\"{text}\" has an opening {{{{ without a closing }}}}"))?;
        pieces.push(Piece::Text(before));
        pieces.push(Piece::Variable(Variable::read(inner)?));
        rest = behind;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

impl<'t> Variable<'t> {
    fn read(inner: &'t str) -> Result<Self, String> {
        let (time, format) = inner.split_once('|').unwrap_or((inner, "datetime"));
        let (name, offset) = time.split_at(time.find(['+', '-']).unwrap_or(time.len()));
        let base = Base::named(name.trim()).ok_or_else(|| {
            format!(
                "\"{{{{{inner}}}}}\" names {}, known are LAST_SYNC_TIME, CURRENT_TIME and DAYS_AGO_n with n from 0 to \
                 {MOST_DAYS_AGO}",
                name.trim()
            )
        })?;
        let offset = match offset.trim() {
            "" => Span::new(),
            text => read_offset(text).ok_or_else(|| {
                format!(
                    "\"{{{{{inner}}}}}\" has the offset {text}, known are + or - and a whole number of s, m, h or d, \
                     such as -1d or +8h"
                )
            })?,
        };
        let format = match format.trim() {
            "datetime" => Format::Datetime,
            "date" => Format::Date,
            "timestamp" => Format::Timestamp,
            other => {
                return Err(format!(
                    "\"{{{{{inner}}}}}\" has the format {other}, known are datetime, date and timestamp"
                ));
            }
        };
        Ok(Self { inner, base, offset, format })
    }

    fn at(&self, moment: &Moment) -> Result<String, String> {
        let (start, days_ago) = match (&self.base, &self.format) {
            (Base::Since, Format::Timestamp) => (moment.since, 0),
            (Base::Until(days_ago), Format::Timestamp) => (moment.until, *days_ago),
            (Base::Since, _) => (moment.earliest_on_the_clock(), 0),
            (Base::Until(days_ago), _) => (moment.latest_on_the_clock(), *days_ago),
        };
        let local = start.to_zoned_datetime(moment.zone.clone());
        let local = local
            .checked_sub(Span::new().days(days_ago))
            .and_then(|local| local.checked_add(self.offset))
            .ok()
            // A year before 0 would be written with a sign, which no source reads.
            .filter(|local| local.year() >= 0)
            .ok_or_else(|| {
                format!("\"{{{{{}}}}}\" is beyond the years 0 to 9999, counted from {start}", self.inner)
            })?;
        Ok(match self.format {
            Format::Datetime => local.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Format::Date => local.strftime("%Y-%m-%d").to_string(),
            Format::Timestamp => local.timestamp().as_second().to_string(),
        })
    }
}

impl Base {
    fn named(name: &str) -> Option<Self> {
        match name {
            "LAST_SYNC_TIME" => Some(Self::Since),
            "CURRENT_TIME" => Some(Self::Until(0)),
            _ => {
                let days = digits(name.strip_prefix("DAYS_AGO_")?)?;
                (days <= MOST_DAYS_AGO).then_some(Self::Until(days))
            }
        }
    }
}

/// Reads `-1d`, `+8h` or `- 90m`.
fn read_offset(text: &str) -> Option<Span> {
    let mut rest = text.chars();
    let sign = match rest.next()? {
        '-' => -1,
        '+' => 1,
        _ => return None,
    };
    let unit = rest.next_back()?;
    let count = sign * digits(rest.as_str().trim_start())?;
    let span = match unit {
        's' => Span::new().try_seconds(count),
        'm' => Span::new().try_minutes(count),
        'h' => Span::new().try_hours(count),
        'd' => Span::new().try_days(count),
        _ => return None,
    };
    // More than a span can hold is written well, but leads beyond the calendar, and so does the longest span.
    Some(span.unwrap_or_else(|_| Span::new().days(sign * LONGEST_DAYS)))
}

/// A number of digits only: `parse` alone would take a sign too. What is too large for the type is its largest.
fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all.then(|| text.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    use super::*;

    fn moment() -> Moment {
        Moment {
            since: "2025-03-06T08:55:25Z".parse().expect("a time"),
            until: "2025-03-06T20:00:00Z".parse().expect("a time"),
            zone: TimeZone::fixed(jiff::tz::offset(8)),
        }
    }

    /// Both ends of the window at one local time of Berlin.
    fn berlin(local: &str) -> Moment {
        let zone = TimeZone::get("Europe/Berlin").expect("the zone database has it");
        let local: jiff::civil::DateTime = local.parse().expect("a local time");
        let at = local.to_zoned_datetime(zone.clone()).expect("within the years").timestamp();
        Moment { since: at, until: at, zone }
    }

    #[test]
    fn the_templates_of_the_case() {
        let expanded = |text| expand(text, &moment());
        assert_eq!(expanded("{{LAST_SYNC_TIME|datetime}}"), Ok("2025-03-06 16:55:25".into()));
        assert_eq!(expanded("{{CURRENT_TIME|date}}"), Ok("2025-03-07".into()));
        assert_eq!(expanded("a {{ LAST_SYNC_TIME | timestamp }} b"), Ok("a 1741251325 b".into()));
        assert_eq!(expanded("0"), Ok("0".into()));
    }

    #[test]
    fn days_ago_and_offsets_are_counted_from_the_name() {
        for (text, expected) in [
            ("{{DAYS_AGO_0}}", "2025-03-07 04:00:00"),
            ("{{DAYS_AGO_7|date}}", "2025-02-28"),
            ("{{ DAYS_AGO_36500 | datetime }}", "1925-04-01 04:00:00"),
            ("{{DAYS_AGO_1|timestamp}}", "1741204800"),
            ("{{DAYS_AGO_7-1d|date}}", "2025-02-27"),
            ("{{CURRENT_TIME-1d|date}}", "2025-03-06"),
            ("{{LAST_SYNC_TIME+8h|datetime}}", "2025-03-07 00:55:25"),
            ("{{CURRENT_TIME - 90m}}", "2025-03-07 02:30:00"),
            ("{{CURRENT_TIME -90m }}", "2025-03-07 02:30:00"),
            ("{{LAST_SYNC_TIME+ 35s|timestamp}}", "1741251360"),
            ("{{CURRENT_TIME-0d}} to {{CURRENT_TIME+007d|date}}", "2025-03-07 04:00:00 to 2025-03-14"),
        ] {
            assert_eq!(expand(text, &moment()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_day_is_a_day_of_the_calendar_and_an_hour_is_an_hour() {
        // Clocks go from 02:00 to 03:00 on 2024-03-31, and back from 03:00 to 02:00 on 2024-10-27.
        for (local, text, expected) in [
            ("2024-03-31T12:00", "{{DAYS_AGO_1}}", "2024-03-30 12:00:00"),
            ("2024-03-31T12:00", "{{CURRENT_TIME-1d}}", "2024-03-30 12:00:00"),
            ("2024-03-31T12:00", "{{CURRENT_TIME-24h}}", "2024-03-30 11:00:00"),
            ("2024-10-27T12:00", "{{DAYS_AGO_1}}", "2024-10-26 12:00:00"),
            ("2024-10-27T12:00", "{{CURRENT_TIME-24h}}", "2024-10-26 13:00:00"),
            // A time of day that the day does not have moves forward.
            ("2024-04-01T02:30", "{{DAYS_AGO_1}}", "2024-03-31 03:30:00"),
            ("2024-03-30T02:30", "{{LAST_SYNC_TIME+1d}}", "2024-03-31 03:30:00"),
            ("2024-10-26T02:30", "{{LAST_SYNC_TIME+1d|timestamp}}", "1729989000"),
        ] {
            assert_eq!(expand(text, &berlin(local)).as_deref(), Ok(expected), "{local} {text}");
        }
        // The later of two equal times of day stays what it is when nothing is taken from it.
        let later: Timestamp = "2024-10-27T01:30:00Z".parse().expect("a time");
        let moment = Moment { until: later, ..berlin("2024-10-27T12:00") };
        assert_eq!(expand("{{DAYS_AGO_0-0d|timestamp}}", &moment), Ok(later.as_second().to_string()));
    }

    #[test]
    fn a_wrong_template_says_what_is_known() {
        for (text, message) in [
            (
                "{{LAST_TIME|date}}",
                "\"{{LAST_TIME|date}}\" names LAST_TIME, known are LAST_SYNC_TIME, CURRENT_TIME and DAYS_AGO_n with n \
                 from 0 to 36500",
            ),
            (
                "{{CURRENT_TIME|iso}}",
                "\"{{CURRENT_TIME|iso}}\" has the format iso, known are datetime, date and timestamp",
            ),
            (
                "{{CURRENT_TIME-1w}}",
                "\"{{CURRENT_TIME-1w}}\" has the offset -1w, known are + or - and a whole number of s, m, h or d, such \
                 as -1d or +8h",
            ),
            ("{{CURRENT_TIME", "\"{{CURRENT_TIME\" has an opening {{ without a closing }}"),
        ] {
            assert_eq!(expand(text, &moment()), Err(message.into()));
        }
    }

    #[test]
    fn what_is_nearly_a_template_is_refused() {
        for name in
            ["", "DAYS_AGO", "DAYS_AGO_", "DAYS_AGO_x", "DAYS_AGO_1.5", "DAYS_AGO_36501", "CURRENT_TIME 1d"]
        {
            let error = expand(&format!("{{{{{name}|date}}}}"), &moment()).expect_err(name);
            assert!(error.contains(&format!("names {name}, known")), "{error}");
        }
        // A sign starts an offset, so the name ends before it.
        for name in ["DAYS_AGO_-1", "DAYS_AGO_+1", "days_ago_1", "DAYS_AGO_99999999999999999999"] {
            assert!(
                expand(&format!("{{{{{name}}}}}"), &moment()).is_err_and(|e| e.contains(" names ")),
                "{name}"
            );
        }
        for offset in
            ["+", "-", "-d", "+8", "-1D", "-1.5h", "-1 d", "--1d", "+-1d", "-1d+8h", "-1day", "-١d", "-1d é"]
        {
            let error = expand(&format!("{{{{CURRENT_TIME{offset}}}}}"), &moment()).expect_err(offset);
            assert!(error.contains(&format!("has the offset {offset}, known")), "{error}");
        }
    }

    #[test]
    fn dates_beyond_the_calendar_are_an_error() {
        for offset in ["-800000d", "+3000000d", "-7304484d", "+175307616h", "-631107417600s", "+10518456960m"]
        {
            let text = format!("{{{{CURRENT_TIME{offset}}}}}");
            let message =
                format!("\"{text}\" is beyond the years 0 to 9999, counted from 2025-03-06T20:00:00Z");
            assert_eq!(expand(&text, &moment()), Err(message));
        }
        for unit in ["s", "m", "h", "d"] {
            for count in ["9223372036854775807", "99999999999999999999"] {
                for sign in ["+", "-"] {
                    let text = format!("{{{{LAST_SYNC_TIME{sign}{count}{unit}}}}}");
                    let error = expand(&text, &moment()).expect_err("beyond the calendar");
                    assert!(error.contains("is beyond the years 0 to 9999"), "{error}");
                }
            }
        }
        for at in [Timestamp::MIN, Timestamp::MAX] {
            let moment = Moment { since: at, until: at, ..moment() };
            for text in ["{{DAYS_AGO_36500}}", "{{CURRENT_TIME+1d|date}}", "{{LAST_SYNC_TIME-1s|timestamp}}"]
            {
                // Whichever it is, it is no panic.
                let _ = expand(text, &moment);
            }
        }
    }

    #[test]
    fn a_source_counts_in_days_when_a_template_is_a_date() {
        for text in [
            "{{CURRENT_TIME|date}}",
            "{{LAST_SYNC_TIME}}/{{ DAYS_AGO_7 - 1d | date }}",
            "{{CURRENT_TIME+8h|date}}",
        ] {
            assert!(uses_dates(text), "{text}");
        }
        for text in [
            "",
            "date",
            "|date",
            "{{CURRENT_TIME}} |date",
            "{{CURRENT_TIME|datetime}}",
            "{{DAYS_AGO_1|timestamp}}",
        ] {
            assert!(!uses_dates(text), "{text}");
        }
        for refused in ["{{TODAY|date}}", "{{CURRENT_TIME|date}} {{", "{{CURRENT_TIME-1w|date}}"] {
            assert!(!uses_dates(refused), "{refused}");
        }
    }
}
