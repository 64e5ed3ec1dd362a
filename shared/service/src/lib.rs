//! What every binary needs: configuration, telemetry, shutdown.

mod chain;
pub mod config;
mod host;
mod log_lines;
mod log_repeats;
mod plain_text;
mod shutdown;
mod telemetry;

pub use chain::{causes, chain};
pub use config::{Config, ConfigError};
pub use host::host;
pub use plain_text::{escape_json, escape_lines, escape_value};
pub use shutdown::on_signals;
pub use telemetry::{LogFormat, Telemetry, TelemetryError, traced};
