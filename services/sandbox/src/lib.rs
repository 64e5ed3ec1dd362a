//! A stand-in OKKI and a stand-in 轻易云 that can misbehave on request.
//!
//! One HTTP server plays both ends of an order pipeline: it lists orders as the source does, accepts them as the target
//! does, and counts honestly what it saw. It serves demonstrations, tests, chaos and benchmarks. Faults are changed
//! while it runs, by [`Sandbox::set_faults`] or `PATCH /sandbox/faults`.

mod answer;
mod apply;
mod at_once;
mod civil;
mod cli;
mod control;
mod dial;
mod draw;
mod faults;
mod fields;
mod in_hand;
mod key;
mod ledger;
mod limit;
mod lock;
mod log;
mod money;
mod options;
mod orders;
mod persist;
mod record;
mod report;
mod sandbox;
mod source;
mod state;
mod target;
#[cfg(test)]
mod testing;
mod token;

pub use cli::{Cli, run};
pub use faults::{Faults, IdShape, PastEnd, RetryAfter, SourceFaults, TargetFaults, TotalField, TotalShape};
pub use options::{Options, Orders, SandboxError};
pub use report::{Report, SourceReport, TargetReport};
pub use sandbox::{Sandbox, start};
