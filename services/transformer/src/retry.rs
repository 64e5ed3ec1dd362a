//! Orders that could not be mapped are tried again when another mapping is in use: who corrects the mapping need not
//! look for them.

use std::collections::HashSet;

use events::{DELETED, DeadLetter, DeadResolved, Listing, Micros, Origin, Stage};
use futures::StreamExt;
use journal::{From, JournalError, Record, StoredPage, Stream, TraceParent};
use mapping::Plan;
use serde_json::value::RawValue;

use crate::letter::{self, DAMAGED, Failure, SAME_KEY};
use crate::newer::{Failed, identities};
use crate::page::Pages;
use crate::page_keys::PageKeys;
use crate::row::{Became, MappedRow, Mapper, no_later};

/// What became of the orders that were tried again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    /// Mapped now.
    pub mapped: u64,
    /// Kept back by a filter now.
    pub skipped: u64,
    /// Not tried, for a newer state of the order has been read since.
    pub superseded: u64,
    /// Still impossible: each has a letter under this mapping in place of the one before.
    pub failed: u64,
}

/// What is known of DEAD under one mapping.
#[derive(Debug)]
pub(crate) struct Letters {
    /// Everything before this sequence has been looked at.
    next: u64,
    /// Rows that failed under this mapping, by page and row. They fail again, so they are not tried again: not even
    /// when two transformers with different files get each other's letters.
    failed: HashSet<(u64, u32)>,
}

impl Default for Letters {
    fn default() -> Self {
        Self { next: 1, failed: HashSet::new() }
    }
}

/// An order that failed.
struct Order {
    letter: u64,
    origin: Origin,
    listing: Listing,
    /// The kind of its failure.
    kind: String,
    /// The version of the mapping it failed under.
    mapping: Option<String>,
    bytes: Vec<u8>,
    trace: Option<TraceParent>,
}

impl Pages {
    /// Maps the orders again of open letters, stored since the last look, that failed under another mapping than
    /// `plan`. Any number of transformers may do so at the same time, and any of them may die: messages have the ids of
    /// what they say, and a letter is resolved after what became of it is stored.
    pub(crate) async fn retry(&self, plan: &Plan, letters: &mut Letters) -> Result<Retried, JournalError> {
        let (_, last, _) = self.journal.size(&self.names, Stream::Dead).await?;
        let mut retried = Retried::default();
        if last < letters.next {
            return Ok(retried);
        }
        let open = self.open(plan, letters).await?;
        let superseded = self.superseded(plan, &self.incomparable(plan, &open).await?).await?;
        for letter in open {
            let Some(order) = self.order(letter).await? else { continue };
            if superseded.contains(&letter) {
                let reason = "a newer state of the order has been read since";
                self.resolve(&order, "superseded", plan, reason).await?;
                retried.superseded += 1;
            } else {
                self.again(order, plan, &mut retried).await?;
            }
        }
        letters.next = last + 1;
        if retried != Retried::default() {
            let Retried { mapped, skipped, superseded, failed } = retried;
            let mapping = plan.version();
            tracing::info!(
                mapped,
                skipped,
                superseded,
                failed,
                mapping,
                "orders that failed under another mapping were tried again"
            );
        }
        Ok(retried)
    }

    /// The open letters that are to be tried, by sequence.
    async fn open(&self, plan: &Plan, letters: &mut Letters) -> Result<Vec<u64>, JournalError> {
        let (mut resolved, from) = (HashSet::new(), From::Seq(letters.next));
        let filter = self.names.dead_resolved();
        let mut log = self.journal.read(&self.names, Stream::Dead, Some(&filter), from, false).await?;
        while let Some(entry) = log.next().await {
            // What cannot be read (put there by hand, or by a newer build) must not hold the others up.
            if let Ok(event) = entry?.event::<DeadResolved>() {
                resolved.insert(event.body.letter);
            }
        }
        let filter = self.names.dead(Stage::Transform, "*");
        let mut log = self.journal.read(&self.names, Stream::Dead, Some(&filter), from, false).await?;
        let mut open = Vec::new();
        while let Some(entry) = log.next().await {
            let entry = entry?;
            let Ok(letter) = entry.event::<DeadLetter>() else {
                tracing::warn!(letter = entry.seq, "a dead letter cannot be read");
                continue;
            };
            let (letter, seq) = (letter.body, entry.seq);
            let (Some(raw_seq), Some(row)) = (letter.origin.raw_seq, letter.origin.row) else {
                continue; // about a page that is no page: a mapping cannot help it
            };
            if letter.mapping.as_deref() == Some(plan.version()) {
                letters.failed.insert((raw_seq, row));
            } else if !resolved.contains(&seq) {
                open.push(((raw_seq, row), seq));
            }
        }
        Ok(open
            .into_iter()
            .filter(|(place, _)| !letters.failed.contains(place))
            .map(|(_, seq)| seq)
            .collect())
    }

