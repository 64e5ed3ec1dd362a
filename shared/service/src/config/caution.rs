//! What is allowed and not wise: secrets on the wire in plain text, files of secrets that everybody
//! may read, secrets that are too short to be recognised.

use std::fmt;
use std::path::{Path, PathBuf};

use secrets::address::{host_of, is_this_machine};

use super::{Config, TargetKind};

/// Something to be warned of, at `check` and at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caution {
    /// Orders and credentials cross a network without encryption.
    PlainText {
        /// The key of the address.
        key: String,
        /// The other machine.
        host: String,
        /// What encrypts it.
        instead: &'static str,
    },
    /// A file that holds a secret can be read by every user of this machine.
    ReadableByAll {
        /// The key that names it.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// A secret that cannot be taken out of what others write.
    TooShort {
        /// Its key.
        key: String,
    },
}

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainText { key, host, instead } => {
                write!(f, "{key}: orders and credentials go to {host} unencrypted; use {instead}")
            }
            Self::ReadableByAll { key, path } => {
                let path = path.display();
                write!(f, "{key}: every user of this machine may read {path}; take that away (chmod o-r)")
            }
            Self::TooShort { key } => write!(
                f,
                "{key}: a secret of fewer than {} characters is not taken out of what others repeat; use a longer one",
                secrets::SHORTEST
            ),
        }
    }
}

impl Config {
    /// What is allowed and not wise.
    pub fn cautions(&self) -> Vec<Caution> {
        let plain = self.plain_addresses();
        let files = self.secret_files().into_iter().filter(|(_, path)| is_readable_by_all(path));
        let files = files.map(|(key, path)| Caution::ReadableByAll { key, path });
        let short = self.given_secrets().into_iter().filter(|(_, secret)| secret.len() < secrets::SHORTEST);
        let short = short.map(|(key, _)| Caution::TooShort { key });
        plain.into_iter().chain(files).chain(short).collect()
    }

    fn plain_addresses(&self) -> Vec<Caution> {
        let mut found = PlainAddresses::default();
        found.look_at_http("source.base_url", self.source.base_url.as_deref().unwrap_or_default());
        let nats = self.nats.url.as_deref().filter(|_| self.nats.tls.is_none()).unwrap_or_default();
        for address in nats.split(',').map(str::trim).filter(|address| !address.starts_with("tls://")) {
            found.look_at("nats.url", address, "tls:// or nats.tls");
        }
        for target in &self.targets {
            let key = format!("target {}, url", target.name);
            match target.kind {
                TargetKind::Postgres if has_tls(&target.url) => {}
                TargetKind::Postgres => {
                    found.look_at(&key, &target.url, "sslmode=require, better sslmode=verify-full");
                }
                TargetKind::Execute | TargetKind::Store => found.look_at_http(&key, &target.url),
            }
        }
        for webhook in &self.alerts.webhooks {
            // Where this process does not know the address, it is another one's.
            let Ok(address) = webhook.address() else { continue };
            found.look_at_http(&format!("alerts.webhook {}, url", webhook.name), address.reveal());
        }
        if let Ok(Some(address)) = self.alerts.heartbeat_address() {
            found.look_at_http("alerts.heartbeat_url", address.reveal());
        }
        for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
            found.look_at_http(name, &std::env::var(name).unwrap_or_default());
        }
        found.0
    }

    /// Every file that holds a secret, by the key that names it.
    fn secret_files(&self) -> Vec<(String, PathBuf)> {
        let key_file = self.nats.tls.as_ref().and_then(|tls| tls.key_file.as_ref());
        let mut files = vec![
            ("source.client_secret_file".to_string(), self.source.client_secret_file.as_ref()),
            ("nats.credentials_file".into(), self.nats.credentials_file.as_ref()),
            ("nats.password_file".into(), self.nats.password_file.as_ref()),
            ("nats.token_file".into(), self.nats.token_file.as_ref()),
            ("nats.nkey_file".into(), self.nats.nkey_file.as_ref()),
            ("nats.tls.key_file".into(), key_file),
            ("alerts.heartbeat_url_file".into(), self.alerts.heartbeat_url_file.as_ref()),
        ];
        for target in &self.targets {
            let key = |file: &str| format!("target {}, {file}", target.name);
            files.push((key("app_secret_file"), target.app_secret_file.as_ref()));
            files.push((key("password_file"), target.password_file.as_ref()));
        }
        for webhook in &self.alerts.webhooks {
            let key = |file: &str| format!("alerts.webhook {}, {file}", webhook.name);
            files.push((key("url_file"), webhook.url_file.as_ref()));
            files.push((key("secret_file"), webhook.secret_file.as_ref()));
        }
        let named = files.into_iter().filter_map(|(key, path)| Some((key, path?.clone())));
        let of_headers = self.targets.iter().flat_map(|target| {
            target.headers.iter().filter_map(|(name, value)| {
                let path = value.strip_prefix("file:")?;
                Some((format!("target {}, header {name}", target.name), PathBuf::from(path)))
            })
        });
        named.chain(of_headers).collect()
    }

    /// The secrets that this process was given, by their keys. One that cannot be read is refused
    /// by who needs it.
    fn given_secrets(&self) -> Vec<(String, String)> {
        let mut secrets = vec![
            ("source.client_secret".to_string(), self.source_secret()),
            ("nats.password".into(), self.nats.password()),
            ("nats.token".into(), self.nats.token()),
        ];
        for target in &self.targets {
            secrets.push((format!("target {}, app_secret", target.name), target.secret()));
            secrets.push((format!("target {}, password", target.name), target.password()));
        }
        for webhook in &self.alerts.webhooks {
            secrets.push((format!("alerts.webhook {}, secret", webhook.name), webhook.signing_secret()));
        }
        let given = secrets.into_iter().filter_map(|(key, secret)| Some((key, secret.ok()?)));
        given
            .filter(|(_, secret)| !secret.is_empty())
            .map(|(key, secret)| (key, secret.reveal().into()))
            .collect()
    }
}

