//! The daily summary: when one is due, and that it is told once, whichever process notices.

use std::collections::BTreeSet;

use events::{AlertState, Announcement, Finding, Micros, Notice};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A summary that nobody could send in time is sent for so long after, in microseconds: six hours.
/// A later one says little.
const LATE: Micros = 6 * 3_600_000_000;

/// What a summary is called among the conditions.
pub const SUMMARY: &str = "summary";

/// A day that a summary is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryDay {
    /// Where it begins: the same time on the day before.
    pub since: Micros,
    /// Where it ends: when the summary is due.
    pub until: Micros,
}

/// The day whose summary is to be told at `now`, when summaries are told at this time of the day;
/// `None` when that was done, or is too late.
pub fn due_summary(state: &AlertState, at: Time, zone: &TimeZone, now: Micros) -> Option<SummaryDay> {
    let local = Timestamp::from_microsecond(now).ok()?.to_zoned_datetime(zone.clone());
    let moment = |days_ago: i64| {
        let date = local.date().checked_sub(days_ago.days()).ok()?;
        date.to_datetime(at).to_zoned_datetime(zone.clone()).ok().map(|at| at.timestamp().as_microsecond())
    };
    // The last time that it was so late.
    let ago = if moment(0)? <= now { 0 } else { 1 };
    let day = SummaryDay { since: moment(ago + 1)?, until: moment(ago)? };
    (state.summed_up < day.until && now - day.until <= LATE).then_some(day)
}

/// The state in which this summary is to be told the webhooks `to`; unchanged when one of that day
/// was told before.
pub fn sum_up(
    state: &AlertState,
    day: SummaryDay,
    finding: Finding,
    to: &BTreeSet<String>,
    now: Micros,
) -> AlertState {
    let mut next = state.clone();
    if state.summed_up >= day.until {
        return next;
    }
    next.summed_up = day.until;
    if !to.is_empty() {
        next.last += 1;
        next.notices.push(Notice {
            number: next.last,
            event: Announcement::Summary,
            id: SUMMARY.into(),
            at: now,
            since: day.since,
            finding,
            to: to.clone(),
        });
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = 3_600_000_000;
    /// 2025-03-06 08:00 in Shanghai.
    const EIGHT: Micros = 1_741_219_200_000_000;

    fn due(state: &AlertState, now: Micros) -> Option<SummaryDay> {
        let zone = TimeZone::get("Asia/Shanghai").expect("known");
        due_summary(state, jiff::civil::time(8, 0, 0, 0), &zone, now)
    }

    fn finding() -> Finding {
        Finding::DeadLetters { open: 1, limit: 0 }
    }

    #[test]
    fn a_summary_is_due_from_its_time_on_for_six_hours() {
        let day = SummaryDay { since: EIGHT - 24 * HOUR, until: EIGHT };
        let state = AlertState { summed_up: EIGHT - 24 * HOUR, ..AlertState::default() };
        assert_eq!(due(&state, EIGHT - 1), None);
        assert_eq!(due(&state, EIGHT), Some(day));
        assert_eq!(due(&state, EIGHT + 6 * HOUR), Some(day));
        assert_eq!(due(&state, EIGHT + 6 * HOUR + 1), None, "what nobody sent in time is left out");
        assert_eq!(due(&AlertState::default(), EIGHT + HOUR), Some(day), "also the very first");
    }

    #[test]
    fn a_day_is_summed_up_once_whoever_does_it() {
        let day = due(&AlertState::default(), EIGHT).expect("due");
        let to = BTreeSet::from(["duty".to_string()]);
        let state = sum_up(&AlertState::default(), day, finding(), &to, EIGHT);
        assert_eq!((state.last, state.notices.len()), (1, 1));
        assert_eq!(state.notices[0].event, Announcement::Summary);
        assert_eq!(sum_up(&state, day, finding(), &to, EIGHT + 1), state, "another process was slower");
        assert_eq!(due(&state, EIGHT + HOUR), None);
        let next = due(&state, EIGHT + 24 * HOUR).expect("the next day");
        assert_eq!(next.since, EIGHT);
    }

    #[test]
    fn where_the_clock_is_put_forward_a_day_is_shorter() {
        let zone = TimeZone::get("Europe/Berlin").expect("known");
        // 2025-03-30 08:00 there, when summer time had begun at two.
        let eight = 1_743_314_400_000_000;
        let day = due_summary(&AlertState::default(), jiff::civil::time(8, 0, 0, 0), &zone, eight);
        assert_eq!(day, Some(SummaryDay { since: eight - 23 * HOUR, until: eight }));
    }
}
