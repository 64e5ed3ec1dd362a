//! What becomes of a window and of its slices.

use events::{Micros, Proof, Slice};

/// How a window ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Closed(Proof),
    Failed(String),
}

/// What an open window needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    /// Pages that are under way or still to be asked for.
    Pages,
    /// To be closed: proved up to this moment.
    Close(Proof, Micros),
    /// To be given up.
    Fail(String),
}

/// A slice that does not settle: its halves are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitSlice {
    pub(crate) slice: Slice,
    /// Why it does not.
    pub(crate) why: String,
}
