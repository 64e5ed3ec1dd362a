//! Folds over the streams that operators look at: the account of a run, the status of a flow, the drift of its source,
//! whether a target holds what it should. All are made from the logs alone, so that they say the same whichever process asks.

mod account;
pub mod backfill;
mod dead_groups;
pub mod drift;
mod instances;
mod reconciliation;
mod resume;
mod run;
mod status;

pub use account::{Account, TargetAccount, WindowLine, WindowState};
pub use dead_groups::DeadGroup;
pub use instances::instances;
pub use reconciliation::{Difference, Messages, Reconciliation};
pub use resume::{Stopped, resume, stopped};
pub use run::{account_from, finished, started};
pub use status::{DeadLetters, StageStatus, Status, Watermark, drained};
