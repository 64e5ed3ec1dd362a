//! Whether the call budget holds its rate over all fetchers of a flow: a property of the limiter, not a speed.

use events::Micros;

use crate::flow::{self, Flow};

/// Calls a second that are asked for.
pub const RATE: f64 = 50.0;
/// How far the measured rate may be from that.
pub const TOLERANCE: f64 = 0.02;

/// Small pages, so that nothing but the limiter takes time.
const PAGE_SIZE: u32 = 10;
/// Pages of one pass: more than 6 s of calls at the rate asked for.
const PAGES: u64 = 320;

/// What so many fetchers came to.
pub struct Held {
    /// How many fetchers.
    pub fetchers: usize,
    /// Calls in the stretches that were measured.
    pub calls: usize,
    /// How long these stretches were together.
    pub seconds: f64,
    /// Calls a second.
    pub rate: f64,
    /// The most calls within any one second.
    pub most: usize,
    /// The longest time without a call, in milliseconds: a stall of the disk shows here, a wrong rate does not.
    pub gap_ms: f64,
}

impl Held {
    /// How far the rate is from what was asked for, as a share of it.
    pub fn deviation(&self) -> f64 {
        self.rate / RATE - 1.0
    }
}

/// Fetches with so many fetchers on one budget.
pub async fn held(fetchers: usize) -> Held {
    let mut flow = Flow::new(PAGES, PAGE_SIZE, 0).await;
    flow.config.source.limit.requests_per_second = RATE;
    flow.config.source.limit.burst = 1;
    flow.fetch(fetchers).await;
    let passes = flow.passes().await;
    let calls = passes.iter().map(Vec::len).sum();
    let seconds = passes.iter().map(|times| flow::seconds(times)).sum();
    assert!(seconds > 6.0, "{calls} calls in {seconds} s are too few to measure a rate");
    // The first call of each stretch is the moment its time begins.
    let rate = (calls - passes.len()) as f64 / seconds;
    let most = most_within(&passes.concat(), 1_000_000);
    let gaps = passes.iter().flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]));
    let gap_ms = gaps.max().unwrap_or(0) as f64 / 1e3;
    Held { fetchers, calls, seconds, rate, most, gap_ms }
}

fn most_within(times: &[Micros], span: Micros) -> usize {
    let behind = |from: &Micros| times.partition_point(|at| *at < from + span);
    times.iter().enumerate().map(|(first, from)| behind(from) - first).max().unwrap_or(0)
}
