//! The source API, OKKI CRM (小满), as types and calls.
//!
//! What is known of it is what OKKI publishes and what other clients met; where these disagree, this crate takes both:
//! success codes 200, 0 or none, a total as `count` or `totalItem`, number or text, ids as number or text. Each field is
//! read by itself, and of two equal names in an object the last one counts, as in the mapping.

mod asked;
mod client;
mod damage;
mod envelope;
mod error;
mod fields;
mod moment;
mod page;
mod stored;
mod time;
mod token;

pub use asked::field_text;
pub use client::{DetailCall, Okki, Settings};
pub use error::OkkiError;
pub use fields::{FIELDS, LINE_FIELDS, is_only_in_detail};
pub use moment::Moment;
pub use page::{Detail, Page, Reader, id_of};
pub use stored::{DamagedRow, News, StoredRow, detail, news, rows};
pub use time::{expand, uses_dates};
pub use token::read_token;
