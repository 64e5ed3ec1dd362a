//! The URL of a server, read without ever repeating it: it may hold a password.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::{PostgresError, Settings};

/// How long connecting may take at most; a server that is there answers in far less.
const CONNECT: Duration = Duration::from_secs(10);

/// When a connection that is silent is probed, and how often: a server that is gone is noticed within a minute.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Whom the server has to prove to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nobody: encrypted at most.
    None,
    /// The holder of a certificate for the name of the host, by the machine's roots.
    Machine,
    /// The same, by the roots in this file.
    Roots(PathBuf),
}

/// A server.
#[derive(Clone)]
pub(crate) struct Server {
    /// For the driver.
    pub(crate) config: Config,
    /// Whether its certificate is checked.
    pub(crate) proof: Proof,
    /// Host, port and database, for a person.
    pub(crate) shown: String,
}

fn wrong(what: &str) -> PostgresError {
    PostgresError::Settings { what: format!("the URL of the PostgreSQL server {what}") }
}

impl Server {
    /// Reads the URL.
    ///
    /// # Errors
    /// [`PostgresError::Settings`]. What the driver says of a URL may quote it, so that is not passed on.
    pub(crate) fn new(settings: &Settings) -> Result<Self, PostgresError> {
        let (url, mode, roots) = split(&settings.url)?;
        let mut config = Config::from_str(&url).map_err(|_| {
            wrong(
                "cannot be read: expected postgres://user@host:port/database?sslmode=..., with @ : / ? # and % in a \
                 password written as %40 and so on",
            )
        })?;
        let (ssl_mode, proof) = match (mode.as_deref(), roots) {
            (Some("verify-full"), None) => (SslMode::Require, Proof::Machine),
            (Some("verify-full"), Some(file)) => (SslMode::Require, Proof::Roots(file)),
            (_, Some(_)) => return Err(wrong("names sslrootcert, which needs sslmode=verify-full")),
            (Some("disable"), None) => (SslMode::Disable, Proof::None),
            (Some("prefer") | None, None) => (SslMode::Prefer, Proof::None),
            (Some("require"), None) => (SslMode::Require, Proof::None),
            (Some(_), None) => {
                return Err(wrong("has an unknown sslmode: use disable, prefer, require or verify-full"));
            }
        };
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(wrong("names no host"));
        }
        if config.get_user().is_none() {
            return Err(wrong("names no user"));
        }
        if let Some(password) = &settings.password {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("orderflow");
        }
        let (idle, interval, retries) = KEEPALIVE;
        config
            .ssl_mode(ssl_mode)
            .connect_timeout(settings.timeout.min(CONNECT))
            .tcp_user_timeout(settings.timeout)
            .keepalives(true)
            .keepalives_idle(idle)
            .keepalives_interval(interval)
            .keepalives_retries(retries);
        if let Some(password) = config.get_password() {
            secrets::remember(&String::from_utf8_lossy(password));
        }
        let shown = shown(&config);
        Ok(Self { config, proof, shown })
    }
}

/// Takes out of the query what the driver does not know: `sslmode`, of which it has three, and `sslrootcert`.
fn split(url: &str) -> Result<(String, Option<String>, Option<PathBuf>), PostgresError> {
    let scheme = ["postgres://", "postgresql://"].into_iter().find(|scheme| url.starts_with(scheme));
    let rest = scheme.and_then(|scheme| url.strip_prefix(scheme));
    let rest = rest.ok_or_else(|| wrong("does not begin with postgres://"))?;
    // A question mark may stand in a password; the driver ends the password at the first @ as well.
    let after = rest.find('@').unwrap_or(0);
    let Some(at) = rest[after..].find('?').map(|at| after + at) else {
        return Ok((url.to_string(), None, None));
    };
    let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
    for pair in rest[at + 1..].split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_string()),
            Some(("sslrootcert", value)) => roots = Some(PathBuf::from(value)),
            _ => kept.push(pair),
        }
    }
    let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
    Ok((format!("postgres://{}{query}", &rest[..at]), mode, roots))
}

fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let names: Vec<String> = config
        .get_hosts()
        .iter()
        .map(|host| match host {
            Host::Tcp(name) => name.clone(),
            #[cfg(unix)]
            Host::Unix(path) => path.display().to_string(),
        })
        .collect();
    let names = if names.is_empty() {
        config.get_hostaddrs().iter().map(ToString::to_string).collect()
    } else {
        names
    };
    let at = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    let hosts: Vec<String> =
        names.iter().enumerate().map(|(index, name)| format!("{name}:{}", at(index))).collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}/{database}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str, password: Option<&str>) -> Result<Server, PostgresError> {
        Server::new(&Settings {
            url: url.into(),
            password: password.map(Into::into),
            table: "orders".into(),
            key: "id".into(),
            ledger: crate::DEFAULT_LEDGER.into(),
            scope: "flow/target".into(),
            connections: 1,
            timeout: Duration::from_secs(5),
        })
    }

    #[test]
    fn a_url_is_read_with_all_it_says() {
        let server =
            read("postgres://me:s%40cret@db.example:6000/shop?sslmode=require&application_name=x", None);
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((server.shown.as_str(), server.proof), ("db.example:6000/shop", Proof::None));
        assert_eq!(server.config.get_ssl_mode(), SslMode::Require);
        assert_eq!(server.config.get_password(), Some(&b"s@cret"[..]));
        assert_eq!(server.config.get_application_name(), Some("x"));
        let server = read("postgresql://me:a?sslmode=z@db/shop", Some("other"));
        let server = server.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(server.config.get_password(), Some(&b"other"[..]));
        assert_eq!(server.config.get_ssl_mode(), SslMode::Prefer);
        assert_eq!(server.shown, "db:5432/shop");
    }

    #[test]
    fn who_the_server_is_can_be_asked_for() {
        let proof = |query: &str| {
            read(&format!("postgres://me@db/shop?{query}"), None).map(|server| {
                assert_eq!(server.config.get_ssl_mode(), SslMode::Require);
                server.proof
            })
        };
        assert_eq!(proof("sslmode=verify-full").expect("sound"), Proof::Machine);
        let roots = Proof::Roots("/etc/ca.pem".into());
        assert_eq!(proof("sslrootcert=/etc/ca.pem&sslmode=verify-full").expect("sound"), roots);
        for wrong in [
            "sslmode=verify-ca",
            "sslmode=",
            "sslmode=allow",
            "sslrootcert=/x",
            "sslmode=require&sslrootcert=/x",
        ] {
            assert!(proof(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_url_is_not_repeated() {
        for url in [
            "mysql://me:hunter2@db/shop",
            "postgres://me:hunter2@db:port/shop",
            "postgres://me:hunter2@db/shop?hunter2=1",
            "postgres://me:hunter2@db/shop?sslmode=hunter2",
            "postgres://me@x?hunter2@db/shop",
        ] {
            let error = read(url, Some("hunter2")).err().unwrap_or_else(|| panic!("{url} is read"));
            let text = format!("{error} {error:?}");
            assert!(!text.contains("hunter2") && text.contains("URL"), "{text}");
        }
    }
}
