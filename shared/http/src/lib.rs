//! The only crate that knows reqwest: classification, retry, token, Retry-After.
