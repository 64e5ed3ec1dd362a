//! The source API, OKKI CRM (小满), as types and calls.
//!
//! What is known of it is what OKKI publishes and what other clients met; where these disagree, this crate takes both:
//! success codes 200, 0 or none, a total as `count` or `totalItem`, number or text, ids as number or text.

mod client;
mod error;
mod page;
mod stored;
mod time;

pub use client::{DetailCall, Okki, Settings};
pub use error::OkkiError;
pub use page::{Detail, Page, Reader, detail, rows};
pub use stored::news;
pub use time::{Moment, expand, uses_dates};
