//! What every binary needs: configuration, telemetry, shutdown.

mod chain;
pub mod config;
mod host;
mod shutdown;
mod telemetry;

pub use chain::{causes, chain};
pub use config::{Config, ConfigError};
pub use host::host;
pub use shutdown::on_signals;
pub use telemetry::{LogFormat, Telemetry, TelemetryError, traced};
