//! `orderflow.toml`: compiled-in defaults, then the file, then the environment; unknown keys are refused.

mod alerts;
mod caution;
mod clock_time;
mod deleted;
mod env;
mod error;
mod limits;
mod literal;
mod load;
mod model;
mod nats;
mod operators;
mod secret;
mod span;
mod text;
mod validate;

pub use alerts::{Alerts, Webhook, WebhookKind};
pub use caution::Caution;
pub use clock_time::ClockTime;
pub use deleted::Deleted;
pub use env::variables;
pub use error::ConfigError;
pub use model::{
    Backoff, Config, Detail, Granularity, Kind, Mapping, Schedule, Source, SourceLimit, StopAfter, Sweep,
    Target, TargetKind, TargetLimit, Writer,
};
pub use nats::{Nats, NatsTls};
pub use operators::{HIDDEN, Operators};
pub use secret::Secret;
pub use span::Span;
pub use text::refuse_what_is_no_file;

/// The defaults, every key with its comment; what `orderflow check --defaults` prints.
pub const DEFAULTS: &str = include_str!("default.toml");
