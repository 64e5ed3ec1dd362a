//! What must hold across keys, checked when the configuration is loaded and not in the night.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::load::{line_of, line_within};
use super::text::{check_header_value, wrong_header_name};
use super::{Config, ConfigError, TargetKind};

pub(super) fn validate(path: &Path, text: &str, config: &Config) -> Result<(), ConfigError> {
    let wrong = |key: &str, message: String| {
        let at = path.display().to_string();
        let place = line_of(text, key).map_or_else(|| at.clone(), |line| format!("{at}:{line}"));
        Err(ConfigError::key(place, format!("`{key}`: {message}")))
    };
    let token = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // First: what follows computes with these.
    if let Some((key, message)) = super::limits::too_large(config) {
        return wrong(key, message);
    }
    if !token(&config.flow) {
        return wrong("flow", format!("found \"{}\", expected letters, digits, - and _", config.flow));
    }
    if TimeZone::get(&config.source.time_zone).is_err() {
        let found = &config.source.time_zone;
        return wrong(
            "source.time_zone",
            format!("found \"{found}\", expected a name such as Asia/Shanghai"),
        );
    }
    match config.source.request.get("count").map(|count| count.as_integer()) {
        Some(Some(1..=10_000)) => {}
        found => {
            return wrong(
                "source.request.count",
                format!("found {found:?}, expected 1 to 10000 rows a page"),
            );
        }
    }
    if !matches!(config.source.method.as_str(), "GET" | "POST") {
        return wrong("source.method", format!("found \"{}\", expected GET or POST", config.source.method));
    }
    if config.source.base_url.as_ref().is_some_and(|url| url.contains(['?', '#'])) {
        return wrong("source.base_url", "found ? or #, expected an address that paths can follow".into());
    }
    if config.source.max_passes == 0 {
        return wrong("source.max_passes", "found 0, expected at least 1".into());
    }
    if config.source.limit.concurrency == 0 {
        return wrong("source.limit.concurrency", "found 0, expected at least 1".into());
    }
    if !(0.01..=1.0).contains(&config.source.limit.background_share) {
        let found = config.source.limit.background_share;
        return wrong("source.limit.background_share", format!("found {found}, expected 0.01 to 1"));
    }
    if config.source.detail.as_ref().is_some_and(|detail| detail.concurrency == 0) {
        return wrong("source.detail.concurrency", "found 0, expected at least 1".into());
    }
    if let Some(share) = config.schedule.deleted.as_ref().map(|deleted| deleted.max_share)
        && !(0.0..=1.0).contains(&share)
    {
        return wrong("schedule.deleted.max_share", format!("found {share}, expected 0 to 1"));
    }
    for sweep in &config.schedule.sweeps {
        let second = std::time::Duration::from_secs(1);
        if sweep.every.get() < second || sweep.reach.get() < second {
            let found = format!("found every = {} and reach = {}", sweep.every, sweep.reach);
            return wrong("schedule.sweep", format!("{found}, expected at least 1s each"));
        }
        if sweep.details && config.source.detail.is_none() {
            let found = "found details = true, but there is no [source.detail] to fetch them with";
            return wrong("schedule.sweep", found.into());
        }
    }
    if let (Some(_), Some(_)) = (&config.schedule.every, &config.schedule.cron) {
        return wrong("schedule.cron", "found every and cron, expected one of them".into());
    }
    if let Some(cron) = &config.schedule.cron
        && let Err(error) = cron.parse::<croner::Cron>()
    {
        return wrong("schedule.cron", format!("found \"{cron}\", which is no cron pattern: {error}"));
    }
    if let Err(message) = config.since() {
        return wrong("schedule.since", message);
    }
    if !(1..=1_024).contains(&config.writer.partitions) {
        return wrong("writer.partitions", format!("found {}, expected 1 to 1024", config.writer.partitions));
    }
    if config.writer.max_attempts == 0 {
        return wrong("writer.max_attempts", "found 0, expected at least 1".into());
    }
    if !(0.0..=1.0).contains(&config.writer.backoff.jitter) {
        return wrong(
            "writer.backoff.jitter",
            format!("found {}, expected 0 to 1", config.writer.backoff.jitter),
        );
    }
    for (at, target) in config.targets.iter().enumerate() {
        let name = &target.name;
        if !token(name) {
            return wrong("target.name", format!("found \"{name}\", expected letters, digits, - and _"));
        }
        if config.targets[..at].iter().any(|other| other.name == *name) {
            return wrong("target.name", format!("two targets are called \"{name}\""));
        }
        let schemes: &[&str] = match target.kind {
            TargetKind::Postgres => &["postgres://", "postgresql://"],
            TargetKind::Execute | TargetKind::Store => &["http://", "https://"],
        };
        if !schemes.iter().any(|scheme| target.url.starts_with(scheme)) {
            // What stands there may hold a password: it is not repeated.
            let found = target.url.split_once("://").map_or("none", |(scheme, _)| scheme);
            return wrong(
                "target.url",
                format!("found scheme \"{found}\", expected {}", schemes.join(" or ")),
            );
        }
        if target.kind == TargetKind::Store && target.url.contains(['?', '#']) {
            return wrong("target.url", "found ? or #, expected an address that paths can follow".into());
        }
        if let Some(message) = wrong_header_name(&target.idempotency_header) {
            return wrong("idempotency_header", message);
        }
        for (header, value) in &target.headers {
            if let Some(message) = wrong_header_name(header) {
                return wrong("headers", format!("header {header:?}: {message}"));
            }
            // What stands in the environment or in a file is read by who needs it.
            let is_elsewhere = ["env:", "file:"].iter().any(|prefix| value.starts_with(prefix));
            if !is_elsewhere {
                check_header_value(&format!("target {name}, header {header}"), "the configuration", value)?;
            }
        }
        if !matches!(target.method.as_str(), "POST" | "PUT") {
            return wrong("target.method", format!("found \"{}\", expected POST or PUT", target.method));
        }
        if target.effect != "EXECUTE" {
            return wrong("target.effect", format!("found \"{}\", expected EXECUTE", target.effect));
        }
        if target.concurrency == 0 {
            return wrong("target.concurrency", "found 0, expected at least 1".into());
        }
        if !(1..=target.concurrency).contains(&target.concurrency_min) {
            let (least, most) = (target.concurrency_min, target.concurrency);
            return wrong(
                "target.concurrency_min",
                format!("found {least}, expected 1 to concurrency, {most}"),
            );
        }
        if !(1..=1_000).contains(&target.batch) {
            return wrong(
                "target.batch",
                format!("found {}, expected 1 to 1000 orders a request", target.batch),
            );
        }
        if target.linger.get() > std::time::Duration::from_secs(10) {
            return wrong("target.linger", format!("found {}, expected at most 10s", target.linger));
        }
        if target.timeout.get() < std::time::Duration::from_millis(100) {
            return wrong("target.timeout", format!("found {}, expected at least 100ms", target.timeout));
        }
        if target.stop.after > target.stop.of {
            let (after, of) = (target.stop.after, target.stop.of);
            return wrong("target.stop", format!("found after = {after} of = {of}, expected after <= of"));
        }
        if target.limit.penalty.get() < std::time::Duration::from_secs(1) {
            return wrong("penalty", format!("found {}, expected at least 1s", target.limit.penalty));
        }
        if target.kind == TargetKind::Store && (target.scheme_id.is_empty() || target.app_key.is_empty()) {
            return wrong("target.kind", "\"store\" needs scheme_id, app_key and app_secret".into());
        }
        if target.kind == TargetKind::Postgres && target.table.is_empty() {
            return wrong("target.kind", "\"postgres\" needs a table".into());
        }
    }
    if let Some((key, message)) = super::nats::wrong(config) {
        let at = path.display().to_string();
        let section = if key.starts_with("nats") { "[nats" } else { "" };
        let line = line_within(text, section, key).or_else(|| line_of(text, "nats"));
        let place = line.map_or_else(|| at.clone(), |line| format!("{at}:{line}"));
        return Err(ConfigError::key(place, format!("`{key}`: {message}")));
    }
    match super::alerts::wrong(config) {
        Some((key, message)) => wrong(key, message),
        None => Ok(()),
    }
}

