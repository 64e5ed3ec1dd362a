//! What a fetcher needs of the configuration, checked once.

use std::time::Duration;

use events::{Listing, Micros, Stage};
use http::{Client, Method, RetryPolicy};
use jiff::Timestamp;
use journal::{Consumption, Rate, Stream, Topology};
use mapping::Condition;
use serde_json::value::RawValue;
use service::config::{Operators, Span};
use service::{Config, ConfigError};

use crate::asked::Cut;
use crate::clock::Clock;
use crate::closing::GRACE;
use crate::granularity::Granularity;
use crate::request::Template;
use crate::schedule::Cadence;

/// The settings of one fetcher.
pub(crate) struct Settings {
    pub(crate) topology: Topology,
    pub(crate) source: okki::Settings,
    /// The request of a page, and that of a page of deletions.
    orders: Template,
    deletions: Option<Template>,
    /// What is true of a row of a list of deletions whose order is deleted; `None`: of every row.
    pub(crate) deleted_when: Option<Condition>,
    /// The share of the orders known that the first pass over deletions may delete.
    pub(crate) max_share: f64,
    pub(crate) page_size: u32,
    pub(crate) max_passes: u32,
    pub(crate) granularity: Granularity,
    pub(crate) concurrency: usize,
    pub(crate) detail_concurrency: usize,
    pub(crate) rate: Rate,
    pub(crate) background_share: f64,
    pub(crate) cadence: Cadence,
    pub(crate) deleted: Option<Cadence>,
    pub(crate) sweeps: Vec<Sweep>,
    pub(crate) since: Timestamp,
    pub(crate) overlap: Micros,
    pub(crate) settle: Micros,
    pub(crate) retry: RetryPolicy,
    /// Attempts of one call that may fail for reasons other than an outage.
    pub(crate) max_attempts: u32,
    /// What may be said outside of letters.
    pub(crate) operators: Operators,
    pub(crate) clock: Clock,
}

/// A sweep, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sweep {
    pub(crate) every: Micros,
    pub(crate) reach: Micros,
    pub(crate) details: bool,
}

/// Whether the requests to the source can be made at all: no window is to be opened before that is known.
fn check_requests(settings: &okki::Settings) -> Result<(), ConfigError> {
    let checked = Client::new(1).and_then(|client| okki::Okki::new(settings.clone(), client).check());
    checked.map_err(|error| ConfigError::Key {
        place: "source.base_url and the paths of its calls".into(),
        message: service::chain(&error),
    })
}

