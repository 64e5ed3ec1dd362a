//! `[alerts]`: what people are told of without asking, and where.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::secret::{Secret, read};
use super::{ClockTime, Config, ConfigError, Span};

/// A watermark is let lag at least this long.
const HOUR: Duration = Duration::from_secs(3_600);

/// A pattern may mean once a day, and a night may be slow.
const A_DAY_AND_MORE: Duration = Duration::from_secs(26 * 3_600);

/// `[alerts]`. A length of 0 and a number of 0 turn a condition off.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// How often somebody looks.
    pub every: Span,
    /// The same condition is not told again before.
    pub repeat: Span,
    /// Windows that could not be proved.
    pub failed_windows: bool,
    /// A watermark older than this; see [`Config::watermark_limit`].
    pub watermark_age: Option<Span>,
    /// More open dead letters than this.
    pub dead_letters: u64,
    /// Orders that fail in a new way.
    pub dead_groups: bool,
    /// A target that its writers leave alone for longer.
    pub target_down: Span,
    /// A target whose writers stopped, because too much was refused, for longer.
    pub target_stopped: Span,
    /// More messages than this waiting for one stage.
    pub backlog: u64,
    /// A source that does not answer, or refuses us, for longer.
    pub source_down: Span,
    /// A stage that nobody runs for longer, although somebody did or something waits for it.
    pub no_process: Span,
    /// What else a person has to act on: a rejected mapping, what cannot be stored, unknown results, older update times, a
    /// clock that is ahead, an overdue run, a pause of a day.
    pub problems: bool,
    /// So many percent of a limit of the storage, or of the disk of our own server, are used; 0
    /// turns it off.
    pub storage_percent: u8,
    /// When the daily summary is told, in `source.time_zone`; never when absent.
    pub summary: Option<ClockTime>,
    /// The address of a watchdog that is called after each look; from the environment only.
    #[serde(default)]
    pub heartbeat_url: Secret,
    /// A file that holds it.
    pub heartbeat_url_file: Option<PathBuf>,
    /// Who is told; nobody when there is none.
    #[serde(default, rename = "webhook")]
    pub webhooks: Vec<Webhook>,
}

/// The kinds of webhook there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookKind {
    /// JSON of our own.
    Json,
    /// 钉钉
    Dingtalk,
    /// 企业微信
    Wecom,
    /// 飞书
    Feishu,
}

impl WebhookKind {
    /// The name that the configuration gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Dingtalk => "dingtalk",
            Self::Wecom => "wecom",
            Self::Feishu => "feishu",
        }
    }
}

/// `[[alerts.webhook]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// What it understands.
    pub kind: WebhookKind,
    /// Its address, which lets anybody write there; from the environment only.
    #[serde(default)]
    pub url: Secret,
    /// A file that holds the address.
    pub url_file: Option<PathBuf>,
    /// What requests are signed with, for `dingtalk` and `feishu`; from the environment only.
    #[serde(default)]
    pub secret: Secret,
    /// A file that holds it.
    pub secret_file: Option<PathBuf>,
    /// How long a call may take.
    #[serde(default = "ten_seconds")]
    pub timeout: Span,
}

fn ten_seconds() -> Span {
    Span::from(Duration::from_secs(10))
}

impl Webhook {
    /// Its address.
    ///
    /// # Errors
    /// When there is none, its file cannot be read, or it is none. What stands there is not repeated.
    pub fn address(&self) -> Result<Secret, ConfigError> {
        let place = || format!("alerts.webhook {}", self.name);
        let url = match &self.url_file {
            Some(file) if self.url.is_empty() => read(&format!("{}, url_file", place()), file)?,
            _ => self.url.clone(),
        };
        if url.is_empty() {
            let message = format!(
                "`url` is missing; give ORDERFLOW_ALERTS__WEBHOOK__{}__URL or url_file",
                self.name.to_uppercase()
            );
            return Err(ConfigError::key(place(), message));
        }
        if !is_http(&url) {
            return Err(ConfigError::key(place(), "`url`: expected http:// or https://"));
        }
        remember_parts(&url);
        Ok(url)
    }

