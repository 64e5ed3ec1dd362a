//! The only crate that knows reqwest: one client, one table that classifies failures, retry, token, Retry-After, pace.

mod class;
mod client;
mod error;
pub mod foreign;
mod plain;
mod proxy;
mod retry;
mod retry_after;
mod sealed;
mod token;

pub use class::Class;
pub use client::{Answer, Client, LARGEST_ANSWER, LARGEST_PAGE, Method, Request, beginning};
pub use error::HttpError;
pub use retry::RetryPolicy;
pub use retry_after::retry_after;
pub use sealed::{open, seal};
pub use token::{Token, TokenCache};
