//! The only crate that knows async-nats: topology, publish, atomic batch, consume and settle, append, reading a log.
//!
//! The rules this crate keeps so that nobody else has to think of them:
//! - a publish is done when the server has acknowledged its storage, and every publish carries a `Nats-Msg-Id`;
//! - a handler returns a [`Settlement`]; the loop in [`consume`](Journal::consume) acks, naks or terminates, nothing else does;
//! - `max_deliver` is unlimited: a message is given up only by a letter in DEAD that is stored before it is terminated.

mod access;
mod address;
mod batch;
mod budget;
mod cell;
mod committer;
mod connect;
mod consume;
mod contact;
mod delivery;
mod ensure;
mod error;
mod log;
mod membership;
mod pages;
mod panics;
mod partitions;
mod pause;
mod pin;
mod presence;
mod private;
mod publish;
mod record;
mod refusals;
mod server;
mod server_error;
mod server_facts;
mod server_identity;
mod server_look;
mod server_process;
mod storage_trouble;
mod storage_use;
mod topology;
mod trace;

pub use access::{ClientCertificate, Credentials, TlsFiles};
pub use address::Address;
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
pub use panics::{PANIC, panic_message};
pub use partitions::Partitions;
pub use pause::Pause;
pub use pin::Pin;
pub use private::{PrivateError, create_folder, open_file};
pub use publish::{LetterToStore, Stored};
pub use record::Record;
pub use server::{LocalAddress, LocalServer, find_server, local_address};
pub use server_error::ServerError;
pub use server_facts::{
    RECOMMENDED_PAYLOAD, ServerFacts, ServerWeakness, StreamFacts, SyncPolicy, shown_duration, weaknesses,
};
pub use server_identity::Identity;
pub use server_look::{Monitor, Permission};
pub use storage_trouble::{StorageTrouble, WaitingRecord, store_patiently};
pub use storage_use::{StorageUse, disk_use};
pub use topology::{Stream, Topology};
pub use trace::TraceParent;
