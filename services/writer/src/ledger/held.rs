//! What the target holds of each order of a partition, in as little memory as it takes: all of them are held for as long as the
//! writer runs.

use std::collections::{BTreeMap, HashMap};

use events::{ContentHash, MappedOrder, Micros, OrderDigest, OrderKey, Outcome, Receipt, Version};

/// What the target holds of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// The newest version it was given.
    pub(crate) version: Version,
    /// The content it was given last.
    pub(crate) content: ContentHash,
    /// Whether it is known to have taken that.
    pub(crate) known: bool,
    /// The message in MAPPED that the last receipt is about.
    pub(crate) mapped_seq: u64,
    /// The sequence of the last receipt: what the next one has to expect.
    pub(crate) receipt_seq: u64,
    /// The sequence of the last receipt that says the target took something; 0 for none.
    pub(crate) last_write: u64,
    /// What was read later with an older update time and other content, while nothing was given to the target since.
    pub(crate) older_stamp: Option<Version>,
}

impl Held {
    /// What a receipt says.
    pub(crate) fn after(receipt: &Receipt, seq: u64) -> Self {
        let took = matches!(receipt.outcome, Outcome::Written | Outcome::Repeat);
        Self {
            version: receipt.held,
            content: receipt.content,
            known: receipt.known,
            mapped_seq: receipt.mapped_seq,
            receipt_seq: seq,
            last_write: if took { seq } else { receipt.last_write },
            older_stamp: receipt.older_stamp,
        }
    }

    /// Whether it is open what the target made of the last sending. An order that it was never to hear of is not.
    fn is_unknown(&self) -> bool {
        !self.known && self.version != Version::OLDEST
    }

    /// Whether this message will be found superseded, or settled, by what is known. Not so of a version that was superseded
    /// already, when an older one has had its receipt after that: it would be sent, for what the target holds is unknown.
    pub(crate) fn settles(&self, order: &MappedOrder, mapped_seq: u64) -> bool {
        self.version > order.version || self.mapped_seq == mapped_seq
    }

    /// The receipt that the idempotency key of `content` is made of. The same over every retry; another one as soon as the
    /// target took something, or may have taken something else: an old key would then be answered "done" for old content.
    pub(crate) fn basis(&self, content: ContentHash) -> u64 {
        if !self.known && self.content != content { self.receipt_seq } else { self.last_write }
    }
}

/// A [`Held`] as it is kept: 52 bytes instead of 80. What few orders have is kept beside it.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// `NEVER` when the order has no update time.
    updated_at: [u8; 8],
    content: ContentHash,
    raw_seq: Seq,
    mapped_seq: Seq,
    receipt_seq: Seq,
    last_write: Seq,
    /// Twice the generation, and one more when what the target took is known.
    generation_known: [u8; 4],
}

const _: () = assert!(size_of::<Row>() == 52 && align_of::<Row>() == 1);

/// No update time: three hundred thousand years ago nothing was ordered.
const NEVER: Micros = Micros::MIN;

/// A sequence in 48 bits: with a million messages a second a stream is at the end of them in nine years. What a message that is not
/// ours claims beyond that counts as the last of them.
#[derive(Debug, Clone, Copy)]
struct Seq([u8; 6]);

impl From<u64> for Seq {
    fn from(seq: u64) -> Self {
        let [low @ .., _, _] = seq.min((1 << 48) - 1).to_le_bytes();
        Self(low)
    }
}

impl From<Seq> for u64 {
    fn from(Seq([a, b, c, d, e, f]): Seq) -> Self {
        Self::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

impl From<Held> for Row {
    fn from(held: Held) -> Self {
        let Version { updated_at, raw_seq, generation } = held.version;
        let generation = generation.min(u32::MAX / 2);
        Self {
            updated_at: updated_at.unwrap_or(NEVER).to_le_bytes(),
            content: held.content,
            raw_seq: raw_seq.into(),
            mapped_seq: held.mapped_seq.into(),
            receipt_seq: held.receipt_seq.into(),
            last_write: held.last_write.into(),
            generation_known: (generation * 2 + u32::from(held.known)).to_le_bytes(),
        }
    }
}

impl From<Row> for Held {
    fn from(row: Row) -> Self {
        let updated_at = Micros::from_le_bytes(row.updated_at);
        let generation_known = u32::from_le_bytes(row.generation_known);
        Self {
            version: Version {
                updated_at: (updated_at != NEVER).then_some(updated_at),
                raw_seq: row.raw_seq.into(),
                generation: generation_known / 2,
            },
            content: row.content,
            known: generation_known % 2 == 1,
            mapped_seq: row.mapped_seq.into(),
            receipt_seq: row.receipt_seq.into(),
            last_write: row.last_write.into(),
            older_stamp: None,
        }
    }
}

/// What the target holds, by order: about 115 bytes each, at every size. A hash map doubles, and all partitions at the same moment: it
/// took 160 at a million, when the doubling was just over.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    rows: BTreeMap<OrderDigest, Row>,
    older_stamps: HashMap<OrderDigest, Version>,
    unknown: u64,
}

impl Holdings {
    pub(super) fn get(&self, key: &OrderKey) -> Option<Held> {
        self.find(&OrderDigest::of(key.as_str()))
    }

