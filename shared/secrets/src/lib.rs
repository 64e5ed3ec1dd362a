//! The secrets that this process knows, and taking them out of text that others wrote: a source, a
//! target or a proxy may repeat in its answer whatever it was sent. [`redact`] is the one function
//! that all such text passes before it is logged, stored or shown.
//!
//! A secret is known from when it is read ([`remember`]), or given to us ([`remember_token`]). It
//! is found as it is and in percent-encoding, JSON escapes, HTML entities and base64, also one
//! within another. What is shorter than [`SHORTEST`] is not taken out, or nothing would be left of
//! any text; what is shorter than [`LONG`] is taken out where it stands alone.

pub mod address;
mod decode;
mod known;
mod pattern;

pub use known::{redact, redact_bytes, remember, remember_header, remember_token};

/// What stands where a secret stood.
pub const HIDDEN: &str = "***";

/// Secrets of fewer bytes are not taken out.
pub const SHORTEST: usize = 4;

/// Secrets of fewer bytes are only taken out where no letter, digit, `_` or `-` stands beside them.
pub const LONG: usize = 8;
