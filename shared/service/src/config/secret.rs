//! A value that is never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::model::Target;
use super::{Config, ConfigError};

/// A secret.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
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
    std::fs::read_to_string(path).map(|text| Secret::new(text.trim())).map_err(|source| ConfigError::File {
        what: what.into(),
        path: PathBuf::from(path),
        source,
    })
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
    /// When a variable is not set or a file cannot be read.
    pub fn resolved_headers(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let mut headers = Vec::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let place = format!("target {}, header {name}", self.name);
            let value = if let Some(variable) = value.strip_prefix("env:") {
                std::env::var(variable)
                    .map_err(|_| ConfigError::key(place, format!("the environment has no {variable}")))?
            } else if let Some(file) = value.strip_prefix("file:") {
                read(&place, Path::new(file))?.reveal().to_string()
            } else {
                value.clone()
            };
            headers.push((name.clone(), value));
        }
        Ok(headers)
    }
}