    fn find(&self, digest: &OrderDigest) -> Option<Held> {
        let row = self.rows.get(digest).copied()?;
        Some(Held { older_stamp: self.older_stamps.get(digest).copied(), ..Held::from(row) })
    }

    /// Takes note of a receipt, unless a newer one is known.
    pub(super) fn set(&mut self, key: &OrderKey, held: Held) {
        let digest = OrderDigest::of(key.as_str());
        let before = self.find(&digest);
        if before.is_none_or(|before| before.receipt_seq <= held.receipt_seq) {
            self.put(digest, before, held);
        }
    }

    /// Takes note of a receipt in place of what is known.
    pub(super) fn replace(&mut self, key: &OrderKey, held: Held) {
        let digest = OrderDigest::of(key.as_str());
        let before = self.find(&digest);
        self.put(digest, before, held);
    }

    fn put(&mut self, digest: OrderDigest, before: Option<Held>, held: Held) {
        self.rows.insert(digest, held.into());
        match held.older_stamp {
            Some(version) => self.older_stamps.insert(digest, version),
            None => self.older_stamps.remove(&digest),
        };
        self.unknown += u64::from(held.is_unknown());
        self.unknown -= u64::from(before.is_some_and(|before| before.is_unknown()));
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Orders of which it is not known whether the target took what it was sent last.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(receipt_seq: u64, updated_at: Option<Micros>, known: bool) -> Held {
        let content = ContentHash::of(&receipt_seq.to_le_bytes());
        let version = Version { updated_at, raw_seq: (1 << 48) - 1, generation: u32::MAX / 2 };
        Held { version, content, known, mapped_seq: 7, receipt_seq, last_write: 5, older_stamp: None }
    }

    #[test]
    fn an_older_stamp_is_kept_until_a_receipt_says_nothing_of_it() {
        let mut holdings = Holdings::default();
        let key = OrderKey::new("1").expect("not empty");
        let older = Version { updated_at: Some(1), raw_seq: 9, generation: 0 };
        let open = Held { older_stamp: Some(older), ..held(2, Some(8), true) };
        holdings.set(&key, open);
        holdings.set(&key, held(1, Some(7), true));
        assert_eq!(holdings.get(&key), Some(open), "an older receipt changes nothing");
        let written = held(3, Some(9), true);
        holdings.set(&key, written);
        assert_eq!((holdings.get(&key), holdings.older_stamps.len()), (Some(written), 0));
    }

    #[test]
    fn what_is_kept_comes_back_as_it_was() {
        let (mut holdings, key) = (Holdings::default(), |key: &str| OrderKey::new(key).expect("not empty"));
        for (at, one) in
            [held(1, None, true), held(2, Some(0), false), held(3, Some(-1), true)].into_iter().enumerate()
        {
            holdings.set(&key(&at.to_string()), one);
            assert_eq!(holdings.get(&key(&at.to_string())), Some(one));
        }
        assert_eq!((holdings.len(), holdings.unknown(), holdings.get(&key("9"))), (3, 1, None));
        let newer = held(9, Some(8), true);
        [newer, held(4, Some(9), false)].into_iter().for_each(|one| holdings.set(&key("1"), one));
        assert_eq!(
            holdings.get(&key("1")),
            Some(newer),
            "the newest receipt counts, in whatever order they are read"
        );
        assert_eq!((holdings.len(), holdings.unknown()), (3, 0));
        holdings.replace(&key("1"), held(4, Some(9), false));
        assert_eq!(holdings.get(&key("1")), Some(held(4, Some(9), false)), "the newer one was removed");
        assert_eq!((holdings.len(), holdings.unknown()), (3, 1));
        let beyond = Version { updated_at: None, raw_seq: u64::MAX, generation: u32::MAX };
        holdings.set(&key("2"), Held { version: beyond, ..held(5, None, true) });
        let kept = holdings.get(&key("2")).expect("kept").version;
        assert!(kept < beyond && kept == held(5, None, true).version, "the last there is room for");
    }
}