    /// The order of a letter: its payload, or the row in RAW where that did not fit. `None` when there is none. Read when it
    /// is needed: a log of large letters is not kept in memory.
    async fn order(&self, seq: u64) -> Result<Option<Order>, JournalError> {
        let entry = self.journal.get(&self.names, Stream::Dead, seq).await?;
        let letter = entry.event::<DeadLetter>()?.body;
        let reads_same_key = || {
            let plan = self.mappings.plan();
            letter.mapping.as_deref().is_some_and(|mapping| plan.identifies_as(mapping))
        };
        // No mapping makes the one readable; the other needs one that reads the key otherwise.
        if letter.kind == DAMAGED || (letter.kind == SAME_KEY && reads_same_key()) {
            return Ok(None);
        }
        let place = letter.origin;
        let (Some(window), Some(page), Some(row), Some(raw_seq)) =
            (place.window, place.page, place.row, place.raw_seq)
        else {
            return Ok(None);
        };
        // Letters did not always say which orders their page lists.
        let listing = if window.lane() == DELETED { Listing::Deleted } else { place.listing };
        let origin = Origin { window, page, row, raw_seq };
        // Letters of this kind once held the record that was too large.
        let bytes = match letter.payload.size > 0 && letter.kind != "too_large" {
            true => letter.payload.unpack().ok(),
            false => self.row(&origin).await?,
        };
        let Some(bytes) = bytes.filter(|bytes| serde_json::from_slice::<&RawValue>(bytes).is_ok()) else {
            tracing::warn!(letter = seq, "a dead letter has no order in it, and RAW does not have it either");
            return Ok(None);
        };
        Ok(Some(Order {
            letter: seq,
            origin,
            listing,
            kind: letter.kind,
            mapping: letter.mapping,
            bytes,
            trace: entry.trace(),
        }))
    }

    /// A row of RAW; `None` when it cannot be read.
    async fn row(&self, origin: &Origin) -> Result<Option<Vec<u8>>, JournalError> {
        let Some(StoredPage { page, .. }) = self.page_of_raw(origin.raw_seq).await? else { return Ok(None) };
        let (Ok(body), Ok(details)) = (page.body.unpack(), page.unpack_details()) else {
            return Ok(None);
        };
        let news = okki::news(&page, &body, &details).unwrap_or_default();
        let row = news.rows.into_iter().find(|(at, _)| *at == origin.row);
        Ok(row.map(|(_, row)| row.get().as_bytes().to_vec()))
    }

