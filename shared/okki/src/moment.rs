//! The times of a window, as a clock of the source's zone shows them.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// The times a request template can name.
#[derive(Debug, Clone)]
pub struct Moment {
    /// `LAST_SYNC_TIME`: the start of the window.
    pub since: Timestamp,
    /// `CURRENT_TIME`: the end of the window.
    pub until: Timestamp,
    /// The zone the source writes its times in.
    pub zone: TimeZone,
}

impl Moment {
    /// The moment of the window at which a clock of the zone shows the earliest time: its start, unless the clock is put back
    /// within the window, to an earlier time than it started with.
    pub(crate) fn earliest_on_the_clock(&self) -> Timestamp {
        let local = |at: &Timestamp| self.zone.to_datetime(*at);
        self.put_back().chain([self.since]).min_by_key(local).unwrap_or(self.since)
    }

    /// The moment of the window at which a clock of the zone shows the latest time: its end, unless the clock is put back
    /// within the window, from a later time than it ends with.
    pub(crate) fn latest_on_the_clock(&self) -> Timestamp {
        let local = |at: &Timestamp| self.zone.to_datetime(*at);
        let before = self.put_back().filter_map(|at| at.checked_sub(Span::new().seconds(1)).ok());
        before.filter(|at| *at >= self.since).chain([self.until]).max_by_key(local).unwrap_or(self.until)
    }

    /// The moments of the window at which the clock is put back, or forward. A window of many years has no more than matter:
    /// those within a day of its ends.
    fn put_back(&self) -> impl Iterator<Item = Timestamp> + '_ {
        let day = Span::new().hours(24);
        let near = |end: Timestamp| {
            let from = end.checked_sub(day).unwrap_or(Timestamp::MIN);
            let until = end.checked_add(day).unwrap_or(Timestamp::MAX);
            self.zone.following(from).map(|found| found.timestamp()).take_while(move |at| *at <= until)
        };
        near(self.since).chain(near(self.until)).filter(|at| self.since < *at && *at <= self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expand;

    #[test]
    fn a_window_around_a_repeated_hour_is_asked_for_by_all_times_that_a_clock_shows() {
        // Berlin repeats 02:00 to 03:00 (from 01:00Z on), New York 01:00 to 02:00 (from 06:00Z on).
        for (zone, since, until, from, to) in [
            // It begins before the clock is put back and ends after it.
            ("Europe/Berlin", "00:50:00Z", "01:10:00Z", "02:00:00", "02:59:59"),
            ("Europe/Berlin", "00:10:00Z", "01:50:00Z", "02:00:00", "02:59:59"),
            // Within the first or the second of the two hours.
            ("Europe/Berlin", "00:10:00Z", "00:50:00Z", "02:10:00", "02:50:00"),
            ("Europe/Berlin", "01:10:00Z", "01:50:00Z", "02:10:00", "02:50:00"),
            ("Europe/Berlin", "01:00:00Z", "01:50:00Z", "02:00:00", "02:50:00"),
            // It begins or ends outside.
            ("Europe/Berlin", "00:55:00Z", "02:30:00Z", "02:00:00", "03:30:00"),
            ("Europe/Berlin", "00:55:00Z", "01:00:00Z", "02:00:00", "02:59:59"),
            ("Asia/Shanghai", "00:50:00Z", "01:10:00Z", "08:50:00", "09:10:00"),
        ] {
            let at = |time: &str| format!("2025-10-26T{time}").parse().expect("a time");
            let zone = TimeZone::get(zone).expect("the zone database has it");
            let moment = Moment { since: at(since), until: at(until), zone };
            let shown = |text| expand(text, &moment).expect("sound")[11..].to_string();
            let found = (shown("{{LAST_SYNC_TIME}}"), shown("{{CURRENT_TIME}}"));
            assert_eq!(found, (from.to_string(), to.to_string()), "{since} to {until}");
            let exact = expand("{{LAST_SYNC_TIME|timestamp}}", &moment);
            assert_eq!(exact, Ok(moment.since.as_second().to_string()));
        }
        let zone = TimeZone::get("America/New_York").expect("the zone database has it");
        let at = |text: &str| text.parse().expect("a time");
        let moment = Moment { since: at("2025-11-02T05:55:00Z"), until: at("2025-11-02T06:05:00Z"), zone };
        assert_eq!(expand("{{LAST_SYNC_TIME}}", &moment), Ok("2025-11-02 01:00:00".into()));
        assert_eq!(expand("{{CURRENT_TIME}}", &moment), Ok("2025-11-02 01:59:59".into()));
        assert_eq!(expand("{{CURRENT_TIME|date}}", &moment), Ok("2025-11-02".into()));
    }

    #[test]
    fn a_skipped_hour_lies_within_what_is_asked_for() {
        let at = |text: &str| text.parse().expect("a time");
        let zone = TimeZone::get("Europe/Berlin").expect("the zone database has it");
        let moment = Moment { since: at("2025-03-30T00:30:00Z"), until: at("2025-03-30T01:30:00Z"), zone };
        assert_eq!(expand("{{LAST_SYNC_TIME}}", &moment), Ok("2025-03-30 01:30:00".into()));
        assert_eq!(expand("{{CURRENT_TIME}}", &moment), Ok("2025-03-30 03:30:00".into()));
    }
}
