//! How finely the source's time filter cuts, and where a slice of time is cut in two.

use events::{Micros, Slice};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

pub(crate) const SECOND: Micros = 1_000_000;

/// What the source's windows are cut to.
#[derive(Debug, Clone)]
pub(crate) enum Granularity {
    /// Whole seconds.
    Second(TimeZone),
    /// Whole days of the source's zone.
    Day(TimeZone),
}

impl Granularity {
    /// The halves of a slice; `None` when it cannot be cut.
    ///
    /// Halves by the second share their boundary: an order that the source stamped within it, more finely than its filter
    /// tells, lies in one of them.
    pub(crate) fn halves(&self, slice: Slice) -> Option<(Slice, Slice)> {
        let Slice { since, until } = slice;
        match self {
            Self::Second(_) => {
                let middle = since + (until - since) / 2;
                let middle = middle - middle.rem_euclid(SECOND);
                (since < middle && middle < until)
                    .then_some((Slice { since, until: middle }, Slice { since: middle, until }))
            }
            Self::Day(zone) => {
                let (first, last) = (local(since, zone)?, local(until, zone)?);
                let days = i64::from((last.date() - first.date()).get_days());
                if days < 1 {
                    return None;
                }
                let begins = first.date().checked_add((days / 2 + 1).days()).ok()?;
                let begins = begins.to_zoned_datetime(zone.clone()).ok()?.timestamp().as_microsecond();
                Some((Slice { since, until: begins - SECOND }, Slice { since: begins, until }))
            }
        }
    }

    /// Whether two slices are asked for with times that have one in common, as the source reads them: it is asked with local
    /// times, and in the hour that a zone repeats, two slices have the same ones.
    pub(crate) fn share_local_times(&self, one: Slice, other: Slice) -> bool {
        let Some((one_first, one_last)) = self.local_ends(one) else { return true };
        let Some((other_first, other_last)) = self.local_ends(other) else { return true };
        one_first <= other_last && other_first <= one_last
    }

    /// The ends of a slice in local time, the lesser one first; those of its days when days are counted.
    fn local_ends(&self, slice: Slice) -> Option<(DateTime, DateTime)> {
        let civil = |at| Some(local(at, self.zone())?.datetime());
        let since = civil(slice.since)?;
        let until = civil(slice.until)?;
        let first = since.min(until);
        let last = since.max(until);
        match self {
            Self::Second(_) => Some((first, last)),
            Self::Day(_) => Some((first.date().into(), last.date().into())),
        }
    }

    fn zone(&self) -> &TimeZone {
        match self {
            Self::Second(zone) | Self::Day(zone) => zone,
        }
    }

    /// A moment as people at the source write it.
    pub(crate) fn shown(&self, at: Micros) -> String {
        local(at, self.zone())
            .map_or_else(|| at.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%S%:z").to_string())
    }
}

fn local(at: Micros, zone: &TimeZone) -> Option<ZonedDateTime> {
    Timestamp::from_microsecond(at).ok().map(|at| at.to_zoned_datetime(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Micros {
        text.parse::<Timestamp>().expect("a time").as_microsecond()
    }

    fn shanghai() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(8))
    }

    #[test]
    fn days_are_cut_at_the_sources_midnight_and_no_finer() {
        let days = Granularity::Day(shanghai());
        let slice = Slice { since: at("2025-03-05T08:00:00Z"), until: at("2025-03-07T08:00:00Z") };
        let (first, second) = days.halves(slice).expect("three days");
        assert_eq!((first.until, second.since), (at("2025-03-06T15:59:59Z"), at("2025-03-06T16:00:00Z")));
        assert_eq!(days.halves(second), None, "one day");
        assert!(days.halves(first).is_some());
    }

    #[test]
    fn slices_of_a_repeated_hour_have_the_same_local_times() {
        let berlin = TimeZone::get("Europe/Berlin").expect("the zone database has it");
        let slice = |since: &str, until: &str| Slice {
            since: at(&format!("2025-10-26T{since}Z")),
            until: at(&format!("2025-10-26T{until}Z")),
        };
        // 02:10 to 02:20, twice.
        let before = slice("00:10:00", "00:20:00");
        let after = slice("01:10:00", "01:20:00");
        let later = slice("01:21:00", "01:40:00");
        let second = Granularity::Second(berlin.clone());
        assert!(second.share_local_times(before, after) && second.share_local_times(after, before));
        assert!(!second.share_local_times(before, later) && !second.share_local_times(after, later));
        assert!(!Granularity::Second(shanghai()).share_local_times(before, after), "it repeats no hour");
        assert!(Granularity::Day(berlin).share_local_times(before, later), "the same day");
    }

    proptest! {
        #[test]
        fn halves_by_the_second_cover_their_slice_and_shrink(since in 0..10_000_i64, length in 0..100_000_i64) {
            let slice = Slice { since: since * SECOND, until: (since + length) * SECOND };
            match Granularity::Second(TimeZone::UTC).halves(slice) {
                None => prop_assert!(length < 2),
                Some((first, second)) => {
                    prop_assert_eq!((first.since, second.until), (slice.since, slice.until));
                    prop_assert_eq!(first.until, second.since, "nothing lies between them");
                    prop_assert!(first.until < slice.until && second.since > slice.since);
                }
            }
        }
    }
}
