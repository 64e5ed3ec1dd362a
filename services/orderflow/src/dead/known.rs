//! What a person may set with `--set`: the fields that what failed has, and those that the mapping writes or reads. Pure.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use mapping::{FieldOutline, WrittenType, suggestion};
use serde_json::value::RawValue;

/// What stands in a path for every element of a list.
const EVERY: &str = "*";
/// So many known fields are named when none is near to what was typed.
const NAMED: usize = 12;
/// So many characters of a value are repeated.
const QUOTED: usize = 60;

/// What may stand at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpectedValue {
    Text,
    Number,
    Boolean,
    List,
    Object,
    /// A text, a number, true or false: the mapping converts it, or says that it cannot.
    Scalar,
    Any,
}

/// The paths that may be set, with `*` for every element of a list, and what may stand there.
#[derive(Debug, Default)]
pub struct KnownFields {
    expected: BTreeMap<Vec<String>, ExpectedValue>,
    required: BTreeSet<Vec<String>>,
}

impl KnownFields {
    /// Those of a record that a target refused: its own, and what the mapping writes.
    pub fn of_record(record: &str, written: &[FieldOutline]) -> Self {
        let mut known = Self::default();
        known.read(record, &mut Vec::new(), type_of);
        for field in written {
            known.merge(&field.path, expected_of(field.written));
            if field.required {
                known.required.insert(field.path.clone());
            }
        }
        known
    }

    /// Those of a row that could not be mapped: its own, and what the mapping reads. A value of the wrong type may be what failed,
    /// so only lists and objects stay what they are; whether the mapping can convert the rest, it says itself.
    pub fn of_row(row: &str, read: &[Vec<String>]) -> Self {
        let scalar = |json: &str| match type_of(json) {
            kind @ (ExpectedValue::List | ExpectedValue::Object | ExpectedValue::Any) => kind,
            ExpectedValue::Text | ExpectedValue::Number | ExpectedValue::Boolean | ExpectedValue::Scalar => {
                ExpectedValue::Scalar
            }
        };
        let mut known = Self::default();
        known.read(row, &mut Vec::new(), scalar);
        for path in read {
            for length in 1..path.len() {
                let container =
                    if path[length] == EVERY { ExpectedValue::List } else { ExpectedValue::Object };
                if path[length - 1] != EVERY {
                    known.merge(&path[..length], container);
                }
            }
            let is_list = read.iter().any(|other| other.len() > path.len() && other.starts_with(path));
            if !is_list {
                known.merge(path, ExpectedValue::Scalar);
            }
        }
        known
    }

    /// Notes the fields of a JSON text. `null` says nothing, and where two elements of a list differ, anything may stand.
    fn read(&mut self, json: &str, path: &mut Vec<String>, kind: fn(&str) -> ExpectedValue) {
        if !path.is_empty() {
            let found = kind(json);
            let known = self.expected.entry(path.clone()).or_insert(found);
            if *known == ExpectedValue::Any {
                *known = found;
            } else if found != ExpectedValue::Any && found != *known {
                *known = ExpectedValue::Any;
            }
        }
        if let Ok(members) = serde_json::from_str::<IndexMap<String, &RawValue>>(json) {
            for (name, value) in members {
                path.push(name);
                self.read(value.get(), path, kind);
                path.pop();
            }
        } else if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(json) {
            path.push(EVERY.to_string());
            for value in elements {
                self.read(value.get(), path, kind);
            }
            path.pop();
        }
    }

    /// Notes what the mapping says of a path. What stands there holds, unless that is nothing or the mapping allows anything.
    fn merge(&mut self, path: &[String], expected: ExpectedValue) {
        let known = self.expected.entry(path.to_vec()).or_insert(expected);
        let is_container = matches!(known, ExpectedValue::List | ExpectedValue::Object);
        if *known == ExpectedValue::Any || (expected == ExpectedValue::Any && !is_container) {
            *known = expected;
        }
    }

    /// The JSON of a value that is typed for a path: of a text as it stands, else what it says.
    ///
    /// # Errors
    /// When there is no such path, or the value is not what stands there; for a person.
    pub fn value_for(&self, path: &str, typed: &str) -> Result<String, String> {
        let steps: Vec<&str> = path.split('.').collect();
        let pattern = self.pattern(&steps).ok_or_else(|| self.unknown(path, &steps))?;
        let expected = self.expected[&pattern];
        let json = serde_json::from_str::<&RawValue>(typed).ok().map(|value| value.get().to_string());
        let text = || serde_json::Value::from(typed).to_string();
        let value = match (json, expected) {
            (Some(json), ExpectedValue::Text)
                if matches!(type_of(&json), ExpectedValue::Number | ExpectedValue::Boolean) =>
            {
                text()
            }
            (Some(json), _) => json,
            (None, _) => text(),
        };
        if self.takes(&pattern, &value) {
            return Ok(value);
        }
        Err(wrong_type(path, &value, expected))
    }