impl Settings {
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigError> {
        let wrong = |message: String| ConfigError::Key { place: "configuration".into(), message };
        let base_url = config.require_source()?.to_string();
        let (source, zone) = (&config.source, config.zone());
        let page_size = source.request.get("count").and_then(toml::Value::as_integer).unwrap_or(100);
        let okki = okki::Settings {
            base_url,
            api: source.api.clone(),
            method: if source.method == "POST" { Method::Post } else { Method::Get },
            id: source.id.clone(),
            client_id: source.client_id.clone(),
            client_secret: config.source_secret()?.reveal().to_string(),
            scope: source.scope.clone(),
            timeout: source.timeout.get(),
            zone: zone.clone(),
            detail: source.detail.as_ref().map(|detail| okki::DetailCall {
                api: detail.api.clone(),
                parameter: detail.parameter.clone(),
            }),
        };
        check_requests(&okki)?;
        let cadence = match &config.schedule.cron {
            Some(cron) => Cadence::Cron(
                Box::new(cron.parse().map_err(|error| wrong(format!("schedule.cron: {error}")))?),
                zone.clone(),
            ),
            None => Cadence::Every(config.schedule.every.map_or(Duration::from_secs(60), Span::get)),
        };
        let orders = Template::new(&source.request, zone.clone()).map_err(wrong)?;
        let deletions = config.schedule.deleted.as_ref().map(|deleted| {
            let mut request = source.request.clone();
            request.extend(deleted.request.clone());
            Template::new(&request, zone.clone()).map_err(wrong)
        });
        let by_day = source.granularity == service::config::Granularity::Day || orders.counts_days();
        let cut = if by_day { Cut::Day } else { Cut::Second };
        let orders = orders.judging(source.time_field.as_deref(), cut);
        let when = config.schedule.deleted.as_ref().and_then(|deleted| deleted.when.as_deref());
        let deleted_when = when.map(|text| Condition::compile("schedule.deleted.when", text, &zone));
        let field = config.schedule.deleted.as_ref().and_then(|deleted| deleted.time_field.as_deref());
        let deletions = deletions.map(|template| template.map(|template| template.judging(field, cut)));
        Ok(Self {
            topology: Topology::new(&config.flow, config.writer.partitions),
            source: okki,
            orders,
            deletions: deletions.transpose()?,
            deleted_when: deleted_when.transpose().map_err(|errors| wrong(errors.to_string()))?,
            max_share: config.schedule.deleted.as_ref().map_or(1.0, |deleted| deleted.max_share),
            page_size: u32::try_from(page_size).unwrap_or(100),
            max_passes: source.max_passes,
            granularity: if by_day { Granularity::Day(zone) } else { Granularity::Second(zone) },
            concurrency: source.limit.concurrency,
            detail_concurrency: source.detail.as_ref().map_or(1, |detail| detail.concurrency),
            rate: Rate { per_second: source.limit.requests_per_second, burst: source.limit.burst },
            background_share: source.limit.background_share,
            cadence,
            deleted: config.schedule.deleted.as_ref().map(|deleted| Cadence::Every(deleted.every.get())),
            sweeps: config
                .schedule
                .sweeps
                .iter()
                .map(|sweep| Sweep {
                    every: sweep.every.micros(),
                    reach: sweep.reach.micros(),
                    details: sweep.details,
                })
                .collect(),
            since: config.since().map_err(wrong)?,
            overlap: config.schedule.overlap.micros(),
            settle: config.schedule.settle.micros(),
            retry: RetryPolicy {
                initial: Duration::from_millis(500),
                max: Duration::from_secs(30),
                jitter: 0.5,
            },
            max_attempts: 6,
            operators: config.operators.clone(),
            clock: Clock::default(),
        })
    }

    /// The same by another clock.
    pub(crate) fn by(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The request of a page of such a window; `None` when our configuration does not say how deletions are asked for.
    pub(crate) fn template(&self, listing: Listing) -> Option<&Template> {
        match listing {
            Listing::Orders => Some(&self.orders),
            Listing::Deleted => self.deletions.as_ref(),
        }
    }

    /// The request of orders, whatever the window lists.
    pub(crate) fn orders(&self) -> &Template {
        &self.orders
    }

    /// Whether a row of a list of deletions says that its order is deleted. One of which that cannot be said goes on, and
    /// becomes a dead letter.
    pub(crate) fn is_deletion(&self, row: &[u8]) -> bool {
        let Some(condition) = &self.deleted_when else { return true };
        let row = serde_json::from_slice::<&RawValue>(row);
        row.ok().and_then(|row| condition.holds(row).ok()).unwrap_or(true)
    }

    /// Pages that are asked for at the same time.
    pub(crate) fn at_a_time(&self, background: bool) -> usize {
        match background {
            false => self.concurrency,
            true => ((self.concurrency as f64 * self.background_share) as usize).max(1),
        }
    }

    /// How page jobs are consumed: those of the timed windows, or those of sweeps and backfills.
    pub(crate) fn consumption(&self, background: bool) -> Consumption {
        let names = &self.topology;
        let (durable, filter) = match background {
            false => (names.consumer(Stage::Fetch), names.jobs()),
            true => (names.background_consumer(), names.background_jobs()),
        };
        // While these are asked for, as many are being stored.
        let in_flight = 2 * self.at_a_time(background);
        Consumption {
            stream: Stream::Jobs,
            durable,
            filter: Some(filter),
            in_flight,
            // Short, because work in hand is kept alive: a killed fetcher's pages go to another one soon.
            ack_wait: Duration::from_secs(6),
            pinned: None,
            grace: GRACE,
            max_attempts: self.max_attempts,
            target: None,
        }
    }
}
