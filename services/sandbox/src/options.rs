//! What a sandbox is started with, and why a start can fail.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::Faults;

/// How a sandbox is set up. `Default` is a well-behaved server on a free port with 1,000 generated orders.
#[derive(Debug, Clone)]
pub struct Options {
    /// Address to bind; port 0 takes a free one, which [`crate::Sandbox::url`] then tells.
    pub listen: SocketAddr,
    /// Where the source's orders come from.
    pub orders: Orders,
    /// Directory in which both sides keep what happened, so that it survives the process; `None` keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// How the server misbehaves from the start; it can be changed while it runs.
    pub faults: Faults,
    /// Seed of the generated orders, of the choice of edited orders and of every dice roll.
    pub seed: u64,
    /// The zone in which times without an offset are meant.
    pub time_zone: TimeZone,
    /// Accepted `client_id` of the source and `app_key` of the target.
    pub client_id: String,
    /// Accepted `client_secret` of the source and `app_secret` of the target.
    pub client_secret: String,
    /// The largest `count` (rows a page) that the order list honours; a larger one is lowered to it.
    pub page_limit: u32,
    /// `true`: list rows come without items, product list, status and custom fields, as the real list does.
    pub brief_rows: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            orders: Orders::Generated { count: 1000 },
            data_dir: None,
            faults: Faults::default(),
            seed: 1,
            // The published offset of the source; a machine without a zone database still gets it right, because the
            // zone has had no daylight saving since 1991.
            time_zone: TimeZone::get("Asia/Shanghai")
                .unwrap_or_else(|_| TimeZone::fixed(jiff::tz::offset(8))),
            client_id: "demo".to_owned(),
            client_secret: "demo-secret".to_owned(),
            page_limit: 500,
            brief_rows: false,
        }
    }
}

/// Where the source's orders come from.
#[derive(Debug, Clone)]
pub enum Orders {
    /// Orders computed from the seed, 0 to `count - 1`.
    Generated {
        /// Number of orders.
        count: u64,
    },
    /// A `.ndjson` or `.ndjson.gz` file, one order a line, served as it was read.
    File(PathBuf),
}

/// Why a sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address could not be bound.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A line of an order file or of a log is not what it should be.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The data directory was written for another set of orders.
    #[error(
        "{path} was written for other orders ({found}), not for these ({wanted}); give another directory"
    )]
    OtherOrders {
        /// The log.
        path: PathBuf,
        /// The orders the log belongs to.
        found: String,
        /// The orders asked for.
        wanted: String,
    },
    /// A fault setting is outside its range.
    #[error("faults: {0}")]
    Faults(String),
    /// More orders than the server can number.
    #[error("{0} orders are too many: at most 4,000,000,000")]
    TooMany(u64),
}
