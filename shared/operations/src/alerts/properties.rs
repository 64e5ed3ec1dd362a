//! Whatever happens in whatever order: nobody is told twice, nobody is left with something that is not so, nothing is lost.

use std::collections::{BTreeMap, BTreeSet};

use events::{Actor, AlertState, Announcement, Finding, Micros, Notice, Silence};
use proptest::prelude::*;

use super::*;

const PACE: Pace = Pace { repeat: 100, calm: 40 };
const AFTER: Micros = 30;

fn finding() -> Finding {
    Finding::DeadLetters { open: 2, limit: 1 }
}

/// Conditions 0 and 1 are told at once, 2 and 3 when they have held for a while; 1 and 3 are not repeated.
fn condition(number: usize) -> Condition {
    let after = if number < 2 { 0 } else { AFTER };
    let (id, repeats) = (number.to_string(), number.is_multiple_of(2));
    Condition { id, since: None, after, repeats, finding: finding() }
}

const NAMES: [&str; 2] = ["a", "b"];

fn webhooks() -> BTreeSet<String> {
    NAMES.map(String::from).into()
}

/// Of each condition: 0 it does not hold, 1 it does, 2 that is not known; and how long until the next look.
type Step = ([u8; 4], Micros);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let state = prop_oneof![3 => Just(0_u8), 5 => Just(1), 1 => Just(2)];
    proptest::collection::vec((proptest::array::uniform4(state), 1..60_i64), 1..60)
}

fn look(states: [u8; 4]) -> Look {
    let of = |wanted: u8| states.iter().enumerate().filter(move |(_, state)| **state == wanted);
    let holding = of(1).map(|(number, _)| condition(number)).collect();
    Look { holding, undecided: of(2).map(|(number, _)| number.to_string()).collect(), ..Look::default() }
}

proptest! {
    #[test]
    fn each_condition_is_told_once_in_a_while_and_its_end_once(steps in steps()) {
        let (mut state, mut now) = (AlertState::default(), 1_000);
        let mut heard: BTreeMap<String, Vec<Notice>> = BTreeMap::new();
        // Since when each condition holds, as a look without gaps sees it.
        let mut since: [Option<Micros>; 4] = [None; 4];
        for (states, wait) in steps {
            now += wait;
            let before = state.last;
            state = fold(&state, &look(states), &webhooks(), now, PACE);
            prop_assert_eq!(&fold(&state, &look(states), &webhooks(), now, PACE).notices, &state.notices, "looked twice");
            let new: Vec<Notice> = state.notices.iter().filter(|notice| notice.number > before).cloned().collect();
            prop_assert!(new.iter().zip(before + 1..).all(|(notice, number)| notice.number == number));
            for notice in new {
                prop_assert_eq!(&notice.to, &webhooks());
                heard.entry(notice.id.clone()).or_default().push(notice);
            }
            for (number, found) in states.into_iter().enumerate() {
                since[number] = match found {
                    0 => None,
                    1 => since[number].or(Some(now)),
                    _ => since[number],
                };
                let all = heard.get(&number.to_string()).map_or(&[][..], |heard| heard);
                let believed = all.last().is_some_and(|last| last.event != Announcement::Resolved);
                let told = all.iter().rev().find(|notice| notice.event != Announcement::Resolved).map(|notice| notice.at);
                let rest = if believed { PACE.repeat } else { PACE.calm };
                let rested = told.is_none_or(|told| now - told >= rest);
                // Nothing is forgotten: who has to know something by now knows it.
                match (found, since[number]) {
                    (0, _) => prop_assert!(!believed, "{number} has ended"),
                    (1, Some(since)) if now - since >= condition(number).after && rested => {
                        prop_assert!(believed || !rested, "{number} holds");
                        prop_assert!(!condition(number).repeats, "{number} was to be told (again) by now");
                    }
                    _ => {}
                }
                if let (1, Some(since)) = (found, since[number])
                    && now - since >= condition(number).after
                    && told.is_none()
                {
                    prop_assert!(false, "{number} was never told");
                }
            }
        }
        for (id, all) in heard {
            let holding: Vec<&Notice> = all.iter().filter(|notice| notice.event != Announcement::Resolved).collect();
            for two in holding.windows(2) {
                let rest = if two[1].event == Announcement::Again { PACE.repeat } else { PACE.calm };
                prop_assert!(two[1].at - two[0].at >= rest, "{id} was told again too soon");
            }
            let mut believed = false;
            for notice in &all {
                match notice.event {
                    Announcement::Firing => prop_assert!(!believed, "{id} began twice"),
                    Announcement::Again | Announcement::Resolved => prop_assert!(believed, "{id} had not begun"),
                    Announcement::Summary => prop_assert!(false, "no condition is a summary"),
                }
                believed = notice.event != Announcement::Resolved;
                let after = condition(id.parse().expect("a number")).after;
                prop_assert!(notice.event != Announcement::Firing || notice.at - notice.since >= after);
            }
        }
    }

    #[test]
    fn every_webhook_hears_everything_in_order_however_often_telling_fails(
        steps in steps(),
        tellings in proptest::collection::vec((0..2_usize, any::<bool>()), 0..200),
    ) {
        let (mut state, mut now, mut tellings) = (AlertState::default(), 1_000, tellings.into_iter());
        let (mut heard, mut all) = ([Vec::new(), Vec::new()], Vec::new());
        let begun = |state: &AlertState, at: usize| -> Vec<u64> {
            waiting(state, NAMES[at]).map(|notice| notice.number).collect()
        };
        for (states, wait) in steps {
            now += wait;
            let telling = tellings.next().map(|(at, works)| (at, works, begun(&state, at)));
            let telling = telling.filter(|(.., numbers)| !numbers.is_empty());
            if let Some((at, ..)) = telling {
                state = claim(&state, NAMES[at], now + 5);
                prop_assert_eq!(wants(&state, NAMES[at]), Some(now + 5));
            }
            // Somebody looks while a webhook is being told.
            let before = state.last;
            state = fold(&state, &look(states), &webhooks(), now, PACE);
            all.extend(before + 1..=state.last);
            match telling {
                Some((at, true, numbers)) => {
                    state = delivered(&state, NAMES[at], &numbers);
                    heard[at].extend(numbers);
                }
                Some((at, false, _)) => state = failed(&state, NAMES[at], "down", now + 9),
                None => {}
            }
        }
        for at in [0, 1] {
            let numbers = begun(&state, at);
            state = delivered(&state, NAMES[at], &numbers);
            heard[at].extend(numbers);
        }
        prop_assert_eq!(&heard, &[all.clone(), all]);
        prop_assert!(state.notices.is_empty() && state.deliveries.is_empty());
    }
}

