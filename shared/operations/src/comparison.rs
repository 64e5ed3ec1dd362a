//! What a source has in a range of time, against what a target was given: the proof that nothing is missing, order by order. What
//! today's mapping makes of each row is held against the content that the receipts name, so that an order which changed without a
//! new update time is found.

mod finding;
mod held;

use std::collections::{BTreeMap, HashMap};

use events::{ContentHash, Micros, OrderDigest, Origin, Receipt, Slice, TargetName, Version};
use futures::{StreamExt, TryStreamExt};
use journal::{From, Journal, JournalError, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

pub use finding::{Listed, MappedRow};

use finding::{Finding, compare};
use held::{KnownLetters, LastReceipt, read_last_receipts, read_letters};

/// So many orders that differ are looked into at the same time.
const AT_ONCE: usize = 16;

/// Why the target holds other content than the source has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The order has changed at the source since it was written.
    Source,
    /// The order is what it was. It was written by another mapping than today's.
    Mapping,
    /// The target said REPEAT to what it was sent last, and kept what it had.
    Repeat,
    /// It was written by another mapping than today's, and whether the order has changed as well is not known.
    Unknown,
}

/// An order of which the target does not hold what the source has.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Unlike {
    /// Its id at the source, or its key for one that the source does not list.
    pub order: String,
    /// Its key.
    pub key: String,
    /// When it was changed last, as the source says.
    pub source: Option<Micros>,
    /// The state that the target was given, by the source's update time.
    pub target: Option<Micros>,
    /// Why the content differs, of an order with other content.
    pub cause: Option<Cause>,
    /// Why today's mapping cannot map it, of an order that it cannot map.
    pub error: Option<String>,
    /// The version that the target holds.
    #[serde(skip)]
    pub held: Option<Version>,
    /// Where that was read.
    #[serde(skip)]
    pub origin: Option<Origin>,
}

/// The comparison. Every order of the source is counted once: `source` is the sum of all but `extra`.
#[derive(Debug, Clone, Default, PartialEq, Eq, JsonSchema, Serialize)]
pub struct Comparison {
    /// The target.
    pub target: String,
    /// Orders that the source lists.
    pub source: u64,
    /// Of these: the target holds what today's mapping makes of them.
    pub up_to_date: u64,
    /// Of these: the target holds something that was read after this reading began, or said so itself.
    pub newer: u64,
    /// Of these: the target said that it had them already, and what it had is not known.
    pub repeat: u64,
    /// Of these: kept back by the mapping's filters.
    pub skipped: u64,
    /// Of these: the target holds a record that a person corrected by hand (`dead edit`).
    pub edited: Vec<Unlike>,
    /// Of these: the target was never given them.
    pub missing: Vec<Unlike>,
    /// Of these: the target was given an older state.
    pub stale: Vec<Unlike>,
    /// Of these: the target holds other content with the same update time.
    pub other_content: Vec<Unlike>,
    /// Of these: the target holds other content with a newer update time, which was read before this.
    pub older_stamp: Vec<Unlike>,
    /// Of these: it is not known whether the target took them.
    pub unknown: Vec<Unlike>,
    /// Of these: today's mapping cannot map them, so there is nothing to compare.
    pub unmappable: Vec<Unlike>,
    /// Of these: an open dead letter waits for a person.
    pub dead: Vec<Unlike>,
    /// Of these: a dead letter that a person closed for good.
    pub discarded: Vec<Unlike>,
    /// The target was given them in this range, and the source does not list them (any more).
    pub extra: Vec<Unlike>,
    /// Of those up to date: their receipts say that they wait for a person. They do not any more.
    #[serde(skip)]
    pub settled: Vec<Unlike>,
}

/// What was read at the source for a comparison.
#[derive(Debug, Clone, Copy)]
pub struct SourceReading<'a> {
    /// What is compared, by update time.
    pub range: Slice,
    /// Every order that was listed, by id; also those changed later than the range.
    pub listed: &'a BTreeMap<String, Listed>,
    /// The version of today's mapping.
    pub mapping: &'a str,
    /// The last sequence of RAW before the source was asked.
    pub raw_through: u64,
}

/// What the last receipt of an order says, as little of it as tells whether its row will be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedContent {
    content: ContentHash,
    updated_at: Option<Micros>,
    has_older_stamp: bool,
}

