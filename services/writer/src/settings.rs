//! What a writer needs of the configuration.

use std::time::Duration;

use events::TargetName;
use http::RetryPolicy;
use journal::{Consumption, Rate, Stream, Topology};
use service::Config;
use service::config::{Target, TargetKind};

use crate::gather::Gathering;

/// A request that is under way when its message becomes free for another writer would be a second request for one order.
/// A writer sends only while it has heard the server within [`journal::FRESH`], and the server gives a pin away no earlier
/// than the ack wait minus the life of a pull (3 s) after it has heard the writer: the ack wait is this much longer than the
/// request's timeout, and the pin lasts as long as the ack wait.
const MARGIN: Duration = Duration::from_secs(6);

/// Orders of one partition in hand, at most.
const MOST: usize = 1_000;

/// What the documentation of 轻易云's open API allows a minute.
const OPEN_API_PER_MINUTE: f64 = 60.0;

/// Orders in hand, over all partitions, are this many times what may be under way: one half is being written while the
/// receipts of the other are on their way.
const AHEAD: usize = 2;

/// The settings of one writer.
pub(crate) struct Settings {
    pub(crate) rate: Rate,
    pub(crate) gathering: Gathering,
    pub(crate) retry: RetryPolicy,
    pub(crate) outage: RetryPolicy,
    pub(crate) max_attempts: u32,
    in_flight: usize,
    timeout: Duration,
}

impl Settings {
    pub(crate) fn of(config: &Config, target: &Target) -> Self {
        let backoff = config.writer.backoff;
        let per_minute = target.limit.requests_per_minute.unwrap_or(match target.kind {
            TargetKind::Store => OPEN_API_PER_MINUTE,
            TargetKind::Execute | TargetKind::Postgres => 0.0,
        });
        Self {
            rate: Rate { per_second: per_minute / 60.0, burst: target.limit.burst },
            gathering: Gathering { batch: target.batch, linger: target.linger.get() },
            retry: RetryPolicy {
                initial: backoff.initial.get(),
                max: backoff.max.get(),
                jitter: backoff.jitter,
            },
            outage: RetryPolicy {
                initial: Duration::from_millis(500),
                max: Duration::from_secs(30),
                jitter: 0.3,
            },
            max_attempts: config.writer.max_attempts,
            in_flight: in_flight(target, config.writer.partitions),
            timeout: target.timeout.get(),
        }
    }

    /// A silence between us and NATS up to this long leaves what is in hand ours.
    pub(crate) fn safe_silence(&self) -> Duration {
        self.timeout.max(journal::FRESH)
    }

    /// How one partition is consumed.
    pub(crate) fn consumption(
        &self,
        topology: &Topology,
        target: &TargetName,
        partition: u16,
    ) -> Consumption {
        let ack_wait = self.timeout + MARGIN;
        Consumption {
            stream: Stream::Mapped,
            durable: topology.writer(target, partition),
            filter: Some(topology.mapped(partition)),
            in_flight: self.in_flight,
            ack_wait,
            pinned: Some(ack_wait),
            grace: ack_wait,
            max_attempts: self.max_attempts,
            target: Some(target.clone()),
        }
    }
}

/// Orders of one partition in hand. A writer may hold all partitions, or one: enough for either, and bounded.
fn in_flight(target: &Target, partitions: u16) -> usize {
    let under_way = target.concurrency * target.batch * AHEAD;
    let share = under_way.div_ceil(usize::from(partitions.max(1)));
    share.max(under_way.min(MOST / 4)).clamp(16, MOST)
}
