//! Loading: defaults, file, environment; then secrets; then the checks across keys.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::env::overlay;
use super::validate::validate;
use super::{Config, ConfigError, DEFAULTS};

impl Config {
    /// Loads `path`, with the environment of this process over it.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file and line or the variable.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let file = |source| ConfigError::File {
            what: "configuration (--config; `orderflow check --defaults` shows every key)".into(),
            path: path.to_path_buf(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(file)?;
        Self::parse(path, &text, std::env::vars())
    }

    /// As [`Config::load`], from a text and given variables.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(
        path: &Path,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let syntax = |error: toml::de::Error| ConfigError::Syntax {
            path: path.to_path_buf(),
            message: error.to_string(),
        };
        let file: Table = toml::from_str(text).map_err(syntax)?;
        refuse_literal_secrets(path, text, &file)?;
        let mut table: Table = toml::from_str(DEFAULTS).map_err(syntax)?;
        // `cron` in the file replaces the default `every`; giving both is refused later.
        if let Some(schedule) = file.get("schedule").and_then(Value::as_table)
            && schedule.contains_key("cron")
            && let Some(defaults) = table.get_mut("schedule").and_then(Value::as_table_mut)
        {
            defaults.remove("every");
        }
        merge(&mut table, file);
        // Typed once before the environment is laid over it, so that an error of the file is blamed on the file.
        typed(&table).map_err(|message| place(path, text, message))?;
        let before = table.clone();
        overlay(&mut table, variables)?;
        let mut config = typed(&table).map_err(|message| match table == before {
            true => place(path, text, message),
            false => ConfigError::key("environment (ORDERFLOW_...)", message),
        })?;
        settle_paths(path, &mut config);
        validate(path, text, &config)?;
        Ok(config)
    }
}

fn typed(table: &Table) -> Result<Config, String> {
    Config::deserialize(table.clone()).map_err(|error| with_suggestion(&error.to_string()))
}

fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// serde's message, with the known name that is nearest to an unknown one.
fn with_suggestion(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    let Some(unknown) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
    else {
        return message;
    };
    let known = message.split('`').skip(3).step_by(2);
    match known.max_by(|a, b| strsim::jaro(unknown, a).total_cmp(&strsim::jaro(unknown, b))) {
        Some(near) if strsim::jaro(unknown, near) > 0.7 => {
            format!("unknown key `{unknown}`; did you mean `{near}`? ({})", without_field(&message))
        }
        _ => format!("unknown key `{unknown}` ({})", without_field(&message)),
    }
}

fn without_field(message: &str) -> &str {
    message.split_once("expected").map_or(message, |(_, rest)| rest.trim_start_matches(" one of").trim())
}

/// The file and the line of the first key that the message names in backquotes.
fn place(path: &Path, text: &str, message: String) -> ConfigError {
    let key = message.split('`').nth(1).unwrap_or_default().to_string();
    let at = path.display().to_string();
    ConfigError::key(line_of(text, &key).map_or_else(|| at.clone(), |line| format!("{at}:{line}")), message)
}

/// The number of the first line that sets `key` (or opens the section of that name).
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let key = key.rsplit('.').next().filter(|key| !key.is_empty())?;
    let sets = |line: &str| {
        let line = line.trim_start().trim_start_matches('[');
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']', '.']))
    };
    text.lines().position(sets).map(|at| at + 1)
}

/// A secret that stands in a configuration file ends up in version control, tickets and backups.
fn refuse_literal_secrets(path: &Path, text: &str, file: &Table) -> Result<(), ConfigError> {
    let refuse = |key: &str, section: &str, variable: String| {
        let (before, rest) = text.split_at(text.find(section).unwrap_or(0));
        let line = line_of(rest, key).map(|line| line + before.lines().count());
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        Err(ConfigError::key(
            format!("{}{line}", path.display()),
            format!(
                "`{key}` must not stand in this file; give it as {variable}, or name a file with {key}_file"
            ),
        ))
    };
    if file.get("source").and_then(|source| source.get("client_secret")).is_some() {
        return refuse("client_secret", "[source", "ORDERFLOW_SOURCE__CLIENT_SECRET".into());
    }
    let targets = file.get("target").and_then(Value::as_array).into_iter().flatten();
    for (at, target) in targets.enumerate() {
        let name = || target.get("name").and_then(Value::as_str).map_or(at.to_string(), str::to_uppercase);
        for secret in ["app_secret", "password"] {
            if target.get(secret).is_some() {
                let variable = format!("ORDERFLOW_TARGET__{}__{}", name(), secret.to_uppercase());
                return refuse(secret, "[[target", variable);
            }
        }
        let url = target.get("url").and_then(Value::as_str).unwrap_or_default();
        if url.starts_with("postgres") && has_password(url) {
            let message = format!(
                "`url` must not hold a password; give it as ORDERFLOW_TARGET__{}__PASSWORD, or name a file with password_file",
                name()
            );
            return Err(place(path, text, message));
        }
    }
    let webhooks = file.get("alerts").and_then(|alerts| alerts.get("webhook")).and_then(Value::as_array);
    for (at, webhook) in webhooks.into_iter().flatten().enumerate() {
        let name = || webhook.get("name").and_then(Value::as_str).map_or(at.to_string(), str::to_uppercase);
        // The address of a chat robot is all that is needed to write there.
        for secret in ["url", "secret"] {
            if webhook.get(secret).is_some() {
                let variable = format!("ORDERFLOW_ALERTS__WEBHOOK__{}__{}", name(), secret.to_uppercase());
                return refuse(secret, "[[alerts.webhook", variable);
            }
        }
    }
    Ok(())
}

/// Whether an address says `user:password@`, or `password=` in its query.
fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let user =
        rest.split(['/', '?']).next().and_then(|host| host.rsplit_once('@')).map_or("", |(user, _)| user);
    user.contains(':') || rest.split_once('?').is_some_and(|(_, query)| query.contains("password="))
}

/// Files are named relative to the configuration; from here on they are known by where they are.
fn settle_paths(path: &Path, config: &mut Config) {
    config.mapping.file = beside(path, &config.mapping.file);
    for file in [&mut config.nats.credentials_file, &mut config.source.client_secret_file] {
        *file = file.as_ref().map(|file| beside(path, file));
    }
    for webhook in &mut config.alerts.webhooks {
        for file in [&mut webhook.url_file, &mut webhook.secret_file] {
            *file = file.as_ref().map(|file| beside(path, file));
        }
    }
    for target in &mut config.targets {
        for file in [&mut target.app_secret_file, &mut target.password_file] {
            *file = file.as_ref().map(|file| beside(path, file));
        }
        for value in target.headers.values_mut() {
            if let Some(file) = value.strip_prefix("file:") {
                *value = format!("file:{}", beside(path, Path::new(file)).display());
            }
        }
    }
}

fn beside(config: &Path, file: &Path) -> PathBuf {
    config.parent().map_or_else(|| file.to_path_buf(), |folder| folder.join(file))
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
