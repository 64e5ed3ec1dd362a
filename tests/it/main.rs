//! One integration binary: the crates together, against a real nats-server.
#![allow(clippy::unwrap_used, missing_docs)]

mod account;
mod arrows;
mod bad_input;
mod consume;
mod crash;
mod deploy;
mod faults;
mod journal;
mod partitions;
mod pipeline;
mod telemetry;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");
