//! The vocabulary of the pipeline: identifiers, events and their encoding. No I/O.
//!
//! Every message in every stream is one [`Event`] in an envelope (see [`codec`]): MessagePack maps with field names,
//! so that a field may be added and an old message still decodes. The encoded form of every event is kept under
//! `tests/fixtures`, one folder a schema version.

mod alerts;
pub mod codec;
mod dead;
mod fields;
mod fingerprint;
mod foreign_text;
mod ids;
mod mapped;
mod operation;
mod pattern;
mod payload;
mod presence;
mod raw;
mod receipt;
mod shared_state;
mod sync;

pub use alerts::{
    AlertState, Announcement, Delivery, Finding, Heartbeat, KnownAlert, Notice, Silence, TargetSummary,
};
pub use codec::{CodecError, Decoded, Event, decode, encode, kind_of};
pub use dead::{Answer, Attempt, DeadLetter, DeadResolved, LetterOrigin, Stage};
pub use fields::{
    EmptiedField, FieldHistory, FieldsSeen, MappingFields, MappingHold, MappingState, MappingText,
    REMEMBERED_ORDERS,
};
pub use foreign_text::{LONGEST_QUOTING, LONGEST_TEXT, shorten, shorten_owned, shorten_to};
pub use ids::{DELETED, LIVE, LONGEST_TOKEN, OrderDigest, OrderKey, TargetName, WindowId, bounded_token};
pub use mapped::{
    ContentHash, MappedEvent, MappedOrder, NumbersMapped, OrderDeleted, OrdersSkipped, Origin, SkippedOrder,
    Version,
};
pub use operation::{
    Actor, Command, Failure, Log, OperationCommanded, OperationFinished, OperationMoved, OperationStarted,
    Work,
};
pub use pattern::pattern;
pub use payload::{Encoding, LARGEST_PAYLOAD, Payload, PayloadError};
pub use presence::{HeldPartition, Instance, Trouble, Writing};
pub use raw::{RawDetail, RawPage};
pub use receipt::{OlderStampFound, Outcome, Receipt};
pub use shared_state::{
    BudgetState, PauseState, RunsState, ServiceMember, ServiceState, StopState, TokenState,
};
pub use sync::{
    BackfillEnded, BackfillRequested, Listing, News, PageFetched, PageJob, PagePartFetched, PageRefused,
    Proof, Slice, SliceProof, WatermarkMoved, WindowClosed, WindowEvent, WindowFailed, WindowOpened,
};

/// A point in time, as events carry it: microseconds since the Unix epoch, UTC.
pub type Micros = i64;

/// The current time in [`Micros`].
pub fn now() -> Micros {
    jiff::Timestamp::now().as_microsecond()
}
