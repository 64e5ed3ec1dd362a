//! Folds over the streams that operators look at: the account of a run, the status of a flow, the drift of its source,
//! whether a target holds what it should. All are made from the logs alone, so that they say the same whichever process asks.

mod abandoned;
mod account;
mod again;
pub mod alerts;
pub mod backfill;
mod carry;
mod comparison;
mod day;
mod dead_groups;
pub mod drift;
mod edit;
mod instances;
mod letters;
mod limits;
mod mapping_watch;
mod mask;
mod numbers;
mod older_stamps;
mod operation;
mod pause;
#[cfg(test)]
mod quiet_flow;
mod reconciliation;
mod replay;
mod resume;
mod rewrite;
mod run;
mod schedule;
mod sent;
mod services;
mod silencing;
mod stages;
mod status;
mod trace;
mod verdict;
mod windows;

pub use abandoned::end_abandoned_edits;
pub use account::{Account, TargetAccount, WindowLine, WindowState};
pub use again::{Unfit, unfit};
pub use carry::{Carried, Remap, begin, carry, command};
pub use comparison::{Cause, Comparison, Listed, MappedRow, ReceivedContent, SourceReading, Unlike};
pub use day::DayTally;
pub use dead_groups::DeadGroup;
pub use edit::{About, Editable, MapRow, NotEditable, edit, editable};
pub use instances::instances;
pub use letters::{LetterLine, Resolution, Selection, letter};
pub use limits::{LimitNear, disk, is_near, limits};
pub use mapping_watch::{
    Acceptance, EmptiedByMapping, EmptyField, HeldMapping, MappingWatch, accept_mapping, mapping_watch,
};
pub use mask::Mask;
pub use operation::{Operation, Said, State, runs};
pub use pause::{Paused, PausedStage, end_pause, pause, paused, paused_stages};
pub use reconciliation::{Difference, Messages, Reconciliation};
pub use replay::{Range, Replayed, labels};
pub use resume::{Stopped, resume, stopped};
pub use rewrite::{lifted_version, prepare_rewrite};
pub use run::{account_from, finished, started};
pub use schedule::{OverdueRun, ended_well};
pub use sent::{FailedAgain, Hindrance, HindranceKind, SentMessages, SentResult, hindrances};
pub use services::{ExpectedService, expected_services, serve};
pub use silencing::{begin_silence, lift_silence};
pub use stages::{StageStatus, drained, mapped};
pub use status::{DeadLetters, Status, Watermark};
pub use trace::{Happened, Made, Step, Story, UpdateTimes};
pub use verdict::{Concern, Level, Verdict, command_for};
pub use windows::{WindowStory, windows};
