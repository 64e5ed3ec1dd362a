//! Orders that could not be mapped are tried again when another mapping is in use: who corrects the mapping need not
//! look for them.

use std::collections::HashSet;

use events::{DELETED, DeadLetter, DeadResolved, Listing, Origin, Stage};
use futures::StreamExt;
use journal::{From, JournalError, Record, Stream, TraceParent};
use mapping::Plan;
use serde_json::value::RawValue;

use crate::letter;
use crate::newer::{Failed, identities};
use crate::page::Pages;
use crate::row::Became;

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
        let (mapping, trace) = (letter.mapping, entry.trace());
        Ok(Some(Order { letter: seq, origin, listing, mapping, bytes, trace }))
    }

    /// A row of RAW; `None` when it cannot be read.
    async fn row(&self, origin: &Origin) -> Result<Option<Vec<u8>>, JournalError> {
        let stored = match self.journal.page_at(&self.names, origin.raw_seq).await {
            Ok(Some(stored)) => stored,
            Err(error) if error.is_retryable() => return Err(error),
            _ => return Ok(None),
        };
        let (Ok(body), Ok(details)) = (stored.page.body.unpack(), stored.page.unpack_details()) else {
            return Ok(None);
        };
        let rows = okki::news(&stored.page, &body, &details).unwrap_or_default();
        let row = rows.into_iter().find(|(at, _)| *at == origin.row);
        Ok(row.map(|(_, row)| row.get().as_bytes().to_vec()))
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
            let identities = match order.listing {
                Listing::Orders => identities(plan, row),
                Listing::Deleted => vec![plan.identify_deleted(row)],
            };
            all.push(Failed { letter: *letter, origin: order.origin, identities });
        }
        Ok(all)
    }

    async fn again(&self, order: Order, plan: &Plan, retried: &mut Retried) -> Result<(), JournalError> {
        let Ok(row) = serde_json::from_slice::<&RawValue>(&order.bytes) else { return Ok(()) };
        let (origin, trace) = (order.origin.clone(), self.traced(&order));
        let mapper = self.mapper(plan);
        match mapper.map(row, order.listing, &origin, trace)? {
            Became::Mapped(mut records, numbers) => {
                records.extend(mapper.numbers(origin.raw_seq, numbers, Some(trace))?);
                self.committer.store(records).await?;
                retried.mapped += 1;
                self.resolve(&order, "mapped", plan, "mapped").await
            }
            Became::Skipped(skipped) => {
                let reason = format!("skipped: {}", skipped.reason);
                let place = (&origin.window, origin.page, origin.raw_seq);
                let skips = self.skips(place, plan, vec![skipped])?;
                self.committer
                    .store(skips.into_iter().map(|skip| skip.traced(Some(trace))).collect())
                    .await?;
                retried.skipped += 1;
                self.resolve(&order, "mapped", plan, &reason).await
            }
            Became::Dead(failure) => {
                let reason = failure.message.clone();
                let from = (origin, order.listing);
                let again = letter::of_row(failure, &order.bytes, from, plan.version(), &self.names, trace);
                self.journal.bury(&self.names, &again, Some(trace)).await?;
                retried.failed += 1;
                self.resolve(&order, "failed again", plan, &reason).await
            }
        }
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
        let span = tracing::info_span!("transform order again", letter = order.letter, raw_seq, row);
        let parent = order.trace.map(|trace| (trace.trace_id, trace.span_id, trace.sampled));
        let (trace_id, span_id, sampled) = service::traced(&span, parent);
        TraceParent { trace_id, span_id, sampled }
    }
}
