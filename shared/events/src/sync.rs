//! SYNC and JOBS: the fetch history. LAST_SYNC_TIME is the fold of [`WindowClosed`].

use serde::{Deserialize, Serialize};

use crate::{CodecError, Event, Micros, WindowId, decode, kind_of};

/// A range of source time is going to be fetched. Both ends are inclusive, as the source's API has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowOpened {
    /// The window.
    pub window: WindowId,
    /// Its start, overlap included.
    pub since: Micros,
    /// Its end; frozen when it was opened.
    pub until: Micros,
    /// Rows a page.
    pub page_size: u32,
    /// How many passes may be made before the window fails.
    pub max_passes: u32,
}

/// One page has been read and is stored in RAW.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageFetched {
    /// The window.
    pub window: WindowId,
    /// Which reading of the window, from 1.
    pub pass: u32,
    /// The page number, from 1.
    pub page: u32,
    /// The sequence of its (first) message in RAW.
    pub raw_seq: u64,
    /// The total the source reported with this page.
    pub total: u64,
    /// The id of each row, in order; a row without one is represented by a hash of its bytes.
    pub ids: Vec<String>,
}

/// Why a window is known to be complete: one whole pass, one unchanged total, as many distinct ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The pass that proved it.
    pub pass: u32,
    /// Pages in that pass.
    pub pages: u32,
    /// The total reported by every page of it.
    pub total: u64,
    /// Distinct ids in it.
    pub distinct: u64,
}

/// The window is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowClosed {
    /// The window.
    pub window: WindowId,
    /// Its start.
    pub since: Micros,
    /// Its end.
    pub until: Micros,
    /// The proof.
    pub proof: Proof,
}

/// The window could not be proved complete; the watermark stays and the next tick tries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowFailed {
    /// The window.
    pub window: WindowId,
    /// What went wrong, for a person.
    pub reason: String,
    /// Passes begun.
    pub passes: u32,
    /// The total the source last reported, when it reported one.
    pub total: Option<u64>,
    /// Distinct ids seen in the last pass.
    pub distinct: u64,
}

/// LAST_SYNC_TIME has moved. Written with the [`WindowClosed`] that moved it, in one atomic batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkMoved {
    /// Everything at the source up to here has been fetched and proved.
    pub to: Micros,
    /// The window that proved it.
    pub window: WindowId,
}

/// An order to fetch one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageJob {
    /// The window.
    pub window: WindowId,
    /// Which reading of it, from 1.
    pub pass: u32,
    /// The page number, from 1.
    pub page: u32,
}

impl Event for WindowOpened {
    const KIND: &'static str = "WindowOpened";
}
impl Event for PageFetched {
    const KIND: &'static str = "PageFetched";
}
impl Event for WindowClosed {
    const KIND: &'static str = "WindowClosed";
}
impl Event for WindowFailed {
    const KIND: &'static str = "WindowFailed";
}
impl Event for WatermarkMoved {
    const KIND: &'static str = "WatermarkMoved";
}
impl Event for PageJob {
    const KIND: &'static str = "PageJob";
}

/// Any event of one window's subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowEvent {
    /// It was opened.
    Opened(WindowOpened),
    /// A page was read.
    Page(PageFetched),
    /// It was proved.
    Closed(WindowClosed),
    /// It could not be proved.
    Failed(WindowFailed),
}

impl WindowEvent {
    /// Decodes whichever window event the bytes hold.
    ///
    /// # Errors
    /// [`CodecError::Kind`] when they hold something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match kind_of(bytes)?.as_str() {
            WindowOpened::KIND => decode(bytes).map(|event| Self::Opened(event.body)),
            PageFetched::KIND => decode(bytes).map(|event| Self::Page(event.body)),
            WindowClosed::KIND => decode(bytes).map(|event| Self::Closed(event.body)),
            WindowFailed::KIND => decode(bytes).map(|event| Self::Failed(event.body)),
            found => Err(CodecError::Kind { expected: "a window event", found: found.into() }),
        }
    }
}
