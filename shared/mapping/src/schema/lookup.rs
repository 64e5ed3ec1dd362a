//! Whether orders have a place that a path names: of one that none has, what is there instead.

use super::Schema;
use super::kind::Kind;
use super::node::{Node, member};
use crate::mapping_error::suggestion;
use crate::path::{Path, Step};

/// A path that no order has, although orders have what is around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingPath {
    /// What is around it: `company` of `company.nmae`; empty for the order itself.
    pub within: String,
    /// The members that were seen there, by name.
    pub there: Vec<String>,
    /// The path that was perhaps meant.
    pub near: Option<String>,
}

impl Schema {
    /// What is there in place of a path that no order has; `None` when one has it, be it empty, or when that cannot be told.
    pub fn missing(&self, path: &str) -> Option<MissingPath> {
        let path = Path::read(path)?;
        let mut node = &self.root;
        let mut within = String::new();
        for step in &path.steps {
            match step {
                Step::Member(name) => match node.members.get(name.as_str()) {
                    Some(below) => {
                        node = below;
                        within = member(&within, name);
                    }
                    None => return missing(node, within, name, self.left_out()),
                },
                Step::Index(_) | Step::All => {
                    node = node.elements.as_deref()?;
                    within.push_str("[*]");
                }
            }
        }
        None
    }
}

fn missing(node: &Node, within: String, name: &str, left_out: u64) -> Option<MissingPath> {
    // Without an object there is no place to look; where members are data, or were left out, any may have been there.
    if node.types.of(&[Kind::Object]) == 0 || node.any.is_some() || left_out > 0 {
        return None;
    }
    let names: Vec<&str> = node.members.keys().map(AsRef::as_ref).collect();
    let near = suggestion(&names, name).map(|near| member(&within, near));
    Some(MissingPath { near, there: names.into_iter().map(str::to_owned).collect(), within })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_within_objects_and_lists() {
        let mut schema = Schema::default();
        let orders = [
            r#"{"order_no":1,"company":{"name":null,"fax":""},"lines":[{"count":1}],"tags":[],"a.b":{"c":1}}"#,
            r#"{"order_no":1,"company":[]}"#,
        ];
        orders.iter().for_each(|order| schema.fold(serde_json::from_str(order).unwrap(), 1));
        let near = |path: &str| schema.missing(path).map(|missing| missing.near);
        for (path, expected) in [
            ("order_no", None),
            ("company.name", None),
            ("lines[*].count", None),
            ("lines[0].count", None),
            ("a.\"b\".c", Some(None)),
            ("tags[*].x", None),
            ("company.name.first", None),
            ("order_n", Some(Some("order_no"))),
            ("company.nmae", Some(Some("company.name"))),
            ("lines[*].coutn", Some(Some("lines[*].count"))),
            ("lines[*].price", Some(None)),
            ("\"a.b\".d", Some(Some("\"a.b\".c"))),
        ] {
            assert_eq!(near(path), expected.map(|near| near.map(str::to_owned)), "{path}");
        }
        let missing = schema.missing("company.nm").unwrap();
        assert_eq!((missing.within.as_str(), missing.there), ("company", vec!["fax".into(), "name".into()]));
        assert_eq!(Schema::default().missing("anything"), None, "no order was seen");
    }
}
