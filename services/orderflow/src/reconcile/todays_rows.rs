//! The rows of the source as today's mapping has them. Of those that may have to be written over what a target holds the record
//! is kept; of all others only a hash, for there may be millions.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use events::{ContentHash, OrderDigest, TargetName};
use journal::{Journal, JournalError, Topology};
use mapping::{Identity, Mapped, Outcome, Plan};
use operations::{Listed, MappedRow, ReceivedContent};
use serde_json::value::RawValue;
use service::Config;

/// A record that may have to be written.
#[derive(Debug, Clone)]
pub(super) struct TodaysRow {
    pub(super) content: ContentHash,
    pub(super) number: Option<String>,
    pub(super) record: Vec<u8>,
    pub(super) marks: Vec<String>,
}

/// Maps the rows of the source, and keeps what may have to be written.
pub(super) struct TodaysRows<'a> {
    pub(super) plan: &'a Plan,
    /// What the receipts of each target name; none when nothing is to be repaired.
    received: Vec<HashMap<OrderDigest, ReceivedContent>>,
    kept: Mutex<HashMap<String, TodaysRow>>,
}

impl<'a> TodaysRows<'a> {
    pub(super) fn new(plan: &'a Plan) -> Self {
        Self { plan, received: Vec::new(), kept: Mutex::default() }
    }

    /// From now on the records are kept that differ from what a target holds.
    pub(super) async fn keep_what_differs(
        &mut self,
        journal: &Journal,
        names: &Topology,
        config: &Config,
    ) -> Result<(), JournalError> {
        journal.ensure(names).await?;
        for target in &config.targets {
            let target = TargetName::new(&target.name);
            self.received.push(ReceivedContent::read(journal, names, &target).await?);
        }
        Ok(())
    }

    /// What a row of the source is by today's mapping.
    pub(super) fn read(&self, row: &[u8]) -> Listed {
        let failed = |identity: Identity, why: String| Listed {
            key: identity.key,
            updated_at: identity.version,
            row: MappedRow::Failed(why),
        };
        let Ok(row) = serde_json::from_slice::<&RawValue>(row) else {
            return failed(Identity::default(), "not_an_object".into());
        };
        match self.plan.map(row) {
            Ok(Outcome::Records(records)) => match records.into_iter().next() {
                Some(mapped) => self.take(mapped),
                None => failed(self.plan.identify(row), "no record".into()),
            },
            Ok(Outcome::Skipped(skipped)) => Listed {
                key: skipped.identity.key,
                updated_at: skipped.identity.version,
                row: MappedRow::Skipped,
            },
            // Without what was found in the row, which may be personal.
            Err(error) => {
                let field = Some(error.field()).filter(|field| !field.is_empty());
                let why = field
                    .map_or_else(|| error.kind().to_string(), |field| format!("{}: {field}", error.kind()));
                failed(self.plan.identify(row), why)
            }
        }
    }

    fn take(&self, mapped: Mapped) -> Listed {
        let Mapped { identity, record, marks, .. } = mapped;
        let content = ContentHash::of(&record);
        let Identity { key, number, version } = identity;
        if let Some(key) = &key
            && self.may_be_written(key, content, version)
        {
            self.kept().insert(key.clone(), TodaysRow { content, number, record, marks });
        }
        Listed { key, updated_at: version, row: MappedRow::Record(content) }
    }

    fn may_be_written(&self, key: &str, content: ContentHash, updated_at: Option<i64>) -> bool {
        let digest = OrderDigest::of(key);
        let mut received = self.received.iter().filter_map(|received| received.get(&digest));
        received.any(|received| received.may_differ(content, updated_at))
    }

    /// The record of an order, when it was kept and is still the one that was compared.
    pub(super) fn find(&self, key: &str, compared: &Listed) -> Option<TodaysRow> {
        let row = self.kept().get(key).cloned()?;
        (compared.row == MappedRow::Record(row.content)).then_some(row)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, TodaysRow>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
