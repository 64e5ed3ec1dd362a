use jiff::tz::TimeZone;
use service::Config;

use super::*;
use crate::granularity::Granularity;

const DEMO: &str = include_str!("../../../../deploy/examples/demo.toml");
const AT: Micros = 1_741_251_325_000_000;
const DAY: Micros = 86_400 * SECOND;

fn settings(more: &str) -> Settings {
    let text =
        DEMO.replace("client_id = \"demo\"", "client_id = \"demo\"\nbase_url = \"http://127.0.0.1:9\"");
    let text = format!("{text}\n{more}");
    let mut config =
        Config::parse(std::path::Path::new("orderflow.toml"), &text, std::iter::empty()).expect("sound");
    config.source.client_secret = service::config::Secret::new("demo-secret");
    Settings::of(&config).expect("sound")
}

fn history() -> History {
    History::new(Granularity::Second(TimeZone::UTC))
}

fn at(now: Micros, settings: &Settings) -> Times {
    let end = now - settings.settle;
    Times { now, goal: end, ours: end, source: end }
}

fn moved(history: &mut History, lane: &str, number: u64, to: Micros, at: Micros) {
    history.lane(lane).note_watermark(to, number, (number, at));
}

#[test]
fn no_reading_of_the_sources_clock_keeps_a_window_from_being_opened() {
    let settings = settings("");
    for behind in [0, 8 * 3_600 * SECOND, 26 * 3_600 * SECOND] {
        let mut history = history();
        moved(&mut history, LIVE, 1, AT - DAY / 24, AT - DAY / 24);
        let times = Times { source: AT - behind - settings.settle, ..at(AT, &settings) };
        let due = due(&history, &settings, Mode::Forever, times);
        assert!(due.open.iter().any(|opened| opened.window.lane() == LIVE), "{behind}");
    }
}

#[test]
fn a_watermark_of_the_future_is_put_back_to_the_one_before_it() {
    let settings = settings("");
    for mode in [Mode::Forever, Mode::Once] {
        let mut history = history();
        moved(&mut history, LIVE, 1, AT - DAY, AT - DAY);
        moved(&mut history, LIVE, 2, AT + 30 * DAY, AT + 30 * DAY);
        let due = due(&history, &settings, mode, at(AT, &settings));
        let [opened] = &due.open[..] else { panic!("{mode:?}") };
        assert_eq!(opened.since, AT - DAY - settings.overlap, "{mode:?}");
        assert!(opened.until <= AT, "{mode:?}");
        assert_eq!(due.rest, mode == Mode::Forever, "there is something to do");
    }
    let mut history = history();
    moved(&mut history, LIVE, 2, AT + 30 * DAY, AT + 30 * DAY);
    let due = due(&history, &settings, Mode::Once, at(AT, &settings));
    assert_eq!(due.open[0].since, settings.since.as_microsecond(), "nothing before it is known");
}

#[test]
fn a_sweep_of_the_future_does_not_keep_the_next_one_from_its_turn() {
    let settings = settings("[[schedule.sweep]]\nevery = \"1h\"\nreach = \"2d\"\n");
    let mut history = history();
    moved(&mut history, LIVE, 1, AT - 600 * SECOND, AT - 600 * SECOND);
    let swept = |history: &History, now: Micros| {
        let due = due(history, &settings, Mode::Forever, at(now, &settings));
        due.open.iter().find(|opened| opened.window.lane() != LIVE).map(|opened| opened.window.number())
    };
    let slot = |now: Micros| u64::try_from((now - now.rem_euclid(3_600 * SECOND)) / SECOND).ok();
    history.lane("sweep1").note_number(slot(AT + 30 * DAY).expect("a slot"));
    assert_eq!(swept(&history, AT), slot(AT));
    history.lane("sweep1").note_number(slot(AT).expect("a slot"));
    assert_eq!(swept(&history, AT + SECOND), None, "once a slot");
    assert_eq!(swept(&history, AT + 3_600 * SECOND), slot(AT + 3_600 * SECOND));
}
