//! One run, as its seed draws it.

use std::time::Duration;

use orderflow_tests::Dice;
use sandbox::{Faults, RetryAfter, SourceFaults, TargetFaults};

use crate::blow::{Act, plan};

/// What one run is made of.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// Orders at the source before it begins.
    pub orders: u64,
    /// Orders a request.
    pub batch: u64,
    /// Whether the target is the documented `store` call, with tokens, which can be asked what it holds.
    pub store: bool,
    /// How the sandbox misbehaves all the while.
    pub faults: Faults,
    /// Orders that become poison at a time.
    pub poison: u64,
    /// What is done, by time.
    pub acts: Vec<(Duration, Act)>,
    /// How long blows fall.
    pub length: Duration,
}

impl Scenario {
    /// The run of a seed.
    pub fn of(seed: u64, length: Duration) -> Self {
        let mut dice = Dice::new(seed);
        let source = SourceFaults {
            moving_rows: dice.between(1, 2),
            latency_ms: dice.between(2, 15),
            error_5xx: 0.01,
            soft_error: 0.01,
            truncate: 0.005,
            hang: 0.002,
            ..SourceFaults::default()
        };
        let target = TargetFaults {
            error_5xx: 0.01,
            lost_answer: 0.01,
            soft_error: 0.01,
            hang: 0.005,
            slow: 0.15,
            slow_ms: dice.between(50, 500),
            latency_ms: dice.between(1, 20),
            ..TargetFaults::default()
        };
        Self {
            seed,
            // Few, so that an order is often edited again while its last version is still in somebody's hands.
            orders: dice.between(150, 350),
            // Each third run writes in batches.
            batch: if seed.is_multiple_of(3) { 20 } else { 1 },
            // Each fourth, with the other form: so there are all four.
            store: seed.is_multiple_of(4),
            faults: Faults { source, target },
            poison: dice.between(2, 4),
            acts: plan(&mut dice, length),
            length,
        }
    }

    /// The schedule of the fetchers.
    pub const SCHEDULE: &str = "\n[schedule]\nevery = \"1s\"\nsince = \"2009-01-01 00:00:00\"\noverlap = \"5s\"\n\
                                settle = \"1s\"\n[schedule.deleted]\nevery = \"1s\"\n";

    /// The configuration of all processes, made of the demo's: waits are short, so that a pause of a few seconds is longer
    /// than them. The target's timeout of 2 s makes the ack wait and the pin of a writer 8 s.
    pub fn configure(&self, demo: &str) -> String {
        let text = demo
            .replace("timeout = \"5s\"", "timeout = \"2s\"")
            .replace("concurrency = 32", &format!("concurrency = {}", Self::CONCURRENCY))
            .replace("client_id = \"demo\"", "client_id = \"demo\"\ntimeout = \"3s\"");
        let text = text.replace("[[target]]", &format!("[[target]]\nbatch = {}", self.batch));
        let text = if self.store {
            // The timeout of `store` is that of a token, a call, and both of them again.
            text.replace("kind = \"execute\"", "kind = \"store\"\nscheme_id = \"s1\"\napp_key = \"demo\"\nkey = \"orderId\"\nlimit = { requests_per_minute = 0 }")
                .replace("/execute\"", "\"")
        } else {
            text
        };
        format!(
            "{text}\n[writer]\npartitions = {}\n[writer.backoff]\ninitial = \"200ms\"\nmax = \"2s\"\n",
            Self::PARTITIONS
        )
    }

    /// Requests of one writer at the same time.
    pub const CONCURRENCY: u64 = 8;

    /// Few enough that each writer has work in all of its own.
    pub const PARTITIONS: u16 = 6;
}

/// The faults in force: those of all the while, and what blows have added.
#[derive(Debug, Clone)]
pub struct Weather {
    always: Faults,
    /// Calls of the target answer 503.
    pub outage: bool,
    /// Most calls answer 429.
    pub storm: bool,
    /// Every third call of the target hangs.
    pub hangs: bool,
    /// Ids of orders that the target refuses.
    pub refused: Vec<String>,
}

impl Weather {
    /// Only what is there all the while.
    pub fn of(always: Faults) -> Self {
        Self { always, outage: false, storm: false, hangs: false, refused: Vec::new() }
    }

    /// For the sandbox.
    pub fn faults(&self) -> Faults {
        let mut faults = self.always.clone();
        faults.target.outage = self.outage;
        faults.target.refuse = self.refused.clone();
        if self.storm {
            // Ten calls, then a second of 429, and so on.
            faults.target.rate_limit_per_minute = 10;
            faults.target.penalty_seconds = 1;
            faults.target.retry_after = RetryAfter::Seconds;
            faults.source.rate_limit_per_second = 5;
        }
        if self.hangs {
            faults.target.hang = 0.33;
        }
        faults
    }

    /// The sky clears; what is refused stays refused.
    pub fn clear(&mut self) {
        *self = Self { refused: std::mem::take(&mut self.refused), ..Self::of(Faults::default()) };
    }
}
