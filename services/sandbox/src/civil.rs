//! Wall-clock times without an offset, as both systems write them: `2025-03-06 16:55:25`.
//!
//! Held as whole seconds from 1970-01-01 00:00:00 on the wall clock of the configured zone. Only "now" and times that
//! carry an offset need the zone; everything else compares and prints without it.

use jiff::civil::{Date, DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Seconds on the wall clock since 1970-01-01 00:00:00.
pub(crate) type Seconds = i64;

const EPOCH: DateTime = date(1970, 1, 1).at(0, 0, 0, 0);
const DAY: Seconds = 86_400;

/// `YYYY-MM-DD HH:MM:SS` (or with a `T`), or a bare date meaning its first second.
pub(crate) fn parse(text: &str) -> Option<Seconds> {
    let moment = if text.len() == 10 {
        text.parse::<Date>().ok()?.at(0, 0, 0, 0)
    } else if text.len() >= 19 {
        text.parse::<DateTime>().ok()?
    } else {
        return None;
    };
    Some(moment.duration_since(EPOCH).as_secs())
}

/// As [`parse`], and also instants with an offset, brought to the zone's wall clock.
pub(crate) fn parse_in(text: &str, zone: &TimeZone) -> Option<Seconds> {
    if text.len() > 19
        && let Ok(instant) = text.parse::<Timestamp>()
    {
        return Some(at(instant, zone));
    }
    parse(text)
}

/// The end of a window: a bare date means its last second.
pub(crate) fn parse_end(text: &str) -> Option<Seconds> {
    let seconds = parse(text)?;
    Some(if text.len() == 10 { seconds + DAY - 1 } else { seconds })
}

/// From the first second of the first day to the last second of the last.
pub(crate) fn whole_days(start: Seconds, end: Seconds) -> (Seconds, Seconds) {
    let midnight = |seconds: Seconds| seconds.saturating_sub(seconds.rem_euclid(DAY));
    (midnight(start), midnight(end).saturating_add(DAY - 1))
}

/// The zone's wall clock at an instant.
pub(crate) fn at(instant: Timestamp, zone: &TimeZone) -> Seconds {
    instant.as_second() + i64::from(zone.to_offset(instant).seconds())
}

/// The zone's wall clock now.
pub(crate) fn now(zone: &TimeZone) -> Seconds {
    at(Timestamp::now(), zone)
}

/// Appends `YYYY-MM-DD HH:MM:SS`; a time out of the calendar's range is written as the zero date.
pub(crate) fn write(out: &mut Vec<u8>, seconds: Seconds) {
    let Ok(moment) = EPOCH.checked_add(SignedDuration::from_secs(seconds)) else {
        out.extend_from_slice(b"0000-00-00 00:00:00");
        return;
    };
    let pair = |out: &mut Vec<u8>, value: i64| out.extend_from_slice(&[digit(value / 10), digit(value)]);
    let year = i64::from(moment.year().max(0));
    pair(out, year / 100);
    pair(out, year);
    for (mark, value) in [
        (b'-', moment.month()),
        (b'-', moment.day()),
        (b' ', moment.hour()),
        (b':', moment.minute()),
        (b':', moment.second()),
    ] {
        out.push(mark);
        pair(out, i64::from(value));
    }
}

/// `YYYY-MM-DD HH:MM:SS`.
pub(crate) fn text(seconds: Seconds) -> String {
    let mut out = Vec::with_capacity(19);
    write(&mut out, seconds);
    String::from_utf8_lossy(&out).into_owned()
}

fn digit(value: i64) -> u8 {
    b'0' + u8::try_from(value.rem_euclid(10)).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_time_prints_as_it_was_read() {
        for sample in ["2025-03-06 16:55:25", "1970-01-01 00:00:00", "2011-12-31 23:59:59"] {
            assert_eq!(text(parse(sample).unwrap()), sample);
        }
        assert_eq!(parse("0000-00-00 00:00:00"), None);
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn a_bare_date_covers_its_whole_day() {
        assert_eq!(text(parse("2025-03-06").unwrap()), "2025-03-06 00:00:00");
        assert_eq!(text(parse_end("2025-03-06").unwrap()), "2025-03-06 23:59:59");
        assert_eq!(text(parse_end("2025-03-06 10:00:00").unwrap()), "2025-03-06 10:00:00");
    }

    #[test]
    fn whole_days_widen_a_window_to_midnight() {
        let (start, end) =
            whole_days(parse("2025-03-06 16:55:25").unwrap(), parse("2025-03-07 00:00:00").unwrap());
        assert_eq!((text(start), text(end)), ("2025-03-06 00:00:00".into(), "2025-03-07 23:59:59".into()));
        assert_eq!(whole_days(Seconds::MIN, Seconds::MAX), (Seconds::MIN, Seconds::MAX));
    }

    #[test]
    fn an_offset_is_brought_to_the_zone() {
        let zone = TimeZone::get("Asia/Shanghai").unwrap();
        let wall = parse("2025-03-06 16:55:25");
        assert_eq!(parse_in("2025-03-06T08:55:25Z", &zone), wall);
        assert_eq!(parse_in("2025-03-06T16:55:25+08:00", &zone), wall);
        assert_eq!(parse_in("2025-03-06T16:55:25", &zone), wall);
    }
}