    /// Whether a value may stand at a path that is known.
    fn takes(&self, pattern: &[String], value: &str) -> bool {
        let found = type_of(value);
        match self.expected[pattern] {
            ExpectedValue::Any => true,
            _ if value == "null" => !self.required.contains(pattern),
            ExpectedValue::Scalar => {
                matches!(found, ExpectedValue::Text | ExpectedValue::Number | ExpectedValue::Boolean)
            }
            expected => found == expected,
        }
    }

    /// Looks at what has changed in an editor.
    ///
    /// # Errors
    /// As [`KnownFields::value_for`], for the first field that is wrong.
    pub fn check_changes(&self, before: &str, after: &str) -> Result<(), String> {
        self.check_below(Some(before), after, &mut Vec::new())
    }

    fn check_below(&self, before: Option<&str>, after: &str, path: &mut Vec<String>) -> Result<(), String> {
        if before == Some(after) {
            return Ok(());
        }
        let dotted = path.join(".");
        if !path.is_empty() {
            let steps: Vec<&str> = path.iter().map(String::as_str).collect();
            let pattern = self.pattern(&steps).ok_or_else(|| self.unknown(&dotted, &steps))?;
            if !self.takes(&pattern, after) {
                return Err(wrong_type(&dotted, after, self.expected[&pattern]));
            }
        }
        let old: IndexMap<String, &str> = before.map(parts).unwrap_or_default();
        for (name, value) in parts(after) {
            path.push(name.clone());
            self.check_below(old.get(&name).copied(), value, path)?;
            path.pop();
        }
        Ok(())
    }

    /// The known path that this is: a position stands for any element of a list.
    fn pattern(&self, steps: &[&str]) -> Option<Vec<String>> {
        let fits = |known: &&Vec<String>| {
            known.len() == steps.len()
                && known.iter().zip(steps).all(|(known, step)| {
                    known == step || (known == EVERY && step.bytes().all(|byte| byte.is_ascii_digit()))
                })
        };
        self.expected.keys().find(fits).cloned()
    }

    /// That there is no such path, and which was perhaps meant.
    fn unknown(&self, path: &str, steps: &[&str]) -> String {
        // With the positions that were typed, so that it can be typed again.
        let mut known: Vec<String> = self
            .expected
            .keys()
            .filter(|known| known.last().is_none_or(|last| last != EVERY))
            .map(|known| {
                let named = known.iter().enumerate().map(|(at, name)| match steps.get(at) {
                    Some(step) if name == EVERY && step.bytes().all(|byte| byte.is_ascii_digit()) => *step,
                    _ if name == EVERY => "0",
                    _ => name.as_str(),
                });
                named.collect::<Vec<_>>().join(".")
            })
            .collect();
        known.dedup();
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        if let Some(near) = suggestion(&names, path) {
            return t!(
                "%{path}: neither what failed nor the mapping has such a field; did you mean %{near}?",
                path = path,
                near = near
            )
            .into();
        }
        let mut listed = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        if names.len() > NAMED {
            listed.push_str(", …");
        }
        t!(
            "%{path}: neither what failed nor the mapping has such a field; expected one of %{known}",
            path = path,
            known = listed
        )
        .into()
    }
}

/// That a value is not what stands at this path.
fn wrong_type(path: &str, value: &str, expected: ExpectedValue) -> String {
    let found: String = value.chars().take(QUOTED).collect();
    let what = told(expected);
    t!("%{path}: found %{found}, expected %{expected}", path = path, found = found, expected = what).into()
}

/// The members of an object, or the elements of a list by their positions; nothing of anything else.
fn parts(json: &str) -> IndexMap<String, &str> {
    if let Ok(members) = serde_json::from_str::<IndexMap<String, &RawValue>>(json) {
        return members.into_iter().map(|(name, value)| (name, value.get())).collect();
    }
    let elements = serde_json::from_str::<Vec<&RawValue>>(json).unwrap_or_default();
    elements.into_iter().enumerate().map(|(at, value)| (at.to_string(), value.get())).collect()
}

fn type_of(json: &str) -> ExpectedValue {
    match json.trim_start().as_bytes().first() {
        Some(b'"') => ExpectedValue::Text,
        Some(b'{') => ExpectedValue::Object,
        Some(b'[') => ExpectedValue::List,
        Some(b't' | b'f') => ExpectedValue::Boolean,
        Some(b'n') | None => ExpectedValue::Any,
        Some(_) => ExpectedValue::Number,
    }
}

fn expected_of(written: WrittenType) -> ExpectedValue {
    match written {
        WrittenType::Text => ExpectedValue::Text,
        WrittenType::Number => ExpectedValue::Number,
        WrittenType::Boolean => ExpectedValue::Boolean,
        WrittenType::List => ExpectedValue::List,
        WrittenType::Object => ExpectedValue::Object,
        WrittenType::Any => ExpectedValue::Any,
    }
}

