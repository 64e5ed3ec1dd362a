//! `orderflow replay --target none`: what the mapping of today would make of orders that are mapped already.

use std::collections::HashMap;

use events::{ContentHash, MappedEvent, OrderDeleted, OrderKey};
use futures::StreamExt;
use journal::{From, Journal, Label, Stream, Topology};
use mapping::{Outcome, Plan};
use operations::Replayed;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use service::Config;
use similar::TextDiff;

use crate::map::pretty::pretty;
use operations::Mask;

/// So many changed orders are shown in full.
const EXAMPLES: usize = 3;

/// What today's mapping would make of the orders.
#[derive(Debug, Default, JsonSchema, Serialize)]
pub struct TrialReport {
    /// The version of the mapping.
    pub mapping: String,
    /// Orders that stay the same.
    same: u64,
    /// Orders that would change.
    changed: u64,
    /// Orders that were not mapped before.
    new: u64,
    /// Orders that would be skipped.
    skipped: u64,
    /// Orders that cannot be mapped.
    failed: u64,
    /// The first of those that would change, each as a diff; `changed` counts all.
    examples: Vec<String>,
    /// The first of those that cannot be mapped; `failed` counts all.
    failures: Vec<TrialFailure>,
    #[serde(skip)]
    mask: Mask,
}

/// An order that cannot be mapped.
#[derive(Debug, JsonSchema, Serialize)]
pub struct TrialFailure {
    /// Its page and row in RAW, as `page/row`.
    place: String,
    /// Its number, or its key; `-` when it has neither.
    order: String,
    /// Why.
    why: String,
}

pub async fn run(
    config: &Config,
    journal: &Journal,
    names: &Topology,
    found: &Replayed,
    key: Option<&OrderKey>,
) -> anyhow::Result<TrialReport> {
    let plan = transformer::load_mapping(config)?;
    let before = before(journal, names, found).await?;
    let mapping = plan.version().to_string();
    let mut trial = TrialReport { mapping, mask: Mask::of(config), ..TrialReport::default() };
    for raw_seq in found.messages.keys() {
        let Some(stored) = journal.page_at(names, *raw_seq).await? else { continue };
        let (body, details) = (stored.page.body.unpack()?, stored.page.unpack_details()?);
        if stored.page.listing != events::Listing::Orders {
            continue;
        }
        for (row, order) in okki::news(&stored.page, &body, &details)?.rows {
            let who = plan.identify(order).key;
            if key.is_none_or(|key| who.as_deref() == Some(key.as_str())) {
                let place = format!("{raw_seq}/{row}");
                trial.order(&plan, order, &place, before.get(&place).copied(), journal, names).await?;
            }
        }
    }
    Ok(trial)
}

/// The newest message in MAPPED of each row of the pages.
async fn before(
    journal: &Journal,
    names: &Topology,
    found: &Replayed,
) -> anyhow::Result<HashMap<String, u64>> {
    let filter = format!("{}.mapped.*", names.flow());
    let mut log = journal.read(names, Stream::Mapped, Some(&filter), From::Start, true).await?;
    let mut before = HashMap::new();
    while let Some(entry) = log.next().await {
        let entry = entry?;
        let Some(place) = entry.label(Label::Origin) else { continue };
        let raw = place.split('/').next().and_then(|raw| raw.parse().ok()).unwrap_or(0);
        if found.messages.contains_key(&raw) {
            before.insert(place.to_string(), entry.seq);
        }
    }
    Ok(before)
}

impl TrialReport {
    /// Whether some orders cannot be mapped.
    pub fn has_failures(&self) -> bool {
        self.failed > 0
    }

    async fn order(
        &mut self,
        plan: &Plan,
        order: &RawValue,
        place: &str,
        before: Option<u64>,
        journal: &Journal,
        names: &Topology,
    ) -> anyhow::Result<()> {
        let record = match plan.map(order) {
            // Of the elements of a list the first one stands for all.
            Ok(Outcome::Records(records)) => records.into_iter().next().map(|mapped| mapped.record),
            Ok(Outcome::Skipped(_)) => None,
            Err(error) => {
                self.failed += 1;
                let who = plan.identify(order);
                let who = who.number.or(who.key).unwrap_or_else(|| "-".into());
                if self.failures.len() < EXAMPLES {
                    let error = self.mask.text(&error.to_string(), &self.mask.json(order.get()).1);
                    self.failures.push(TrialFailure { place: place.to_string(), order: who, why: error });
                }
                return Ok(());
            }
        };
        let old = match before {
            Some(seq) => journal.find(names, Stream::Mapped, seq).await?,
            None => None,
        };
        let old = old.and_then(|entry| match MappedEvent::decode(&entry.payload).ok()? {
            MappedEvent::Order(order) | MappedEvent::Deleted(OrderDeleted(order)) => Some(order),
        });
        match (old, record) {
            (_, None) => self.skipped += 1,
            (None, Some(_)) => self.new += 1,
            (Some(old), Some(record)) if old.content == ContentHash::of(&record) => self.same += 1,
            (Some(old), Some(record)) => {
                self.changed += 1;
                if self.examples.len() < EXAMPLES {
                    let text = |bytes: &[u8]| {
                        format!("{}\n", pretty(&self.mask.json(&String::from_utf8_lossy(bytes)).0))
                    };
                    let (before, after) = (text(&old.record), text(&record));
                    let diff = TextDiff::from_lines(&before, &after);
                    let name = old.number.unwrap_or_else(|| old.key.to_string());
                    let (from, to) =
                        (t!("%{order} mapped", order = name), t!("%{order} today", order = name));
                    self.examples.push(diff.unified_diff().header(&from, &to).to_string());
                }
            }
        }
        Ok(())
    }

    /// For people.
    pub fn text(&self) -> String {
        let Self { mapping, same, changed, new, skipped, failed, examples, failures, .. } = self;
        let failures = failures.iter().map(|TrialFailure { place, order, why }| {
            t!("RAW %{place}, order %{order}: %{why}", place = place, order = order, why = why).into_owned()
        });
        let counts = t!(
            "by mapping %{mapping}: %{changed} orders would change, %{same} stay the same, %{new} were not mapped before, \
             %{skipped} would be skipped, %{failed} cannot be mapped",
            mapping = mapping,
            changed = changed,
            same = same,
            new = new,
            skipped = skipped,
            failed = failed
        );
        let mut out = format!("{counts}\n");
        for line in failures.chain(examples.iter().cloned()) {
            out.push_str(&line);
            out.push('\n');
        }
        out
    }
}