    /// A page of RAW; `None` when it is not there any more, or cannot be read.
    async fn page_of_raw(&self, raw_seq: u64) -> Result<Option<StoredPage>, JournalError> {
        match self.journal.page_at(&self.names, raw_seq).await {
            Ok(stored) => Ok(stored),
            Err(error) if error.is_retryable() => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// When a page of RAW was stored; `None` when that is not known any more.
    pub(crate) async fn stored_at(&self, raw_seq: u64) -> Result<Option<Micros>, JournalError> {
        Ok(self.page_of_raw(raw_seq).await?.map(|stored| stored.stored_at))
    }

    /// Those whose mapping read key or version otherwise than `plan` does.
    async fn incomparable(&self, plan: &Plan, open: &[u64]) -> Result<Vec<Failed>, JournalError> {
        let mut all = Vec::new();
        for letter in open {
            let Some(order) = self.order(*letter).await? else { continue };
            if order.mapping.as_deref().is_some_and(|mapping| plan.identifies_as(mapping)) {
                continue;
            }
            let Ok(row) = serde_json::from_slice::<&RawValue>(&order.bytes) else { continue };
            let latest = self.stored_at(order.origin.raw_seq).await?.map(|at| self.latest(at));
            let mut identities = match order.listing {
                Listing::Orders => identities(plan, row),
                Listing::Deleted => vec![plan.identify_deleted(row)],
            };
            identities.iter_mut().for_each(|one| one.version = no_later(one.version, latest));
            all.push(Failed { letter: *letter, origin: order.origin, identities });
        }
        Ok(all)
    }

    async fn again(&self, order: Order, plan: &Plan, retried: &mut Retried) -> Result<(), JournalError> {
        let Ok(row) = serde_json::from_slice::<&RawValue>(&order.bytes) else { return Ok(()) };
        let (origin, trace) = (order.origin.clone(), self.traced(&order));
        let mapper = self.mapper(plan, self.stored_at(origin.raw_seq).await?);
        let mut became = mapper.map(row, order.listing, &origin, trace)?;
        if order.kind == SAME_KEY {
            became = self.admit(became, row, &order, &mapper).await?;
        }
        match became {
            Became::Mapped(MappedRow { mut records, numbers, .. }) => {
                let of_order = records.len();
                records.extend(mapper.numbers(origin.raw_seq, numbers, Some(trace))?);
                let refused = self.store_records(&records).await;
                if let Some(refused) = refused.into_iter().find(|refused| refused.at < of_order) {
                    return self.fail_again(&order, Failure::refused(&refused.error), plan, retried).await;
                }
                retried.mapped += 1;
                self.resolve(&order, "mapped", plan, "mapped").await
            }
            Became::Skipped(skipped) => {
                let reason = format!("skipped: {}", skipped.reason);
                let place = (&origin.window, origin.page, origin.raw_seq);
                for skip in self.skips(place, plan, vec![skipped])? {
                    let skip = skip.traced(Some(trace));
                    if self.store_records(std::slice::from_ref(&skip)).await.is_empty() {
                        continue;
                    }
                    if let Err(error) = self.store_skips_singly(&skip).await {
                        return self.fail_again(&order, Failure::refused(&error), plan, retried).await;
                    }
                }
                retried.skipped += 1;
                self.resolve(&order, "mapped", plan, &reason).await
            }
            Became::Dead(failure) => self.fail_again(&order, failure, plan, retried).await,
        }
    }

    /// Passes on what an order became that had the key of another one, unless it has the key of an earlier row of its page by
    /// this mapping too.
    async fn admit(
        &self,
        became: Became,
        row: &RawValue,
        order: &Order,
        mapper: &Mapper<'_>,
    ) -> Result<Became, JournalError> {
        let Origin { raw_seq, row: own, .. } = order.origin;
        let Some(StoredPage { page, .. }) = self.page_of_raw(raw_seq).await? else { return Ok(became) };
        let (Ok(body), Ok(details)) = (page.body.unpack(), page.unpack_details()) else { return Ok(became) };
        let news = okki::news(&page, &body, &details).unwrap_or_default();
        let trace = self.traced(order);
        let mut keys = PageKeys::new(&self.id);
        for (at, earlier) in news.rows.iter().filter(|(at, _)| *at < own) {
            let origin = Origin { row: *at, ..order.origin.clone() };
            let mapped = mapper.map(earlier, page.listing, &origin, trace)?;
            keys.admit(mapped, (*at, earlier));
        }
        Ok(keys.admit(became, (own, row)))
    }

    /// Stores a letter under this mapping in place of the one before.
    async fn fail_again(
        &self,
        order: &Order,
        failure: Failure,
        plan: &Plan,
        retried: &mut Retried,
    ) -> Result<(), JournalError> {
        let (reason, trace) = (failure.message.clone(), self.traced(order));
        let from = (order.origin.clone(), order.listing);
        let again = letter::of_row(failure, &order.bytes, from, plan.version(), &self.names, trace);
        self.journal.store_letter_patiently(&self.names, &letter::to_store(again), Some(trace)).await;
        retried.failed += 1;
        self.resolve(order, "failed again", plan, &reason).await
    }

    async fn resolve(&self, order: &Order, how: &str, plan: &Plan, reason: &str) -> Result<(), JournalError> {
        let reason = format!("by the mapping {} in use since: {reason}", plan.version());
        let event = DeadResolved { letter: order.letter, how: how.to_string(), reason, operation: None };
        let record = Record::new(self.names.dead_resolved(), format!("resolved:{}", order.letter), &event)?;
        self.journal.publish(&record.traced(Some(self.traced(order)))).await?;
        Ok(())
    }

    fn traced(&self, order: &Order) -> TraceParent {
        let Origin { raw_seq, row, .. } = order.origin;
        let span = tracing::info_span!(
            "transform order again",
            stage = "transform",
            letter = order.letter,
            raw_seq,
            row
        );
        let parent = order.trace.map(|trace| (trace.trace_id, trace.span_id, trace.sampled));
        let (trace_id, span_id, sampled) = service::traced(&span, parent);
        TraceParent { trace_id, span_id, sampled }
    }
}
