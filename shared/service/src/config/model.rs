//! The configuration as types. The names are a contract; their meaning is written in `default.toml`.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Alerts, Deleted, Nats, Operators, Secret, Span};

/// The whole configuration of a flow.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The flow's name.
    pub flow: String,
    /// The log.
    pub nats: Nats,
    /// Where orders come from.
    pub source: Source,
    /// When they are fetched.
    pub schedule: Schedule,
    /// What they become.
    pub mapping: Mapping,
    /// Where they go.
    #[serde(default, rename = "target")]
    pub targets: Vec<Target>,
    /// How they are written.
    pub writer: Writer,
    /// What operators see.
    pub operators: Operators,
    /// What they are told of.
    pub alerts: Alerts,
}

/// The kinds of source there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// OKKI CRM.
    Okki,
}

/// `[source]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Which API it speaks.
    pub kind: Kind,
    /// Its address.
    pub base_url: Option<String>,
    /// The list call.
    pub api: String,
    /// Its HTTP method.
    pub method: String,
    /// The field people know an order by.
    pub number: String,
    /// The field that identifies an order.
    pub id: String,
    /// Our client id.
    #[serde(default)]
    pub client_id: String,
    /// Our secret; from the environment only.
    #[serde(default)]
    pub client_secret: Secret,
    /// A file that holds our secret.
    pub client_secret_file: Option<PathBuf>,
    /// The scopes asked for.
    pub scope: String,
    /// The zone of times without offset.
    pub time_zone: String,
    /// How long a call may take.
    pub timeout: Span,
    /// Passes over a slice of time before its window fails.
    pub max_passes: u32,
    /// How finely its time filter counts.
    pub granularity: Granularity,
    /// The field of a row that its time filter is about; absent: by `time_type`, empty: rows are not judged by their time.
    #[serde(default)]
    pub time_field: Option<String>,
    /// The request's parameters.
    pub request: toml::Table,
    /// How often we may ask.
    pub limit: SourceLimit,
    /// The call for one order.
    pub detail: Option<Detail>,
}

/// How finely a source's time filter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// Whole seconds.
    Second,
    /// Whole days.
    Day,
}

/// `[source.detail]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// The call.
    #[serde(default = "order_info")]
    pub api: String,
    /// The parameter that takes the order's id.
    #[serde(default = "order_id")]
    pub parameter: String,
    /// Calls at the same time for one page.
    #[serde(default = "four")]
    pub concurrency: usize,
}

/// `[source.limit]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceLimit {
    /// Requests a second; 0 is no limit.
    pub requests_per_second: f64,
    /// Requests at once after a pause.
    pub burst: u32,
    /// Requests at the same time, in each fetcher.
    pub concurrency: usize,
    /// The share of sweeps and backfills.
    pub background_share: f64,
}

/// `[schedule]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// How often to sync.
    pub every: Option<Span>,
    /// When to sync, instead of `every`.
    pub cron: Option<String>,
    /// Where the first window begins.
    pub since: Option<String>,
    /// How far a window reaches back behind the watermark.
    pub overlap: Span,
    /// How far short of now a window ends.
    pub settle: Span,
    /// Readings of the recent past.
    #[serde(default, rename = "sweep")]
    pub sweeps: Vec<Sweep>,
    /// The second pass, over deletions.
    pub deleted: Option<Deleted>,
}

/// `[[schedule.sweep]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// How often.
    pub every: Span,
    /// How far back.
    pub reach: Span,
    /// Whether every detail is fetched and compared.
    #[serde(default)]
    pub details: bool,
}

/// `[mapping]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The field table.
    pub file: PathBuf,
}

/// The kinds of target there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// The case's form.
    Execute,
    /// The documented form.
    Store,
    /// A table of PostgreSQL.
    Postgres,
}

impl TargetKind {
    /// The name that the configuration gives it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Execute => "execute",
            Self::Store => "store",
            Self::Postgres => "postgres",
        }
    }
}