fn told(expected: ExpectedValue) -> String {
    match expected {
        ExpectedValue::Text => t!("a text"),
        ExpectedValue::Number => t!("a number"),
        ExpectedValue::Boolean => t!("true or false"),
        ExpectedValue::List => t!("a list"),
        ExpectedValue::Object => t!("an object"),
        ExpectedValue::Scalar | ExpectedValue::Any => t!("a text, a number, true or false"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"id":7,"phone":"123","paid":true,"customer":{"name":"a"},"lines":[{"sku":"x","q":1}],"note":null}"#;

    fn field(path: &str, written: WrittenType, required: bool) -> FieldOutline {
        FieldOutline { path: path.split('.').map(str::to_string).collect(), written, required }
    }

    fn record() -> KnownFields {
        let written = [
            field("id", WrittenType::Number, true),
            field("note", WrittenType::Text, false),
            field("customer.city", WrittenType::Text, false),
            field("lines.*.amount", WrittenType::Number, false),
        ];
        KnownFields::of_record(RECORD, &written)
    }

    #[test]
    fn a_known_path_takes_a_value_of_its_type() {
        let known = record();
        for (path, typed, value) in [
            ("phone", "0123", r#""0123""#),
            ("phone", "123", r#""123""#),
            ("phone", "\"456\"", r#""456""#),
            ("phone", "null", "null"),
            ("id", "12.50", "12.50"),
            ("paid", "false", "false"),
            ("customer.name", "李明", r#""李明""#),
            ("customer.city", "Bonn", r#""Bonn""#),
            ("lines.0.q", "3", "3"),
            ("lines.0.amount", "3.10", "3.10"),
            ("note", "x", r#""x""#),
            ("lines", "[]", "[]"),
        ] {
            assert_eq!(known.value_for(path, typed), Ok(value.to_string()), "{path}={typed}");
        }
    }

    #[test]
    fn a_wrong_type_is_said_with_what_was_found_and_expected() {
        let known = record();
        for (path, typed, expected) in [
            ("id", "many", r#"id: found "many", expected a number"#),
            ("id", "null", "id: found null, expected a number"),
            ("paid", "1", "paid: found 1, expected true or false"),
            ("phone", "[1]", "phone: found [1], expected a text"),
            ("customer", "x", r#"customer: found "x", expected an object"#),
            ("lines", "{}", "lines: found {}, expected a list"),
            ("lines.0.amount", "x", r#"lines.0.amount: found "x", expected a number"#),
        ] {
            assert_eq!(known.value_for(path, typed), Err(expected.to_string()));
        }
    }

    #[test]
    fn an_unknown_path_is_refused_with_the_near_one() {
        let known = record();
        for (path, meant) in [
            ("phon", "phone"),
            ("custmer.name", "customer.name"),
            ("lines.0.amout", "lines.0.amount"),
            ("customer.nam", "customer.name"),
        ] {
            let said = known.value_for(path, "1").expect_err("unknown");
            assert!(said.ends_with(&format!("did you mean {meant}?")), "{said}");
        }
        let said = known.value_for("buyer", "1").expect_err("unknown");
        assert!(said.contains("expected one of customer, customer.city, customer.name, id"), "{said}");
    }

    #[test]
    fn a_row_takes_what_the_mapping_reads_and_keeps_its_lists() {
        let read = ["company.name", "items", "items.*.price", "order_no"]
            .map(|path| path.split('.').map(str::to_string).collect());
        let known = KnownFields::of_row(r#"{"order_id":3,"items":[{"price":"many"}]}"#, &read);
        for (path, typed, value) in [
            ("items.0.price", "5", "5"),
            ("items.0.price", "five", r#""five""#),
            ("company.name", "A", r#""A""#),
            ("order_no", "A3", r#""A3""#),
        ] {
            assert_eq!(known.value_for(path, typed), Ok(value.to_string()));
        }
        assert_eq!(known.value_for("items", "5"), Err("items: found 5, expected a list".into()));
        assert_eq!(known.value_for("company", "A"), Err(r#"company: found "A", expected an object"#.into()));
        assert!(known.value_for("items.0.prise", "5").expect_err("unknown").contains("items.0.price?"));
    }

    #[test]
    fn what_changed_in_an_editor_is_looked_at_and_nothing_else() {
        let known = record();
        let changed = |from: &str, to: &str| {
            let after = RECORD.replace(from, to);
            assert_ne!(after, RECORD);
            known.check_changes(RECORD, &after)
        };
        assert_eq!(known.check_changes(RECORD, RECORD), Ok(()));
        assert_eq!(changed(r#""q":1}"#, r#""q":2},{"sku":"y","amount":1.5}"#), Ok(()));
        assert_eq!(changed(r#""id":7"#, r#""id":"7""#), Err(r#"id: found "7", expected a number"#.into()));
        assert!(changed(r#""phone""#, r#""phon""#).is_err_and(|said| said.contains("did you mean phone?")));
    }
}
