//! Which of the paths that a plan reads an order fills, and which fields of the record it fills with what it finds.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::field::{Field, Origin};
use crate::plan::{Outcome, Plan};
use crate::record::Watch;
use crate::reference::{Order, Scope};
use crate::row_error::RowError;
use crate::shape::{ReadPath, has_value};

/// Whether an order had a value at each of [`Plan::read_paths`], in their order. Keep one and use it again.
#[derive(Debug, Clone, Default)]
pub struct Filled {
    /// `None`: it could not have one, because the list around it has no elements, or the row is no order.
    pub paths: Vec<Option<bool>>,
}

/// What a record has that a person would miss, beside its fields: the number and the version of the order.
const NUMBER: &str = "(number)";
const VERSION: &str = "(version)";

impl Plan {
    /// The paths that the plan reads of an order, as people write them: `company.name`, `product_list[*].sku`. Those that it
    /// reads of a deleted one only are left out.
    pub fn read_paths(&self) -> impl ExactSizeIterator<Item = &str> {
        self.table.read_paths.iter().map(|path| path.text.as_str())
    }

    /// Whether the plan reads what lies at a path, or something within it, or a whole that it is part of. An element may be
    /// named by its number or by `[*]`.
    pub fn reads(&self, path: &str) -> bool {
        let touches =
            |read: &ReadPath| is_within(&read.text, path) || (read.is_whole() && is_within(path, &read.text));
        self.table.read_paths.iter().any(touches)
    }

    /// As [`Plan::map`], noting which paths the order fills.
    ///
    /// # Errors
    /// As [`Plan::map`].
    pub fn map_noting(&self, row: &RawValue, filled: &mut Filled) -> Result<Outcome, RowError> {
        filled.paths.clear();
        self.watched(row, filled)
    }

    /// The fields of the record, such as `customer.name` and `lines[*].sku`, and whether the order has a value for each that is
    /// neither blank nor a default; with them `(number)` and `(version)`, where the mapping names them. `None` when the order has no record.
    pub fn filled_fields(&self, row: &RawValue) -> Option<BTreeMap<String, bool>> {
        let mut watch = FilledFields::default();
        match self.watched(row, &mut watch) {
            Ok(Outcome::Records(records)) => {
                let any = |has: fn(&crate::Identity) -> bool| records.iter().any(|one| has(&one.identity));
                if self.table.number.is_some() {
                    watch.fields.insert(NUMBER.into(), any(|identity| identity.number.is_some()));
                }
                if self.table.version.is_some() {
                    watch.fields.insert(VERSION.into(), any(|identity| identity.version.is_some()));
                }
                Some(watch.fields)
            }
            _ => None,
        }
    }
}

/// Whether a path leads to what lies at another one, or within it. An element that is named by its number is like any other.
fn is_within(inner: &str, outer: &str) -> bool {
    let (inner, outer) = (any_element(inner), any_element(outer));
    match inner.strip_prefix(outer.as_str()) {
        Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
        None => false,
    }
}

/// A path with `[*]` in place of the number of an element.
fn any_element(path: &str) -> String {
    let mut parts = path.split('[');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((index, rest)) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
                out.push_str("[*]");
                out.push_str(rest);
            }
            _ => {
                out.push('[');
                out.push_str(part);
            }
        }
    }
    out
}

impl Watch for Filled {
    fn enter(&mut self, _: &str, _: &str, _: usize) {}

    fn leave(&mut self) {}

    fn read(&mut self, paths: &[ReadPath], order: &Order<'_>) {
        self.paths.extend(paths.iter().map(|path| path.is_filled(&order.frame)));
    }

    fn wrote(&mut self, _: &Field, _: &Scope<'_, '_>, _: Option<&[u8]>, _: Option<&RowError>) {}
}

/// Notes fields of the record; a field of a list has a value when that of any element has one.
#[derive(Default)]
struct FilledFields {
    fields: BTreeMap<String, bool>,
    /// The lists that we are within, as a path of the record.
    within: Vec<String>,
}

impl Watch for FilledFields {
    fn enter(&mut self, to: &str, _: &str, _: usize) {
        let above = self.within.last().map(String::as_str).unwrap_or_default();
        // Records of the elements of a list are records: their fields stand at the top.
        let list = if to.is_empty() { String::new() } else { format!("{above}{to}[*].") };
        self.within.push(list);
    }

    fn leave(&mut self) {
        self.within.pop();
    }

    fn found(&mut self, field: &Field, json: Option<&[u8]>) {
        if matches!(field.origin, Origin::Constant(_)) {
            return;
        }
        let has = json.and_then(|json| std::str::from_utf8(json).ok()).is_some_and(has_value);
        let above = self.within.last().map(String::as_str).unwrap_or_default();
        *self.fields.entry(format!("{above}{}", field.to)).or_default() |= has;
    }

    fn wrote(&mut self, _: &Field, _: &Scope<'_, '_>, _: Option<&[u8]>, _: Option<&RowError>) {}
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const MAPPING: &str = r#"
        key = "id"
        number = "no"
        [[when]]
        is = 'status != "draft"'
        reason = "draft"
        [[field]]
        to = "customer.name"
        from = "company.name"
        default = "unknown"
        [[field]]
        to = "label"
        expr = '`${company?.code ?? ""}`'
        [[field]]
        to = "kind"
        value = "order"
        [[field]]
        to = "total"
        sum = "lines"
        of = "count * price"
        [[field]]
        to = "rows"
        each = "lines"
        [[field.field]]
        to = "sku"
        from = "sku"
    "#;

