//! `orderflow map test`: the cases that stand beside the fields of a mapping.

use std::path::Path;

use clap::Args;
use mapping::{Case, CaseResult, Expected, Outcome, Plan, Text};
use schemars::JsonSchema;
use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::pretty::canonical;
use super::source::{MappingArgs, Source};
use crate::cli::Output;
use crate::columns::padded;
use crate::exit::{Exit, print, print_json, say_line};
use crate::language;

/// Flags of `map test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    #[command(flatten)]
    mapping: MappingArgs,
    /// Only the cases whose name contains this.
    #[arg(value_name = "NAME")]
    only: Option<String>,
    /// The form of the output.
    #[arg(long, short, default_value = "table")]
    output: Output,
}

/// What `map test -o json` prints.
#[derive(Debug, JsonSchema, Serialize)]
pub struct TestReport {
    /// The mapping file.
    mapping: String,
    /// Its version.
    version: String,
    /// How many cases passed.
    passed: usize,
    /// How many failed.
    failed: usize,
    /// The cases that were run, as they stand in the file.
    cases: Vec<CaseReport>,
}

/// A case that was run.
#[derive(Debug, JsonSchema, Serialize)]
struct CaseReport {
    /// Its name.
    name: String,
    /// Where it stands: file and line.
    place: String,
    /// Whether the mapping makes of it what it expects.
    passed: bool,
    /// How what was made differs from what is expected; `null` when it passed.
    difference: Option<String>,
}

pub fn run(args: TestArgs, config: &Path) -> anyhow::Result<Exit> {
    let source = Source::read(&args.mapping, config)?;
    let plan = source.plan()?;
    let mut cases = mapping::cases(&source.name(), &source.text).map_err(mapping::MappingErrors::from)?;
    let wanted = |case: &Case| args.only.as_ref().is_none_or(|only| case.name.contains(only));
    cases.retain(wanted);
    if cases.is_empty() {
        let none = match args.only {
            Some(_) => t!(
                "%{file} has no such [[case]]; `orderflow map reference` shows how one is written",
                file = source.name()
            ),
            None => t!(
                "%{file} has no [[case]]; `orderflow map reference` shows how one is written",
                file = source.name()
            ),
        };
        say_line(&none);
        return Ok(Exit::NothingMatched);
    }
    let mut report = TestReport {
        mapping: source.name(),
        version: plan.version().to_string(),
        passed: 0,
        failed: 0,
        cases: Vec::with_capacity(cases.len()),
    };
    for case in &cases {
        let difference = match args.output {
            Output::Json => language::english(|| check(case, &plan, &source))?,
            Output::Table => check(case, &plan, &source)?,
        };
        *if difference.is_none() { &mut report.passed } else { &mut report.failed } += 1;
        report.cases.push(CaseReport {
            name: case.name.clone(),
            place: case.place.clone(),
            passed: difference.is_none(),
            difference,
        });
    }
    match args.output {
        Output::Json => print_json(&format!("{}\n", serde_json::to_string_pretty(&report)?)),
        Output::Table => print(&report.text()),
    }
    Ok(if report.failed == 0 { Exit::Ok } else { Exit::Failure })
}

impl TestReport {
    fn text(&self) -> String {
        let mut said = String::new();
        for CaseReport { name, place, difference, .. } in &self.cases {
            match difference {
                None => said.push_str(&format!("{}{name}\n", padded(&t!("ok"), 6))),
                Some(difference) => {
                    said.push_str(&format!("{}{name} ({place})\n", padded(&t!("FAIL"), 6)));
                    said.extend(difference.lines().map(|line| format!("      {line}\n")));
                }
            }
        }
        let counts = t!(
            "%{passed} passed, %{failed} failed (%{file}, version %{version})",
            passed = self.passed,
            failed = self.failed,
            file = self.mapping,
            version = self.version
        );
        format!("{said}\n{counts}\n")
    }
}

/// How a case differs from what it expects; `None` when it does not.
fn check(case: &Case, plan: &Plan, source: &Source) -> anyhow::Result<Option<String>> {
    let read = |text: &Text| match text {
        Text::Here(text) => Ok(text.clone()),
        Text::File(file) => source.beside(file),
    };
    let outcome = match case.run(plan, read)? {
        CaseResult::Passed => return Ok(None),
        CaseResult::NoOrder(error) => {
            return Ok(Some(t!("the input is no JSON: %{why}", why = error).into()));
        }
        CaseResult::Marks(marks) => {
            let expected = t!("expected the marks %{marks}", marks = format!("{:?}", case.marks));
            let found = t!("found %{found}", found = format!("{marks:?}"));
            return Ok(Some(format!("{expected}\n{found}")));
        }
        CaseResult::Other(outcome) => outcome,
    };
    let expected = match &case.expected {
        Expected::Error(kind) => t!("expected an error of kind %{kind}", kind = kind),
        Expected::Skip(reason) => t!("expected it to be skipped: %{reason}", reason = reason),
        Expected::Record(expected) => {
            if outcome.as_ref().is_ok_and(|outcome| matches!(outcome, Outcome::Records(_)))
                && let Some(difference) = compare(&read(expected)?, &plan.records_text(&outcome))
            {
                return Ok(Some(difference));
            }
            t!("expected a record")
        }
    };
    Ok(Some(format!("{expected}\n{}", found(&outcome))))
}

/// What came of it instead.
fn found(outcome: &Result<Outcome, mapping::RowError>) -> String {
    match outcome {
        Ok(Outcome::Records(records)) => {
            let records: Vec<_> =
                records.iter().map(|mapped| String::from_utf8_lossy(&mapped.record)).collect();
            t!("found %{found}", found = records.join("\n"); lines)
        }
        Ok(Outcome::Skipped(skipped)) => t!("found it skipped: %{reason}", reason = skipped.reason),
        Err(error) => t!("found an error of kind %{kind}: %{why}", kind = error.kind(), why = error),
    }
    .into()
}

/// The lines in which two JSON texts differ, with some around them; `None` when they mean the same.
fn compare(expected: &str, found: &str) -> Option<String> {
    let expected = match canonical(expected.trim()) {
        Ok(expected) => expected,
        Err(error) => return Some(t!("what is expected is no JSON: %{why}", why = error).into()),
    };
    let found = canonical(found).unwrap_or_else(|_| found.to_owned());
    if expected == found {
        return None;
    }
    let difference = TextDiff::from_lines(&expected, &found);
    let mut said = format!("{}\n", t!("- expected  + found"));
    for group in difference.grouped_ops(2) {
        for change in group.iter().flat_map(|operation| difference.iter_changes(operation)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            said.push_str(&format!("{sign} {}\n", change.value().trim_end_matches('\n')));
        }
    }
    Some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_line_by_line_and_meaning_is_what_counts() {
        assert_eq!(compare(r#"{"a":1,"b":[2]}"#, r#"{"b":[2],"a":1}"#), None);
        let found = r#"{"orderNumber":"536365","totalAmount":15.30,"lines":[{"sku":"85123A"}],"a":1}"#;
        let expected =
            r#"{"orderNumber":"536365","totalAmount":15.3,"lines":[{"sku":"85123A","quantity":6}],"a":1}"#;
        insta::assert_snapshot!(compare(expected, found).expect("they differ"), @r#"
        - expected  + found
            "lines": [
              {
        -       "quantity": 6,
                "sku": "85123A"
              }
            ],
            "orderNumber": "536365",
        -   "totalAmount": 15.3
        +   "totalAmount": 15.30
          }
        "#);
        assert!(compare("{", "{}").expect("no JSON").starts_with("what is expected is no JSON"));
    }
}