impl Config {
    /// The zone of the source's times.
    pub fn zone(&self) -> TimeZone {
        TimeZone::get(&self.source.time_zone).unwrap_or(TimeZone::UTC) // checked by `validate`
    }

    /// Where the first window begins; the Unix epoch when not given.
    ///
    /// # Errors
    /// A message when the text is no time.
    pub fn since(&self) -> Result<Timestamp, String> {
        let Some(text) = &self.schedule.since else {
            return Ok(Timestamp::UNIX_EPOCH);
        };
        let text = text.trim();
        let date = || format!("{text} 00:00:00").parse::<jiff::civil::DateTime>();
        // A time with an offset means exactly that; read as a local one, its offset would be dropped.
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(at);
        }
        text.parse::<jiff::civil::DateTime>()
            .or_else(|_| date())
            .and_then(|local| self.zone().to_timestamp(local))
            .map_err(|_| format!("found \"{text}\", expected a time such as 2025-01-01 00:00:00"))
    }

    /// What a fetcher needs beyond the defaults.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key that is missing.
    pub fn require_source(&self) -> Result<&str, ConfigError> {
        let missing = |key: &str, how: &str| {
            Err(ConfigError::key("configuration", format!("`{key}` is missing; {how}")))
        };
        if self.source.client_id.is_empty() {
            return missing("source.client_id", "it comes with the API account at the source");
        }
        let detail = self.source.detail.as_ref().map(|detail| ("source.detail.api", &detail.api));
        for (key, api) in [("source.api", &self.source.api)].into_iter().chain(detail) {
            // Without it the path would become a part of the host's name.
            if !api.starts_with('/') {
                let message = format!("`{key}`: expected a path that begins with /");
                return Err(ConfigError::key("configuration", message));
            }
        }
        match self.source.base_url.as_deref() {
            Some(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(url),
            Some(url) => {
                // What stands there may hold a password: it is not repeated.
                let found = url.split_once("://").map_or("none", |(scheme, _)| scheme);
                let found =
                    format!("`source.base_url`: found scheme \"{found}\", expected http:// or https://");
                Err(ConfigError::key("configuration", found))
            }
            None => missing("source.base_url", "for example \"https://api-sandbox.xiaoman.cn\""),
        }
    }
}
