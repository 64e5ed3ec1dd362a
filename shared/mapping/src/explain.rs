//! Where each field of a record came from, for people.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::field::{Field, Origin};
use crate::plan::{Outcome, Plan};
use crate::record::{Watch, used};
use crate::reference::Scope;
use crate::row_error::RowError;

/// Longest excerpt of a source value, in characters.
const EXCERPT: usize = 60;

/// One field of a record and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// Its path in the record, e.g. `lines[0].sku`; of several records, `[0].sku` is one of the first.
    pub to: String,
    /// Where its value was read, e.g. `company.name`, or how it was made.
    pub from: String,
    /// An excerpt of what was found there; `None` when there was nothing, or nothing to show.
    pub found: Option<String>,
    /// Its JSON in the record; `None` when it was left out.
    pub became: Option<String>,
    /// What was wrong with the value.
    pub problem: Option<String>,
}

impl Plan {
    /// Maps a row and says where each field came from, also of a row that fails: as far as it came.
    ///
    /// # Errors
    /// As [`Plan::map`], beside the fields.
    pub fn explain(&self, row: &RawValue) -> (Vec<Provenance>, Result<Outcome, RowError>) {
        let mut watch = Explained::default();
        let outcome = self.watched(row, &mut watch);
        (watch.fields, outcome)
    }
}

#[derive(Default)]
struct Explained {
    fields: Vec<Provenance>,
    within: Vec<(String, String)>,
}

impl Watch for Explained {
    fn enter(&mut self, to: &str, from: &str, index: usize) {
        let (to_above, from_above) = self.within.last().cloned().unwrap_or_default();
        self.within.push((format!("{to_above}{to}[{index}]."), format!("{from_above}{from}[{index}].")));
    }

    fn leave(&mut self) {
        self.within.pop();
    }

    fn wrote(
        &mut self,
        field: &Field,
        scope: &Scope<'_, '_>,
        json: Option<&[u8]>,
        problem: Option<&RowError>,
    ) {
        // The fields within a list say it all, unless the list itself is at fault.
        if matches!(field.origin, Origin::Each(..))
            && problem.is_none()
            && json.is_some_and(|json| json != b"[]")
        {
            return;
        }
        let (to, from_above) = self.within.last().cloned().unwrap_or_default();
        let (from, found) = origin(field, scope);
        let from = match &field.origin {
            Origin::From(_) | Origin::Each(..) if !from.starts_with("$.") => format!("{from_above}{from}"),
            _ => from,
        };
        self.fields.push(Provenance {
            to: format!("{to}{}", field.to),
            from,
            found,
            became: json.map(|json| String::from_utf8_lossy(json).into_owned()),
            problem: problem.map(|error| format!("found {}, expected {}", error.found(), error.expected())),
        });
    }
}

/// Where the value of a field is read or how it is made, and what is found there.
fn origin(field: &Field, scope: &Scope<'_, '_>) -> (String, Option<String>) {
    match &field.origin {
        Origin::Constant(_) => ("a constant".to_owned(), None),
        Origin::From(paths) => {
            let present = paths.iter().find(|path| used(field, path, scope).unwrap_or(true));
            let path = present.or(paths.first());
            let json = path.and_then(|path| path.value(scope).ok().flatten());
            (path.map_or_else(String::new, |path| path.text.clone()), json.map(excerpt))
        }
        Origin::Concat(paths, _) => {
            let names: Vec<&str> = paths.iter().map(|path| path.text.as_str()).collect();
            (format!("concat of {}", names.join(", ")), None)
        }
        Origin::Sum(sum) => (sum.described(), sum.found(scope).map(excerpt)),
        Origin::Expression(_, text) => (format!("`{text}`"), None),
        Origin::Each(list, _) => (list.text.clone(), list.found(scope).map(excerpt)),
    }
}

fn excerpt(json: &str) -> String {
    match json.char_indices().nth(EXCERPT) {
        None => json.to_owned(),
        Some((end, _)) => format!("{}…", &json[..end]),
    }
}
