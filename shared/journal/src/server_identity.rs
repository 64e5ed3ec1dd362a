//! What our own nats-server and we know each other by: one key pair and its certificate, in a file
//! that only we can read. Both sides of every connection show it, so that no other user of the
//! machine is let in, and none who listens on our port is taken for our server.

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};

use crate::access::{ClientCertificate, TlsFiles};
use crate::private::{PrivateError, expect_our_file, write_file};
use crate::server_error::ServerError;

/// The file, within the folder of the server.
const FILE: &str = "identity.pem";

/// The file that holds the certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(PathBuf);

impl Identity {
    /// That of the server in this folder, made if there is none.
    pub(crate) fn ensure(folder: &Path) -> Result<Self, ServerError> {
        let path = folder.join(FILE);
        if path.symlink_metadata().is_err() {
            write_file(&path, &made().map_err(ServerError::Identity)?)?;
        }
        Self::of(folder).map_err(ServerError::from)
    }

    /// That of the server in this folder.
    ///
    /// # Errors
    /// When it is not there, or not ours.
    pub(crate) fn of(folder: &Path) -> Result<Self, PrivateError> {
        let path = folder.join(FILE);
        expect_our_file(&path)?;
        Ok(Self(path))
    }

    /// The file: certificate and key as PEM, for both sides.
    pub fn file(&self) -> &Path {
        &self.0
    }

    /// How a client uses it.
    pub fn tls(&self) -> TlsFiles {
        let file = || self.0.clone();
        let client = ClientCertificate { cert_file: file(), key_file: file() };
        TlsFiles { ca_file: Some(file()), client: Some(client) }
    }
}

/// A key pair and a certificate that it has signed itself, for 127.0.0.1.
fn made() -> Result<String, rcgen::Error> {
    let keys = KeyPair::generate()?;
    let mut parameters = CertificateParams::new(["127.0.0.1".to_string()])?;
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = parameters.self_signed(&keys)?;
    Ok(format!("{}{}", certificate.pem(), keys.serialize_pem()))
}
