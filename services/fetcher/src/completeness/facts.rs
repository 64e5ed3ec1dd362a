//! What a page says of its slice.

use super::places::Places;
use events::OrderDigest;

/// What one page said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PageFacts {
    /// The total the source reported with it.
    pub(crate) total: u64,
    /// The orders on it, without those that were gone when their detail was asked for.
    pub(crate) ids: Vec<OrderDigest>,
    /// How many were gone: listed, but not had. They prove nothing until they are not listed any more.
    pub(crate) gone: u64,
}

/// What is kept of a page of the current pass.
#[derive(Debug, Clone)]
pub(super) struct PageRead {
    pub(super) total: u64,
    pub(super) gone: u64,
    /// Its orders, by their place in [`Reading::met`].
    pub(super) orders: Vec<u32>,
}

/// The moment at which page 1 of a pass was read.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) pass: u32,
    /// How many orders the source counted.
    pub(super) total: u64,
    /// Those of them that are known to have been there.
    pub(super) here: Places,
}
