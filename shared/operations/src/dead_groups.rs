//! Dead letters by what went wrong: a thousand orders that fail alike are one line.

use std::collections::{BTreeSet, HashMap, HashSet};

use events::{DeadLetter, Micros, Stage};
use futures::StreamExt;
use journal::{Entry, From, Journal, JournalError, Label, Stream, Topology};
use schemars::JsonSchema;
use serde::Serialize;

use crate::Mask;
use crate::letters::{letter, resolutions};

/// The dead letters of one fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct DeadGroup {
    /// The fingerprint.
    pub fingerprint: String,
    /// The stage that gave up.
    pub stage: Stage,
    /// What kind of failure.
    pub kind: String,
    /// The message, without what differs from order to order.
    pub pattern: String,
    /// The targets, for the write stage.
    pub targets: BTreeSet<String>,
    /// Letters that nobody has dealt with.
    pub open: u64,
    /// Letters that somebody or another mapping has dealt with.
    pub resolved: u64,
    /// When the first of them was stored, microseconds since the Unix epoch.
    pub first_seen: Micros,
    /// When the last of them was stored.
    pub last_seen: Micros,
    /// The versions of the mapping that their orders were mapped with, or failed under. Of letters without this in their
    /// headers, those of the first one.
    pub mappings: BTreeSet<String>,
}

impl DeadGroup {
    /// Reads all of DEAD, headers only but for the first letter of each group and target: most open ones first, then the
    /// newest. What `mask` hides is not in the patterns.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn all(journal: &Journal, names: &Topology, mask: &Mask) -> Result<Vec<Self>, JournalError> {
        let resolved = resolutions(journal, names, 1).await?;
        let mut groups: HashMap<String, Self> = HashMap::new();
        // Whose first letter has been read, by fingerprint and the target's token.
        let mut known: HashSet<(String, String)> = HashSet::new();
        let mut log = journal.read(names, Stream::Dead, None, From::Start, true).await?;
        while let Some(entry) = log.next().await {
            let entry = entry?;
            let no_letter = entry.subject == names.dead_resolved()
                || names.receipt_of_older_stamp(&entry.subject).is_some();
            if no_letter {
                continue;
            }
            let target = entry.label(Label::Target).unwrap_or_default().to_string();
            let labelled =
                entry.label(Label::Fingerprint).map(|fingerprint| (fingerprint.to_string(), target));
            let group = match labelled {
                Some(key) if known.contains(&key) => groups.get_mut(&key.0),
                // The first of its kind, or written before there were fingerprints.
                labelled => {
                    let Some(letter) = letter(journal, names, entry.seq).await? else { continue };
                    let fingerprint = letter.fingerprint();
                    known.extend(labelled);
                    let group = groups
                        .entry(fingerprint.clone())
                        .or_insert_with(|| Self::new(fingerprint, &letter, entry.stored_at, mask));
                    group.targets.extend(letter.target.map(|target| target.to_string()));
                    group.mappings.extend(letter.mapping);
                    Some(group)
                }
            };
            if let Some(group) = group {
                group.add(&entry, resolved.contains_key(&entry.seq));
            }
        }
        let mut groups: Vec<Self> = groups.into_values().collect();
        groups.sort_by(|a, b| {
            let order = |group: &Self| (group.open, group.last_seen);
            order(b).cmp(&order(a)).then_with(|| a.fingerprint.cmp(&b.fingerprint))
        });
        Ok(groups)
    }

    fn new(fingerprint: String, letter: &DeadLetter, at: Micros, mask: &Mask) -> Self {
        Self {
            fingerprint,
            stage: letter.stage,
            kind: letter.kind.clone(),
            pattern: masked(letter, mask).pattern(),
            targets: BTreeSet::new(),
            open: 0,
            resolved: 0,
            first_seen: at,
            last_seen: at,
            mappings: BTreeSet::new(),
        }
    }

    fn add(&mut self, entry: &Entry, resolved: bool) {
        *if resolved { &mut self.resolved } else { &mut self.open } += 1;
        self.last_seen = self.last_seen.max(entry.stored_at);
        if let Some(mapping) = entry.label(Label::Mapping)
            && !self.mappings.contains(mapping)
        {
            self.mappings.insert(mapping.to_string());
        }
    }
}

/// The letter without what is to be hidden in its message: hidden before numbers and the like are taken out, for after that it
/// would not be found.
fn masked(letter: &DeadLetter, mask: &Mask) -> DeadLetter {
    DeadLetter { message: mask.text(&letter.message, &mask.values_of(letter)), ..letter.clone() }
}
