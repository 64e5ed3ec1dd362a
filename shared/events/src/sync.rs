//! SYNC and JOBS: the fetch history. LAST_SYNC_TIME is the fold of [`WindowClosed`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{CodecError, Event, Micros, WindowId, decode, kind_of};

/// A range of source time; both ends belong to it, as the source's API has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
pub struct Slice {
    /// Its first moment.
    pub since: Micros,
    /// Its last moment.
    pub until: Micros,
}

/// Which orders a window lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listing {
    /// Those that are there, by update time.
    #[default]
    Orders,
    /// Those that were deleted, by the time of their deletion.
    Deleted,
}

/// Which rows of a window are news.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    /// Those whose row in the list differs from the one read last.
    #[default]
    Changed,
    /// Those whose detail differs too: every detail is fetched.
    Details,
    /// All of them: somebody asked for the range to be read again.
    All,
}

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
    /// How many passes may be made over one slice before the window fails.
    pub max_passes: u32,
    /// Which orders it lists.
    #[serde(default, skip_serializing_if = "is_default")]
    pub listing: Listing,
    /// Which of its rows go on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub news: News,
}

/// One page has been read, and what is new on it is stored in RAW.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageFetched {
    /// The window.
    pub window: WindowId,
    /// Which reading of the window, from 1.
    pub pass: u32,
    /// The page number, from 1.
    pub page: u32,
    /// The sequence of its (first) message in RAW; 0 when nothing on it is news: its rows lie in RAW already, byte for byte, or
    /// their orders are gone.
    pub raw_seq: u64,
    /// The total the source reported with this page.
    pub total: u64,
    /// The id of each row, in order; a row without one is named by its place.
    pub ids: Vec<String>,
    /// The slice of the window it is a page of; the whole window when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub slice: Option<Slice>,
    /// A hash of each row's bytes, in order: what tells a row that has changed from one that has not.
    #[serde(default, skip_serializing_if = "is_default")]
    pub contents: Vec<u64>,
    /// A hash of each row's detail, in order, 0 where none was fetched; empty when none was fetched at all.
    #[serde(default, skip_serializing_if = "is_default")]
    pub details: Vec<u64>,
    /// Rows (from 0) whose order was gone when its detail was asked for: listed, then deleted. Not an error.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gone: Vec<u32>,
    /// Rows (from 0) of a list of deletions whose order is not deleted: `schedule.deleted.when` does not hold for them, or
    /// the list of orders shows them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub living: Vec<u32>,
    /// The source's own clock in the answer, when it shows one.
    #[serde(default, skip_serializing_if = "is_default")]
    pub source_now: Option<Micros>,
    /// Our clock when that answer had arrived.
    #[serde(default, skip_serializing_if = "is_default")]
    pub read_at: Option<Micros>,
}

/// Why one slice of a window is known to be complete: at the moment page 1 of a pass was read the source counted `total`
/// orders, and as many were on that page, or were met both before and after it.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct SliceProof {
    /// The slice.
    pub slice: Slice,
    /// The pass whose first page is that moment.
    pub pass: u32,
    /// The pass that met the last of them again; `None` when the page held them all.
    pub confirmed_by: Option<u32>,
    /// Pages that many orders fill.
    pub pages: u32,
    /// The total reported at that moment.
    pub total: u64,
    /// Distinct ids known to have been there; equal to `total`.
    pub distinct: u64,
}

/// Why a window is known to be complete: every slice of it is.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Proof {
    /// The most passes any slice took.
    pub pass: u32,
    /// Pages that the orders of all slices fill.
    pub pages: u32,
    /// The sum of the totals, less the orders that two slices share.
    pub total: u64,
    /// Distinct ids over all slices; equal to `total`.
    pub distinct: u64,
    /// The proof of each slice, in order of time.
    #[serde(default, skip_serializing_if = "is_default")]
    pub slices: Vec<SliceProof>,
    /// All pages that were read for it, also in passes that proved nothing.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pages_read: u64,
}

/// Rows of a page whose details were fetched before their fetcher was told to end: they are stored
/// in RAW. The page itself is still to be read; whoever reads it does not ask for these details
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PagePartFetched {
    /// The window.
    pub window: WindowId,
    /// Which reading of the window, from 1.
    pub pass: u32,
    /// The page number, from 1.
    pub page: u32,
    /// The slice of the window it is a page of; the whole window when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub slice: Option<Slice>,
    /// The sequence of their (first) message in RAW; 0 when none of them is news.
    pub raw_seq: u64,
    /// The id of each of these rows.
    pub ids: Vec<String>,
    /// A hash of each row's bytes.
    pub contents: Vec<u64>,
    /// A hash of each row's detail.
    pub details: Vec<u64>,
}

/// A page behind the first that the source does not give, whoever asks: its slice is read in halves, which have fewer pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRefused {
    /// The window.
    pub window: WindowId,
    /// Which reading of the window, from 1.
    pub pass: u32,
    /// The page number, from 2.
    pub page: u32,
    /// The slice of the window it is a page of; the whole window when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub slice: Option<Slice>,
    /// What the source answered, for a person.
    pub reason: String,
}

/// The window is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowClosed {
    /// The window.
    pub window: WindowId,
    /// Its start.
    pub since: Micros,
    /// The end of what is proved: that of the window, or earlier when the source's clock had not come so far.
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
    /// The most passes begun over any slice.
    pub passes: u32,
    /// The total the source last reported, when it reported one.
    pub total: Option<u64>,
    /// Distinct ids seen in the last pass over each slice, added up.
    pub distinct: u64,
}

/// The watermark of a lane has moved; that of the live lane is LAST_SYNC_TIME. Written with the [`WindowClosed`] that moved it, in one atomic batch.
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
    /// The slice of the window; the whole window when absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub slice: Option<Slice>,
}

/// A range of the past is to be fetched again, in steps, beside the live windows and without moving their watermark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillRequested {
    /// The operation; also the name of the lane its windows are in.
    pub id: String,
    /// The range.
    pub range: Slice,
    /// How much of it one window covers, in microseconds.
    pub step: Micros,
}

/// A backfill has ended.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct BackfillEnded {
    /// The operation.
    pub id: String,
    /// Whether the whole range is proved.
    pub complete: bool,
    /// What came of it, for a person.
    pub result: String,
}

impl Event for BackfillRequested {
    const KIND: &'static str = "BackfillRequested";
}
impl Event for BackfillEnded {
    const KIND: &'static str = "BackfillEnded";
}
impl Event for WindowOpened {
    const KIND: &'static str = "WindowOpened";
}
impl Event for PageFetched {
    const KIND: &'static str = "PageFetched";
}
impl Event for PagePartFetched {
    const KIND: &'static str = "PagePartFetched";
}
impl Event for PageRefused {
    const KIND: &'static str = "PageRefused";
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
    /// Some rows of a page were read.
    Part(PagePartFetched),
    /// A page was refused.
    Refused(PageRefused),
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
            PagePartFetched::KIND => decode(bytes).map(|event| Self::Part(event.body)),
            PageRefused::KIND => decode(bytes).map(|event| Self::Refused(event.body)),
            WindowClosed::KIND => decode(bytes).map(|event| Self::Closed(event.body)),
            WindowFailed::KIND => decode(bytes).map(|event| Self::Failed(event.body)),
            found => Err(CodecError::Kind { expected: "a window event", found: found.into() }),
        }
    }
}
