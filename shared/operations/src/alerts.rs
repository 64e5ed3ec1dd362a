//! Alerts: what holds now, what is to be said of it, and who was told. All of it is pure; a process that runs does the rest.

mod conditions;
mod delivery;
mod fold;
#[cfg(test)]
mod properties;

pub use conditions::{Condition, Look};
pub use delivery::{claim, delivered, failed, waiting, wants};
pub use fold::{Pace, fold};
