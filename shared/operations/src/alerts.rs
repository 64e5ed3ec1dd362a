//! Alerts: what holds now, what is to be said of it, and who was told. All of it is pure; a process that runs does the rest.

mod conditions;
mod delivery;
mod fold;
mod heartbeat;
#[cfg(test)]
mod properties;
mod silence;
mod summary;

pub use conditions::{Condition, Look};
pub use delivery::{claim, delivered, failed, waiting, wants};
pub use fold::{Pace, fold};
pub use heartbeat::{beat_delivered, beat_due, beat_failed, begin_beat};
pub use silence::{EVERYTHING, end_silence, is_condition_name, silence, silence_of, silences};
pub use summary::{SUMMARY, SummaryDay, due_summary, sum_up};
