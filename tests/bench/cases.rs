//! What the write stage is measured at.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name on the command line.
    pub name: &'static str,
    /// Orders to write.
    pub orders: u64,
    /// Orders a request.
    pub batch: usize,
    /// Milliseconds that the target takes for each request.
    pub latency_ms: u64,
    /// Requests at the same time, in each writer.
    pub in_flight: usize,
    /// Writers.
    pub writers: usize,
}

/// Latency makes a run long; fewer orders are enough there, for the rate does not change while it runs.
pub const CASES: [Case; 6] = [
    Case { name: "single", orders: 100_000, batch: 1, latency_ms: 0, in_flight: 32, writers: 1 },
    Case { name: "batch", orders: 100_000, batch: 100, latency_ms: 0, in_flight: 32, writers: 1 },
    Case { name: "slow", orders: 30_000, batch: 1, latency_ms: 20, in_flight: 64, writers: 1 },
    Case { name: "writers-1", orders: 20_000, batch: 1, latency_ms: 20, in_flight: 16, writers: 1 },
    Case { name: "writers-2", orders: 20_000, batch: 1, latency_ms: 20, in_flight: 16, writers: 2 },
    Case { name: "writers-4", orders: 20_000, batch: 1, latency_ms: 20, in_flight: 16, writers: 4 },
];

impl Case {
    /// Orders a second that it should come to.
    pub fn aim(&self) -> Option<f64> {
        match self.name {
            "single" => Some(25_000.0),
            "batch" => Some(45_000.0),
            "slow" => Some(3_040.0),
            _ => None,
        }
    }

    /// Orders of the bare requests. Where the latency decides, a quarter tells the rate.
    pub fn bare(&self) -> u64 {
        if self.latency_ms > 0 { self.orders.div_ceil(4) } else { self.orders }
    }

    /// Orders a second if nothing but the target's latency took time; `None` without latency.
    pub fn ceiling(&self) -> Option<f64> {
        let at_a_time = (self.writers * self.in_flight * self.batch) as f64;
        (self.latency_ms > 0).then(|| at_a_time * 1e3 / self.latency_ms as f64)
    }
}
