//! What a writer needs of the configuration.

use std::time::Duration;

use events::TargetName;
use http::{Method, RetryPolicy};
use journal::{Consumption, Stream, Topology};
use qeasy::Form;
use service::config::{Limit, Target, TargetKind};
use service::{Config, ConfigError};

/// A request that is under way when its message becomes free for another writer would be a second request for one order:
/// the ack wait is this much longer than the request's timeout, and the pin lasts as long as the ack wait.
const MARGIN: Duration = Duration::from_secs(2);

/// The settings of one writer.
pub(crate) struct Settings {
    pub(crate) target: qeasy::Settings,
    pub(crate) limit: Limit,
    pub(crate) retry: RetryPolicy,
    pub(crate) outage: RetryPolicy,
    pub(crate) max_attempts: u32,
    in_flight: usize,
    timeout: Duration,
}

impl Settings {
    pub(crate) fn of(config: &Config, target: &Target) -> Result<Self, ConfigError> {
        let form = match target.kind {
            TargetKind::Execute => Form::Execute { api: target.api.clone(), id_check: target.id_check },
            TargetKind::Store => Form::Store {
                scheme_id: target.scheme_id.clone(),
                app_key: target.app_key.clone(),
                app_secret: target.secret()?.reveal().to_string(),
            },
        };
        let backoff = config.writer.backoff;
        Ok(Self {
            target: qeasy::Settings {
                url: target.url.clone(),
                method: if target.method == "PUT" { Method::Put } else { Method::Post },
                headers: target.resolved_headers()?,
                idempotency_header: target.idempotency_header.clone(),
                // A token, the write, and once more both of them: the whole exchange ends within the configured time.
                timeout: match target.kind {
                    TargetKind::Execute => target.timeout.get(),
                    TargetKind::Store => target.timeout.get() / 4,
                },
                trust_status: target.trust_status,
                form,
            },
            limit: Limit {
                requests: target.limit.requests_per_minute,
                period: Duration::from_secs(60),
                burst: target.limit.burst,
            },
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
            // Twice: one half is being written while the receipts of the other are on their way.
            in_flight: (target.concurrency * 2).clamp(16, 256),
            timeout: target.timeout.get(),
        })
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
        }
    }
}
