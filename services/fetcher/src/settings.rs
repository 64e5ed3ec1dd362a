//! What a fetcher needs of the configuration, checked once.

use std::time::Duration;

use events::Stage;
use http::{Method, RetryPolicy};
use jiff::Timestamp;
use journal::{Consumption, Stream, Topology};
use service::{Config, ConfigError};

use crate::request::Template;
use crate::schedule::Cadence;

/// The settings of one fetcher.
pub(crate) struct Settings {
    pub(crate) topology: Topology,
    pub(crate) source: okki::Settings,
    pub(crate) template: Template,
    pub(crate) page_size: u32,
    pub(crate) max_passes: u32,
    pub(crate) concurrency: usize,
    pub(crate) limit: service::config::Limit,
    pub(crate) cadence: Cadence,
    pub(crate) since: Timestamp,
    pub(crate) overlap: Duration,
    pub(crate) settle: Duration,
    pub(crate) retry: RetryPolicy,
    /// Attempts of one page that may fail for reasons other than an outage.
    pub(crate) max_attempts: u32,
}

impl Settings {
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError::Key { place: "configuration".into(), message };
        let base_url = config.require_source()?.to_string();
        let (source, zone) = (&config.source, config.zone());
        let page_size = source.request.get("count").and_then(toml::Value::as_integer).unwrap_or(100);
        let cadence = match &config.schedule.cron {
            Some(cron) => Cadence::Cron(
                Box::new(cron.parse().map_err(|error| wrong(format!("schedule.cron: {error}")))?),
                zone.clone(),
            ),
            None => Cadence::Every(
                config.schedule.every.map_or(Duration::from_secs(60), service::config::Span::get),
            ),
        };
        Ok(Self {
            topology: Topology::new(&config.flow, config.writer.partitions),
            source: okki::Settings {
                base_url,
                api: source.api.clone(),
                method: if source.method == "POST" { Method::Post } else { Method::Get },
                id: source.id.clone(),
                client_id: source.client_id.clone(),
                client_secret: config.source_secret()?.reveal().to_string(),
                scope: source.scope.clone(),
                timeout: source.timeout.get(),
            },
            template: Template::new(&source.request, zone).map_err(wrong)?,
            page_size: u32::try_from(page_size).unwrap_or(100),
            max_passes: source.max_passes,
            concurrency: source.limit.concurrency,
            limit: config.source_limit(),
            cadence,
            since: config.since().map_err(wrong)?,
            overlap: config.schedule.overlap.get(),
            settle: config.schedule.settle.get(),
            retry: RetryPolicy {
                initial: Duration::from_millis(500),
                max: Duration::from_secs(30),
                jitter: 0.5,
            },
            max_attempts: 6,
        })
    }

    /// How page jobs are consumed.
    pub(crate) fn consumption(&self) -> Consumption {
        Consumption {
            stream: Stream::Jobs,
            durable: self.topology.consumer(Stage::Fetch),
            filter: Some(self.topology.jobs()),
            in_flight: self.concurrency,
            // Short, because work in hand is kept alive: a killed fetcher's pages go to another one soon.
            ack_wait: Duration::from_secs(6),
            pinned: None,
            grace: self.source.timeout + Duration::from_secs(5),
        }
    }
}
