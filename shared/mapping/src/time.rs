//! Dates and times as order systems write them, read without a format string.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};

/// A point in time as written: local, with an offset if one was given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Written {
    pub(crate) local: DateTime,
    pub(crate) offset: Option<Offset>,
    /// It has no time of day.
    pub(crate) date_only: bool,
}

impl Written {
    /// Reads `YYYY-MM-DD` or `YYYY/MM/DD`, then optionally a blank or `T` and
    /// `HH:MM[:SS[.fraction]]`, then optionally `Z` or `±HH:MM`. A date alone is
    /// midnight. No surrounding blanks.
    pub(crate) fn read(text: &str) -> Option<Written> {
        let mut rest = Reader(text.as_bytes());
        let year = rest.number(4)?;
        let separator = rest.one_of(b"-/")?;
        let month = rest.number(2)?;
        rest.one_of(&[separator])?;
        let day = rest.number(2)?;
        let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        if rest.0.is_empty() {
            let local = date.to_datetime(Time::midnight());
            return Some(Written { local, offset: None, date_only: true });
        }
        rest.one_of(b"T ")?;
        let time = rest.time()?;
        let offset = match rest.0 {
            [] => None,
            _ => Some(rest.offset()?),
        };
        rest.0.is_empty().then_some(Written { local: date.to_datetime(time), offset, date_only: false })
    }

    /// The instant, local times being of `zone`. A local time that a clock
    /// change skips moves forward, one that it repeats is the first of the two.
    /// `None` beyond the years an instant can have.
    pub(crate) fn instant(self, zone: &TimeZone) -> Option<Timestamp> {
        match self.offset {
            Some(offset) => offset.to_timestamp(self.local).ok(),
            None => zone.to_ambiguous_timestamp(self.local).compatible().ok(),
        }
    }

    /// The date in `zone`: as written unless an offset says otherwise.
    pub(crate) fn date(self, zone: &TimeZone) -> Option<Date> {
        match self.offset {
            Some(_) => Some(zone.to_datetime(self.instant(zone)?).date()),
            None => Some(self.local.date()),
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn one_of(&mut self, accepted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        accepted.contains(first).then(|| self.0 = rest)?;
        Some(*first)
    }

    /// Exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i16> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        let value = number
            .iter()
            .try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i16::from(byte - b'0')));
        self.0 = rest;
        value
    }

    fn time(&mut self) -> Option<Time> {
        let hour = i8::try_from(self.number(2)?).ok()?;
        self.one_of(b":")?;
        let minute = i8::try_from(self.number(2)?).ok()?;
        let mut second = 0;
        let mut nanosecond = 0;
        if self.one_of(b":").is_some() {
            second = i8::try_from(self.number(2)?).ok()?;
            if self.one_of(b".").is_some() {
                nanosecond = self.fraction()?;
            }
        }
        Time::new(hour, minute, second, nanosecond).ok()
    }

    /// One digit or more; those beyond nanoseconds are passed over.
    fn fraction(&mut self) -> Option<i32> {
        let length = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        if length == 0 {
            return None;
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        let nine = digits.iter().copied().chain(std::iter::repeat(b'0'));
        Some(nine.take(9).fold(0, |sum, byte| sum * 10 + i32::from(byte - b'0')))
    }

    fn offset(&mut self) -> Option<Offset> {
        let sign = match self.one_of(b"Z+-")? {
            b'Z' => return Some(Offset::UTC),
            b'-' => -1,
            _ => 1,
        };
        let hours = i32::from(self.number(2)?);
        self.one_of(b":")?;
        let minutes = i32::from(self.number(2)?);
        let in_range = hours < 24 && minutes < 60;
        in_range.then_some(())?;
        Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
    }
}

/// Writes `YYYY-MM-DD`, without quotes.
pub(crate) fn write_date(date: Date, out: &mut Vec<u8>) {
    let (year, month, day) = (date.year(), date.month(), date.day());
    write!(out, "{year:04}-{month:02}-{day:02}").expect("a Vec takes every byte");
}

