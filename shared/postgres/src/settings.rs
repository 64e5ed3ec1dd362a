//! How the table is reached.

use std::fmt;
use std::time::Duration;

/// The usual name of the table of versions.
pub const DEFAULT_LEDGER: &str = "orderflow_versions";

/// How the table is reached, and which one it is.
#[derive(Clone)]
pub struct Settings {
    /// `postgres://user@host:port/database?sslmode=...`; never printed, for it may hold a password. `sslmode` is `disable`,
    /// `prefer` (the default), `require` (encrypted, the certificate is not checked) or `verify-full` (checked against the
    /// certificates that the machine trusts, or against those in `sslrootcert=FILE`).
    pub url: String,
    /// The password; goes before the one in the URL.
    pub password: Option<String>,
    /// The table: `orders` or `schema.orders`, capitals as they are.
    pub table: String,
    /// The column that identifies an order: the primary key or a unique one.
    pub key: String,
    /// The table of versions, made when it is missing: see [`DEFAULT_LEDGER`].
    pub ledger: String,
    /// Whose versions these are, `<flow>/<target>`: several targets may share a table of versions.
    pub scope: String,
    /// How many connections are kept at most.
    pub connections: usize,
    /// How long one call of [`write`](crate::Postgres::write) may take, waiting and connecting included.
    pub timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("table", &self.table)
            .field("key", &self.key)
            .field("ledger", &self.ledger)
            .field("scope", &self.scope)
            .field("connections", &self.connections)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