impl ReceivedContent {
    /// Reads them for every order at a target.
    ///
    /// # Errors
    /// When RECEIPTS cannot be read.
    pub async fn read(
        journal: &Journal,
        names: &Topology,
        target: &TargetName,
    ) -> Result<HashMap<OrderDigest, Self>, JournalError> {
        let mut received = HashMap::new();
        let filter = names.receipts_of(target);
        let mut log =
            journal.read(names, Stream::Receipts, Some(&filter), From::LastPerSubject, false).await?;
        while let Some(entry) = log.next().await {
            let receipt = entry?.event::<Receipt>()?.body;
            let Receipt { content, held, older_stamp, .. } = receipt;
            let has_older_stamp = older_stamp.is_some();
            let digest = OrderDigest::of(receipt.key.as_str());
            received.insert(digest, Self { content, updated_at: held.updated_at, has_older_stamp });
        }
        Ok(received)
    }

    /// Whether a row with this content and update time may have to be written over what the target holds. An order that waits
    /// for somebody may agree again, whatever its update time is now: its receipt has to say so.
    pub fn may_differ(&self, content: ContentHash, updated_at: Option<Micros>) -> bool {
        self.has_older_stamp || (self.updated_at >= updated_at && self.content != content)
    }
}

impl Comparison {
    /// Compares. Reads the last receipt of every order, the headers of DEAD, and of each order that differs the message that
    /// made what the target holds.
    ///
    /// # Errors
    /// When a stream cannot be read.
    pub async fn of(
        journal: &Journal,
        names: &Topology,
        target: &TargetName,
        reading: SourceReading<'_>,
    ) -> Result<Self, JournalError> {
        let mut held = read_last_receipts(journal, names, target).await?;
        let letters = read_letters(journal, names, target).await?;
        let mut found = Self { target: target.to_string(), ..Self::default() };
        let mut differing = Vec::new();
        for (id, order) in reading.listed {
            // Listed to be known, and not to be compared.
            if order.updated_at.is_some_and(|at| at >= reading.range.until) {
                held.remove(order.key.as_ref().unwrap_or(id));
                continue;
            }
            found.source += 1;
            // Of an order without a key nothing can have been written: its letter has the id, if any.
            let key = order.key.as_ref().unwrap_or(id);
            let receipt = held.remove(key);
            let letter = letters.last.get(key).copied();
            let state = receipt.as_ref().map(|receipt| &receipt.state);
            let finding = compare(order, state, letter, reading.raw_through);
            let unlike = Unlike::of(id, key, order, receipt.as_ref());
            match (finding, receipt) {
                (Finding::SameAgain | Finding::OtherContent | Finding::OlderStamp, Some(receipt)) => {
                    differing.push((finding, unlike, receipt));
                }
                (finding, _) => found.count(finding, unlike),
            }
        }
        let looked: Vec<_> = futures::stream::iter(differing)
            .map(|(finding, unlike, receipt)| {
                look_into(journal, names, (finding, unlike), receipt, (&letters, reading.mapping))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        for LookedInto { finding, unlike, is_edited } in looked {
            // What a person corrected is meant to differ, until the source says something else.
            if finding == Finding::OtherContent && is_edited {
                found.edited.push(unlike);
            } else {
                found.count(finding, unlike);
            }
        }
        found.add_extra(journal, names, held, reading.range).await?;
        Ok(found)
    }

    fn count(&mut self, finding: Finding, unlike: Unlike) {
        match finding {
            Finding::Same => self.up_to_date += 1,
            Finding::SameAgain => {
                self.up_to_date += 1;
                self.settled.push(unlike);
            }
            Finding::Newer => self.newer += 1,
            Finding::Repeat => self.repeat += 1,
            Finding::Skipped => self.skipped += 1,
            Finding::Dead => self.dead.push(unlike),
            Finding::Discarded => self.discarded.push(unlike),
            Finding::Unmappable => self.unmappable.push(unlike),
            Finding::Missing => self.missing.push(unlike),
            Finding::Stale => self.stale.push(unlike),
            Finding::Unknown => self.unknown.push(unlike),
            Finding::OtherContent => self.other_content.push(unlike),
            Finding::OlderStamp => self.older_stamp.push(unlike),
        }
    }

    /// Adds what the target was given in the range and the source did not list.
    async fn add_extra(
        &mut self,
        journal: &Journal,
        names: &Topology,
        held: HashMap<String, LastReceipt>,
        range: Slice,
    ) -> Result<(), JournalError> {
        let within = |at: Micros| range.since <= at && at < range.until;
        for (key, receipt) in held {
            let at = receipt.version().updated_at.filter(|at| within(*at));
            // An order that was deleted at the source is not listed, and the target was told so.
            if at.is_none() || receipt.is_deleted(journal, names).await? {
                continue;
            }
            self.extra.push(Unlike {
                order: key.clone(),
                key,
                source: None,
                target: at,
                cause: None,
                error: None,
                held: None,
                origin: None,
            });
        }
        self.extra.sort_by(|a, b| a.order.cmp(&b.order));
        Ok(())
    }

    /// Whether the target holds what the source has, or it is said why not.
    pub fn is_even(&self) -> bool {
        let uneven = [
            &self.missing,
            &self.stale,
            &self.other_content,
            &self.older_stamp,
            &self.unknown,
            &self.unmappable,
            &self.extra,
        ];
        uneven.into_iter().all(Vec::is_empty)
    }

    /// What a repair sends again: MAPPED has it, or it is read again at the source.
    pub fn to_resend(&self) -> impl Iterator<Item = &Unlike> {
        self.missing.iter().chain(&self.stale).chain(&self.unknown)
    }

    /// What a repair writes over what the target holds, as a later generation of that. What agrees again is not sent: its
    /// receipt will say that nobody has to decide any more. A target that said REPEAT would say so again.
    pub fn to_rewrite(&self) -> impl Iterator<Item = &Unlike> {
        let differing = self.other_content.iter().chain(&self.older_stamp);
        differing.filter(|unlike| unlike.cause != Some(Cause::Repeat)).chain(&self.settled)
    }
}

impl Unlike {
    fn of(id: &str, key: &str, order: &Listed, receipt: Option<&LastReceipt>) -> Self {
        let held = receipt.map(LastReceipt::version).filter(|version| *version > Version::OLDEST);
        let error = match &order.row {
            MappedRow::Failed(why) => Some(why.clone()),
            MappedRow::Record(_) | MappedRow::Skipped => None,
        };
        Self {
            order: id.to_string(),
            key: key.to_string(),
            source: order.updated_at,
            target: held.and_then(|held| held.updated_at),
            cause: None,
            error,
            held,
            origin: None,
        }
    }
}

/// An order that differs, after the message was read that made what the target holds.
struct LookedInto {
    finding: Finding,
    unlike: Unlike,
    is_edited: bool,
}

async fn look_into(
    journal: &Journal,
    names: &Topology,
    (finding, unlike): (Finding, Unlike),
    receipt: LastReceipt,
    (letters, mapping): (&KnownLetters, &str),
) -> Result<LookedInto, JournalError> {
    let message = receipt.message(journal, names, letters).await?;
    let is_edited = message.as_ref().is_some_and(|message| message.is_edited);
    let made_by = message.as_ref().map(|message| message.order.mapping.as_str());
    let cause = match receipt.state.content {
        finding::HeldContent::Kept(_) => Cause::Repeat,
        _ if made_by == Some(mapping) => Cause::Source,
        _ => Cause::Unknown,
    };
    let origin = message.map(|message| message.order.origin);
    let cause = (finding != Finding::SameAgain).then_some(cause);
    Ok(LookedInto { finding, unlike: Unlike { cause, origin, ..unlike }, is_edited })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_waits_is_kept_whatever_its_update_time_is_now() {
        let same = ContentHash::of(b"a");
        let other = ContentHash::of(b"b");
        for (has_older_stamp, content, updated_at, expected) in [
            (true, same, 70, true),
            (true, same, 30, true),
            (true, other, 70, true),
            (false, same, 70, false),
            (false, same, 50, false),
            (false, other, 50, true),
            (false, other, 70, false),
        ] {
            let received = ReceivedContent { content: same, updated_at: Some(50), has_older_stamp };
            let differs = received.may_differ(content, Some(updated_at));
            assert_eq!(differs, expected, "{has_older_stamp} {updated_at}");
        }
    }
}
