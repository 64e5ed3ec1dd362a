//! How the dates and times of a field are read and written: formats, zones, patterns.

use jiff::civil::Time;
use jiff::fmt::strtime;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ZonedDateTime};

use crate::time::{Written, write_date, write_datetime};

/// How a text is read as a time.
#[derive(Debug, Clone)]
enum Format {
    /// As [`Written`] reads it.
    Iso,
    /// A count of units since the Unix epoch, so many of them a second.
    Epoch(i64),
    /// A pattern of strptime.
    Pattern(String),
}

/// How the times of a field are read and written.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    formats: Vec<Format>,
    /// Of times without an offset.
    zone: TimeZone,
    /// What they are written in.
    to_zone: TimeZone,
    /// A pattern of strftime; `None` for ISO 8601.
    to_format: Option<String>,
    /// What an error says was expected, when it is not ISO 8601.
    expected: Option<String>,
}

impl Times {
    /// ISO 8601, read and written in one zone.
    pub(crate) fn plain(zone: &TimeZone) -> Times {
        Times {
            formats: vec![Format::Iso],
            zone: zone.clone(),
            to_zone: zone.clone(),
            to_format: None,
            expected: None,
        }
    }

    /// The zone of times without an offset, and the one they are written in.
    pub(crate) fn zones(self, zone: Option<TimeZone>, to_zone: Option<TimeZone>) -> Times {
        Times { zone: zone.unwrap_or(self.zone), to_zone: to_zone.unwrap_or(self.to_zone), ..self }
    }

    /// Reads one of these formats, the first that fits.
    ///
    /// # Errors
    /// The first that is neither a name nor a pattern, and what is wrong with it.
    pub(crate) fn reading(self, formats: &[&str]) -> Result<Times, (String, String)> {
        let mut read = Vec::with_capacity(formats.len());
        for format in formats {
            read.push(match *format {
                "iso" => Format::Iso,
                "seconds" => Format::Epoch(1),
                "millis" => Format::Epoch(1_000),
                pattern => {
                    // Reading back what the pattern writes finds patterns that say nothing of the date.
                    let example = written(pattern, &epoch());
                    let back = example.and_then(|text| parsed(pattern, &text).map(|_| ()));
                    back.map_err(|cause| ((*format).to_owned(), cause))?;
                    Format::Pattern(pattern.to_owned())
                }
            });
        }
        let expected = Some(format!("a time written as {}", formats.join(" or ")));
        Ok(Times { formats: read, expected, ..self })
    }

    /// Writes with a pattern.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub(crate) fn writing(self, pattern: &str) -> Result<Times, String> {
        if !pattern.contains('%') {
            return Err("it names no part of a time".to_owned());
        }
        written(pattern, &epoch())?;
        Ok(Times { to_format: Some(pattern.to_owned()), ..self })
    }

    /// What an error says was expected; `None` for ISO 8601.
    pub(crate) fn expected(&self) -> Option<String> {
        self.expected.clone()
    }

    /// Appends a text's time as JSON; `None` when it is none, or beyond what can be written.
    pub(crate) fn write(&self, is_date: bool, text: &str, out: &mut Vec<u8>) -> Option<()> {
        let read = self.formats.iter().find_map(|format| format.read(text))?;
        out.push(b'"');
        match &self.to_format {
            Some(pattern) => {
                let zoned = read.instant(&self.zone)?.to_zoned_datetime(self.to_zone.clone());
                let mut text = Vec::new();
                crate::value::write_string(&written(pattern, &zoned).ok()?, &mut text);
                out.pop();
                out.extend(text);
                return Some(());
            }
            // A date without a time of day stays the date that it is: it is no moment that has another date elsewhere.
            None if is_date && (read.date_only || self.zone == self.to_zone) => {
                write_date(read.date(&self.zone)?, out)
            }
            None if is_date => {
                write_date(self.to_zone.to_datetime(read.instant(&self.zone)?).date(), out);
            }
            None => write_datetime(read.instant(&self.zone)?, &self.to_zone, out)?,
        }
        out.push(b'"');
        Some(())
    }
}

