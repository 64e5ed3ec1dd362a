//! When the next window is due.

use std::time::Duration;

use events::Micros;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// How often windows are opened.
#[derive(Debug, Clone)]
pub(crate) enum Cadence {
    /// This long after the last one.
    Every(Duration),
    /// When the clock says so.
    Cron(Box<croner::Cron>, TimeZone),
}

impl Cadence {
    /// When the next window is due, after one that was opened at `last` (`None`: none yet, so now).
    pub(crate) fn due(&self, last: Option<Micros>) -> Micros {
        let Some(last) = last else { return Micros::MIN };
        match self {
            Self::Every(every) => last.saturating_add(i64::try_from(every.as_micros()).unwrap_or(i64::MAX)),
            Self::Cron(cron, zone) => next(cron, zone, last).unwrap_or(Micros::MAX),
        }
    }
}

/// croner counts in chrono's types; a local time is all it needs.
fn next(cron: &croner::Cron, zone: &TimeZone, last: Micros) -> Option<Micros> {
    let local = Timestamp::from_microsecond(last).ok()?.to_zoned_datetime(zone.clone()).datetime();
    let naive =
        chrono::DateTime::from_timestamp(jiff::tz::Offset::UTC.to_timestamp(local).ok()?.as_second(), 0)?;
    let found = cron.find_next_occurrence(&naive, false).ok()?;
    let local = Timestamp::from_second(found.timestamp()).ok()?.to_zoned_datetime(TimeZone::UTC).datetime();
    zone.to_timestamp(local).ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Micros {
        text.parse::<Timestamp>().expect("a time").as_microsecond()
    }

    #[test]
    fn every_counts_from_the_last_window() {
        let cadence = Cadence::Every(Duration::from_secs(60));
        assert_eq!(cadence.due(Some(1_000_000)), 61_000_000);
        assert!(cadence.due(None) < 0, "the first is due at once");
    }

    #[test]
    fn cron_is_read_in_the_zone_of_the_source() {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let cron = Box::new("30 9 * * *".parse::<croner::Cron>().expect("a pattern"));
        let cadence = Cadence::Cron(cron, zone);
        assert_eq!(cadence.due(Some(micros("2025-03-06T01:29:59Z"))), micros("2025-03-06T01:30:00Z"));
        assert_eq!(cadence.due(Some(micros("2025-03-06T01:30:00Z"))), micros("2025-03-07T01:30:00Z"));
    }
}
