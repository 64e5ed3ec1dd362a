//! MAPPED: one order in the target's shape.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::is_default;
use crate::{CodecError, Event, Micros, OrderKey, WindowId, decode};

/// Which of two states of one order is newer: the source's update time first, then the order of reading, then how often
/// the same reading was mapped again. An order without an update time is older than one with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The source's update time.
    pub updated_at: Option<Micros>,
    /// The sequence of its page in RAW.
    pub raw_seq: u64,
    /// 0 for the live flow; raised by a replay.
    pub generation: u32,
}

impl Version {
    /// No version is older.
    pub const OLDEST: Self = Self { updated_at: None, raw_seq: 0, generation: 0 };
}

/// Where a mapped order or a dead letter came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The window.
    pub window: WindowId,
    /// The page number, from 1.
    pub page: u32,
    /// The row of the page, from 0.
    pub row: u32,
    /// The sequence of the page in RAW.
    pub raw_seq: u64,
}

/// 128 bits of blake3 over the mapped record: equal content is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContentHash(#[serde(with = "serde_bytes")] [u8; 16]);

impl ContentHash {
    /// The hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_all([bytes])
    }

    /// The hash of some bytes that lie in several places, as if they lay one behind another.
    pub fn of_all<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = blake3::Hasher::new();
        parts.into_iter().for_each(|part| {
            hasher.update(part);
        });
        let mut half = [0_u8; 16];
        half.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(half)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One order, mapped and ready to be written to any target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedOrder {
    /// The business key.
    pub key: OrderKey,
    /// The order number people use, when the mapping names one.
    pub number: Option<String>,
    /// How new it is.
    pub version: Version,
    /// Where it came from.
    pub origin: Origin,
    /// The version of the mapping that made it.
    pub mapping: String,
    /// The hash of `record`.
    pub content: ContentHash,
    /// The record: one JSON object, exactly the bytes that are posted.
    #[serde(with = "serde_bytes")]
    pub record: Vec<u8>,
    /// The checks of the mapping that the order fails and that let it pass all the same.
    #[serde(default, skip_serializing_if = "is_default")]
    pub marks: Vec<String>,
}

impl Event for MappedOrder {
    const KIND: &'static str = "MappedOrder";
}

/// An order was deleted at the source. Its `record` says so to the target; empty when the mapping wants deletions
/// ignored there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderDeleted(pub MappedOrder);

impl Event for OrderDeleted {
    const KIND: &'static str = "OrderDeleted";
}

/// Orders of one page that the mapping's filters keep from being sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersSkipped {
    /// The window.
    pub window: WindowId,
    /// The page number, from 1.
    pub page: u32,
    /// The sequence of the page in RAW.
    pub raw_seq: u64,
    /// The version of the mapping.
    pub mapping: String,
    /// The orders, by row.
    pub orders: Vec<SkippedOrder>,
}

/// An order that is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedOrder {
    /// The row of the page, from 0.
    pub row: u32,
    /// The business key, when it has one of its own.
    pub key: Option<String>,
    /// The order number people use.
    pub number: Option<String>,
    /// Why, as the mapping says.
    pub reason: String,
}

impl Event for OrdersSkipped {
    const KIND: &'static str = "OrdersSkipped";
}

/// Under which numbers people know the orders of one page: what an order is found by when its key is not at hand. Only of orders
/// whose number is not their key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumbersMapped {
    /// The sequence of the page in RAW: of two orders that had the same number, it is that of the later page.
    pub raw_seq: u64,
    /// The numbers, each with the key of its order. Pairs, not maps: field names would be a third of the message.
    pub orders: Vec<(String, OrderKey)>,
}

impl Event for NumbersMapped {
    const KIND: &'static str = "NumbersMapped";
}

impl NumbersMapped {
    /// The number and the key of an order, for the index; `None` when the key is all there is to find it by.
    pub fn of(order: MappedOrder) -> Option<(String, OrderKey)> {
        let MappedOrder { key, number, .. } = order;
        number.filter(|number| !number.is_empty() && number != key.as_str()).map(|number| (number, key))
    }
}

/// Any event of MAPPED that is for writers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappedEvent {
    /// An order as it is.
    Order(MappedOrder),
    /// An order that is no more.
    Deleted(OrderDeleted),
}

impl MappedEvent {
    /// Decodes whichever event of MAPPED the bytes hold.
    ///
    /// # Errors
    /// [`CodecError::Kind`] when they hold something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match decode(bytes) {
            Ok(order) => Ok(Self::Order(order.body)),
            // Deletions are rare: the kind is looked at only when it is not the usual one.
            Err(CodecError::Kind { found, .. }) if found == OrderDeleted::KIND => {
                decode(bytes).map(|deleted| Self::Deleted(deleted.body))
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_is_update_time_then_reading_then_generation() {
        let version = |updated_at, raw_seq, generation| Version { updated_at, raw_seq, generation };
        let ascending = [
            version(None, 9, 0),
            version(Some(1), 5, 0),
            version(Some(1), 5, 1),
            version(Some(1), 6, 0),
            version(Some(2), 1, 0),
        ];
        assert!(ascending.is_sorted());
    }
}
