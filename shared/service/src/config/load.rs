//! Loading: defaults, file, environment; then secrets; then the checks across keys.

use std::path::{Path, PathBuf};

use secrets::address::is_secret_name;
use serde::Deserialize;
use toml::{Table, Value};

use super::env::{overlay, variables};
use super::literal::refuse_literal_secrets;
use super::text::{bad_character, read_configuration};
use super::validate::validate;
use super::{Config, ConfigError, DEFAULTS};

impl Config {
    /// Loads `path`, with the environment of this process over it.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file and line or the variable.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let what = "configuration (--config; `orderflow check --defaults` shows every key)";
        let text = read_configuration(what, path)?;
        Self::parse(path, &text, variables()?.into_iter())
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
            message: without_secret_line(&error.to_string()),
        };
        let file: Table = toml::from_str(text).map_err(syntax)?;
        refuse_literal_secrets(path, text, &file)?;
        refuse_bad_characters(path, text, &file)?;
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
        let addresses = config.targets.iter().map(|target| &target.url);
        let addresses = addresses.chain(&config.source.base_url).chain(&config.nats.url);
        addresses.for_each(|address| secrets::address::remember_secrets(address));
        let parameters = config.source.request.iter();
        let secret = parameters.filter(|(name, _)| secrets::address::is_secret_name(name));
        secret.filter_map(|(_, value)| value.as_str()).for_each(secrets::remember);
        Ok(config)
    }
}

/// The message of the parser, which shows the line it stumbled over; not if that may hold a secret.
fn without_secret_line(message: &str) -> String {
    let shown = |line: &str| line.split_once('|').map(|(_, shown)| shown.trim().to_string());
    let is_secret = |text: &str| {
        let header = text.contains("headers") || text.contains("://") || text.contains("Bearer");
        let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
        header || words.any(is_secret_name)
    };
    if !message.lines().filter_map(shown).any(|text| is_secret(&text)) {
        return message.to_string();
    }
    message.lines().filter(|line| !line.contains('|')).collect::<Vec<_>>().join("\n")
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

/// The keys of addresses, names and headers that go out as they are: what was pasted along with one
/// would spoil every request. Parameters of requests are encoded, and may hold anything.
const SENT_AS_THEY_ARE: [&str; 8] =
    ["base_url", "url", "client_id", "scope", "app_key", "scheme_id", "idempotency_header", "headers"];

fn refuse_bad_characters(path: &Path, text: &str, table: &Table) -> Result<(), ConfigError> {
    for (key, value) in table {
        let is_sent = SENT_AS_THEY_ARE.contains(&key.as_str());
        match value {
            Value::String(value) if is_sent => refuse_bad_character(path, text, key, value)?,
            Value::Table(headers) if is_sent => {
                let mut values = headers.values().filter_map(Value::as_str);
                values.try_for_each(|value| refuse_bad_character(path, text, key, value))?;
            }
            Value::Table(section) if key != "request" => refuse_bad_characters(path, text, section)?,
            Value::Array(sections) => {
                let mut sections = sections.iter().filter_map(Value::as_table);
                sections.try_for_each(|section| refuse_bad_characters(path, text, section))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse_bad_character(path: &Path, text: &str, key: &str, value: &str) -> Result<(), ConfigError> {
    match bad_character(value) {
        None => Ok(()),
        Some(bad) => Err(place(path, text, format!("`{key}`: {bad}, which no value can hold"))),
    }
}

/// As [`line_of`], from where `section` begins.
pub(super) fn line_within(text: &str, section: &str, key: &str) -> Option<usize> {
    let (before, rest) = text.split_at(text.find(section).unwrap_or(0));
    line_of(rest, key).map(|line| line + before.lines().count())
}

/// Files are named relative to the configuration; from here on they are known by where they are.
fn settle_paths(path: &Path, config: &mut Config) {
    config.mapping.file = beside(path, &config.mapping.file);
    let nats = &mut config.nats;
    let own =
        [&mut nats.credentials_file, &mut nats.password_file, &mut nats.token_file, &mut nats.nkey_file];
    let tls = nats.tls.iter_mut().flat_map(|tls| [&mut tls.ca_file, &mut tls.cert_file, &mut tls.key_file]);
    for file in own.into_iter().chain(tls).chain([&mut config.source.client_secret_file]) {
        *file = file.as_ref().map(|file| beside(path, file));
    }
    let heartbeat = &mut config.alerts.heartbeat_url_file;
    *heartbeat = heartbeat.as_ref().map(|file| beside(path, file));
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
