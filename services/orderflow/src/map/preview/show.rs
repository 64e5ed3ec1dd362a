//! A preview, as text and as JSON.

use comfy_table::{ContentArrangement, Table, presets};
use mapping::{Outcome, Plan, Provenance, Schema};
use operations::Mask;
use serde::Serialize;
use serde_json::value::RawValue;
use service::config::HIDDEN;

use super::{Found, Place};
use crate::columns::{cells, padded};
use crate::language;
use crate::map::pretty::pretty;
use crate::map::source::Source;

/// So many columns are for what a line is about.
const LABEL: usize = 9;

/// What `-o json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Preview<'a> {
    /// Where the order was found.
    order_from: String,
    #[serde(skip)]
    place: &'a Place,
    /// The mapping file.
    mapping: String,
    /// Its version.
    version: String,
    /// What became of the order: `mapped`, `skipped` or `failed`.
    outcome: &'static str,
    /// Why, of one that was skipped or failed.
    reason: Option<String>,
    /// The order.
    before: Box<RawValue>,
    /// The records: several where the mapping makes one of each element of a list.
    after: Vec<Box<RawValue>>,
    /// Checks that it fails and that only mark it.
    marks: Vec<String>,
    /// Where each field came from.
    fields: Vec<Provenance>,
    /// Paths that the mapping reads and the order does not have, where it has one that was perhaps meant.
    misspelt: Vec<Misspelt>,
}

/// A path that is perhaps misspelt.
#[derive(Debug, Serialize)]
struct Misspelt {
    path: String,
    /// The path that was perhaps meant.
    near: String,
}

/// What the mapping reads, an order does not have, and is near to what it has.
fn misspelt(plan: &Plan, order: &RawValue) -> Vec<Misspelt> {
    let mut schema = Schema::default();
    schema.fold(order, 1);
    let slip = |path: &str| {
        let near = schema.missing(path)?.near?;
        // What is read of its own is no slip for something else.
        let is_read = plan.read_paths().any(|read| read == near);
        (!is_read).then(|| Misspelt { path: path.to_owned(), near })
    };
    plan.read_paths().filter_map(slip).collect()
}

impl<'a> Preview<'a> {
    /// Maps an order.
    pub(super) fn of(plan: &Plan, source: &Source, found: &'a Found) -> Preview<'a> {
        let mut preview = Preview {
            order_from: language::english(|| found.place.text()),
            place: &found.place,
            mapping: source.name(),
            version: plan.version().to_string(),
            outcome: "mapped",
            reason: None,
            before: found.order.clone(),
            after: Vec::new(),
            marks: Vec::new(),
            fields: Vec::new(),
            misspelt: Vec::new(),
        };
        if found.deleted {
            preview.deletion(plan);
            preview.hide(&source.mask);
            return preview;
        }
        let (fields, outcome) = plan.explain(&found.order);
        preview.fields = fields;
        preview.misspelt = misspelt(plan, &found.order);
        match outcome {
            Ok(Outcome::Records(records)) => {
                preview.marks = records.first().map(|mapped| mapped.marks.clone()).unwrap_or_default();
                preview.after = records.into_iter().filter_map(|mapped| raw(mapped.record)).collect();
            }
            Ok(Outcome::Skipped(skipped)) => {
                (preview.outcome, preview.reason) = ("skipped", Some(skipped.reason));
            }
            Err(error) => {
                (preview.outcome, preview.reason) = ("failed", Some(format!("{}: {error}", error.kind())));
            }
        }
        preview.hide(&source.mask);
        preview
    }

    /// Takes out what is not to be shown: in the order, in the records, and wherever else it is repeated.
    fn hide(&mut self, mask: &Mask) {
        let mut hidden = Vec::new();
        for json in std::iter::once(&mut self.before).chain(&mut self.after) {
            let (shown, values) = mask.json(json.get());
            hidden.extend(values);
            if let Some(shown) = raw(shown.into_bytes()) {
                *json = shown;
            }
        }
        let text = |text: &mut String| *text = mask.text(text, &hidden);
        for field in &mut self.fields {
            // A value of one character is not looked for in texts.
            let last = |path: &str| path.rsplit('.').next().is_some_and(|name| mask.hides_field(name));
            if last(&field.to) || last(&field.from) {
                for value in [&mut field.found, &mut field.became].into_iter().flatten() {
                    *value = HIDDEN.into();
                }
            }
            [&mut field.found, &mut field.became, &mut field.problem].into_iter().flatten().for_each(text);
        }
        self.reason.iter_mut().chain(&mut self.marks).for_each(text);
    }

    fn deletion(&mut self, plan: &Plan) {
        if let Ok(false) = plan.is_deletion(&self.before) {
            self.outcome = "skipped";
            self.reason = Some("on the list of deletions, but schedule.deleted.when does not hold".into());
            return;
        }
        match plan.map_deleted(&self.before) {
            Ok(deletion) => match deletion.record {
                Some(record) => self.after.extend(raw(record)),
                None => {
                    (self.outcome, self.reason) =
                        ("skipped", Some("a deletion, on_delete = \"ignore\"".into()))
                }
            },
            Err(error) => {
                (self.outcome, self.reason) = ("failed", Some(format!("{}: {error}", error.kind())))
            }
        }
    }

    /// Whether it could not be mapped.
    pub(super) fn failed(&self) -> bool {
        self.outcome == "failed"
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mapping = t!("%{file}, version %{version}", file = self.mapping, version = self.version);
        let mut said = format!(
            "{}{}\n{}{mapping}\n\n{}\n{}\n\n",
            padded(&t!("order"), LABEL),
            self.place.text(),
            padded(&t!("mapping"), LABEL),
            t!("before"),
            pretty(self.before.get())
        );
        for record in &self.after {
            said.push_str(&format!("{}\n{}\n\n", t!("after"), pretty(record.get())));
        }
        if !self.fields.is_empty() {
            said.push_str(&format!("{}\n\n", table(&self.fields)));
        }
        for Misspelt { path, near } in &self.misspelt {
            let slip = t!(
                "the mapping reads %{path}, which the order does not have; is it %{near}?",
                path = path,
                near = near
            );
            said.push_str(&format!("{slip}\n"));
        }
        if !self.marks.is_empty() {
            let marked =
                t!("it is sent, marked: it fails the checks %{checks}", checks = self.marks.join(", "));
            said.push_str(&format!("{marked}\n"));
        }
        if let Some(reason) = &self.reason {
            let line = match self.failed() {
                true => t!("failed: %{reason}", reason = reason),
                false => t!("skipped: %{reason}", reason = reason),
            };
            said.push_str(&format!("{line}\n"));
        }
        said
    }
}

fn table(fields: &[Provenance]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header([
        t!("field"),
        t!("origin"),
        t!("found"),
        t!("became"),
    ]);
    for field in fields {
        let became = match (&field.became, &field.problem) {
            (Some(json), None) => short(json),
            (Some(json), Some(problem)) => {
                t!("%{json} (the default: %{why})", json = short(json), why = problem).into()
            }
            (None, Some(problem)) => format!("- ({problem})"),
            (None, None) => t!("- (left out)").into(),
        };
        let found = field.found.clone().unwrap_or_else(|| "-".into());
        table.add_row(cells([field.to.clone(), field.from.clone(), found, became]));
    }
    table
}

fn short(json: &str) -> String {
    match json.char_indices().nth(60) {
        None => json.to_owned(),
        Some((end, _)) => format!("{}…", &json[..end]),
    }
}

fn raw(record: Vec<u8>) -> Option<Box<RawValue>> {
    RawValue::from_string(String::from_utf8(record).ok()?).ok()
}
