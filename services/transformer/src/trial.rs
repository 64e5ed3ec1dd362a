//! A new mapping tried beside the one in use, on the same orders: which fields of the record would it leave empty?

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use events::EmptiedField;
use mapping::Plan;
use serde_json::value::RawValue;

/// Over so many orders both are tried: the newest.
pub(crate) const TRIED_ORDERS: usize = 100;

/// Fewer orders than this say something only of a field that all of them had.
const ENOUGH_ORDERS: u64 = 20;

/// Fewer orders than this say nothing.
const LEAST_ORDERS: u64 = 5;

/// Of enough orders, at least one in so many had a field that is missed.
const RAREST: u64 = 20;

/// What a trial showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trial {
    /// There are too few orders to tell.
    TooFew,
    /// The new mapping fills what the one before fills.
    Fills,
    /// It leaves these fields empty in all of so many orders.
    Empties { orders: u64, fields: Vec<EmptiedField> },
}

/// How many orders had a field with either mapping.
#[derive(Debug, Default)]
struct Had {
    before: u64,
    after: u64,
    /// The new mapping has the field.
    is_kept: bool,
}

/// Tries both mappings on orders. An order counts when both make a record of it: what is skipped or cannot be mapped shows
/// elsewhere. A field that the new mapping does not have was taken out on purpose.
pub(crate) fn try_beside(before: &Plan, after: &Plan, orders: &[Box<RawValue>]) -> Trial {
    let mut fields = BTreeMap::<String, Had>::new();
    let mut count = 0;
    for order in orders {
        let (Some(old), Some(new)) = (filled(before, order), filled(after, order)) else { continue };
        count += 1;
        for (field, has) in old {
            fields.entry(field).or_default().before += u64::from(has);
        }
        for (field, has) in new {
            let had = fields.entry(field).or_default();
            had.after += u64::from(has);
            had.is_kept = true;
        }
    }
    if count < LEAST_ORDERS {
        return Trial::TooFew;
    }
    let is_missed = |had: &Had| had.is_kept && had.after == 0 && is_usual(had.before, count);
    let emptied = fields.into_iter().filter(|(_, had)| is_missed(had));
    let fields: Vec<_> = emptied.map(|(field, had)| EmptiedField { field, had: had.before }).collect();
    if fields.is_empty() { Trial::Fills } else { Trial::Empties { orders: count, fields } }
}

/// Whether so many orders had a field that one which none has is no chance.
fn is_usual(had: u64, of: u64) -> bool {
    if of < ENOUGH_ORDERS { had == of } else { had > 0 && had * RAREST >= of }
}

/// One order does not spoil a trial, also when it makes us panic.
fn filled(plan: &Plan, order: &RawValue) -> Option<BTreeMap<String, bool>> {
    catch_unwind(AssertUnwindSafe(|| plan.filled_fields(order))).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(fields: &str) -> Plan {
        let text = format!("key = \"id\"\nversion = \"at\"\n{fields}");
        compiled(&text)
    }

    fn compiled(text: &str) -> Plan {
        let config = service::Config::parse(std::path::Path::new("x"), "", std::iter::empty());
        Plan::compile("mapping.toml", text, &config.expect("defaults").zone()).expect("sound")
    }

    fn field(to: &str, from: &str) -> String {
        format!("[[field]]\nto = \"{to}\"\nfrom = \"{from}\"\n")
    }

    /// Orders of which one in `every` has a remark.
    fn orders(count: u64, every: u64) -> Vec<Box<RawValue>> {
        let order = |id: u64| {
            let remark = if id.is_multiple_of(every) { "fragile" } else { "" };
            let text = format!(
                r#"{{"id":{id},"at":"2025-01-01","company":{{"name":"x"}},"remark":"{remark}","lines":[{{"sku":"s"}}]}}"#
            );
            serde_json::from_str(&text).expect("JSON")
        };
        (0..count).map(order).collect()
    }

    fn emptied(before: &str, after: &str, orders: &[Box<RawValue>]) -> Vec<String> {
        match try_beside(&plan(before), &plan(after), orders) {
            Trial::Empties { fields, .. } => {
                fields.into_iter().map(|field| format!("{} {}", field.field, field.had)).collect()
            }
            Trial::Fills => Vec::new(),
            Trial::TooFew => vec!["too few".into()],
        }
    }

    #[test]
    fn a_field_that_is_read_where_nothing_is_shows() {
        let id = field("id", "id");
        let before = format!("{}{id}", field("customer.name", "company.name"));
        let after = format!("{}{id}", field("customer.name", "company.nm"));
        assert_eq!(emptied(&before, &after, &orders(30, 1)), ["customer.name 30"]);
        assert_eq!(emptied(&before, &before, &orders(30, 1)), [""; 0]);
        assert_eq!(emptied(&after, &before, &orders(30, 1)), [""; 0], "it is mended");
        assert_eq!(emptied(&before, &field("id", "id"), &orders(30, 1)), [""; 0], "it was taken out");
        let lines = |from: &str| {
            format!(
                "[[field]]\nto = \"lines\"\neach = \"lines\"\n[[field.field]]\nto = \"sku\"\nfrom = \"{from}\"\n"
            )
        };
        assert_eq!(emptied(&lines("sku"), &lines("product_no"), &orders(30, 1)), ["lines[*].sku 30"]);
    }

    #[test]
    fn a_default_does_not_hide_it_nor_does_another_source_count_as_empty() {
        let before = field("customer", "company.name");
        let defaulted = format!("{}default = \"unknown\"\n", field("customer", "company.nm"));
        assert_eq!(emptied(&before, &defaulted, &orders(30, 1)), ["customer 30"]);
        let other = field("customer", "remark");
        assert_eq!(emptied(&before, &other, &orders(30, 7)), [""; 0]);
    }

    #[test]
    fn a_version_that_is_read_where_nothing_is_shows() {
        let before = plan(&field("id", "id"));
        let text = format!("key = \"id\"\nversion = \"updated\"\n{}", field("id", "id"));
        let after = compiled(&text);
        let fields = vec![EmptiedField { field: "(version)".into(), had: 30 }];
        assert_eq!(try_beside(&before, &after, &orders(30, 1)), Trial::Empties { orders: 30, fields });
    }

    #[test]
    fn few_orders_say_little_and_rare_fields_are_not_missed() {
        let (before, after) = (field("note", "remark"), field("note", "comment"));
        assert_eq!(emptied(&before, &after, &orders(4, 1)), ["too few"]);
        assert_eq!(emptied(&before, &after, &orders(5, 1)), ["note 5"], "all of them had it");
        assert_eq!(emptied(&before, &after, &orders(19, 2)), [""; 0], "not all of them had it");
        assert_eq!(emptied(&before, &after, &orders(20, 20)), ["note 1"]);
        assert_eq!(emptied(&before, &after, &orders(100, 25)), [""; 0], "one in 25 is too rare");
    }

    #[test]
    fn orders_without_a_record_do_not_count() {
        let filter = "[[when]]\nis = 'id == 999'\nreason = 'none'\n";
        let before = field("note", "remark");
        let after = format!("{filter}{}", field("note", "comment"));
        assert_eq!(emptied(&before, &after, &orders(30, 1)), ["too few"]);
    }
}
