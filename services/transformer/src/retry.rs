//! Orders that could not be mapped are tried again when another mapping is in use: who corrects the mapping need not
//! look for them.

use std::collections::HashSet;

use events::{DeadLetter, DeadResolved, Origin, Stage};
use futures::StreamExt;
use journal::{Entry, From, JournalError, Record, Stream, TraceParent};
use mapping::Plan;
use serde_json::value::RawValue;

use crate::letter;
use crate::page::Pages;
use crate::row::Became;

/// What became of the orders that were tried again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Retried {
    /// Mapped now.
    pub mapped: u64,
    /// Kept back by a filter now.
    pub skipped: u64,
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

impl Pages {
    /// Maps the orders again of open letters, stored since the last look, that failed under another mapping than
    /// `plan`. Any number of transformers may do so at the same time, and any of them may die: messages have the ids of
    /// what they say, and a letter is resolved after what became of it is stored.
    pub(crate) async fn retry(&self, plan: &Plan, letters: &mut Letters) -> Result<Retried, JournalError> {
        let (mut retried, from) = (Retried::default(), From::Seq(letters.next));
        let (_, last, _) = self.journal.size(&self.names, Stream::Dead).await?;
        if last < letters.next {
            return Ok(retried);
        }
        let mut resolved = HashSet::new();
        let filter = self.names.dead_resolved();
        let mut log = self.journal.read(&self.names, Stream::Dead, Some(&filter), from, false).await?;
        while let Some(entry) = log.next().await {
            resolved.insert(entry?.event::<DeadResolved>()?.body.letter);
        }
        let filter = self.names.dead(Stage::Transform, "*");
        let mut log = self.journal.read(&self.names, Stream::Dead, Some(&filter), from, false).await?;
        let mut others = Vec::new();
        while let Some(entry) = log.next().await {
            let entry = entry?;
            let letter = entry.event::<DeadLetter>()?.body;
            let place = (letter.origin.raw_seq.unwrap_or(0), letter.origin.row.unwrap_or(0));
            if letter.mapping.as_deref() == Some(plan.version()) {
                letters.failed.insert(place);
            } else if !resolved.contains(&entry.seq) {
                others.push((place, entry.seq));
            }
        }
        for (place, seq) in others {
            if letters.failed.contains(&place) {
                continue;
            }
            // Read once more: a log of large letters is not kept in memory for the few that are of another mapping.
            let entry = self.journal.get(&self.names, Stream::Dead, seq).await?;
            let letter = entry.event::<DeadLetter>()?.body;
            self.letter(&entry, letter, plan, &mut retried).await?;
        }
        letters.next = last + 1;
        if retried != Retried::default() {
            let Retried { mapped, skipped, failed } = retried;
            tracing::info!(
                mapped,
                skipped,
                failed,
                mapping = plan.version(),
                "orders that failed under another mapping were tried again"
            );
        }
        Ok(retried)
    }

    async fn letter(
        &self,
        entry: &Entry,
        letter: DeadLetter,
        plan: &Plan,
        retried: &mut Retried,
    ) -> Result<(), JournalError> {
        let place = &letter.origin;
        // A letter without a row is about a page that is no page: a mapping cannot help it.
        let (Some(window), Some(page), Some(row), Some(raw_seq)) =
            (&place.window, place.page, place.row, place.raw_seq)
        else {
            return Ok(());
        };
        let origin = Origin { window: window.clone(), page, row, raw_seq };
        let Some(bytes) = self.bytes(&letter, &origin).await? else {
            tracing::warn!(
                letter = entry.seq,
                "a dead letter has no order in it, and RAW does not have it either"
            );
            return Ok(());
        };
        let Ok(order) = serde_json::from_slice::<&RawValue>(&bytes) else {
            return Ok(());
        };
        let span = tracing::info_span!("transform order again", letter = entry.seq, raw_seq, row);
        let parent = entry.trace().map(|trace| (trace.trace_id, trace.span_id, trace.sampled));
        let (trace_id, span_id, sampled) = service::traced(&span, parent);
        let trace = TraceParent { trace_id, span_id, sampled };
        let became = self.mapper(plan).map(order, place.listing, &origin, trace)?;
        let (how, reason) = match became {
            Became::Mapped(records) => {
                self.committer.store(records).await?;
                retried.mapped += 1;
                ("mapped", "mapped".to_string())
            }
            Became::Skipped(order) => {
                let reason = format!("skipped: {}", order.reason);
                let skips = self.skips((window, page, raw_seq), plan, vec![order])?;
                self.committer.store(vec![skips.traced(Some(trace))]).await?;
                retried.skipped += 1;
                ("mapped", reason)
            }
            Became::Dead(failure) => {
                let reason = failure.message.clone();
                let from = (origin, place.listing);
                let again = letter::of_row(failure, &bytes, from, plan.version(), &self.names, trace);
                self.journal.bury(&self.names, &again, Some(trace)).await?;
                retried.failed += 1;
                ("failed again", reason)
            }
        };
        let reason = format!("by the mapping {} in use since: {reason}", plan.version());
        let event = DeadResolved { letter: entry.seq, how: how.to_string(), reason };
        let record = Record::new(self.names.dead_resolved(), format!("resolved:{}", entry.seq), &event)?;
        self.journal.publish(&record.traced(Some(trace))).await?;
        Ok(())
    }

    /// The order of a letter: its payload, or the row in RAW where the payload did not fit.
    async fn bytes(&self, letter: &DeadLetter, origin: &Origin) -> Result<Option<Vec<u8>>, JournalError> {
        // Letters of this kind once held the record that was too large.
        if letter.payload.size > 0 && letter.kind != "too_large" {
            return Ok(letter.payload.unpack().ok());
        }
        let Some(stored) = self.journal.page_at(&self.names, origin.raw_seq).await? else { return Ok(None) };
        let (Ok(body), Ok(details)) = (stored.page.body.unpack(), stored.page.unpack_details()) else {
            return Ok(None);
        };
        let rows = okki::news(&stored.page, &body, &details).unwrap_or_default();
        let row = rows.into_iter().find(|(at, _)| *at == origin.row);
        Ok(row.map(|(_, row)| row.get().as_bytes().to_vec()))
    }
}
