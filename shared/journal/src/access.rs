//! Who we are at the server, and what encrypts the connection: secrets and certificates, and what is wrong when they do not let us in.

use std::fmt;
use std::path::{Path, PathBuf};

use async_nats::{ConnectError, ConnectErrorKind, ConnectOptions};

use crate::JournalError;

/// Who we are at the server. Secrets are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Credentials {
    /// What stands in the URL, or nobody.
    #[default]
    InUrl,
    /// A `.creds` file: a JWT and its seed.
    File(PathBuf),
    /// A user and a password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token.
    Token(String),
    /// A file that holds the seed of an nkey.
    NkeyFile(PathBuf),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InUrl => "in the URL",
            Self::File(_) => "a .creds file",
            Self::Password { .. } => "user and password",
            Self::Token(_) => "a token",
            Self::NkeyFile(_) => "an nkey",
        })
    }
}

/// What a connection over TLS needs beyond the certificates of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificates that the server's is held against, as PEM.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate and its key, as PEM.
    pub client: Option<ClientCertificate>,
}

/// The certificate that we show the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, as PEM.
    pub cert_file: PathBuf,
    /// Its key, as PEM.
    pub key_file: PathBuf,
}

/// A file that is needed and cannot be used.
fn unusable(
    key: &'static str,
    path: &Path,
    advice: &'static str,
    source: Option<std::io::Error>,
) -> JournalError {
    JournalError::Credentials { key, path: path.to_path_buf(), advice, source }
}

/// A file of credentials has no more bytes.
const LARGEST: u64 = 1 << 20;

/// Refuses what could be waited for or read without end: a named pipe, a device, or a file of any size.
fn refuse_what_is_no_file(key: &'static str, path: &Path) -> Result<(), JournalError> {
    // What is not there, and a folder, are errors of reading.
    let Ok(found) = std::fs::metadata(path) else { return Ok(()) };
    if found.is_dir() || (found.is_file() && found.len() <= LARGEST) {
        return Ok(());
    }
    Err(unusable(key, path, "expected a regular file of at most 1 MiB", None))
}

pub(crate) async fn with_credentials(
    options: ConnectOptions,
    credentials: Credentials,
) -> Result<ConnectOptions, JournalError> {
    Ok(match credentials {
        Credentials::InUrl => options,
        Credentials::Password { user, password } => {
            secrets::remember(&password);
            options.user_and_password(user, password)
        }
        Credentials::Token(token) => {
            secrets::remember(&token);
            options.token(token)
        }
        Credentials::File(file) => {
            let advice = "expected a .creds file with a JWT and a seed";
            refuse_what_is_no_file("nats.credentials_file", &file)?;
            let read = options.credentials_file(&file).await;
            read.map_err(|source| unusable("nats.credentials_file", &file, advice, Some(source)))?
        }
        Credentials::NkeyFile(file) => {
            let (key, advice) =
                ("nats.nkey_file", "expected the seed of a user's nkey: one line that begins with SU");
            refuse_what_is_no_file(key, &file)?;
            let text = tokio::fs::read_to_string(&file).await;
            let text = text.map_err(|source| unusable(key, &file, advice, Some(source)))?;
            let seed = text.trim_start_matches('\u{feff}').trim();
            // The client library would say only later, and without the file, that it is none.
            if !seed.starts_with("SU") || nkeys::KeyPair::from_seed(seed).is_err() {
                return Err(unusable(key, &file, advice, None));
            }
            secrets::remember(seed);
            options.nkey(seed.to_string())
        }
    })
}

/// Encrypts the connection with these files; each is read here, so that the error names it.
pub(crate) fn with_tls(options: ConnectOptions, tls: &TlsFiles) -> Result<ConnectOptions, JournalError> {
    // Who names certificates does not want their password sent where there is no TLS.
    let mut options = options.require_tls(true);
    let pem = |key, path: &Path, wanted: &str, advice| match std::fs::read_to_string(path) {
        Ok(text) if text.contains(wanted) => Ok(()),
        Ok(_) => Err(unusable(key, path, advice, None)),
        Err(source) => Err(unusable(key, path, advice, Some(source))),
    };
    const CERTIFICATE: &str = "expected certificates as PEM (BEGIN CERTIFICATE)";
    if let Some(ca_file) = &tls.ca_file {
        refuse_what_is_no_file("nats.tls.ca_file", ca_file)?;
        pem("nats.tls.ca_file", ca_file, "BEGIN CERTIFICATE", CERTIFICATE)?;
        options = options.add_root_certificates(ca_file.clone());
    }
    if let Some(ClientCertificate { cert_file, key_file }) = &tls.client {
        refuse_what_is_no_file("nats.tls.cert_file", cert_file)?;
        refuse_what_is_no_file("nats.tls.key_file", key_file)?;
        pem("nats.tls.cert_file", cert_file, "BEGIN CERTIFICATE", CERTIFICATE)?;
        pem("nats.tls.key_file", key_file, "PRIVATE KEY", "expected a key as PEM (BEGIN PRIVATE KEY)")?;
        options = options.add_client_certificate(cert_file.clone(), key_file.clone());
    }
    Ok(options)
}

/// Why no connection came about, as far as the client library tells.
pub(crate) fn cannot_connect(url: &str, source: ConnectError) -> JournalError {
    let url = url.to_string();
    if let ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication = source.kind() {
        return JournalError::Unauthorized { url, words: "Authorization Violation".into() };
    }
    let mut said = source.to_string();
    let mut cause = std::error::Error::source(&source);
    while let Some(inner) = cause {
        said = format!("{said}: {inner}");
        cause = inner.source();
    }
    match tls_advice(&said, source.kind() == ConnectErrorKind::Tls) {
        Some(advice) => JournalError::Tls { url, advice, source: Box::new(source) },
        None => JournalError::Connect { url, source },
    }
}

/// What to do about a connection that failed with these words; `None` when it did not fail because of TLS.
fn tls_advice(said: &str, is_tls: bool) -> Option<&'static str> {
    let said_any = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if said_any(&["UnknownIssuer", "BadSignature", "CaUsedAsEndEntity"]) {
        return Some(
            "its certificate is not of an authority that we trust; name the right one with nats.tls.ca_file",
        );
    }
    if said_any(&["NotValidForName"]) {
        return Some(
            "its certificate is for another host name; correct nats.url, or the certificate of the server",
        );
    }
    if said_any(&["Expired", "NotValidYet"]) {
        return Some("its certificate is not valid at this time; renew it, or set the clock right");
    }
    if said_any(&[
        "CertificateRequired",
        "BadCertificate",
        "UnknownCA",
        "CertificateUnknown",
        "HandshakeFailure",
    ]) {
        return Some(
            "it wants a certificate of ours that it trusts; give one with nats.tls.cert_file and nats.tls.key_file",
        );
    }
    if said_any(&["corrupt message", "InvalidContentType", "peer is incompatible"]) {
        return Some("it offers no TLS there; use nats:// and no nats.tls, or have the server offer it");
    }
    is_tls.then_some("see what the client said, and check nats.url and nats.tls")
}
