use proptest::prelude::*;

use super::*;

const HOUR: Micros = 3_600 * SECOND;
const AT: Micros = 1_741_251_325_000_000;

fn times(shown: &[Micros]) -> SourceTimes {
    let mut times = SourceTimes::default();
    shown.iter().for_each(|now| times.note(*now));
    times
}

#[test]
fn one_wrong_reading_of_many_does_not_move_the_plan() {
    let mut offset = ClockOffset::default();
    assert_eq!(offset.behind(), 0, "nothing is known");
    for wrong in [-AT, -8 * HOUR, HOUR] {
        (0..4).for_each(|_| offset.note(AT, AT));
        offset.note(AT + wrong, AT);
        assert_eq!(offset.behind(), 0, "{wrong}");
    }
    (0..9).for_each(|_| offset.note(AT - HOUR, AT));
    assert_eq!(offset.behind(), HOUR, "all of them say so");
    (0..9).for_each(|_| offset.note(0, AT));
    assert_eq!(offset.behind(), FURTHEST, "no clock is further behind than that");
    (0..9).for_each(|_| offset.note(AT + HOUR, AT));
    assert_eq!(offset.behind(), 0, "a clock that is ahead changes nothing");
}

#[test]
fn a_proof_reaches_to_the_earliest_clock_and_one_that_shows_nonsense_is_outvoted() {
    let (since, until, settle) = (AT - HOUR, AT - 60 * SECOND, 60 * SECOND);
    let reach = |shown: &[Micros]| times(shown).reach(since, until, settle);
    assert_eq!(reach(&[]), until, "no clock is shown");
    assert_eq!(reach(&[AT, AT]), until);
    assert_eq!(reach(&[AT + HOUR, AT - 10 * SECOND]), AT - 70 * SECOND, "the earliest counts");
    for wrong in [0, AT - 8 * HOUR, -AT] {
        assert_eq!(reach(&[AT, wrong, AT]), until, "one of three shows {wrong}");
        assert!(reach(&[wrong]) < since, "nobody says otherwise");
        assert!(reach(&[wrong, AT, wrong]) < since, "most of them say so");
    }
}

proptest! {
    #[test]
    fn a_proof_never_reaches_beyond_the_earliest_clock_that_shows_a_time_of_the_window(
        shown in proptest::collection::vec(0..3 * HOUR, 1..20),
        settle in 0..120_i64,
    ) {
        let (since, until, settle) = (HOUR, 2 * HOUR, settle * SECOND);
        let reach = times(&shown).reach(since, until, settle);
        prop_assert!(reach <= until);
        let earliest = *shown.iter().min().expect("one at least");
        if earliest >= since + settle {
            prop_assert!(reach <= (earliest + CLOCKS).max(until.min(earliest + CLOCKS)));
        }
        // Clocks that are right are never held up by the wrong ones among them, as long as they are most of them.
        let right = shown.iter().filter(|now| **now >= until + settle).count();
        if right * 2 > shown.len() + 1 {
            prop_assert!(reach + CLOCKS >= since);
        }
    }
}
