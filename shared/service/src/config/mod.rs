//! `orderflow.toml`: compiled-in defaults, then the file, then the environment; unknown keys are refused.

mod alerts;
mod env;
mod error;
mod load;
mod model;
mod operators;
mod secret;
mod span;
mod validate;

pub use alerts::{Alerts, Webhook, WebhookKind};
pub use error::ConfigError;
pub use model::{
    Backoff, Config, Deleted, Detail, Granularity, Kind, Mapping, Nats, Schedule, Source, SourceLimit,
    StopAfter, Sweep, Target, TargetKind, TargetLimit, Writer,
};
pub use operators::{HIDDEN, Operators};
pub use secret::Secret;
pub use span::Span;

/// The defaults, every key with its comment; what `orderflow check --defaults` prints.
pub const DEFAULTS: &str = include_str!("default.toml");