/// A silence of one of the conditions (4 is all of them) that begins before a look, and how long it
/// lasts; 0 ends it.
type Silencing = Option<(usize, Micros)>;

fn silencings() -> impl Strategy<Value = Vec<(Step, Silencing)>> {
    let state = prop_oneof![3 => Just(0_u8), 5 => Just(1), 1 => Just(2)];
    let step = (proptest::array::uniform4(state), 1..60_i64);
    let silencing = proptest::option::weighted(0.3, (0..5_usize, prop_oneof![Just(0_i64), 1..200_i64]));
    proptest::collection::vec((step, silencing), 1..60)
}

fn silence_until(until: Micros) -> Silence {
    let by = Actor { user: "li".into(), host: "erp-1".into() };
    Silence { by, reason: "maintenance".into(), at: 0, until }
}

proptest! {
    #[test]
    fn what_is_silenced_is_not_told_and_is_told_once_after(steps in silencings()) {
        let (mut state, mut now) = (AlertState::default(), 1_000);
        let mut believed = [false; 4];
        // Whether each condition held in a look of a silence, and has held since.
        let mut owed = [false; 4];
        for ((states, wait), silencing) in steps {
            now += wait;
            if let Some((number, lasts)) = silencing {
                let id = if number == 4 { EVERYTHING.to_string() } else { number.to_string() };
                state = match lasts {
                    0 => end_silence(&state, &id, now).map_or(state, |(state, _)| state),
                    lasts => silence(&state, &id, silence_until(now + lasts)),
                };
            }
            let silent: Vec<bool> =
                (0..4).map(|number| silence_of(&state, &number.to_string(), now).is_some()).collect();
            let before = (state.last, state.clone());
            state = fold(&state, &look(states), &webhooks(), now, PACE);
            prop_assert!(state.silences.values().all(|silence| now < silence.until), "ended ones go");
            let new = |number: usize| {
                let id = number.to_string();
                let new = state.notices.iter().filter(|notice| notice.number > before.0);
                new.filter(|notice| notice.id == id).map(|notice| notice.event).collect::<Vec<_>>()
            };
            for number in 0..4 {
                let told = new(number);
                let holding = told.iter().any(|event| *event != Announcement::Resolved);
                prop_assert!(!(silent[number] && holding), "{number} was told in its silence");
                match states[number] {
                    0 => {
                        let expected: &[_] = if believed[number] { &[Announcement::Resolved] } else { &[] };
                        prop_assert_eq!(&told[..], expected, "its end is told when its beginning was");
                        (believed[number], owed[number]) = (false, false);
                    }
                    1 if silent[number] => owed[number] = true,
                    1 => {
                        let since = state.known[&number.to_string()].since.expect("it holds");
                        if owed[number] && (believed[number] || now - since >= condition(number).after) {
                            prop_assert!(holding, "{number} is told at once after its silence");
                        }
                        if holding {
                            (believed[number], owed[number]) = (true, false);
                        }
                    }
                    _ => prop_assert!(told.is_empty(), "nothing is known of {number}"),
                }
                let known = state.known.get(&number.to_string());
                prop_assert_eq!(known.is_some_and(|known| known.announced), believed[number]);
            }
        }
    }
}