impl Format {
    fn read(&self, text: &str) -> Option<Written> {
        match self {
            Format::Iso => Written::read(text),
            Format::Epoch(units) => {
                let count: i64 = text.parse().ok()?;
                let at = Timestamp::from_microsecond(count.checked_mul(1_000_000 / units)?).ok()?;
                Some(Written {
                    local: Offset::UTC.to_datetime(at),
                    offset: Some(Offset::UTC),
                    date_only: false,
                })
            }
            Format::Pattern(pattern) => parsed(pattern, text).ok(),
        }
    }
}

/// A text read by a pattern; without a time of day it is midnight.
fn parsed(pattern: &str, text: &str) -> Result<Written, String> {
    // Read and then passed over, it would make another moment of the text.
    if pattern.contains("%Q") || pattern.contains("%:Q") {
        return Err("the name of a zone is not read; give its offset with %z".to_owned());
    }
    let fields = strtime::parse(pattern, text).map_err(|error| error.to_string())?;
    let date = fields.to_date().map_err(|error| error.to_string())?;
    let (time, date_only) = fields.to_time().map_or((Time::midnight(), true), |time| (time, false));
    Ok(Written { local: date.to_datetime(time), offset: fields.offset(), date_only })
}

/// Some moment, to try a pattern with.
fn epoch() -> ZonedDateTime {
    Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC)
}

fn written(pattern: &str, at: &ZonedDateTime) -> Result<String, String> {
    strtime::format(pattern, at).map_err(|error| error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shanghai() -> TimeZone {
        TimeZone::get("Asia/Shanghai").unwrap()
    }

    fn written(times: &Times, is_date: bool, text: &str) -> Option<String> {
        let mut out = Vec::new();
        times.write(is_date, text, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn formats_are_tried_in_order_and_zones_have_two_sides() {
        let plain = Times::plain(&shanghai());
        let utc = || Some(TimeZone::UTC);
        let formats = ["%d/%m/%Y %H:%M", "%d.%m.%Y", "iso", "millis", "seconds"];
        let times = plain.clone().reading(&formats).unwrap();
        for (text, expected) in [
            ("31/12/2010 23:30", Some("\"2010-12-31T23:30:00+08:00\"")),
            ("31.12.2010", Some("\"2010-12-31T00:00:00+08:00\"")),
            ("2010-12-31 23:30", Some("\"2010-12-31T23:30:00+08:00\"")),
            ("1293809400000", Some("\"2010-12-31T23:30:00+08:00\"")),
            ("31/12/2010", None),
            ("yesterday", None),
        ] {
            assert_eq!(written(&times, false, text).as_deref(), expected, "{text}");
        }
        let from_utc = plain.clone().zones(utc(), None);
        assert_eq!(written(&from_utc, false, "2010-12-31 23:30").unwrap(), "\"2011-01-01T07:30:00+08:00\"");
        assert_eq!(written(&from_utc, true, "2010-12-31 23:30").unwrap(), "\"2011-01-01\"");
        let to_utc = plain.clone().zones(None, utc()).writing("%Y/%m/%d \"%H:%M\"").unwrap();
        assert_eq!(written(&to_utc, false, "2011-01-01 07:30").unwrap(), r#""2010/12/31 \"23:30\"""#);
        let dates = plain.clone().zones(None, utc());
        assert_eq!(written(&dates, true, "2010-12-01").unwrap(), "\"2010-12-01\"");
        assert_eq!(written(&dates, true, "2010-12-01 07:00").unwrap(), "\"2010-11-30\"");
        let seconds = plain.reading(&["seconds"]).unwrap();
        assert_eq!(written(&seconds, true, "1293809400").unwrap(), "\"2010-12-31\"");
        assert_eq!(written(&seconds, true, "2010-12-31"), None);
    }

    #[test]
    fn a_pattern_that_names_no_date_is_refused() {
        for pattern in ["", "%Y-%m-%d %H:%M %Q", "dd.mm.yyyy", "%H:%M", "%Q", "%d.%m."] {
            assert!(Times::plain(&shanghai()).reading(&[pattern]).is_err(), "{pattern}");
        }
        for pattern in ["%!", "YYYY-MM-dd", ""] {
            assert!(Times::plain(&shanghai()).writing(pattern).is_err(), "{pattern}");
        }
    }
}
