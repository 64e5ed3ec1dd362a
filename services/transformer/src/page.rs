//! One raw page: each row becomes mapped orders, is skipped or becomes a dead letter, and only then is the page settled.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events::{Listing, OrdersSkipped, Origin, RawPage, SkippedOrder, WindowId};
use journal::{Committer, Delivery, Journal, JournalError, Record, Settlement, Topology, TraceParent};
use mapping::Plan;
use serde_json::value::RawValue;
use tracing::Instrument;

use crate::letter;
use crate::mappings::Mappings;
use crate::row::{Became, Mapper};

/// Skipped orders in one message. Each has two kilobytes at most, and NATS takes a megabyte by default.
const SKIPS: usize = 400;

/// What pages are mapped with.
pub(crate) struct Pages {
    pub(crate) journal: Journal,
    pub(crate) names: Topology,
    pub(crate) mappings: Arc<Mappings>,
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
        // One mapping for the whole page, also when another one is put in use meanwhile.
        let plan = self.mappings.plan();
        let unreadable = |page: Option<&RawPage>, bytes: &[u8], error: &dyn std::error::Error| {
            let letter = letter::of_page(raw, page, bytes, error, plan.version(), trace);
            Ok(Settlement::Dead(Box::new(letter)))
        };
        let whole = match raw.event() {
            Ok(first) => self.journal.raw_page(&self.names, first.body, raw.seq).await,
            Err(error) => Err(error),
        };
        let page = match whole {
            Ok(Some(page)) => page,
            Ok(None) => return Ok(Settlement::Done), // a further part; its page is handled with the first one
            Err(error @ JournalError::Codec { .. }) => return unreadable(None, &raw.payload, &error),
            Err(error) => return Err(error),
        };
        let body = match page.body.unpack() {
            Ok(body) => body,
            Err(error) => return unreadable(Some(&page), &page.body.bytes, &error),
        };
        let details = match page.unpack_details() {
            Ok(details) => details,
            Err(error) => return unreadable(Some(&page), &body, &error),
        };
        let rows = match okki::news(&page, &body, &details) {
            Ok(rows) => rows,
            Err(error) => return unreadable(Some(&page), &body, &error),
        };
        let orders = page.listing == Listing::Orders;
        if orders && !rows.is_empty() && !self.looked.swap(true, Ordering::Relaxed) {
            look_for_fields(&plan, &rows);
        }
        let mapper = self.mapper(&plan);
        // One more than rows, for the numbers.
        let (mut records, mut numbers) = (Vec::with_capacity(rows.len() + 1), Vec::with_capacity(rows.len()));
        let (mut skipped, mut letters) = (Vec::new(), Vec::new());
        for (at, row) in &rows {
            let origin = Origin { window: page.window.clone(), page: page.page, row: *at, raw_seq: raw.seq };
            match mapper.map(row, page.listing, &origin, trace)? {
                Became::Mapped(mapped, named) => {
                    records.extend(mapped);
                    numbers.extend(named);
                }
                Became::Skipped(order) => skipped.push(order),
                Became::Dead(failure) => {
                    let (bytes, from) = (row.get().as_bytes(), (origin, page.listing));
                    letters.push(letter::of_row(failure, bytes, from, plan.version(), &self.names, trace));
                }
            }
        }
        let (mapped, skips, dead) = (records.len(), skipped.len(), letters.len());
        for letter in &letters {
            // Without what was found in the order: that is in the letter.
            let error = letter.pattern();
            tracing::warn!(raw_seq = raw.seq, row = letter.origin.row, error, "an order cannot be mapped");
            self.journal.bury(&self.names, letter, Some(trace)).await?;
        }
        if !skipped.is_empty() {
            let skips = self.skips((&page.window, page.page, raw.seq), &plan, skipped)?;
            records.extend(skips.into_iter().map(|skip| skip.traced(Some(trace))));
        }
        records.extend(mapper.numbers(raw.seq, numbers, Some(trace))?);
        self.committer.store(records).await?;
        tracing::debug!(raw_seq = raw.seq, mapped, skipped = skips, dead, "page mapped");
        Ok(Settlement::Done)
    }

    pub(crate) fn mapper<'a>(&'a self, plan: &'a Plan) -> Mapper<'a> {
        Mapper { plan, names: &self.names, max_payload: self.journal.max_payload(), generation: 0, run: "" }
    }

    /// The messages that say which orders of a page are not sent, and why: one, unless the page is very large.
    pub(crate) fn skips(
        &self,
        (window, page, raw_seq): (&WindowId, u32, u64),
        plan: &Plan,
        orders: Vec<SkippedOrder>,
    ) -> Result<Vec<Record>, JournalError> {
        let of = |orders: &[SkippedOrder]| {
            let (mapping, orders) = (plan.version().to_string(), orders.to_vec());
            // A single order that is mapped again has a message of its own beside that of its page.
            let first = orders.first().map_or(0, |order| order.row);
            let id = format!("skip:{raw_seq}:{first}:{}:{mapping}", orders.len());
            let event = OrdersSkipped { window: window.clone(), page, raw_seq, mapping, orders };
            Ok(Record::new(self.names.skipped(), id, &event)?)
        };
        orders.chunks(SKIPS).map(of).collect()
    }
}

/// Says once when the mapping reads fields that no order of the first page has: a typo there makes no error, only
/// records that lack something.
fn look_for_fields(plan: &Plan, rows: &[(u32, &RawValue)]) {
    let present: HashSet<String> = rows
        .iter()
        .filter_map(|(_, row)| serde_json::from_str::<HashMap<String, &RawValue>>(row.get()).ok())
        .flat_map(HashMap::into_keys)
        .collect();
    for field in plan.source_fields().filter(|field| !present.contains(*field)) {
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
