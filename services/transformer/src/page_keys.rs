//! The keys of one page: two orders of the source must not become one order of the target, where the second would take the
//! place of the first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use events::OrderKey;
use serde_json::value::RawValue;

use crate::letter::{Failure, SAME_KEY};
use crate::row::Became;

/// The keys that the rows of a page became, so far.
pub(crate) struct PageKeys<'a> {
    /// The field by which the source identifies an order.
    id: &'a str,
    rows: HashMap<OrderKey, (u32, &'a RawValue)>,
}

impl<'a> PageKeys<'a> {
    pub(crate) fn new(id: &'a str) -> Self {
        Self { id, rows: HashMap::new() }
    }

    /// Passes on what a row became, unless one of its keys is that of an order with another id: then it is dead.
    pub(crate) fn admit(&mut self, became: Became, (at, row): (u32, &'a RawValue)) -> Became {
        let Became::Mapped(mapped) = &became else { return became };
        for key in &mapped.keys {
            match self.rows.entry(key.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert((at, row));
                }
                Entry::Occupied(entry) => {
                    let (first, other) = *entry.get();
                    let own = okki::id_of(row, self.id);
                    let others = okki::id_of(other, self.id);
                    if let (Some(own), Some(others)) = (own, others)
                        && own != others
                    {
                        return Became::Dead(same_key(key, self.id, (first, &others), (at, &own)));
                    }
                }
            }
        }
        became
    }
}

fn same_key(key: &OrderKey, id: &str, first: (u32, &str), second: (u32, &str)) -> Failure {
    let shown: String = key.as_str().chars().take(200).collect();
    let message = format!(
        "two orders of one page have the key {shown:?}: row {} ({id} {}) and row {} ({id} {}). The second would take the \
         place of the first at the target; let `key` in the mapping name a field that no two orders share, such as {id}",
        first.0, first.1, second.0, second.1
    );
    Failure { kind: SAME_KEY.into(), message, causes: Vec::new(), key: Some(shown), number: None }
}
