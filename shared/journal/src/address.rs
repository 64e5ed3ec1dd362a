//! The addresses of NATS as the configuration gives them: servers, and the credentials that may stand in them.

use std::fmt;

use crate::JournalError;
use crate::access::Credentials;

/// `nats.url`, which may hold a password: never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Address(String);

impl Address {
    /// Whether it can be read.
    ///
    /// # Errors
    /// [`JournalError::Address`]; credentials are not repeated.
    pub fn check(&self) -> Result<(), JournalError> {
        self.read().map(drop)
    }

    /// The servers, and the credentials that stand there.
    ///
    /// # Errors
    /// As [`Addresses::parse`].
    pub(crate) fn read(&self) -> Result<Addresses, JournalError> {
        Addresses::parse(&self.0)
    }
}

impl From<String> for Address {
    fn from(url: String) -> Self {
        Self(url)
    }
}

impl From<&str> for Address {
    fn from(url: &str) -> Self {
        Self(url.to_string())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Addresses::parse(&self.0).map_or_else(|error| error.to_string(), |read| read.shown()))
    }
}

/// The servers of `nats.url`, and who we are there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// The addresses, without credentials.
    pub(crate) servers: Vec<String>,
    /// The credentials that stand in them.
    pub(crate) credentials: Option<Credentials>,
}

impl Addresses {
    /// Reads addresses separated by commas. Credentials that stand in one of them are for all of them.
    ///
    /// # Errors
    /// [`JournalError::Address`] when one cannot be read, or they name different users.
    pub(crate) fn parse(url: &str) -> Result<Self, JournalError> {
        let mut addresses = Self { servers: Vec::new(), credentials: None };
        for one in url.split(',').map(str::trim).filter(|one| !one.is_empty()) {
            let (scheme, rest) = one.split_once("://").unwrap_or(("nats", one));
            if !matches!(scheme, "nats" | "tls") {
                return Err(JournalError::Address { what: format!("found scheme \"{scheme}\"") });
            }
            let (user_info, host) = match rest.rsplit_once('@') {
                Some((user_info, host)) => (Some(user_info), host),
                None => (None, rest),
            };
            let server = format!("{scheme}://{host}");
            if host.is_empty() || server.parse::<async_nats::ServerAddr>().is_err() {
                // A password with a comma in it would be torn apart: then nothing is repeated.
                let what = match url.contains('@') {
                    true => "found an address that cannot be read".to_string(),
                    false => format!("found \"{server}\""),
                };
                return Err(JournalError::Address { what });
            }
            addresses.servers.push(server);
            let Some(found) = user_info.filter(|info| !info.is_empty()).map(credentials_of) else { continue };
            if addresses.credentials.as_ref().is_some_and(|known| *known != found) {
                let what =
                    "found different users in the addresses; all servers are given the same credentials"
                        .into();
                return Err(JournalError::Address { what });
            }
            addresses.credentials = Some(found);
        }
        if addresses.servers.is_empty() {
            return Err(JournalError::Address { what: "found no address".into() });
        }
        Ok(addresses)
    }

    /// The addresses for messages.
    pub(crate) fn shown(&self) -> String {
        self.servers.join(",")
    }
}

/// `user:password`, or a token alone.
fn credentials_of(user_info: &str) -> Credentials {
    match user_info.split_once(':') {
        Some((user, password)) => {
            Credentials::Password { user: percent_decoded(user), password: percent_decoded(password) }
        }
        None => Credentials::Token(percent_decoded(user_info)),
    }
}

/// The text with `%XX` resolved; a `%` before anything else stays as it is.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let byte = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Credentials {
        Credentials::Password { user: user.into(), password: password.into() }
    }

    #[test]
    fn credentials_are_taken_out_and_decoded() {
        let parsed = |url| Addresses::parse(url).expect("an address");
        let one = parsed("nats://me:p%40s%3As@h:4222");
        assert_eq!((one.shown().as_str(), one.credentials), ("nats://h:4222", Some(password("me", "p@s:s"))));
        let list = parsed("tls://me:x@[::1]:4222, h2");
        assert_eq!(
            (list.shown().as_str(), list.credentials),
            ("tls://[::1]:4222,nats://h2", Some(password("me", "x")))
        );
        assert_eq!(parsed("nats://s3cr3t@h").credentials, Some(Credentials::Token("s3cr3t".into())));
        assert_eq!(parsed("nats://u:a@b@h").credentials, Some(password("u", "a@b")), "the last @ ends them");
        assert_eq!(
            parsed("nats://u:100%@h").credentials,
            Some(password("u", "100%")),
            "no hex digits follow"
        );
        assert_eq!(parsed("nats://h").credentials, None);
    }

    #[test]
    fn what_cannot_be_read_is_refused_without_its_secret() {
        for wrong in [
            "ws://u:secret@h",
            "",
            "nats://u:secret@",
            "nats://u:secret@h:port",
            "nats://u:secret,part@h",
            "nats://a:secret@h,nats://b:secret@h",
        ] {
            let error = Addresses::parse(wrong).expect_err(wrong).to_string();
            assert!(error.starts_with("nats.url: found") && !error.contains("secret"), "{error}");
        }
    }
}
