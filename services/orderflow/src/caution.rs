//! What is allowed in a configuration and not wise, told by `check` and logged at the start.

use service::Config;
use service::config::Caution;

/// A line of `check` for each.
pub fn told(config: &Config) -> String {
    let lines = config.cautions().into_iter().map(|caution| {
        let why = match caution {
            Caution::PlainText { key, host, instead } => t!(
                "%{key}: orders and credentials go to %{host} unencrypted; use %{instead}",
                key = key,
                host = host,
                instead = instead
            ),
            Caution::ReadableByAll { key, path } => t!(
                "%{key}: every user of this machine may read %{file}; take that away (chmod o-r)",
                key = key,
                file = path.display()
            ),
            Caution::TooShort { key } => t!(
                "%{key}: a secret of fewer than %{count} characters is not taken out of what others repeat; use a longer one",
                key = key,
                count = secrets::SHORTEST
            ),
        };
        format!("{}\n", t!("warning: %{why}", why = why))
    });
    lines.collect()
}

/// The same for the log of a process that begins to run.
pub fn log(config: &Config) {
    for caution in config.cautions() {
        tracing::warn!(%caution, "the configuration is allowed and not wise");
    }
}
