//! One raw page: each row becomes a mapped order or a dead letter, and only then is the page settled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events::{
    ContentHash, DeadLetter, LetterOrigin, Listing, MappedOrder, OrderDeleted, OrderKey, Origin, Payload,
    RawPage, Stage, Version,
};
use journal::{
    Committer, Delivery, Journal, JournalError, Label, Record, Settlement, Stream, Topology, TraceParent,
};
use mapping::{Mapped, MappedDeletion, Plan, RowError};
use serde_json::value::RawValue;
use tracing::Instrument;

/// A row that could be mapped.
enum Row {
    Order(Mapped),
    Deleted(MappedDeletion),
}

/// What a MAPPED message holds beside the record stays below this.
const HEADROOM: usize = 4 << 10;

pub(crate) struct Pages {
    pub(crate) journal: Journal,
    pub(crate) topology: Topology,
    pub(crate) plan: Plan,
    pub(crate) committer: Committer,
    /// Whether the fields that the mapping reads were looked for in an order.
    pub(crate) looked: AtomicBool,
}

impl Pages {
    pub(crate) async fn handle(self: Arc<Self>, raw: Delivery) -> Settlement {
        let span = tracing::info_span!("transform page", raw_seq = raw.seq);
        let parent = raw.trace().map(|trace| (trace.trace_id, trace.span_id, trace.sampled));
        let (trace_id, span_id, sampled) = service::traced(&span, parent);
        let trace = TraceParent { trace_id, span_id, sampled };
        async {
            match self.page(&raw, trace).await {
                Ok(settlement) => settlement,
                Err(error) => {
                    tracing::warn!(%error, raw_seq = raw.seq, "a page waits");
                    Settlement::Retry(Duration::from_secs(1))
                }
            }
        }
        .instrument(span)
        .await
    }

    async fn page(&self, raw: &Delivery, trace: TraceParent) -> Result<Settlement, JournalError> {
        let whole = match raw.event() {
            Ok(first) => self.journal.raw_page(&self.topology, first.body, raw.seq).await,
            Err(error) => Err(error),
        };
        let page = match whole {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(Settlement::Done), // a further part; its page is handled with the first one
            Err(error @ JournalError::Codec { .. }) => {
                return Ok(self.unreadable(raw, None, &raw.payload, &error.to_string(), trace));
            }
            Err(error) => return Err(error),
        };
        let body = match page.body.unpack() {
            Ok(body) => body,
            Err(error) => {
                return Ok(self.unreadable(raw, Some(&page), &page.body.bytes, &error.to_string(), trace));
            }
        };
        let details = match page.unpack_details() {
            Ok(details) => details,
            Err(error) => return Ok(self.unreadable(raw, Some(&page), &body, &error.to_string(), trace)),
        };
        let rows = match okki::news(&page, &body, &details) {
            Ok(rows) => rows,
            Err(error) => return Ok(self.unreadable(raw, Some(&page), &body, &error.to_string(), trace)),
        };
        let orders = page.listing == Listing::Orders;
        if orders && !rows.is_empty() && !self.looked.swap(true, Ordering::Relaxed) {
            self.look_for_fields(&rows);
        }
        let (mut records, mut letters) = (Vec::with_capacity(rows.len()), Vec::new());
        for (at, row) in &rows {
            let origin = Origin { window: page.window.clone(), page: page.page, row: *at, raw_seq: raw.seq };
            let mapped = match page.listing {
                Listing::Orders => self.plan.map(row).map(Row::Order),
                Listing::Deleted => self.plan.map_deleted(row).map(Row::Deleted),
            };
            match mapped {
                Ok(mapped) => match self.record(mapped, origin, trace)? {
                    Ok(record) => records.push(record),
                    Err(letter) => letters.push(*letter),
                },
                Err(error) => letters.push(self.dead_row(row, origin, &error, raw, trace)),
            }
        }
        let (mapped, dead) = (records.len(), letters.len());
        for letter in &letters {
            tracing::warn!(
                raw_seq = raw.seq,
                row = letter.origin.row,
                error = letter.message,
                "an order cannot be mapped"
            );
            self.journal.bury(&self.topology, letter, Some(trace)).await?;
        }
        self.committer.store(records).await?;
        tracing::debug!(raw_seq = raw.seq, mapped, dead, "page mapped");
        Ok(Settlement::Done)
    }

    /// Says once when the mapping reads fields that no order of the first page has: a typo there makes no error, only
    /// records that lack something.
    fn look_for_fields(&self, rows: &[(u32, &RawValue)]) {
        let present: HashSet<String> = rows
            .iter()
            .filter_map(|(_, row)| serde_json::from_str::<HashMap<String, &RawValue>>(row.get()).ok())
            .flat_map(HashMap::into_keys)
            .collect();
        for field in self.plan.source_fields().filter(|field| !present.contains(*field)) {
            let mut has: Vec<&str> = present.iter().map(String::as_str).collect();
            has.sort_unstable();
            let has = has.join(", ");
            tracing::warn!(
                field,
                has,
                "the mapping reads a field that no order of this page has; is it misspelt?"
            );
        }
    }