/// `[[target]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Which endpoint.
    pub kind: TargetKind,
    /// Its address.
    pub url: String,
    /// What the platform executes.
    #[serde(default = "write_nothing_further")]
    pub api: String,
    /// Metadata of the platform.
    #[serde(default = "execute")]
    pub effect: String,
    /// Its HTTP method.
    #[serde(default = "post")]
    pub method: String,
    /// Whether a key that is there is refused.
    #[serde(default = "yes", rename = "idCheck")]
    pub id_check: bool,
    /// Further headers.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The header of the idempotency key.
    #[serde(default = "idempotency_key")]
    pub idempotency_header: String,
    /// Whether HTTP 200 alone counts.
    #[serde(default)]
    pub trust_status: bool,
    /// Orders a request, at most.
    #[serde(default = "one")]
    pub batch: usize,
    /// How long an order waits for company.
    #[serde(default = "fifty_milliseconds")]
    pub linger: Span,
    /// Requests at the same time, at most, in each writer.
    #[serde(default = "thirty_two")]
    pub concurrency: usize,
    /// Requests at the same time when the target bears no more.
    #[serde(default = "one")]
    pub concurrency_min: usize,
    /// How long a call may take.
    #[serde(default = "half_a_minute")]
    pub timeout: Span,
    /// `store`: the application's key.
    #[serde(default)]
    pub app_key: String,
    /// `store`: its secret; from the environment only.
    #[serde(default)]
    pub app_secret: Secret,
    /// `store`: a file that holds the secret.
    pub app_secret_file: Option<PathBuf>,
    /// `store`: the scheme written to.
    #[serde(default)]
    pub scheme_id: String,
    /// `store`, `postgres`: the field of the record, or the column, that identifies an order there.
    #[serde(default = "order_id_field")]
    pub key: String,
    /// `postgres`: the table.
    #[serde(default)]
    pub table: String,
    /// `postgres`: the table of the versions that we keep beside it.
    #[serde(default = "versions")]
    pub versions: String,
    /// `postgres`: the password, from the environment only.
    #[serde(default)]
    pub password: Secret,
    /// `postgres`: a file that holds the password.
    pub password_file: Option<PathBuf>,
    /// How often we may write.
    #[serde(default)]
    pub limit: TargetLimit,
    /// When to stop because too much is refused.
    #[serde(default)]
    pub stop: StopAfter,
}

/// `target.stop`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopAfter {
    /// So many refused orders; 0 never stops.
    pub after: usize,
    /// Of so many in a row.
    pub of: usize,
}

impl Default for StopAfter {
    fn default() -> Self {
        Self { after: 100, of: 200 }
    }
}

/// `[target.limit]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetLimit {
    /// Requests a minute over all writers; 0 is no limit.
    pub requests_per_minute: Option<f64>,
    /// Requests at once after a pause.
    pub burst: u32,
    /// How long the target is left alone after it said that we ask too often, unless it said how long.
    pub penalty: Span,
}

impl Default for TargetLimit {
    fn default() -> Self {
        Self { requests_per_minute: None, burst: 1, penalty: Span::from(std::time::Duration::from_secs(300)) }
    }
}

/// `[writer]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writer {
    /// How many partitions.
    pub partitions: u16,
    /// Attempts before a dead letter.
    pub max_attempts: u32,
    /// The delays between them.
    pub backoff: Backoff,
}

/// `[writer.backoff]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The first delay.
    pub initial: Span,
    /// The longest delay.
    pub max: Span,
    /// How much a delay may differ from its middle.
    pub jitter: f64,
}

fn order_info() -> String {
    "/v1/invoices/order/info".into()
}
fn order_id() -> String {
    "order_id".into()
}
fn four() -> usize {
    4
}
fn write_nothing_further() -> String {
    "写入空操作".into()
}
fn execute() -> String {
    "EXECUTE".into()
}
fn post() -> String {
    "POST".into()
}
fn idempotency_key() -> String {
    "Idempotency-Key".into()
}
fn yes() -> bool {
    true
}
fn one() -> usize {
    1
}
fn thirty_two() -> usize {
    32
}
fn fifty_milliseconds() -> Span {
    Span::from(std::time::Duration::from_millis(50))
}
fn order_id_field() -> String {
    "orderId".into()
}
fn versions() -> String {
    "orderflow_versions".into()
}
fn half_a_minute() -> Span {
    Span::from(std::time::Duration::from_secs(30))
}
