//! What every binary needs: configuration, telemetry, shutdown.

pub mod config;
mod shutdown;
mod telemetry;

pub use config::{Config, ConfigError};
pub use shutdown::on_signals;
pub use telemetry::{LogFormat, Telemetry, TelemetryError, traced};
