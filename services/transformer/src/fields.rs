//! How many orders have the fields that the mapping reads: counted here page by page, and added now and then to what all
//! transformers have counted.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use events::{FieldHistory, FieldsSeen, MappingFields, Micros};
use journal::{Cell, JournalError};
use mapping::{Filled, Plan, Schema};
use serde_json::value::RawValue;

/// How often what was counted is stored.
pub(crate) const STORE: Duration = Duration::from_secs(3);

/// How many paths of a mapping are counted: the message with all of them must stay small.
const MOST_PATHS: usize = 500;

/// What was counted of one page.
#[derive(Debug)]
pub(crate) struct PageFields {
    filled: Filled,
    seen: MappingFields,
}

impl PageFields {
    /// Counts under this mapping, of a page that was stored at `at`.
    pub(crate) fn new(plan: &Plan, at: Micros) -> Self {
        let fields = plan.read_paths().take(MOST_PATHS).map(FieldHistory::new).collect();
        let mapping = plan.version().to_string();
        Self { filled: Filled::default(), seen: MappingFields { mapping, at, fields } }
    }

    /// Where the mapping of an order notes what it fills.
    pub(crate) fn filled(&mut self) -> &mut Filled {
        &mut self.filled
    }

    /// Counts the order that was noted.
    pub(crate) fn count_order(&mut self) {
        for (field, filled) in self.seen.fields.iter_mut().zip(&self.filled.paths) {
            if let Some(filled) = filled {
                field.note(*filled, self.seen.at);
            }
        }
    }

    /// The paths at which no order of the page had a value.
    fn never_filled(&self) -> impl Iterator<Item = &str> {
        let never = self.seen.fields.iter().filter(|field| field.of == 0 && field.empty > 0);
        never.map(|field| field.path.as_str())
    }
}

/// What this process has counted and not stored yet, by mapping.
#[derive(Debug, Default)]
pub(crate) struct FieldCounts(Mutex<BTreeMap<String, MappingFields>>);

impl FieldCounts {
    /// Adds what was counted of a page.
    pub(crate) fn add(&self, page: PageFields) {
        join(&mut self.locked(), page.seen);
    }

    /// Adds what was counted to what all transformers have counted; nothing when nothing was.
    ///
    /// # Errors
    /// When it cannot be stored: it is kept, unless it can never be stored.
    pub(crate) async fn store(&self, cell: &Cell) -> Result<(), JournalError> {
        let counted = std::mem::take(&mut *self.locked());
        if counted.is_empty() {
            return Ok(());
        }
        let stored = store(cell, &counted).await;
        if let Err(error) = &stored
            && !error.is_about_the_record()
        {
            let mut since = std::mem::replace(&mut *self.locked(), counted);
            let mut locked = self.locked();
            std::mem::take(&mut since).into_values().for_each(|seen| join(&mut locked, seen));
        }
        stored
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, MappingFields>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds counts that come after those that are there. Both are of the same plan, so their fields are in the same order.
fn join(counted: &mut BTreeMap<String, MappingFields>, later: MappingFields) {
    match counted.get_mut(&later.mapping) {
        None => {
            counted.insert(later.mapping.clone(), later);
        }
        Some(known) => {
            known.at = known.at.max(later.at);
            known.fields.iter_mut().zip(&later.fields).for_each(|(field, later)| field.join(later));
        }
    }
}

async fn store(cell: &Cell, counted: &BTreeMap<String, MappingFields>) -> Result<(), JournalError> {
    loop {
        let (mut shared, seq) = cell.get::<FieldsSeen>().await?;
        counted.values().for_each(|seen| shared.add(seen));
        match cell.set(&shared, seq).await {
            Ok(_) => return Ok(()),
            Err(JournalError::Conflict { .. }) => {} // another transformer was faster
            Err(error) => return Err(error),
        }
    }
}

/// Says once of a mapping which paths no order of a page has, although orders have what is around them: a slip there makes no
/// error, only records that lack something.
pub(crate) fn warn_of_missing(page: &PageFields, rows: &[(u32, &RawValue)]) {
    let mut never = page.never_filled().peekable();
    if never.peek().is_none() {
        return;
    }
    let mut schema = Schema::default();
    rows.iter().for_each(|(at, row)| schema.fold(row, u64::from(*at)));
    for field in never {
        let Some(missing) = schema.missing(field) else { continue };
        let (has, within, near) = (missing.there.join(", "), missing.within, missing.near);
        tracing::warn!(
            field,
            near,
            within,
            has,
            "the mapping reads a field that no order of this page has; is it misspelt?"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(orders: &[&str], at: Micros) -> PageFields {
        let text = "key = \"id\"\n[[field]]\nto = \"name\"\nfrom = \"company.name\"\n";
        let config = service::Config::parse(std::path::Path::new("x"), "", std::iter::empty());
        let plan = Plan::compile("mapping.toml", text, &config.expect("defaults").zone()).expect("sound");
        let mut page = PageFields::new(&plan, at);
        for order in orders {
            let _ = plan.map_noting(serde_json::from_str(order).expect("JSON"), page.filled());
            page.count_order();
        }
        page
    }

    const WITH: &str = r#"{"id":1,"company":{"name":"x"}}"#;
    const WITHOUT: &str = r#"{"id":1,"company":{"nm":"x"}}"#;

    #[test]
    fn pages_add_up_in_the_order_they_come() {
        let counts = FieldCounts::default();
        counts.add(page(&[WITH, WITH, WITHOUT], 5));
        counts.add(page(&[WITHOUT, "[]"], 6));
        let counted = counts.locked();
        let (_, seen) = counted.first_key_value().expect("one mapping");
        let name = seen.fields.iter().find(|field| field.path == "company.name").expect("it is read");
        assert_eq!((name.had(), name.of, name.empty, name.since), (2, 2, 2, Some(5)));
        assert_eq!(seen.at, 6);
    }

    #[test]
    fn what_a_page_never_fills_is_known() {
        assert_eq!(page(&[WITHOUT, WITH], 1).never_filled().count(), 0);
        assert_eq!(page(&[WITHOUT], 1).never_filled().collect::<Vec<_>>(), ["company.name"]);
        assert_eq!(page(&[], 1).never_filled().count(), 0, "without orders nothing is missing");
    }
}
