//! When the next window is due.

use std::time::Duration;

use events::Micros;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

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

fn next(cron: &croner::Cron, zone: &TimeZone, last: Micros) -> Option<Micros> {
    let at = Timestamp::from_microsecond(last).ok()?;
    let plain = occurrence(cron, zone, zone.to_datetime(at), last)?;
    // Where the zone puts its clock back before that, some times of day come once more.
    let turn =
        zone.following(at).next().map(|turn| turn.timestamp()).filter(|turn| turn.as_microsecond() <= plain);
    let again = turn.and_then(|turn| {
        let local = zone.to_datetime(turn).checked_sub(1.second()).ok()?;
        occurrence(cron, zone, local, turn.as_microsecond() - 1)
    });
    Some(again.map_or(plain, |again| again.min(plain)))
}

/// The first moment behind `last` at which a clock shows a time of the pattern that is later than `local`. croner counts in
/// chrono's types; a local time is all it needs.
fn occurrence(cron: &croner::Cron, zone: &TimeZone, local: DateTime, last: Micros) -> Option<Micros> {
    let mut local = local;
    loop {
        let naive =
            chrono::DateTime::from_timestamp(jiff::tz::Offset::UTC.to_timestamp(local).ok()?.as_second(), 0)?;
        let found = cron.find_next_occurrence(&naive, false).ok()?;
        local = TimeZone::UTC.to_datetime(Timestamp::from_second(found.timestamp()).ok()?);
        let at = zone.to_ambiguous_timestamp(local);
        let moments = [at.compatible().ok()?, at.later().ok()?];
        let behind = moments.iter().map(|at| at.as_microsecond()).find(|at| *at > last);
        if behind.is_some() {
            return behind;
        }
    }
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
    fn cron_goes_on_through_the_hour_that_a_zone_repeats_and_the_one_that_it_skips() {
        let zone = TimeZone::get("Europe/Berlin").expect("the zone database has it");
        let cadence = |pattern: &str| {
            Cadence::Cron(Box::new(pattern.parse::<croner::Cron>().expect("a pattern")), zone.clone())
        };
        let half_hours = cadence("*/30 * * * *");
        let mut at = micros("2025-10-26T00:00:00Z"); // 02:00, for the first time
        for next in ["00:30", "01:00", "01:30", "02:00", "02:30"] {
            at = half_hours.due(Some(at));
            assert_eq!(at, micros(&format!("2025-10-26T{next}:00Z")));
        }
        let second = micros("2025-10-26T01:10:00Z"); // 02:10, for the second time
        assert_eq!(half_hours.due(Some(second)), micros("2025-10-26T01:30:00Z"));
        let skipped = cadence("30 2 * * *").due(Some(micros("2025-03-29T12:00:00Z")));
        assert_eq!(skipped, micros("2025-03-30T01:30:00Z"));
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
