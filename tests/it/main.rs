//! One integration binary: the crates together, against a real nats-server.
#![allow(clippy::unwrap_used, missing_docs)]

mod abandoned;
mod account;
mod alerts;
mod alerts_program;
mod arrows;
mod backfill;
mod bad_input;
mod bad_source;
mod batches;
mod chaos;
mod consume;
mod crash;
mod dead;
mod dead_groups;
mod deploy;
mod drift;
mod faults;
mod incident;
mod journal;
mod lanes;
mod language;
mod map;
mod mapping;
mod pages;
mod partitions;
mod pipeline;
mod postgres;
mod postgres_faults;
mod presence;
mod reconcile;
mod replay;
mod replicas;
mod take_over;
mod targets;
mod telemetry;
mod trace;
mod windows;
mod writers;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_orderflow-under-test");