    /// Whether this process was given its address.
    pub fn has_address(&self) -> bool {
        !self.url.is_empty() || self.url_file.as_ref().is_some_and(|file| file.exists())
    }

    /// What requests are signed with; empty when they are not.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn signing_secret(&self) -> Result<Secret, ConfigError> {
        match &self.secret_file {
            Some(file) if self.secret.is_empty() => {
                read(&format!("alerts.webhook {}, secret_file", self.name), file)
            }
            _ => Ok(self.secret.clone()),
        }
    }
}

impl Alerts {
    /// Whether there is a watchdog to call, whichever process knows its address.
    pub fn has_heartbeat(&self) -> bool {
        !self.heartbeat_url.is_empty() || self.heartbeat_url_file.is_some()
    }

    /// The address of the watchdog; `None` when there is none to call.
    ///
    /// # Errors
    /// When its file cannot be read, or it is no address. What stands there is not repeated.
    pub fn heartbeat_address(&self) -> Result<Option<Secret>, ConfigError> {
        let url = match &self.heartbeat_url_file {
            Some(file) if self.heartbeat_url.is_empty() => read("alerts.heartbeat_url_file", file)?,
            _ => self.heartbeat_url.clone(),
        };
        if url.is_empty() {
            return Ok(None);
        }
        if !is_http(&url) {
            return Err(ConfigError::key("alerts.heartbeat_url", "expected http:// or https://"));
        }
        remember_parts(&url);
        Ok(Some(url))
    }
}

fn is_http(url: &Secret) -> bool {
    ["http://", "https://"].iter().any(|scheme| url.reveal().starts_with(scheme))
}

/// Remembers each part of an address that does not read like a word of a path: it may be the
/// secret.
fn remember_parts(url: &Secret) {
    let may_be_secret = |value: &&str| {
        value.len() >= 2 * secrets::LONG
            || (value.len() >= secrets::LONG && value.bytes().any(|byte| byte.is_ascii_digit()))
    };
    let parts = url.reveal().split(['/', '?', '&', '#']).skip(3);
    let values = parts.map(|part| part.split_once('=').map_or(part, |(_, value)| value));
    values.filter(may_be_secret).for_each(secrets::remember);
    secrets::address::remember_secrets(url.reveal());
}

impl Config {
    /// How old the watermark may be, unless it may be of any age. When it is not said: three syncs, and at least an hour.
    pub fn watermark_limit(&self) -> Option<Duration> {
        let limit = match (self.alerts.watermark_age, self.schedule.every) {
            (Some(limit), _) => limit.get(),
            (None, Some(every)) => {
                every.get().saturating_mul(3).saturating_add(self.schedule.settle.get()).max(HOUR)
            }
            (None, None) => A_DAY_AND_MORE,
        };
        (!limit.is_zero()).then_some(limit)
    }
}

