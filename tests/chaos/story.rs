//! What happened in one run, with times.

use std::collections::BTreeMap;
use std::time::Instant;

use events::Micros;

use crate::blow::Act;

/// The story of one run.
#[derive(Debug)]
pub struct Story {
    began: Instant,
    /// The time at which it began.
    pub began_at: Micros,
    seed: u64,
    live: bool,
    lines: Vec<String>,
    blows: BTreeMap<&'static str, u64>,
    /// How often a process ended by itself.
    pub ended: u64,
}

impl Story {
    /// An empty one; told while it happens when it is `live`.
    pub fn begin(seed: u64, live: bool) -> Self {
        Self {
            began: Instant::now(),
            began_at: events::now(),
            seed,
            live,
            lines: Vec::new(),
            blows: BTreeMap::new(),
            ended: 0,
        }
    }

    /// Adds a line.
    pub fn tell(&mut self, what: impl std::fmt::Display) {
        let line = format!("seed {} {:7.2} s  {what}", self.seed, self.began.elapsed().as_secs_f64());
        if self.live {
            println!("{line}");
        }
        self.lines.push(line);
    }

    /// Adds something that was done. That orders change goes without saying.
    pub fn act(&mut self, act: Act) {
        if act.is_blow() {
            *self.blows.entry(act.kind()).or_default() += 1;
        }
        if !matches!(act, Act::Change { .. }) {
            self.tell(act);
        }
    }

    /// All of it.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Blows by kind.
    pub fn blows(&self) -> String {
        let kinds: Vec<_> = self.blows.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        format!("{} blows ({})", self.blows.values().sum::<u64>(), kinds.join(", "))
    }
}
