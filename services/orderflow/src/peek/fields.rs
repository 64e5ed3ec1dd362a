//! Where the fields of some orders lie: each path with its types, an example, and how often it has a value. Pure.

use std::collections::HashMap;

use indexmap::IndexMap;
use mapping::{Kind, Schema};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

/// Values nested deeper are not looked into, as in [`Schema`].
const DEPTH: usize = 16;

/// One path of the orders.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema, Serialize)]
pub struct FieldOfOrders {
    /// The path, as a mapping reads it: `company.name`, `product_list[*].count`.
    pub path: String,
    /// The types of value that were seen, the most frequent one first.
    pub types: Vec<String>,
    /// How many values there are.
    pub filled: u64,
    /// How many there could be: one for each order, object or element that encloses it.
    pub of: u64,
    /// The first value, as JSON text; `null` for objects and lists, and where no value was seen.
    pub example: Option<String>,
}

/// What was seen of a path beside its types: where it comes first, and its first value.
#[derive(Default)]
struct SeenPaths<'a>(IndexMap<String, Option<&'a str>>);

/// The fields of some orders, in the order in which they come.
pub fn fields_of(orders: &[Box<RawValue>]) -> Vec<FieldOfOrders> {
    let (mut schema, mut seen) = (Schema::default(), SeenPaths::default());
    for (place, order) in (0..).zip(orders) {
        schema.fold(order, place);
        seen.note_below("", order.get(), 0);
    }
    let mut known: HashMap<String, _> =
        schema.fields().into_iter().map(|field| (field.path.clone(), field)).collect();
    let fields = seen.0.into_iter().filter_map(|(path, example)| {
        let field = known.remove(&path)?;
        let mut types: Vec<_> = field.types.iter().map(|(kind, seen)| (kind, seen.count)).collect();
        let has_value = |kind: Kind| !matches!(kind, Kind::Null | Kind::EmptyString | Kind::EmptyArray);
        let filled = types.iter().filter(|(kind, _)| has_value(*kind)).map(|(_, count)| count).sum();
        types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        // Of the elements of a list each could be there as often as it is.
        let of = if path.ends_with("[*]") { field.types.count() } else { field.within };
        let types = types.into_iter().map(|(kind, _)| kind.name().to_owned()).collect();
        Some(FieldOfOrders { path, types, filled, of, example: example.map(str::to_owned) })
    });
    fields.collect()
}

impl<'a> SeenPaths<'a> {
    fn note(&mut self, path: String, json: &'a str, depth: usize) {
        let is_value = !matches!(json.as_bytes().first(), None | Some(b'{' | b'[' | b'n')) && !is_blank(json);
        let example = self.0.entry(path.clone()).or_default();
        if is_value && example.is_none() {
            *example = Some(json);
        }
        if depth < DEPTH {
            self.note_below(&path, json, depth);
        }
    }

    fn note_below(&mut self, path: &str, json: &'a str, depth: usize) {
        match json.as_bytes().first() {
            Some(b'{') => {
                let members: IndexMap<String, &'a RawValue> = serde_json::from_str(json).unwrap_or_default();
                for (name, value) in members {
                    self.note(Schema::member_path(path, &name), value.get(), depth + 1);
                }
            }
            Some(b'[') => {
                for element in serde_json::from_str::<Vec<&'a RawValue>>(json).unwrap_or_default() {
                    self.note(format!("{path}[*]"), element.get(), depth + 1);
                }
            }
            _ => {}
        }
    }
}

/// Whether a JSON text is a text of blanks.
fn is_blank(json: &str) -> bool {
    json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).is_some_and(|text| text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_first_value_and_how_often_it_has_one() {
        let orders = [
            r#"{"b":"","a":{"n":1.50},"l":[{"c":1},{"c":""}],"e":[]}"#,
            r#"{"b":"x","a":[],"l":[{"c":3}],"d.e":null}"#,
        ];
        let orders: Vec<Box<RawValue>> =
            orders.iter().map(|order| serde_json::from_str(order).expect("JSON")).collect();
        let told: Vec<String> = fields_of(&orders)
            .iter()
            .map(|field| {
                let example = field.example.as_deref().unwrap_or("-");
                format!("{} {} {}/{} {example}", field.path, field.types.join("+"), field.filled, field.of)
            })
            .collect();
        assert_eq!(
            told,
            [
                "b string+empty_string 1/2 \"x\"",
                "a object+empty_array 1/2 -",
                "a.n number 1/1 1.50",
                "l array 2/2 -",
                "l[*] object 3/3 -",
                "l[*].c number+empty_string 2/3 1",
                "e empty_array 0/2 -",
                "\"d.e\" null 0/2 -",
            ]
        );
    }
}
