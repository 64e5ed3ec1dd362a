//! `orderflow replay --target none`: what the mapping of today would make of orders that are mapped already.

use std::collections::HashMap;

use events::{ContentHash, MappedEvent, OrderDeleted, OrderKey};
use futures::StreamExt;
use journal::{From, Journal, Label, Stream, Topology};
use mapping::{Outcome, Plan};
use operations::Replayed;
use serde_json::value::RawValue;
use service::Config;
use similar::TextDiff;

use crate::exit::{Exit, print};
use crate::map::pretty::pretty;
use operations::Mask;

/// So many changed orders are shown in full.
const EXAMPLES: usize = 3;

/// What has been found.
#[derive(Debug, Default)]
struct Trial {
    same: u64,
    changed: u64,
    new: u64,
    skipped: u64,
    failed: u64,
    examples: Vec<String>,
    failures: Vec<String>,
    mask: Mask,
}

pub async fn run(
    config: &Config,
    journal: &Journal,
    names: &Topology,
    found: &Replayed,
    key: Option<&OrderKey>,
) -> anyhow::Result<Exit> {
    let plan = transformer::load_mapping(config)?;
    let before = before(journal, names, found).await?;
    let mut trial = Trial { mask: Mask::of(config), ..Trial::default() };
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
    print(&trial.text(plan.version()));
    Ok(if trial.failed > 0 { Exit::Partial } else { Exit::Ok })
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

impl Trial {
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
                    let failure =
                        t!("RAW %{place}, order %{order}: %{why}", place = place, order = who, why = error);
                    self.failures.push(failure.into());
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

    fn text(&self, mapping: &str) -> String {
        let Self { same, changed, new, skipped, failed, examples, failures, .. } = self;
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
        for line in failures.iter().chain(examples) {
            out.push_str(line);
            out.push('\n');
        }
        out
    }
}