#[derive(Default)]
struct PlainAddresses(Vec<Caution>);

impl PlainAddresses {
    /// Notes an address that is not encrypted, unless it is on this machine.
    fn look_at(&mut self, key: &str, address: &str, instead: &'static str) {
        let host = host_of(address);
        if !host.is_empty() && !is_this_machine(host) {
            let host = host.to_string();
            self.0.push(Caution::PlainText { key: key.to_string(), host, instead });
        }
    }

    fn look_at_http(&mut self, key: &str, address: &str) {
        if address.starts_with("http://") {
            self.look_at(key, address, "https://");
        }
    }
}

/// Whether an address of PostgreSQL insists on encryption.
fn has_tls(url: &str) -> bool {
    let query = url.rsplit_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| matches!(pair, "sslmode=require" | "sslmode=verify-full"))
}

#[cfg(unix)]
fn is_readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_readable_by_all(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let config = Config::parse(Path::new("/nowhere/o.toml"), text, variables);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        config.cautions().iter().map(ToString::to_string).collect()
    }

    fn target(kind: &str, url: &str) -> String {
        format!("[[target]]\nname = \"t\"\nkind = \"{kind}\"\ntable = \"x\"\nurl = \"{url}\"\n")
    }

    #[test]
    fn what_goes_to_another_machine_in_plain_text_is_named() {
        for (text, expected) in [
            (
                "[source]\nbase_url = \"http://okki.example\"\n".into(),
                "source.base_url: orders and credentials go to okki.example unencrypted; use https://",
            ),
            (
                "[nats]\nurl = \"tls://a,nats://b:4222\"\n".into(),
                "nats.url: orders and credentials go to b unencrypted; use tls:// or nats.tls",
            ),
            (
                target("execute", "http://erp.example:80/x"),
                "target t, url: orders and credentials go to erp.example",
            ),
            (
                target("postgres", "postgres://u@db/x"),
                "target t, url: orders and credentials go to db unencrypted; use sslmode=require",
            ),
            (target("postgres", "postgres://u@db/x?sslmode=prefer"), "sslmode=require"),
        ] {
            let text: String = text;
            let said = said(&text, &[]);
            assert!(said.len() == 1 && said[0].contains(expected), "{said:?}");
        }
        for text in [
            "[source]\nbase_url = \"https://okki.example\"\n".into(),
            "[source]\nbase_url = \"http://localhost:80\"\n[nats]\nurl = \"nats://127.0.0.1:4222\"\n".into(),
            "[nats]\nurl = \"nats://b:4222\"\ntls = { ca_file = \"ca\" }\n".into(),
            target("postgres", "postgres://u@db/x?a=b&sslmode=verify-full"),
            target("postgres", "postgres://u@[::1]/x"),
            target("execute", "https://erp.example/x"),
        ] {
            let text: String = text;
            assert_eq!(said(&text, &[]), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn a_short_secret_is_named_and_not_repeated() {
        let said = said("", &[("ORDERFLOW_SOURCE__CLIENT_SECRET", "zx9")]);
        assert!(said.len() == 1 && said[0].starts_with("source.client_secret: ") && !said[0].contains("zx9"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_everybody_may_read_is_named() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("okki.secret");
        std::fs::write(&path, "long-enough-secret").expect("written");
        let text = format!("[source]\nclient_secret_file = \"{}\"\n", path.display());
        for (mode, is_named) in [(0o644, true), (0o640, false), (0o600, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
            let said = said(&text, &[]);
            assert_eq!(
                said.iter().any(|said| said.contains("source.client_secret_file: every user")),
                is_named
            );
        }
    }
}
