//! What comes of a case of a mapping.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::case::{Case, Expected, Text};
use crate::plan::{Outcome, Plan};
use crate::row_error::RowError;

/// What came of a case.
#[derive(Debug)]
pub enum CaseResult {
    /// What is expected.
    Passed,
    /// The order is no JSON.
    NoOrder(serde_json::Error),
    /// Something else.
    Other(Result<Outcome, RowError>),
    /// These marks, and otherwise what is expected.
    Marks(Vec<String>),
}

impl Case {
    /// Maps the order of the case; `read` gives the texts that it names.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn run<E>(&self, plan: &Plan, read: impl Fn(&Text) -> Result<String, E>) -> Result<CaseResult, E> {
        let input = read(&self.input)?;
        let order: &RawValue = match serde_json::from_str(input.trim()) {
            Ok(order) => order,
            Err(error) => return Ok(CaseResult::NoOrder(error)),
        };
        let outcome = plan.map(order);
        let is_expected = match (&self.expected, &outcome) {
            (Expected::Error(kind), Err(error)) => error.kind() == kind,
            (Expected::Skip(reason), Ok(Outcome::Skipped(skipped))) => skipped.reason == *reason,
            (Expected::Record(expected), Ok(Outcome::Records(_))) => {
                same_json(read(expected)?.trim(), &plan.records_text(&outcome))
            }
            _ => false,
        };
        if !is_expected {
            return Ok(CaseResult::Other(outcome));
        }
        let marks = match outcome {
            Ok(Outcome::Records(mut records)) if !records.is_empty() => records.swap_remove(0).marks,
            _ => Vec::new(),
        };
        Ok(if marks == self.marks { CaseResult::Passed } else { CaseResult::Marks(marks) })
    }
}

impl Plan {
    /// The record of an outcome as JSON, or the list of records where the mapping makes one of each element; empty when there is
    /// none.
    pub fn records_text(&self, outcome: &Result<Outcome, RowError>) -> String {
        let Ok(Outcome::Records(records)) = outcome else { return String::new() };
        let all: Vec<_> = records.iter().map(|mapped| String::from_utf8_lossy(&mapped.record)).collect();
        if self.is_by_element() { format!("[{}]", all.join(",")) } else { all.concat() }
    }
}

/// Nested deeper, texts are compared as they stand.
const DEPTH: usize = 64;

/// Whether two JSON texts mean the same; numbers are the same when they are written the same.
fn same_json(a: &str, b: &str) -> bool {
    let read = |text| serde_json::from_str::<&RawValue>(text);
    match (read(a), read(b)) {
        (Ok(a), Ok(b)) => same(a.get(), b.get(), DEPTH),
        _ => false,
    }
}

fn same(a: &str, b: &str, depth: usize) -> bool {
    if a == b || depth == 0 {
        return a == b;
    }
    match (a.as_bytes().first(), b.as_bytes().first()) {
        (Some(b'{'), Some(b'{')) => {
            let members = |text| serde_json::from_str::<BTreeMap<String, &RawValue>>(text);
            let (Ok(a), Ok(b)) = (members(a), members(b)) else { return false };
            let pairs = a.iter().zip(&b);
            a.len() == b.len()
                && pairs
                    .into_iter()
                    .all(|((name, one), (other, two))| name == other && same(one.get(), two.get(), depth - 1))
        }
        (Some(b'['), Some(b'[')) => {
            let items = |text| serde_json::from_str::<Vec<&RawValue>>(text);
            let (Ok(a), Ok(b)) = (items(a), items(b)) else { return false };
            a.len() == b.len() && a.iter().zip(&b).all(|(one, two)| same(one.get(), two.get(), depth - 1))
        }
        (Some(b'"'), Some(b'"')) => {
            let text = |json| serde_json::from_str::<String>(json).ok();
            text(a) == text(b)
        }
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn meaning_is_what_is_compared() {
        assert!(same_json(r#"{"a":1,"b":["\u00e9",{}]}"#, r#" {"b": ["é", {} ],"a":1}"#));
        for (a, b) in [
            ("1.5", "1.50"),
            ("{}", "[]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            ("[1]", "[1,2]"),
            ("[1,2]", "[2,1]"),
            ("{", "{"),
        ] {
            assert!(!same_json(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn a_case_passes_only_with_what_it_expects() {
        let text = r#"
            key = "id"
            marks = "failed"
            [[when]]
            is = "id != 3"
            reason = "test"
            [[validate]]
            name = "small"
            that = "id < 9"
            on_fail = "mark"
            [[field]]
            to = "id"
            from = "id"
            type = "integer"
        "#;
        let case = |line: &str| format!("{text}\n[[case]]\nname = \"c\"\n{line}\n");
        let run = |line: &str| {
            let text = case(line);
            let plan = Plan::compile("m", &text, &jiff::tz::TimeZone::UTC).unwrap();
            let one = crate::cases("m", &text).unwrap().remove(0);
            let read = |text: &Text| match text {
                Text::Here(text) => Ok(text.clone()),
                Text::File(file) => Err(file.clone()),
            };
            one.run(&plan, read)
        };
        for line in [
            "input = '{\"id\":1}'\nexpect = '{ \"id\": 1 }'",
            "input = '{\"id\":\"x\"}'\nexpect_error = \"not_a_number\"",
            "input = '{\"id\":3}'\nexpect_skip = \"test\"",
            "input = '{\"id\":9}'\nexpect = '{\"id\":9,\"failed\":[\"small\"]}'\nmarks = [\"small\"]",
        ] {
            assert!(matches!(run(line), Ok(CaseResult::Passed)), "{line}");
        }
        let other = run("input = '{\"id\":1}'\nexpect = '{\"id\":2}'");
        assert!(matches!(other, Ok(CaseResult::Other(Ok(Outcome::Records(_))))));
        let other = run("input = '{\"id\":3}'\nexpect_error = \"missing_key\"");
        assert!(matches!(other, Ok(CaseResult::Other(Ok(Outcome::Skipped(_))))));
        let marks = run("input = '{\"id\":9}'\nexpect = '{\"id\":9,\"failed\":[\"small\"]}'");
        assert!(matches!(marks, Ok(CaseResult::Marks(found)) if found == ["small"]));
        assert!(matches!(run("input = '{'\nexpect = '{}'"), Ok(CaseResult::NoOrder(_))));
        assert_eq!(run("input_file = \"a.json\"\nexpect = '{}'").unwrap_err(), "a.json");
    }
}
