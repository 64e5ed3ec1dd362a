//! What a plan writes and reads, field by field: for those who check what a person types against it.

use crate::field::{Field, Origin};
use crate::members::{Content, Member};
use crate::plan::Plan;
use crate::value::Type;

/// A field of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldOutline {
    /// The names that lead to it; `*` is every element of a list.
    pub path: Vec<String>,
    /// What is written there.
    pub written: WrittenType,
    /// Whether it is never left out.
    pub required: bool,
}

/// The JSON type of what a field writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenType {
    /// A text.
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list of objects.
    List,
    /// An object with fields of its own.
    Object,
    /// Whatever the mapping's table or the source has.
    Any,
}

impl Plan {
    /// The fields of an order's record, objects and lists before what is in them.
    pub fn record_fields(&self) -> Vec<FieldOutline> {
        let mut fields = Vec::new();
        outline(&self.table.members, &[], &mut fields);
        fields
    }

    /// The fields of the record that stands for a deleted order; none when no such record is sent.
    pub fn deletion_fields(&self) -> Vec<FieldOutline> {
        let mut fields = Vec::new();
        outline(self.table.deletion.members.as_deref().unwrap_or_default(), &[], &mut fields);
        fields
    }

    /// The paths of all that is read of a row, as the names that lead to each value; `*` is every element of a list.
    pub fn row_paths(&self) -> Vec<Vec<String>> {
        self.table.shapes.wanted_paths()
    }
}

fn outline(members: &[Member], above: &[String], fields: &mut Vec<FieldOutline>) {
    for member in members {
        let path = [above, &[name(member)]].concat();
        match &member.content {
            Content::Object(below) => {
                fields.push(FieldOutline {
                    path: path.clone(),
                    written: WrittenType::Object,
                    required: false,
                });
                outline(below, &path, fields);
            }
            Content::Field(field) => {
                let written = written(field);
                fields.push(FieldOutline { path: path.clone(), written, required: field.required });
                if let Origin::Each(_, below) = &field.origin {
                    outline(below, &[&path[..], &["*".to_owned()]].concat(), fields);
                }
            }
        }
    }
}

/// The name in `"name":`.
fn name(member: &Member) -> String {
    let opening = member.opening.strip_suffix(b":").unwrap_or(&member.opening);
    serde_json::from_slice(opening).unwrap_or_default()
}

fn written(field: &Field) -> WrittenType {
    match (&field.origin, &field.convert) {
        (Origin::Each(..), _) => WrittenType::List,
        (Origin::Constant(_), _) => WrittenType::Any,
        (_, convert) if convert.map.is_some() => WrittenType::Any,
        (_, convert) => match convert.kind {
            Type::String | Type::Date | Type::Datetime => WrittenType::Text,
            Type::Integer | Type::Decimal => WrittenType::Number,
            Type::Boolean => WrittenType::Boolean,
            Type::Json => WrittenType::Any,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPPING: &str = r#"
key = "order_id"
number = "order_no"
[[field]]
to = "id"
from = "order_id"
type = "integer"
required = true
[[field]]
to = "customer.name"
from = "company.name"
[[field]]
to = "lines"
each = "product_list"
[[field.field]]
to = "sku"
from = "product_no"
[[field.field]]
to = "amount"
expr = "count * unit_price"
type = "decimal"
[[field]]
to = "total"
sum = "product_list"
of = "count * unit_price"
"#;

    fn plan() -> Plan {
        Plan::compile("m.toml", MAPPING, &jiff::tz::TimeZone::UTC).expect("sound")
    }

    #[test]
    fn the_record_is_told_field_by_field() {
        let told: Vec<String> = plan()
            .record_fields()
            .iter()
            .map(|field| format!("{} {:?} {}", field.path.join("."), field.written, field.required))
            .collect();
        assert_eq!(
            told,
            [
                "id Number true",
                "customer Object false",
                "customer.name Text false",
                "lines List false",
                "lines.*.sku Text false",
                "lines.*.amount Number false",
                "total Number false",
            ]
        );
    }

    #[test]
    fn what_is_read_is_told_path_by_path() {
        let mut paths: Vec<String> = plan().row_paths().iter().map(|path| path.join(".")).collect();
        paths.sort();
        assert_eq!(
            paths,
            [
                "company.name",
                "order_id",
                "order_no",
                "product_list",
                "product_list.*.count",
                "product_list.*.product_no",
                "product_list.*.unit_price",
            ]
        );
    }
}
