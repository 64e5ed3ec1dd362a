//! The target API, 轻易云 (Qeasy), as types and calls: the `execute` form of the case and the documented `store` form.

mod answer;
mod client;
mod found;
mod statement;

pub use answer::{Speaker, Verdict, WriteError, judge};
pub use client::{Form, ProbeReply, Qeasy, Settings, Written};
pub use found::Found;
