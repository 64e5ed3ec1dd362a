//! One raw page: each row becomes mapped orders, is skipped or becomes a dead letter, and only then is the page settled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use events::{Listing, Micros, OrdersSkipped, Origin, RawPage, SkippedOrder, WindowId, decode};
use journal::{Committer, Delivery, Journal, JournalError, Record, Settlement, Topology, TraceParent};
use mapping::Plan;
use okki::News;
use tracing::Instrument;

use crate::fields::{FieldCounts, PageFields, warn_of_missing};
use crate::letter::{self, Failure};
use crate::mappings::Mappings;
use crate::page_keys::PageKeys;
use crate::row::{Became, Mapper, Said};

/// Skipped orders in one message, at most: NATS takes a megabyte by default.
const SKIPS: usize = 400;

/// What a skipped order takes of a message, in bytes, at most.
const SKIP_BYTES: usize = 2 << 10;

/// So long is a text of a skipped order at most when its message is cut.
const SHORT_TEXT: usize = 40;

/// A message that will never be stored.
pub(crate) struct RefusedRecord {
    /// Its place among those that were to be stored.
    pub(crate) at: usize,
    pub(crate) error: JournalError,
}

/// What pages are mapped with.
pub(crate) struct Pages {
    pub(crate) journal: Journal,
    pub(crate) names: Topology,
    pub(crate) mappings: Arc<Mappings>,
    pub(crate) committer: Committer,
    /// How far the source's clock may be ahead of the time at which a page was read.
    pub(crate) settle: Micros,
    /// The field by which the source identifies an order.
    pub(crate) id: String,
    /// Whether the fields that the mapping reads were looked for in an order.
    pub(crate) looked: AtomicBool,
    /// How many orders had each field, since that was stored last.
    pub(crate) fields: FieldCounts,
}

