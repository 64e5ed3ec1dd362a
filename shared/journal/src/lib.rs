//! The only crate that knows async-nats: topology, publish, atomic batch, consume and settle, append, reading a log.
//!
//! The rules this crate keeps so that nobody else has to think of them:
//! - a publish is done when the server has acknowledged its storage, and every publish carries a `Nats-Msg-Id`;
//! - a handler returns a [`Settlement`]; the loop in [`consume`](Journal::consume) acks, naks or terminates, nothing else does;
//! - `max_deliver` is unlimited: a message is given up only by a letter in DEAD that is stored before it is terminated.

mod batch;
mod budget;
mod cell;
mod committer;
mod connect;
mod consume;
mod contact;
mod delivery;
mod error;
mod log;
mod membership;
mod pages;
mod partitions;
mod pin;
mod presence;
mod publish;
mod record;
mod server;
mod topology;
mod trace;

pub use budget::{Budget, Rate};
pub use cell::{Cell, Seen};
pub use committer::Committer;
pub use connect::{Connection, Journal, MINIMUM_SERVER};
pub use consume::{Consumption, Settlement};
pub use contact::{Contact, FRESH, Moment};
pub use delivery::{Delivery, Label};
pub use error::JournalError;
pub use log::{Entry, From, Lag};
pub use pages::StoredPage;
pub use partitions::Partitions;
pub use pin::Pin;
pub use publish::Stored;
pub use record::Record;
pub use server::{LocalServer, ServerError, find_server, local_url};
pub use topology::{Stream, Topology};
pub use trace::TraceParent;
