//! The evidence: what every log says of one order, and every write of it that the target took.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use events::{DeadLetter, MappedEvent, Micros, OrderDeleted, OrderKey, Receipt};
use futures::StreamExt;
use journal::{From, JournalError, Stream};
use orderflow_tests::World;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The folder, within that of a run, in which the sandbox keeps what happened.
pub const SANDBOX: &str = "sandbox";

/// A write that the target took: a line of the sandbox's log.
#[derive(Debug, Deserialize)]
struct Line {
    key: Option<String>,
    row: Box<RawValue>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "orderId")]
    id: serde_json::Value,
    #[serde(rename = "updateTime")]
    updated: Option<String>,
}

/// Every write that the target took, in order.
pub struct Writes(Vec<(String, Option<String>, Line)>);

/// What is wrong with a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// `stale` or `duplicate`.
    pub what: &'static str,
    /// The order.
    pub key: String,
}

impl Writes {
    /// Reads them; none where there is no log.
    pub fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join(SANDBOX).join("target.log")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        Self(
            lines
                .filter_map(|line| {
                    let row: Row = serde_json::from_str(line.row.get()).ok()?;
                    Some((row.id.to_string().trim_matches('"').to_string(), row.updated, line))
                })
                .collect(),
        )
    }

    /// The writes that were older than one before, or the same as one before under another key.
    pub fn wrong(&self) -> Vec<Wrong> {
        let mut newest: HashMap<&str, &str> = HashMap::new();
        let mut seen: HashSet<(&str, &str)> = HashSet::new();
        let mut wrong = Vec::new();
        for (id, updated, line) in &self.0 {
            if !seen.insert((id, line.row.get())) {
                wrong.push(Wrong { what: "duplicate", key: id.clone() });
            }
            // Texts of one form and one zone: they compare as the times do.
            if let Some(updated) = updated {
                let before = newest.entry(id).or_insert(updated);
                if updated.as_str() < *before {
                    wrong.push(Wrong { what: "stale", key: id.clone() });
                }
                *before = updated.as_str().max(*before);
            }
        }
        wrong
    }

    fn of(&self, key: &str) -> Vec<String> {
        let writes = self.0.iter().enumerate().filter(|(_, (id, _, _))| id == key);
        writes
            .map(|(number, (_, updated, line))| {
                let updated = updated.as_deref().unwrap_or("no time");
                let key = line.key.as_deref().unwrap_or("no key");
                format!("  target, write {number}: {updated} under {key}")
            })
            .collect()
    }
}

/// Everything that is known of one order, for a person; times count from `began`.
pub async fn history(
    world: &World,
    writes: &Writes,
    key: &str,
    began: Micros,
) -> Result<Vec<String>, JournalError> {
    let (journal, names) = (&world.journal, world.names());
    let mut lines = vec![format!("order {key}")];
    let Some(order_key) = OrderKey::new(key) else { return Ok(lines) };
    let after = |at: Micros| (at - began) as f64 / 1e6;
    let subject = names.mapped_of(&order_key);
    let mut log = journal.read(&names, Stream::Mapped, Some(&subject), From::Start, false).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        let (order, what) = match MappedEvent::decode(&entry.payload) {
            Ok(MappedEvent::Order(order)) => (order, "order"),
            Ok(MappedEvent::Deleted(OrderDeleted(order))) => (order, "deletion"),
            Err(_) => continue,
        };
        if order.key == order_key {
            let (seq, version) = (entry.seq, order.version);
            let partition = subject.rsplit('.').next().unwrap_or_default();
            let (updated, raw) = (version.updated_at.map(after), version.raw_seq);
            let content = &order.content.to_string()[..16];
            lines.push(format!(
                "  MAPPED {seq}, partition {partition}: {what} of {updated:.0?} s, RAW {raw}, content {content}"
            ));
        }
    }
    for target in world.targets() {
        let subject = names.receipt(&target, &order_key);
        let mut log = journal.read(&names, Stream::Receipts, Some(&subject), From::Start, false).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            let receipt = entry.event::<Receipt>()?.body;
            let Receipt { outcome, mapped_seq, attempts, known, held, .. } = &receipt;
            lines.push(format!(
                "  RECEIPTS {} at {:.2} s: {outcome} for MAPPED {mapped_seq}, attempts {attempts}, known {known}, holds RAW {}, under {}",
                entry.seq,
                after(receipt.at),
                held.raw_seq,
                receipt.idempotency_key
            ));
        }
    }
    let filter = names.dead(events::Stage::Write, "*");
    let mut log = journal.read(&names, Stream::Dead, Some(&filter), From::Start, false).await?;
    while let Some(entry) = log.next().await {
        let entry = entry?;
        let letter = entry.event::<DeadLetter>()?;
        if letter.body.key.as_deref() == Some(key) {
            let (at, about) = (after(letter.at), letter.body.origin.sequence);
            lines.push(format!(
                "  DEAD {} at {at:.2} s: {} about MAPPED {about}",
                entry.seq, letter.body.message
            ));
        }
    }
    lines.extend(writes.of(key));
    Ok(lines)
}