    fn record(
        &self,
        row: Row,
        origin: Origin,
        trace: TraceParent,
    ) -> Result<Result<Record, Box<DeadLetter>>, JournalError> {
        let (identity, record, dropped, deleted) = match row {
            Row::Order(Mapped { identity, record, dropped }) => (identity, record, dropped, false),
            Row::Deleted(MappedDeletion { identity, record, dropped }) => {
                (identity, record.unwrap_or_default(), dropped, true)
            }
        };
        for problem in &dropped {
            tracing::debug!(raw_seq = origin.raw_seq, row = origin.row, %problem.error, "field dropped or defaulted");
        }
        let too_large = record.len() > self.journal.max_payload().saturating_sub(HEADROOM);
        let key = identity.key.clone().and_then(OrderKey::new);
        let key = match key {
            Some(key) if !too_large => key,
            _ => {
                let message = if too_large {
                    let limit = self.journal.max_payload();
                    format!("the mapped order has {} bytes, NATS takes {limit} (max_payload)", record.len())
                } else {
                    "the mapped order has no key".to_string()
                };
                let kind = if too_large { "too_large" } else { "missing_key" };
                let letter =
                    self.letter(kind, message, origin, (identity.key, identity.number), &record, trace);
                return Ok(Err(Box::new(letter)));
            }
        };
        // A deletion differs from every state of the order, also where its record happens to be the same.
        let content = if deleted {
            ContentHash::of(&[b"deleted:", &record[..]].concat())
        } else {
            ContentHash::of(&record)
        };
        let order = MappedOrder {
            version: Version { updated_at: identity.version, raw_seq: origin.raw_seq, generation: 0 },
            number: identity.number,
            mapping: self.plan.version().to_string(),
            content,
            origin,
            record,
            key,
        };
        let place = format!("{}/{}", order.origin.raw_seq, order.origin.row);
        // A redelivered page maps to the same messages; after the broker's dedupe window the ledger knows them.
        let id = format!("map:{place}:{}", order.mapping);
        let subject = self.topology.mapped_of(&order.key);
        let record = match deleted {
            false => Record::new(subject, id, &order)?,
            true => Record::new(subject, id, &OrderDeleted(order))?,
        };
        Ok(Ok(record.traced(Some(trace)).labelled(Label::Origin, place)))
    }

    fn dead_row(
        &self,
        row: &RawValue,
        origin: Origin,
        error: &RowError,
        raw: &Delivery,
        trace: TraceParent,
    ) -> DeadLetter {
        debug_assert_eq!(raw.seq, origin.raw_seq);
        let who = self.plan.identify(row);
        let names = (who.key, who.number);
        self.letter(error.kind(), error.to_string(), origin, names, row.get().as_bytes(), trace)
    }

    fn letter(
        &self,
        kind: &str,
        message: String,
        origin: Origin,
        (key, number): (Option<String>, Option<String>),
        payload: &[u8],
        trace: TraceParent,
    ) -> DeadLetter {
        DeadLetter {
            stage: Stage::Transform,
            kind: kind.to_string(),
            message,
            causes: Vec::new(),
            origin: LetterOrigin {
                stream: self.topology.stream(Stream::Raw),
                sequence: origin.raw_seq,
                window: Some(origin.window),
                page: Some(origin.page),
                row: Some(origin.row),
                raw_seq: Some(origin.raw_seq),
            },
            target: None,
            key,
            number,
            payload: Payload::pack(payload),
            answer: None,
            attempts: Vec::new(),
            mapping: Some(self.plan.version().to_string()),
            trace_id: Some(trace.trace_id()),
        }
    }

    /// A page that is no page: it was one when it was fetched, so its bytes are damaged, or it was put there by hand.
    fn unreadable(
        &self,
        raw: &Delivery,
        page: Option<&RawPage>,
        bytes: &[u8],
        message: &str,
        trace: TraceParent,
    ) -> Settlement {
        tracing::error!(raw_seq = raw.seq, error = message, "a raw page cannot be read");
        Settlement::Dead(Box::new(DeadLetter {
            stage: Stage::Transform,
            kind: "malformed".into(),
            message: format!("raw page {} cannot be read: {message}", raw.seq),
            causes: Vec::new(),
            origin: LetterOrigin {
                stream: raw.stream.clone(),
                sequence: raw.seq,
                window: page.map(|page| page.window.clone()),
                page: page.map(|page| page.page),
                row: None,
                raw_seq: Some(raw.seq),
            },
            target: None,
            key: None,
            number: None,
            payload: Payload::pack(bytes),
            answer: None,
            attempts: Vec::new(),
            mapping: Some(self.plan.version().to_string()),
            trace_id: Some(trace.trace_id()),
        }))
    }
}
