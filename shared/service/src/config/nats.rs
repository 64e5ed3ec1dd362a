//! `[nats]`, and what must hold within it: one way to say who we are, for a server that is named.

use std::path::PathBuf;

use serde::Deserialize;

use super::{Config, Secret};

/// `[nats]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nats {
    /// Absent: a server of our own.
    pub url: Option<String>,
    /// A `.creds` file.
    pub credentials_file: Option<PathBuf>,
    /// Who we are there, with a password.
    pub user: Option<String>,
    /// Our password; from the environment only.
    #[serde(default)]
    pub password: Secret,
    /// A file that holds our password.
    pub password_file: Option<PathBuf>,
    /// A token instead of a user; from the environment only.
    #[serde(default)]
    pub token: Secret,
    /// A file that holds the token.
    pub token_file: Option<PathBuf>,
    /// A file that holds the seed of an nkey.
    pub nkey_file: Option<PathBuf>,
    /// What encrypts the connection.
    pub tls: Option<NatsTls>,
    /// Where the server is monitored; absent: on port 8222 of `url`.
    pub monitor_url: Option<String>,
    /// The folder of the server, when it is one of our own; not in the file.
    #[serde(skip)]
    pub own_folder: Option<PathBuf>,
}

/// `[nats.tls]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatsTls {
    /// The certificates that the server's is held against.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

/// A flow, and a target, are part of every subject and consumer: so many bytes leave room for the rest.
const LONGEST_NAME: usize = 100;

/// The key that is wrong, and how; `None` when all is well.
pub(super) fn wrong(config: &Config) -> Option<(&'static str, String)> {
    if let Some(too_long) = long_names(config) {
        return Some(too_long);
    }
    let nats = &config.nats;
    if nats.monitor_url.as_ref().is_some_and(|url| !is_monitor(url)) {
        let expected = "expected an address such as http://127.0.0.1:8222, without credentials";
        return Some(("nats.monitor_url", expected.into()));
    }
    let ways = ways(nats);
    if let [first, second, ..] = ways.as_slice() {
        return Some((second, format!("found it beside {first}, expected one of them to say who we are")));
    }
    if let Some(key) = ways.first().filter(|key| **key != "nats.credentials_file" && nats.url.is_none()) {
        return Some((
            key,
            "there is no nats.url that it is for; `orderflow up` runs its own server then".into(),
        ));
    }
    let has_password = !nats.password.is_empty() || nats.password_file.is_some();
    if has_password && nats.user.is_none() {
        let key = if nats.password_file.is_some() { "nats.password_file" } else { "nats.password" };
        return Some((key, "found a password without nats.user".into()));
    }
    let Some(tls) = &nats.tls else { return None };
    if nats.url.is_none() {
        return Some(("nats.tls", "there is no nats.url that it is for".into()));
    }
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => {
            Some(("nats.tls", "found cert_file without key_file, expected both or neither".into()))
        }
        (None, Some(_)) => {
            Some(("nats.tls", "found key_file without cert_file, expected both or neither".into()))
        }
        _ => None,
    }
}

/// Whether an address of the monitoring port is one of HTTP, and holds no secret.
fn is_monitor(url: &str) -> bool {
    let is_http = url.starts_with("http://") || url.starts_with("https://");
    is_http && secrets::address::user_of(url).is_none()
}

/// Every way in which the configuration says who we are.
fn ways(nats: &Nats) -> Vec<&'static str> {
    let in_url = nats.url.as_ref().is_some_and(|url| url.contains('@'));
    let password = nats.user.is_some() || !nats.password.is_empty() || nats.password_file.is_some();
    let token = !nats.token.is_empty() || nats.token_file.is_some();
    [
        (in_url, "nats.url"),
        (password, if nats.user.is_some() { "nats.user" } else { "nats.password_file" }),
        (token, if nats.token_file.is_some() { "nats.token_file" } else { "nats.token" }),
        (nats.nkey_file.is_some(), "nats.nkey_file"),
        (nats.credentials_file.is_some(), "nats.credentials_file"),
    ]
    .into_iter()
    .filter_map(|(given, key)| given.then_some(key))
    .collect()
}

fn long_names(config: &Config) -> Option<(&'static str, String)> {
    let targets = config.targets.iter().map(|target| ("target.name", &target.name));
    let names = std::iter::once(("flow", &config.flow)).chain(targets);
    names
        .into_iter()
        .find(|(_, name)| name.len() > LONGEST_NAME)
        .map(|(key, name)| (key, format!("found {} letters, expected at most {LONGEST_NAME}", name.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_monitoring_port_is_an_address_of_http_without_credentials() {
        let parsed = |url: &str| {
            let text = format!("[nats]\nurl = \"nats://h\"\nmonitor_url = \"{url}\"\n");
            Config::parse(Path::new("orderflow.toml"), &text, std::iter::empty())
        };
        assert!(parsed("http://h:8222").is_ok());
        for wrong in ["h:8222", "nats://h:8222", "http://me:secret@h:8222"] {
            let error = parsed(wrong).expect_err(wrong).to_string();
            assert!(error.contains("orderflow.toml:3: `nats.monitor_url`: expected"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