    fn plan() -> Plan {
        Plan::compile("mapping.toml", MAPPING, &jiff::tz::TimeZone::UTC).unwrap()
    }

    fn order(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    const WHOLE: &str = r#"{"id":1,"no":"A","status":"new","company":{"name":"x","code":"c"},
                            "lines":[{"count":1,"price":2,"sku":""},{"count":1,"price":2,"sku":"s"}]}"#;

    fn paths(text: &str) -> Vec<(String, Option<bool>)> {
        let (plan, mut filled) = (plan(), Filled::default());
        let _ = plan.map_noting(&order(text), &mut filled);
        plan.read_paths().map(str::to_owned).zip(filled.paths).collect()
    }

    #[test]
    fn every_path_that_is_read_is_known_also_within_objects_lists_and_scripts() {
        let plan = plan();
        let paths: Vec<&str> = plan.read_paths().collect();
        assert_eq!(
            paths,
            [
                "id",
                "no",
                "status",
                "company",
                "company.name",
                "company.code",
                "lines",
                "lines[*].count",
                "lines[*].price",
                "lines[*].sku"
            ]
        );
    }

    #[test]
    fn a_path_lies_within_another_step_by_step() {
        for (inner, outer) in
            [("a.b", "a"), ("a", "a"), ("a[0].b", "a[*].b"), ("a[*].b", "a"), ("a[*].b.c", "a[3].b")]
        {
            assert!(is_within(inner, outer), "{inner} in {outer}");
        }
        for (inner, outer) in [("a", "a.b"), ("ab", "a"), ("a.c", "a.b"), ("a[*].b", "a[*].c")] {
            assert!(!is_within(inner, outer), "{inner} in {outer}");
        }
    }

    #[test]
    fn what_lies_beside_a_path_in_a_list_is_not_read_with_it() {
        let plan = plan();
        for read in
            ["no", "company", "company.name", "lines", "lines[*]", "lines[0].count", "company.name.first"]
        {
            assert!(plan.reads(read), "{read}");
        }
        for other in ["number", "lines[*].colour", "companies", "lines[2].colour"] {
            assert!(!plan.reads(other), "{other}");
        }
    }

    #[test]
    fn a_path_is_filled_by_a_value_that_says_something() {
        assert!(paths(WHOLE).iter().all(|(_, filled)| *filled == Some(true)));
        for nothing in ["null", "\"\"", "\"  \"", "[]", "{ }", "7", "\"text\""] {
            let text = format!(r#"{{"id":1,"company":{nothing},"lines":[]}}"#);
            let found = paths(&text);
            let of = |path: &str| found.iter().find(|(known, _)| known == path).unwrap().1;
            let is_text = matches!(nothing, "7" | "\"text\"");
            assert_eq!((of("company"), of("company.name")), (Some(is_text), Some(false)), "{nothing}");
            assert_eq!((of("lines"), of("lines[*].sku"), of("no")), (Some(false), None, Some(false)));
        }
        let skipped = paths(&WHOLE.replace("new", "draft"));
        assert!(skipped.iter().all(|(_, filled)| *filled == Some(true)), "a filter changes nothing");
        assert!(paths("[1]").is_empty(), "it is no order");
    }

    fn fields(text: &str) -> Option<Vec<String>> {
        let fields = plan().filled_fields(&order(text))?;
        Some(fields.into_iter().filter(|(_, filled)| *filled).map(|(field, _)| field).collect())
    }

    #[test]
    fn a_field_is_filled_by_its_source_and_not_by_a_default() {
        let all = ["(number)", "customer.name", "label", "rows", "rows[*].sku", "total"];
        assert_eq!(fields(WHOLE).unwrap(), all);
        let renamed =
            WHOLE.replace("\"name\"", "\"nm\"").replace("\"code\"", "\"cd\"").replace("\"s\"", "\" \"");
        assert_eq!(fields(&renamed).unwrap(), ["(number)", "rows", "total"]);
        assert_eq!(fields(&WHOLE.replace("new", "draft")), None, "it has no record");
        assert_eq!(fields(r#"{"id":1,"lines":[{"count":"x"}]}"#), None, "it is a dead letter");
    }

    #[test]
    fn records_of_elements_have_their_fields_at_the_top() {
        let text = "each = \"lines\"\nkey = \"sku\"\n[[field]]\nto = \"sku\"\nfrom = \"sku\"\n[[field]]\nto = \"no\"\nfrom = \"$.no\"\n";
        let plan = Plan::compile("mapping.toml", text, &jiff::tz::TimeZone::UTC).unwrap();
        let row = order(r#"{"no":"A","lines":[{"sku":"1"},{"sku":"2"}]}"#);
        let fields: Vec<_> = plan.filled_fields(&row).unwrap().into_iter().collect();
        let named = |name: &str, filled| (name.to_owned(), filled);
        assert_eq!(fields, [named("no", true), named("sku", true)]);
    }
}
