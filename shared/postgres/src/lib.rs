//! PostgreSQL as a target: each record becomes a row of a table, and each version of an order is written once.
//!
//! What makes it once is a table of versions beside the orders (`orderflow_versions`): one statement moves the version of
//! an order there, and only when it moves, the row of the order ([`Postgres::write`]). So an answer that was lost can be
//! asked for again, and an older state never takes the place of a newer one, however many writers there are.
//!
//! Records go to the server as text and are taken apart there (`jsonb_populate_record`): a number reaches a `numeric`
//! column digit by digit, what is nested reaches a `jsonb` column, and columns that the record does not name stay as they
//! are. Names are taken literally: `orderId` is the column `"orderId"`.
//!
//! It works through a pooler that shares sessions between transactions (PgBouncer in mode
//! `transaction`): statements and settings last for a transaction at most.
//!
//! The versions are what is believed. To have an order written again whatever the table holds (after a `TRUNCATE`, say),
//! its row in the table of versions has to go as well.

mod batch;
mod blame;
mod catalog;
mod error;
mod name;
mod pool;
mod probe;
mod record;
mod settings;
mod sqlstate;
mod statement;
mod suspects;
mod tls;
mod url;
mod write;

pub use error::PostgresError;
pub use probe::TableReport;
pub use settings::{DEFAULT_LEDGER, Settings};
pub use write::{Postgres, Row, Verdict};
