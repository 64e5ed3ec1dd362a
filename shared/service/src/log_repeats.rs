//! Lines of the log that repeat: of each kind one a second is written, and the others of that
//! second are counted. Which lines are of one kind is a decision of [`Repeats`] alone; the rest
//! carries it out.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// One line of a kind is written in so much time.
const PAUSE: Duration = Duration::from_secs(1);

/// More kinds than this at a time are not told apart: what is of a further one is written.
const MOST_KINDS: usize = 1_000;

/// The target of the lines that say how many were counted.
const TARGET: &str = "orderflow_repeats";

/// Fields that differ from order to order, or from one attempt to the next: they tell no kinds apart.
const OF_ONE_ORDER: [&str; 14] = [
    "after",
    "again_in",
    "attempt",
    "attempts",
    "id",
    "key",
    "letter",
    "mapped_seq",
    "number",
    "page",
    "raw_seq",
    "row",
    "seq",
    "wait",
];

/// Fields that say what went wrong: they tell kinds apart without what differs from order to order.
const REASONS: [&str; 4] = ["error", "reason", "said", "why"];

/// What is said once a second.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LineKind {
    level: Level,
    target: &'static str,
    message: String,
    /// Of an error all fields: none of an order of its own is to be lost among others. Of the rest
    /// those that do not differ from order to order.
    fields: String,
}

/// How many lines of a kind were counted in place of being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    kind: LineKind,
    count: u64,
}

/// The kinds of lines of the last second.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// When a line of this kind was written, and how many were counted since.
    kinds: HashMap<LineKind, (Instant, u64)>,
}

impl Repeats {
    /// Whether a line is to be written; otherwise it is counted.
    pub(crate) fn admit(&mut self, kind: LineKind, now: Instant) -> bool {
        match self.kinds.get_mut(&kind) {
            // What was counted before is said before.
            Some((written, count)) if *count > 0 || now.duration_since(*written) < PAUSE => {
                *count += 1;
                false
            }
            Some((written, _)) => {
                *written = now;
                true
            }
            None => {
                if self.kinds.len() < MOST_KINDS {
                    self.kinds.insert(kind, (now, 0));
                }
                true
            }
        }
    }

    /// What was counted in seconds that are over at `now`; their kinds are forgotten.
    pub(crate) fn take_over(&mut self, now: Instant) -> Vec<Counted> {
        let is_over = |written: Instant| now.duration_since(written) >= PAUSE;
        let over = self.kinds.extract_if(|_, (written, _)| is_over(*written));
        counted(over)
    }

    /// All that was counted.
    pub(crate) fn take_all(&mut self) -> Vec<Counted> {
        counted(self.kinds.drain())
    }

    /// Whether something was counted and not said.
    fn has_counted(&self) -> bool {
        self.kinds.values().any(|(_, count)| *count > 0)
    }
}

fn counted(kinds: impl Iterator<Item = (LineKind, (Instant, u64))>) -> Vec<Counted> {
    let counted = kinds.filter(|(_, (_, count))| *count > 0);
    let mut counted: Vec<_> =
        counted.map(|(kind, (written, count))| (written, Counted { kind, count })).collect();
    counted.sort_by_key(|(written, _)| *written);
    counted.into_iter().map(|(_, counted)| counted).collect()
}

/// Reads what an event is.
struct Reading {
    all: bool,
    message: String,
    fields: String,
}

impl Reading {
    fn note(&mut self, field: &Field, value: String) {
        let name = field.name();
        if name == "message" {
            self.message.push_str(&value);
            return;
        }
        if !self.all && OF_ONE_ORDER.contains(&name) {
            return;
        }
        let is_reason = !self.all && REASONS.contains(&name);
        let value = if is_reason { events::pattern(&value, &[]) } else { value };
        let blank = if self.fields.is_empty() { "" } else { " " };
        self.fields.push_str(&format!("{blank}{name}={value}"));
    }
}

impl Visit for Reading {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.note(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // Without quotation marks, which would make one quoted value of it.
        self.note(field, value.to_string());
    }
}

impl LineKind {
    fn of(event: &Event<'_>) -> Self {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let mut reading =
            Reading { all: level == Level::ERROR, message: String::new(), fields: String::new() };
        event.record(&mut reading);
        Self { level, target, message: reading.message, fields: reading.fields }
    }
}

/// What is counted, shared with the thread that says it.
#[derive(Default)]
struct Shared {
    repeats: Mutex<Repeats>,
    /// Something was counted, or nothing more comes.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A layer that writes lines, given of each kind one a second.
///
/// No filter does this: one that decides event by event leaves what it decided behind in its
/// thread, and the next line would be lost with it.
pub(crate) struct CountRepeats<L> {
    inner: L,
    shared: Arc<Shared>,
}

/// Says what was counted, also at the end.
pub(crate) struct CountedLines(Arc<Shared>);

/// The layer around `inner`, and what says how many lines it counted.
pub(crate) fn counting<L>(inner: L) -> (CountRepeats<L>, CountedLines) {
    let shared = Arc::<Shared>::default();
    (CountRepeats { inner, shared: Arc::clone(&shared) }, CountedLines(shared))
}

/// The filter, which lets what was counted through as well.
pub(crate) fn with_counted(filter: EnvFilter) -> EnvFilter {
    match format!("{TARGET}=info").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter, // a name and a level are a directive
    }
}

impl<S, L> Layer<S> for CountRepeats<L>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    L: Layer<S>,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        // Who asks for more than usual wants all of it.
        let is_counted = *metadata.level() <= Level::INFO && metadata.target() != TARGET;
        if is_counted && !self.shared.lock().admit(LineKind::of(event), Instant::now()) {
            self.shared.changed.notify_one();
            return;
        }
        self.inner.on_event(event, context);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.inner.on_layer(subscriber);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.inner.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.inner.on_record(id, values, context);
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.inner.on_enter(id, context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.inner.on_exit(id, context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.inner.on_close(id, context);
    }
}

impl CountedLines {
    /// Says what was counted when its second is over, in a thread of its own: no line can be
    /// written while another one is decided on.
    pub(crate) fn start(&self) {
        let shared = Arc::clone(&self.0);
        #[allow(clippy::disallowed_methods)] // It stops this thread alone.
        let counting = move || loop {
            let waiting = shared.changed.wait_while(shared.lock(), |repeats| !repeats.has_counted());
            drop(waiting.unwrap_or_else(PoisonError::into_inner));
            std::thread::sleep(PAUSE);
            let over = shared.lock().take_over(Instant::now());
            over.iter().for_each(say);
        };
        // Without it lines are counted and said at the end.
        let _ = std::thread::Builder::new().name("log repeats".into()).spawn(counting);
    }
}

impl Drop for CountedLines {
    fn drop(&mut self) {
        let left = self.0.lock().take_all();
        left.iter().for_each(say);
    }
}

fn say(counted: &Counted) {
    let Counted { kind: LineKind { level, message, fields, .. }, count } = counted;
    // The level of a line is part of the code that writes it.
    match *level {
        Level::ERROR => {
            tracing::error!(target: TARGET, count, fields, "… and {count} more like it: {message}")
        }
        Level::WARN => tracing::warn!(target: TARGET, count, fields, "… and {count} more like it: {message}"),
        _ => tracing::info!(target: TARGET, count, fields, "… and {count} more like it: {message}"),
    }
}

#[cfg(test)]
#[path = "log_repeats_tests.rs"]
mod tests;