/// What is wrong, by key.
pub(super) fn wrong(config: &Config) -> Option<(&'static str, String)> {
    let alerts = &config.alerts;
    if alerts.every.get() < Duration::from_millis(100) {
        return Some(("alerts.every", format!("found {}, expected at least 100ms", alerts.every)));
    }
    if alerts.repeat < alerts.every {
        let message = format!("found {}, expected at least alerts.every, {}", alerts.repeat, alerts.every);
        return Some(("alerts.repeat", message));
    }
    if alerts.storage_percent > 100 {
        let message = format!("found {}, expected a percentage, 0 to 100", alerts.storage_percent);
        return Some(("alerts.storage_percent", message));
    }
    // It is that old just before each sync, with nothing wrong.
    let usual = config.schedule.every.map(|every| every.get().saturating_add(config.schedule.settle.get()));
    if let (Some(limit), Some(usual)) = (alerts.watermark_age, usual)
        && !limit.get().is_zero()
        && limit.get() <= usual
    {
        let usual = Span::from(usual);
        let message =
            format!("found {limit}, expected more than schedule.every and settle together, {usual}");
        return Some(("alerts.watermark_age", message));
    }
    let mut names = HashSet::new();
    for webhook in &alerts.webhooks {
        let name = &webhook.name;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        {
            let message = format!("found \"{name}\", expected letters, digits, - and _");
            return Some(("alerts.webhook.name", message));
        }
        if !names.insert(name.to_lowercase()) {
            return Some(("alerts.webhook.name", format!("two webhooks are called \"{name}\"")));
        }
        if webhook.timeout.get() < Duration::from_millis(100) {
            let found = webhook.timeout;
            return Some(("alerts.webhook.timeout", format!("found {found}, expected at least 100ms")));
        }
        let signed = !webhook.secret.is_empty() || webhook.secret_file.is_some();
        if signed && !matches!(webhook.kind, WebhookKind::Dingtalk | WebhookKind::Feishu) {
            let message = format!("\"{name}\" is not signed: only dingtalk and feishu are");
            return Some(("alerts.webhook.secret", message));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const WEBHOOK: &str = "[[alerts.webhook]]\nname = \"duty\"\nkind = \"dingtalk\"\n";

    fn parse(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Config::parse(Path::new("conf/orderflow.toml"), text, variables).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_comes_from_the_environment_or_a_file_and_is_not_printed() {
        let address = "https://oapi.dingtalk.com/robot/send?access_token=t0k3n";
        let config = parse(
            WEBHOOK,
            &[
                ("ORDERFLOW_ALERTS__WEBHOOK__DUTY__URL", address),
                ("ORDERFLOW_ALERTS__WEBHOOK__0__SECRET", "SECs3cret"),
                ("ORDERFLOW_ALERTS__BACKLOG", "7"),
            ],
        )
        .unwrap_or_else(|error| panic!("{error}"));
        let webhook = &config.alerts.webhooks[0];
        assert_eq!(webhook.address().expect("given").reveal(), address);
        assert_eq!(webhook.signing_secret().expect("given").reveal(), "SECs3cret");
        assert_eq!(config.alerts.backlog, 7);
        let printed = format!("{config:?}");
        assert!(!printed.contains("t0k3n") && !printed.contains("s3cret"), "{printed}");

        let config = parse(&format!("{WEBHOOK}url_file = \"nowhere\"\n"), &[]).expect("read by who sends");
        let error = config.alerts.webhooks[0].address().expect_err("no such file").to_string();
        assert_eq!(error, "alerts.webhook duty, url_file conf/nowhere cannot be read");
        let of = |variables: &[(&str, &str)]| {
            let config = parse(WEBHOOK, variables).expect("sound");
            config.alerts.webhooks[0].address().expect_err("none").to_string()
        };
        assert!(of(&[]).contains("give ORDERFLOW_ALERTS__WEBHOOK__DUTY__URL or url_file"));
        let error = of(&[("ORDERFLOW_ALERTS__WEBHOOK__DUTY__URL", "t0k3n")]);
        assert!(error.contains("expected http:// or https://") && !error.contains("t0k3n"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place_and_no_secret() {
        for (text, expected) in [
            (
                format!("{WEBHOOK}url = \"https://h/t0k3n\"\n"),
                ":4: `url` must not stand in this file; give it as ORDERFLOW_ALERTS__WEBHOOK__DUTY__URL",
            ),
            (format!("{WEBHOOK}secret = \"t0k3n\"\n"), ":4: `secret` must not stand in this file"),
            (format!("{WEBHOOK}{WEBHOOK}"), "two webhooks are called \"duty\""),
            (WEBHOOK.replace("duty", "a b"), "found \"a b\", expected letters, digits, - and _"),
            (WEBHOOK.replace("dingtalk", "slack"), "unknown variant `slack`"),
            (
                format!("{WEBHOOK}secret_file = \"x\"\n").replace("dingtalk", "wecom"),
                "\"duty\" is not signed",
            ),
            ("[alerts]\nevery = \"1ms\"\n".into(), "expected at least 100ms"),
            ("[alerts]\nrepeat = \"1s\"\n".into(), "expected at least alerts.every"),
            (
                "[alerts]\nwatermark_age = \"90s\"\n".into(),
                ":2: `alerts.watermark_age`: found 90s, expected more than",
            ),
            ("[alerts]\nbacklogs = 1\n".into(), "did you mean `backlog`?"),
            (
                "[alerts]\nstorage_percent = 101\n".into(),
                ":2: `alerts.storage_percent`: found 101, expected a percentage, 0 to 100",
            ),
            (
                "[alerts]\nsummary = \"8 o'clock\"\n".into(),
                "\"8 o'clock\" is no time of the day; expected 08:00",
            ),
            (
                "[alerts]\nheartbeat_url = \"https://h/t0k3n\"\n".into(),
                ":2: `heartbeat_url` must not stand in this file; give it as ORDERFLOW_ALERTS__HEARTBEAT_URL, or name \
                 a file with heartbeat_url_file",
            ),
        ] {
            let error = parse(&text, &[]).expect_err(&text);
            assert!(error.contains(expected) && !error.contains("t0k3n"), "{error}");
        }
        let error = parse(WEBHOOK, &[("ORDERFLOW_ALERTS__WEBHOOK__NIGHT__URL", "t0k3n")]).expect_err("none");
        assert!(error.contains("there is no webhook \"night\"; the file has duty"), "{error}");
    }

    #[test]
    fn a_watchdog_is_called_by_who_knows_its_address() {
        let of = |variables: &[(&str, &str)], text: &str| {
            let config = parse(text, variables).unwrap_or_else(|error| panic!("{error}"));
            let address = config.alerts.heartbeat_address().map_err(|error| error.to_string());
            (config.alerts.has_heartbeat(), address.map(|url| url.map(|url| url.reveal().to_string())))
        };
        let url = "https://watch.example/ping/t0k3n-of-the-watchdog";
        assert_eq!(of(&[], ""), (false, Ok(None)));
        assert_eq!(of(&[("ORDERFLOW_ALERTS__HEARTBEAT_URL", url)], ""), (true, Ok(Some(url.into()))));
        let (given, error) = of(&[("ORDERFLOW_ALERTS__HEARTBEAT_URL", "t0k3n")], "");
        assert!(
            given && error == Err("alerts.heartbeat_url: expected http:// or https://".into()),
            "{error:?}"
        );
        let (given, error) = of(&[], "[alerts]\nheartbeat_url_file = \"nowhere\"\n");
        let error = error.expect_err("no such file");
        assert!(given && error.contains("alerts.heartbeat_url_file conf/nowhere cannot be read"), "{error}");
    }

    #[test]
    fn a_summary_is_told_at_a_time_of_the_day() {
        let config = parse("[alerts]\nsummary = \"08:30\"\n", &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.alerts.summary.map(|at| at.get()), Some(jiff::civil::time(8, 30, 0, 0)));
        assert!(parse("", &[]).expect("the defaults").alerts.summary.is_none());
        let by_variable = parse("", &[("ORDERFLOW_ALERTS__SUMMARY", "18:00")]).expect("sound");
        assert_eq!(by_variable.alerts.summary.map(|at| at.to_string()), Some("18:00".to_string()));
    }

    #[test]
    fn a_watermark_may_be_as_old_as_the_schedule_makes_it() {
        let limit = |text: &str| {
            let config = parse(text, &[]).unwrap_or_else(|error| panic!("{error}"));
            config.watermark_limit().map(|limit| limit.as_secs())
        };
        assert_eq!(limit(""), Some(3_600));
        assert_eq!(limit("[schedule]\nevery = \"1h\"\n"), Some(3 * 3_600 + 60));
        assert_eq!(limit("[schedule]\ncron = \"0 2 * * *\"\n"), Some(26 * 3_600));
        assert_eq!(limit("[alerts]\nwatermark_age = \"5m\"\n"), Some(300));
        assert_eq!(limit("[alerts]\nwatermark_age = \"0s\"\n"), None);
    }
}