impl Pages {
    pub(crate) async fn handle(self: Arc<Self>, raw: Delivery) -> Settlement {
        let span = tracing::info_span!("transform page", stage = "transform", raw_seq = raw.seq);
        let parent = raw.trace().map(|trace| (trace.trace_id, trace.span_id, trace.sampled));
        let (trace_id, span_id, sampled) = service::traced(&span, parent);
        let trace = TraceParent { trace_id, span_id, sampled };
        async {
            match self.page(&raw, trace).await {
                Ok(settlement) => settlement,
                Err(error) => {
                    tracing::warn!(error = service::chain(&error), raw_seq = raw.seq, "a page waits");
                    Settlement::Retry(Duration::from_secs(raw.delivered.clamp(1, 30)))
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
            Ok(Settlement::Dead(Box::new(letter::to_store(letter))))
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
        let News { rows, damaged } = match okki::news(&page, &body, &details) {
            Ok(news) => news,
            Err(error) => return unreadable(Some(&page), &body, &error),
        };
        let fields = PageFields::new(&plan, raw.stored_at);
        let mut mapper = self.mapper(&plan, Some(raw.stored_at)).counting(fields);
        let mut keys = PageKeys::new(&self.id);
        // One more than rows, for the numbers.
        let (mut records, mut numbers) = (Vec::with_capacity(rows.len() + 1), Vec::with_capacity(rows.len()));
        let (mut skipped, mut letters) = (Vec::new(), Vec::new());
        // Of which row each message is.
        let mut sources = Vec::with_capacity(rows.len());
        let origin_of = |row| Origin { window: page.window.clone(), page: page.page, row, raw_seq: raw.seq };
        for (at, row) in &rows {
            let origin = origin_of(*at);
            match keys.admit(mapper.map(row, page.listing, &origin, trace)?, (*at, row)) {
                Became::Mapped(mapped) => {
                    sources.extend(std::iter::repeat_n((*at, *row), mapped.records.len()));
                    records.extend(mapped.records);
                    numbers.extend(mapped.numbers);
                }
                Became::Skipped(order) => skipped.push(order),
                Became::Dead(failure) => {
                    let (bytes, from) = (row.get().as_bytes(), (origin, page.listing));
                    letters.push(letter::of_row(failure, bytes, from, plan.version(), &self.names, trace));
                }
            }
        }
        for (at, row) in &damaged {
            let origin = Origin { window: page.window.clone(), page: page.page, row: *at, raw_seq: raw.seq };
            let failure = mapper.damaged(row, page.listing);
            let from = (origin, page.listing);
            letters.push(letter::of_row(failure, row.bytes, from, plan.version(), &self.names, trace));
        }
        if let Some(fields) = mapper.counted() {
            let orders = page.listing == Listing::Orders && !rows.is_empty();
            if orders && !self.looked.swap(true, Ordering::Relaxed) {
                warn_of_missing(&fields, &rows);
            }
            self.fields.add(fields);
        }
        let (mapped, skips, dead) = (records.len(), skipped.len(), letters.len());
        for letter in letters {
            let letter = letter::to_store(letter);
            self.journal.store_letter_patiently(&self.names, &letter, Some(trace)).await;
        }
        if !skipped.is_empty() {
            let skips = self.skips((&page.window, page.page, raw.seq), &plan, skipped)?;
            records.extend(skips.into_iter().map(|skip| skip.traced(Some(trace))));
        }
        let of_orders = records.len();
        records.extend(mapper.numbers(raw.seq, numbers, Some(trace))?);
        for RefusedRecord { at, error } in self.store_records(&records).await {
            if (mapped..of_orders).contains(&at) {
                self.store_skips_singly(&records[at]).await?;
                continue;
            }
            tracing::error!(
                raw_seq = raw.seq,
                error = service::chain(&error),
                "NATS refuses a message for good"
            );
            let Some((row, bytes)) = sources.get(at) else { continue };
            let from = (origin_of(*row), page.listing);
            let failure = Failure::refused(&error);
            let letter =
                letter::of_row(failure, bytes.get().as_bytes(), from, plan.version(), &self.names, trace);
            let letter = letter::to_store(letter);
            self.journal.store_letter_patiently(&self.names, &letter, Some(trace)).await;
        }
        tracing::debug!(raw_seq = raw.seq, mapped, skipped = skips, dead, "page mapped");
        Ok(Settlement::Done)
    }

    /// Stores messages, and waits while that cannot be done; returns those that will never be stored. They do not hold up the
    /// others.
    pub(crate) async fn store_records(&self, records: &[Record]) -> Vec<RefusedRecord> {
        let trouble = self.journal.trouble();
        if self.committer.store_patiently(records.to_vec(), trouble).await.is_ok() {
            return Vec::new();
        }
        let storing = records.iter().enumerate().map(|(at, record)| async move {
            let stored = self.committer.store_patiently(vec![record.clone()], trouble).await;
            stored.err().map(|error| RefusedRecord { at, error })
        });
        futures::future::join_all(storing).await.into_iter().flatten().collect()
    }

    /// Stores a message about skipped orders that NATS refused for good as one message for each, with less text.
    ///
    /// # Errors
    /// When one of these is refused too.
    pub(crate) async fn store_skips_singly(&self, refused: &Record) -> Result<(), JournalError> {
        let OrdersSkipped { window, page, raw_seq, mapping, orders } = decode(&refused.payload)?.body;
        tracing::warn!(
            raw_seq,
            orders = orders.len(),
            "NATS refuses a message about skipped orders; it is cut"
        );
        let single = |order: SkippedOrder| {
            let id = skip_id(raw_seq, order.row, 1, &mapping);
            let event = OrdersSkipped {
                window: window.clone(),
                page,
                raw_seq,
                mapping: mapping.clone(),
                orders: vec![shorten_skip(order)],
            };
            Ok(Record::new(self.names.skipped(), id, &event)?.traced(refused.trace))
        };
        let singles = orders.into_iter().map(single).collect::<Result<Vec<_>, JournalError>>()?;
        match self.store_records(&singles).await.pop() {
            Some(RefusedRecord { error, .. }) => Err(error),
            None => Ok(()),
        }
    }

    /// What maps rows of a page that was stored at this moment, as far as that is known.
    pub(crate) fn mapper<'a>(&'a self, plan: &'a Plan, stored_at: Option<Micros>) -> Mapper<'a> {
        Mapper {
            plan,
            names: &self.names,
            max_payload: self.journal.max_payload(),
            latest: stored_at.map(|at| self.latest(at)),
            said: Said::default(),
            generation: 0,
            run: "",
            fields: None,
        }
    }

    /// The latest update time that counts of a page that was stored at this moment. The clock of nats-server is one for all fetchers:
    /// of two such states the one that was stored later is the newer. That of the source differs from it by less than
    /// `schedule.settle`.
    pub(crate) fn latest(&self, stored_at: Micros) -> Micros {
        stored_at.saturating_add(self.settle)
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
            let id = skip_id(raw_seq, first, orders.len(), &mapping);
            let event = OrdersSkipped { window: window.clone(), page, raw_seq, mapping, orders };
            Ok(Record::new(self.names.skipped(), id, &event)?)
        };
        // Some servers take less than the default.
        let fit = self.journal.max_payload() / 2 / SKIP_BYTES;
        orders.chunks(SKIPS.min(fit).max(1)).map(of).collect()
    }
}

fn skip_id(raw_seq: u64, first: u32, count: usize, mapping: &str) -> String {
    format!("skip:{raw_seq}:{first}:{count}:{mapping}")
}

/// A skipped order with little text: of key and number, which identify it, only what is whole.
fn shorten_skip(order: SkippedOrder) -> SkippedOrder {
    let whole = |text: Option<String>| text.filter(|text| text.len() <= SHORT_TEXT);
    SkippedOrder {
        row: order.row,
        key: whole(order.key),
        number: whole(order.number),
        reason: order.reason.chars().take(SHORT_TEXT).collect(),
    }
}
