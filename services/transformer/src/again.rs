//! Pages of RAW mapped once more, by today's mapping, for a replay.

use events::{Listing, Micros, OrderKey, Origin};
use journal::{Journal, JournalError, Label, Record, StoredPage, Topology, TraceParent, store_patiently};
use okki::News;
use serde_json::value::RawValue;
use service::Config;

use crate::letter;
use crate::mappings::Mappings;
use crate::page::Pages;
use crate::page_keys::PageKeys;
use crate::row::{Became, MappedRow};
use crate::{TransformError, pages};

/// Maps pages again.
pub struct Again {
    pages: Pages,
}

/// Why a row cannot be corrected by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncorrectable {
    /// It becomes a record for each element of a list: which orders these are is not known before all are mapped.
    ByElement,
    /// The mapping of today reads key or version otherwise than the one it failed under: whether something newer was read since
    /// cannot be told.
    OtherIdentity,
}

/// How a page is to be mapped again.
#[derive(Debug, Clone)]
pub struct How<'a> {
    /// Only this order.
    pub key: Option<&'a OrderKey>,
    /// Newer than what was mapped of the same page before: the version's generation.
    pub generation: u32,
    /// What makes the messages' ids those of this replay.
    pub run: &'a str,
    /// What is said of every message.
    pub labels: &'a [(Label, String)],
}

impl Again {
    /// With the mapping that the configuration names; while that one is held, with the one before, as the transformers.
    ///
    /// # Errors
    /// When it cannot be used, or the log does not answer.
    pub async fn new(config: &Config, journal: &Journal) -> Result<Self, TransformError> {
        let names = Topology::new(&config.flow, config.writer.partitions);
        let mappings = Mappings::known(config, journal.clone(), names).await?;
        Ok(Self { pages: pages(config, journal, mappings) })
    }

    /// The version of the mapping.
    pub fn mapping(&self) -> String {
        self.pages.mappings.plan().version().to_string()
    }

    /// Why a row that failed under another mapping cannot be corrected by hand; `None` when it can.
    pub fn uncorrectable(&self, mapping: Option<&str>) -> Option<Uncorrectable> {
        let plan = self.pages.mappings.plan();
        match mapping {
            _ if plan.is_by_element() => Some(Uncorrectable::ByElement),
            Some(mapping) if !plan.identifies_as(mapping) => Some(Uncorrectable::OtherIdentity),
            _ => None,
        }
    }

    /// Which order a row is about (key and number), and of what time this state of it is, as the mapping reads them.
    pub fn identify(
        &self,
        row: &RawValue,
        listing: Listing,
    ) -> (Option<String>, Option<String>, Option<Micros>) {
        let plan = self.pages.mappings.plan();
        let identity = match listing {
            Listing::Orders => plan.identify(row),
            Listing::Deleted => plan.identify_deleted(row),
        };
        (identity.key, identity.number, identity.version)
    }

    /// When the page with this sequence in RAW was stored; `None` when that is not known any more.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn stored_at(&self, raw_seq: u64) -> Result<Option<Micros>, JournalError> {
        self.pages.stored_at(raw_seq).await
    }

    /// The messages that a row becomes of a page that was stored at `stored_at`, orders first, without
    /// storing them; `Err` says why there are none.
    ///
    /// # Errors
    /// None that the row can cause.
    pub fn row(
        &self,
        row: &RawValue,
        listing: Listing,
        origin: &Origin,
        stored_at: Option<Micros>,
        (run, generation): (&str, u32),
    ) -> Result<Result<Vec<Record>, String>, JournalError> {
        let (pages, plan) = (&self.pages, self.pages.mappings.plan());
        let span = tracing::info_span!(
            "map row again",
            stage = "transform",
            raw_seq = origin.raw_seq,
            row = origin.row
        );
        let (trace_id, span_id, sampled) = service::traced(&span, None);
        let trace = TraceParent { trace_id, span_id, sampled };
        let mapper = pages.mapper(&plan, stored_at).of_generation(generation, run);
        Ok(match mapper.map(row, listing, origin, trace)? {
            Became::Mapped(MappedRow { mut records, numbers, .. }) => {
                records.extend(mapper.numbers(origin.raw_seq, numbers, Some(trace))?);
                Ok(records)
            }
            Became::Skipped(order) => Err(format!("it would not be sent: {}", order.reason)),
            Became::Dead(failure) => Err(failure.message),
        })
    }

    /// Maps one page and stores what became of it; `Err` says what could not be mapped, and why it could not begin.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn page(&self, raw_seq: u64, how: &How<'_>) -> Result<Result<(), String>, JournalError> {
        let (pages, plan) = (&self.pages, self.pages.mappings.plan());
        let StoredPage { stored_at, page, .. } = match pages.journal.page_at(&pages.names, raw_seq).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(Err("it is no page of RAW, or not there any more".into())),
            Err(error @ JournalError::Codec { .. }) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        };
        let (Ok(body), Ok(details)) = (page.body.unpack(), page.unpack_details()) else {
            return Ok(Err("its bytes are damaged".into()));
        };
        let News { rows, damaged } = match okki::news(&page, &body, &details) {
            Ok(news) => news,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let span = tracing::info_span!("map page again", stage = "transform", raw_seq);
        let (trace_id, span_id, sampled) = service::traced(&span, None);
        let trace = TraceParent { trace_id, span_id, sampled };
        let mapper = pages.mapper(&plan, Some(stored_at)).of_generation(how.generation, how.run);
        let (mut records, mut numbers) = (Vec::<Record>::new(), Vec::new());
        let (mut skipped, mut failed) = (Vec::new(), Vec::new());
        // Their letters are there already, and no mapping makes them readable.
        if how.key.is_none() {
            failed.extend(damaged.iter().map(|(row, damaged)| format!("row {row}: {}", damaged.reason)));
        }
        let mut keys = PageKeys::new(&pages.id);
        for (row, order) in rows {
            let named = plan.identify(order).key;
            if how.key.is_some_and(|key| named.as_deref() != Some(key.as_str())) {
                continue;
            }
            let origin = Origin { window: page.window.clone(), page: page.page, row, raw_seq };
            match keys.admit(mapper.map(order, page.listing, &origin, trace)?, (row, order)) {
                Became::Mapped(mapped) => {
                    records.extend(mapped.records);
                    numbers.extend(mapped.numbers);
                }
                Became::Skipped(order) => skipped.push(order),
                Became::Dead(failure) => {
                    failed.push(format!("row {row}: {}", failure.message));
                    let bytes = order.get().as_bytes();
                    let from = (origin, page.listing);
                    let letter = letter::of_row(failure, bytes, from, plan.version(), &pages.names, trace);
                    pages.journal.bury(&pages.names, &letter, Some(trace)).await?;
                }
            }
        }
        if how.key.is_some() && records.is_empty() && skipped.is_empty() && failed.is_empty() {
            return Ok(Err("no row of this page has that key by this mapping".into()));
        }
        for record in &mut records {
            record.labels.extend(how.labels.iter().cloned());
        }
        if !skipped.is_empty() {
            records.extend(pages.skips((&page.window, page.page, raw_seq), &plan, skipped)?);
        }
        records.extend(mapper.numbers(raw_seq, numbers, Some(trace))?);
        let waits = JournalError::is_unanswered;
        store_patiently(pages.journal.trouble(), waits, || pages.committer.store(records.clone())).await?;
        Ok(if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) })
    }
}