/// Writes RFC 3339 with seconds and the offset of `zone`, without quotes.
/// `None` beyond the years 0 to 9999.
pub(crate) fn write_datetime(instant: Timestamp, zone: &TimeZone, out: &mut Vec<u8>) -> Option<()> {
    let mut offset = zone.to_offset(instant);
    if offset.seconds() % 60 != 0 {
        // Local mean time, before zones: RFC 3339 has no seconds in an offset,
        // so the nearest writable offset names the same instant.
        offset = Offset::from_seconds(offset.seconds() / 60 * 60).ok()?;
    }
    let local = offset.to_datetime(instant);
    if !(0..=9999).contains(&local.year()) {
        return None;
    }
    write_date(local.date(), out);
    let (hour, minute, second) = (local.hour(), local.minute(), local.second());
    let minutes = offset.seconds().abs() / 60;
    let sign = if offset.seconds() < 0 { '-' } else { '+' };
    write!(out, "T{hour:02}:{minute:02}:{second:02}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        .expect("a Vec takes every byte");
    Some(())
}

/// A source's update time in microseconds since the Unix epoch: a date or time
/// as [`Written`] reads it, or a count of seconds (10 digits) or milliseconds
/// (13 digits).
pub(crate) fn version(text: &str, zone: &TimeZone) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let count: i64 = text.parse().ok()?;
        return match text.len() {
            10 => Some(count * 1_000_000),
            13 => Some(count * 1_000),
            _ => None,
        };
    }
    Some(Written::read(text)?.instant(zone)?.as_microsecond())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shanghai() -> TimeZone {
        TimeZone::get("Asia/Shanghai").unwrap()
    }

    fn datetime(text: &str, zone: &TimeZone) -> Option<String> {
        let mut out = Vec::new();
        write_datetime(Written::read(text)?.instant(zone)?, zone, &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_accepted_form_is_read() {
        for (text, expected) in [
            ("2010-12-01", "2010-12-01T00:00:00+08:00"),
            ("2010/12/01", "2010-12-01T00:00:00+08:00"),
            ("2010-12-01 08:26", "2010-12-01T08:26:00+08:00"),
            ("2010-12-01 08:26:05", "2010-12-01T08:26:05+08:00"),
            ("2010-12-01 08:26:05.999", "2010-12-01T08:26:05+08:00"),
            ("2010-12-01T08:26:05", "2010-12-01T08:26:05+08:00"),
            ("2010-12-01T08:26:05.1234567891Z", "2010-12-01T16:26:05+08:00"),
            ("2010-12-01T08:26:05+05:30", "2010-12-01T10:56:05+08:00"),
            ("2010-12-01T08:26:05-01:00", "2010-12-01T17:26:05+08:00"),
        ] {
            assert_eq!(datetime(text, &shanghai()).as_deref(), Some(expected));
        }
    }

    #[test]
    fn everything_else_is_not_a_date() {
        for text in [
            "",
            "2010",
            "2010-12",
            "2010-13-01",
            "2010-02-29",
            "2010-12/01",
            "0000-00-00",
            "2010-12-01 ",
            "2010-12-01 8:26",
            "2010-12-01 24:00",
            "2010-12-01 08:26:60",
            "2010-12-01 08:26:05.",
            "2010-12-01T08:26:05+24:00",
            "2010-12-01T08:26:05 Z",
            "2010-12-01Z",
            "01.12.2010",
            "2010年12月01日",
            "9999-12-31T23:59:59-23:00",
        ] {
            assert_eq!(datetime(text, &shanghai()), None, "{text}");
        }
    }

    #[test]
    fn an_offset_can_change_the_date() {
        let date = |text| Written::read(text).unwrap().date(&shanghai()).unwrap();
        assert_eq!(date("2010-12-01T20:00:00Z").to_string(), "2010-12-02");
        assert_eq!(date("2010-12-01T20:00:00").to_string(), "2010-12-01");
    }

    #[test]
    fn clock_changes_and_mean_time_have_an_answer() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text| datetime(text, &berlin).unwrap();
        assert_eq!(at("2024-03-31 02:30:00"), "2024-03-31T03:30:00+02:00");
        assert_eq!(at("2024-10-27 02:30:00"), "2024-10-27T02:30:00+02:00");
        // +00:53:28 until 1893
        assert_eq!(at("1880-01-01 00:00:00"), "1879-12-31T23:59:32+00:53");
    }

    #[test]
    fn versions_are_microseconds() {
        let version = |text| version(text, &shanghai());
        assert_eq!(version("1970-01-01 08:00:01"), Some(1_000_000));
        assert_eq!(version("1970-01-01T00:00:00.000001Z"), Some(1));
        assert_eq!(version("1291163160"), Some(1_291_163_160_000_000));
        assert_eq!(version("1291163160123"), Some(1_291_163_160_123_000));
        for unreadable in ["", "0", "20101201", "0000-00-00 00:00:00", "soon"] {
            assert_eq!(version(unreadable), None);
        }
    }
}
