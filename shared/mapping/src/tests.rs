//! Tests of the crate as its users see it.

mod deletions;
mod examples;
mod expressions;
mod mapping_errors;
mod properties;
mod rows;
mod surprises;
mod table;

use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use crate::{Mapped, Outcome, Plan, RowError};

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").expect("the zone database has it")
}

/// A plan of these `[[field]]` bodies whose key is `id`.
fn plan(fields: &[&str]) -> Plan {
    let mut text = "key = \"id\"\nnumber = \"no\"\nversion = \"at\"\n".to_owned();
    for field in fields {
        text.push_str("[[field]]\n");
        text.push_str(field);
        text.push('\n');
    }
    Plan::compile("mapping.toml", &text, &shanghai()).expect("the mapping is sound")
}

fn map(plan: &Plan, row: &str) -> Result<Mapped, RowError> {
    Ok(all(plan, row)?.pop().expect("there is a record"))
}

/// All records of a row.
fn all(plan: &Plan, row: &str) -> Result<Vec<Mapped>, RowError> {
    let row: &RawValue = serde_json::from_str(row).expect("the row is JSON");
    match plan.map(row)? {
        Outcome::Records(records) => Ok(records),
        Outcome::Skipped(skipped) => panic!("skipped: {}", skipped.reason),
    }
}

/// The record, or the error in words.
fn record(plan: &Plan, row: &str) -> String {
    match map(plan, row) {
        Ok(mapped) => String::from_utf8(mapped.record).expect("a record is text"),
        Err(error) => format!("{} | {error}", error.kind()),
    }
}