#[test]
fn a_webhook_that_is_not_configured_any_more_is_not_waited_for() {
    let state = fold(&AlertState::default(), &look([1, 0, 0, 0]), &webhooks(), 1, PACE);
    let state = failed(&state, "b", "down", 9);
    assert_eq!((wants(&state, "a"), wants(&state, "b"), wants(&state, "c")), (Some(0), Some(9), None));
    let state = fold(&state, &look([1, 0, 0, 0]), &BTreeSet::from(["a".into()]), 2, PACE);
    assert_eq!((wants(&state, "a"), wants(&state, "b")), (Some(0), None));
    assert!(state.deliveries.is_empty());
}

#[test]
fn what_comes_back_soon_is_told_later_and_what_is_over_for_long_is_forgotten() {
    let none = BTreeSet::new();
    let at = |state: &AlertState, holds, now| fold(state, &look([holds, 0, 0, 0]), &webhooks(), now, PACE);
    let told = |state: &AlertState, before: &AlertState| {
        state
            .notices
            .iter()
            .skip_while(|notice| notice.number <= before.last)
            .map(|n| n.event)
            .collect::<Vec<_>>()
    };
    let first = at(&AlertState::default(), 1, 0);
    let over = at(&first, 0, 20);
    assert_eq!(told(&over, &first), [Announcement::Resolved]);
    let back = at(&over, 1, 30);
    assert_eq!(told(&back, &over), []);
    let later = at(&back, 1, 40);
    assert_eq!(told(&later, &back), [Announcement::Firing]);
    assert_eq!(later.notices.last().map(|notice| notice.since), Some(30), "since it came back");
    let over = at(&at(&later, 0, 110), 0, 200);
    assert!(over.known.is_empty(), "{over:?}");
    assert!(fold(&over, &look([0; 4]), &none, 201, PACE).notices.is_empty());
}

#[test]
fn a_window_is_over_when_its_lane_is_proved_and_not_when_it_is_only_old() {
    let of = |lane: &str| {
        let holding = vec![Condition { id: format!("window:{lane}"), ..condition(0) }];
        fold(&AlertState::default(), &Look { holding, ..Look::default() }, &webhooks(), 1, PACE)
    };
    let told = |state: &AlertState, look: &Look| -> Vec<Announcement> {
        let next = fold(state, look, &webhooks(), 500, PACE);
        next.notices.iter().skip(state.notices.len()).map(|notice| notice.event).collect()
    };
    let proved = Look { proved: BTreeSet::from(["window:sweep-7d".into()]), ..Look::default() };
    assert_eq!(told(&of("sweep-7d"), &Look::default()), []);
    assert_eq!(told(&of("sweep-7d"), &proved), [Announcement::Resolved]);
    assert_eq!(told(&of("backfill-1"), &Look::default()), [Announcement::Resolved], "nobody reads it again");
}

#[test]
fn many_groups_of_dead_letters_do_not_silence_the_rest() {
    let groups = (0..600).map(|number| Condition { id: format!("dead-group:{number}"), ..condition(1) });
    let look = Look { holding: groups.collect(), ..Look::default() };
    let state = fold(&AlertState::default(), &look, &webhooks(), 1, PACE);
    assert_eq!(state.known.len(), 500);
    let watermark = Condition { id: "watermark".into(), ..condition(0) };
    let look = Look { holding: [look.holding, vec![watermark]].concat(), ..Look::default() };
    let state = fold(&state, &look, &webhooks(), 2, PACE);
    assert_eq!(state.notices.last().map(|notice| notice.id.as_str()), Some("watermark"));
}
