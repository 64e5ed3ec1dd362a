//! A value that is never printed.

use std::env::VarError;
use std::fmt;
use std::path::Path;

use serde::Deserialize;

use super::model::Target;
use super::text::{check_header_value, read_value, trim};
use super::{Config, ConfigError, Nats};

/// A secret. From when it is read it is taken out of whatever others write.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(String);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        secrets::remember(&text);
        Self(text)
    }
}

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self::from(text.into())
    }

    /// The secret itself, for the one request that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "(none)" } else { "***" })
    }
}

/// Secrets are read by the stage that needs them, when it starts: the others run without, and need not be trusted with
/// them.
pub(super) fn read(what: &str, path: &Path) -> Result<Secret, ConfigError> {
    read_value(what, path).map(Secret::new)
}

impl Config {
    /// The secret of the source.
    ///
    /// # Errors
    /// When there is none, or its file cannot be read.
    pub fn source_secret(&self) -> Result<Secret, ConfigError> {
        match (&self.source.client_secret, &self.source.client_secret_file) {
            (secret, _) if !secret.is_empty() => Ok(secret.clone()),
            (_, Some(file)) => read("source.client_secret_file", file),
            _ => Err(ConfigError::key(
                "configuration",
                "`source.client_secret` is missing; give ORDERFLOW_SOURCE__CLIENT_SECRET or source.client_secret_file",
            )),
        }
    }
}

impl Nats {
    /// The password of `nats.user`; empty when there is none.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn password(&self) -> Result<Secret, ConfigError> {
        match &self.password_file {
            Some(file) if self.password.is_empty() => read("nats.password_file", file),
            _ => Ok(self.password.clone()),
        }
    }

    /// The token; empty when there is none.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn token(&self) -> Result<Secret, ConfigError> {
        match &self.token_file {
            Some(file) if self.token.is_empty() => read("nats.token_file", file),
            _ => Ok(self.token.clone()),
        }
    }
}

impl Target {
    /// The application's secret; empty when the target needs none.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn secret(&self) -> Result<Secret, ConfigError> {
        match &self.app_secret_file {
            Some(file) if self.app_secret.is_empty() => {
                read(&format!("target {}, app_secret_file", self.name), file)
            }
            _ => Ok(self.app_secret.clone()),
        }
    }

    /// The password; empty when there is none.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn password(&self) -> Result<Secret, ConfigError> {
        match &self.password_file {
            Some(file) if self.password.is_empty() => {
                read(&format!("target {}, password_file", self.name), file)
            }
            _ => Ok(self.password.clone()),
        }
    }

    /// The headers, with those that come from the environment or a file.
    ///
    /// # Errors
    /// When a variable is not set, a file cannot be read, or what stands there cannot be a header.
    pub fn resolved_headers(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let place = format!("target {}, header {name}", self.name);
            let is_elsewhere = ["env:", "file:"].iter().any(|prefix| value.starts_with(prefix));
            let (origin, value) = match (value.strip_prefix("env:"), value.strip_prefix("file:")) {
                (Some(variable), _) => (variable.to_string(), from_environment(&place, variable)?),
                (_, Some(file)) => (file.to_string(), read_value(&place, Path::new(file))?),
                _ => ("the configuration".to_string(), value.clone()),
            };
            check_header_value(&place, &origin, &value)?;
            // A short one that is none, a number of a tenant for example, would be taken out of all texts.
            let is_hidden = is_elsewhere && value.len() >= secrets::LONG;
            if is_hidden || secrets::address::is_secret_header(name, &value) {
                secrets::remember_header(name, &value);
            }
            headers.push((name.clone(), value));
        }
        Ok(headers)
    }
}

/// The value of a header that stands in the environment.
fn from_environment(place: &str, variable: &str) -> Result<String, ConfigError> {
    let wrong = |what: String| Err(ConfigError::key(place, what));
    match std::env::var(variable) {
        Err(VarError::NotPresent) => wrong(format!("the environment has no {variable}")),
        Err(VarError::NotUnicode(_)) => wrong(format!("{variable} is not UTF-8; correct the variable")),
        Ok(value) => match trim(&value) {
            "" => wrong(format!("{variable} is empty; give it a value")),
            value => Ok(value.to_string()),
        },
    }
}
