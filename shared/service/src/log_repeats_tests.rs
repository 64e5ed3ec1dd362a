use std::io::Write;

use tracing_subscriber::layer::SubscriberExt;

use super::*;

fn kind(level: Level, message: &str, fields: &str) -> LineKind {
    LineKind { level, target: "t", message: message.into(), fields: fields.into() }
}

fn refused() -> LineKind {
    kind(Level::WARN, "a dead letter", "kind=\"refused\"")
}

#[test]
fn of_a_kind_one_line_a_second_is_written_and_the_others_are_counted() {
    let (mut repeats, begun) = (Repeats::default(), Instant::now());
    let at = |millis| begun + Duration::from_millis(millis);
    let written: Vec<bool> = [0, 1, 500, 999].map(|millis| repeats.admit(refused(), at(millis))).to_vec();
    assert_eq!(written, [true, false, false, false]);
    assert!(repeats.admit(kind(Level::WARN, "a dead letter", "kind=\"malformed\""), at(2)), "another kind");
    assert_eq!(repeats.take_over(at(999)), [], "its second is not over");
    assert_eq!(repeats.take_over(at(1_000)), [Counted { kind: refused(), count: 3 }]);
    assert_eq!(repeats.take_over(at(5_000)), [], "it is said once");
    assert!(repeats.admit(refused(), at(5_001)));
}

#[test]
fn a_line_that_comes_back_later_is_written_again() {
    let (mut repeats, begun) = (Repeats::default(), Instant::now());
    assert!(repeats.admit(refused(), begun));
    assert!(repeats.admit(refused(), begun + PAUSE), "nothing was counted meanwhile");
    assert!(!repeats.admit(refused(), begun + PAUSE + Duration::from_millis(1)));
    assert!(!repeats.admit(refused(), begun + 3 * PAUSE), "what was counted is said first");
    assert_eq!(repeats.take_all(), [Counted { kind: refused(), count: 2 }]);
    assert!(repeats.take_all().is_empty() && !repeats.has_counted());
}

#[test]
fn kinds_that_are_too_many_are_written_and_not_kept() {
    let (mut repeats, now) = (Repeats::default(), Instant::now());
    for number in 0..2 * MOST_KINDS {
        assert!(repeats.admit(kind(Level::INFO, &number.to_string(), ""), now));
    }
    assert_eq!(repeats.kinds.len(), MOST_KINDS);
    assert!(repeats.admit(kind(Level::INFO, &MOST_KINDS.to_string(), ""), now));
}

/// What lines were written, as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines that `work` writes, without the thread that says what was counted: that is said at
/// the end.
fn lines(filter: &str, work: impl FnOnce()) -> Vec<String> {
    let written = Lines::default();
    let writer = written.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .with_target(false);
    let (layer, counted) = counting(layer);
    let filter = with_counted(EnvFilter::new(filter));
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(filter));
    tracing::subscriber::with_default(subscriber, || {
        work();
        drop(counted);
    });
    let text = String::from_utf8(written.0.lock().expect("no panic").clone()).expect("text");
    text.lines().map(|line| line.trim().to_string()).collect()
}

#[test]
fn lines_about_different_orders_are_one_kind_unless_they_are_errors() {
    let written = lines("info", || {
        for key in 1..=300 {
            tracing::warn!(kind = "refused", key, letter = key + 7, "a dead letter is stored");
        }
        for key in 1..=3 {
            tracing::error!(key, "it is not known whether the target took this order");
        }
        for _ in 0..4 {
            tracing::error!(key = 9, "it is not known whether the target took this order");
        }
    });
    let expected = [
        "WARN a dead letter is stored kind=\"refused\" key=1 letter=8",
        "ERROR it is not known whether the target took this order key=1",
        "ERROR it is not known whether the target took this order key=2",
        "ERROR it is not known whether the target took this order key=3",
        "ERROR it is not known whether the target took this order key=9",
        "WARN … and 299 more like it: a dead letter is stored count=299 fields=\"kind=refused\"",
        "ERROR … and 3 more like it: it is not known whether the target took this order count=3 fields=\"key=9\"",
    ];
    assert_eq!(written, expected);
}

#[test]
fn lines_that_differ_in_more_than_the_order_are_each_written() {
    let written = lines("info", || {
        for caution in ["the target is not encrypted", "the secret may be read by all"] {
            tracing::warn!(caution, "the configuration is allowed and not wise");
        }
        for (from, to) in [(4, 2), (2, 1)] {
            tracing::info!(from, to, "fewer requests at the same time");
        }
        for (key, error) in [(1, "order 1 is unknown"), (2, "order 2 is unknown"), (3, "HTTP refused")] {
            tracing::warn!(key, error, "an order is tried again");
        }
    });
    let count = |part: &str| written.iter().filter(|line| line.contains(part)).count();
    assert_eq!((count("not wise"), count("fewer requests")), (2, 2), "{written:?}");
    assert_eq!(count("WARN an order is tried again"), 2, "one for each error: {written:?}");
    assert_eq!(count("and 1 more like it: an order is tried again"), 1, "{written:?}");
}

#[test]
fn what_the_filter_keeps_back_is_not_counted_and_debug_lines_are_all_written() {
    let written = lines("info,quiet=warn", || {
        for _ in 0..3 {
            tracing::info!(target: "quiet", "nobody wants to know");
            tracing::debug!("nor this");
        }
        tracing::warn!(target: "quiet", "this is wanted");
    });
    assert_eq!(written, ["WARN this is wanted"]);
    let written = lines("debug", || (0..3).for_each(|_| tracing::debug!("each of them")));
    assert_eq!(written.len(), 3);
    let written = lines("quiet=warn", || {
        (0..3).for_each(|_| tracing::warn!(target: "quiet", "this is wanted"));
    });
    assert_eq!(
        written,
        ["WARN this is wanted", "WARN … and 2 more like it: this is wanted count=2 fields=\"\""],
        "what was counted is said whatever the filter names"
    );
}
