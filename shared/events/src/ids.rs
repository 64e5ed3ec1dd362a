//! Identifiers as types, and the subject tokens and partitions they become.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Writes `text` as one token of a NATS subject: letters, digits, `-` and `_` stay, every other byte becomes `=XX`.
fn token(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            out.push(byte as char);
        } else {
            out.push_str(&format!("={byte:02X}"));
        }
    }
    out
}

/// The longest token that is made of foreign text, in bytes. A subject has to fit into one line of NATS, 4,096 bytes with what else
/// stands there, and a longer one ends the connection.
pub const LONGEST_TOKEN: usize = 1_000;

/// The length of the token that [`token`] makes of `text`, in bytes.
fn token_len(text: &str) -> usize {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' { 1 } else { 3 })
        .sum()
}

/// As [`token`], and never longer than [`LONGEST_TOKEN`]: what is too long becomes its beginning and a hash of all of it.
pub fn bounded_token(text: &str) -> String {
    let whole = token(text);
    if whole.len() <= LONGEST_TOKEN {
        return whole;
    }
    format!("{}={}", &whole[..64], &blake3::hash(text.as_bytes()).to_hex()[..32])
}

/// The business key of an order at the source: OKKI's `order_id`, as text, exactly as the source wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderKey(String);

impl OrderKey {
    /// A key; `None` when the text is empty, which no order may have.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(Self(text))
    }

    /// The key as the source wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as one token of a NATS subject; different keys give different tokens.
    pub fn token(&self) -> String {
        token(&self.0)
    }

    /// The length of [`OrderKey::token`], in bytes. An order whose key is longer than [`LONGEST_TOKEN`] there can have no receipt.
    pub fn token_len(&self) -> usize {
        token_len(&self.0)
    }

    /// The partition of this order among `partitions`, the same on every machine and in every release.
    pub fn partition(&self, partitions: u16) -> u16 {
        let mut first = [0_u8; 8];
        first.copy_from_slice(&OrderDigest::of(&self.0).0[..8]);
        let partitions = u64::from(partitions.max(1));
        u16::try_from(u64::from_le_bytes(first) % partitions).unwrap_or(0)
    }
}

/// The first 128 bits of blake3 over an order's key: what stands for the key in memory, where millions of them are held. Two keys
/// with one digest are not to be expected among fewer than 2^64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderDigest([u8; 16]);

impl OrderDigest {
    /// The digest of a key as the source wrote it.
    pub fn of(key: &str) -> Self {
        let mut half = [0_u8; 16];
        half.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..16]);
        Self(half)
    }
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One window of source time, fetched and proved as a whole. Unique within a flow: the name of its lane, `-`, a number.
/// Ordered by lane and number, so that the millionth window follows the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WindowId(String);

impl Ord for WindowId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.lane(), self.number(), &self.0).cmp(&(other.lane(), other.number(), &other.0))
    }
}

impl PartialOrd for WindowId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The lane of the timed windows that move LAST_SYNC_TIME.
pub const LIVE: &str = "live";

/// The lane of the timed windows over deletions.
pub const DELETED: &str = "deleted";

impl WindowId {
    /// The `number`-th window of a lane. A lane is a sequence of windows: `live`, `deleted`, one for each sweep
    /// (`sweep1`), one for each backfill.
    pub fn new(lane: &str, number: u64) -> Self {
        Self(format!("{lane}-{number:06}"))
    }

    /// The window of this name, as it stands in a subject.
    pub fn named(name: &str) -> Self {
        Self(name.to_string())
    }

    /// The `number`-th window of the live schedule, counted from 1.
    pub fn live(number: u64) -> Self {
        Self::new(LIVE, number)
    }

    /// The lane it belongs to.
    pub fn lane(&self) -> &str {
        self.0.rsplit_once('-').map_or(&self.0, |(lane, _)| lane)
    }

    /// Its number within the lane; 0 when the name has none.
    pub fn number(&self) -> u64 {
        self.0.rsplit_once('-').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }

    /// The window's name, which is also its subject token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WindowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a target as the configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetName(String);

impl TargetName {
    /// A name.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The name as configured.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as one token of a NATS subject.
    pub fn token(&self) -> String {
        token(&self.0)
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_is_one_subject_token_and_loses_nothing(text in "\\PC{1,40}", other in "\\PC{1,40}") {
            let a = token(&text);
            prop_assert!(a.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_=".contains(&b)));
            prop_assert_eq!(a == token(&other), text == other);
            prop_assert_eq!(a.len(), token_len(&text));
        }

        #[test]
        fn a_bounded_token_is_short_and_tells_texts_apart(text in "\\PC{0,2000}", end in "[a-z]{1,3}") {
            let (one, other) = (bounded_token(&text), bounded_token(&format!("{text}{end}")));
            prop_assert!(one.len() <= LONGEST_TOKEN && other.len() <= LONGEST_TOKEN);
            prop_assert_ne!(one, other);
        }

        #[test]
        fn a_partition_is_in_range_and_stable(text in "[0-9]{1,20}", n in 1_u16..64) {
            let key = OrderKey::new(text).expect("not empty");
            prop_assert!(key.partition(n) < n);
            prop_assert_eq!(key.partition(n), key.partition(n));
        }
    }

    #[test]
    fn windows_are_ordered_by_number() {
        assert!(WindowId::live(999_999) < WindowId::live(1_000_000));
        let backfill = WindowId::new("backfill-1741251325", 12);
        assert_eq!((backfill.lane(), backfill.number()), ("backfill-1741251325", 12));
    }

    #[test]
    fn partitions_never_move_between_releases() {
        let of = |text: &str| OrderKey::new(text).expect("not empty").partition(16);
        // Receipts are stored under these: another result would lose what the target holds.
        assert_eq!([of("5203550000"), of("12345"), of("订单-1"), of("0")], [11, 6, 4, 13]);
    }
}
