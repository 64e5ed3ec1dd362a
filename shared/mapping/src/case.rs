//! The cases of a mapping: orders with what is expected of them, kept beside the fields they test.

use crate::mapping_error::{MappingError, one_of};
use crate::row_error::KINDS;
use crate::section::Section;
use crate::table::parse;

/// A case as it stands in the mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Where it stands, for a report: `mapping.toml:12`.
    pub place: String,
    /// The order.
    pub input: Text,
    /// What is expected of it.
    pub expected: Expected,
    /// The names of the checks that it fails and that only mark it.
    pub marks: Vec<String>,
}

/// A JSON text, or the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// The text itself.
    Here(String),
    /// A file, relative to the mapping.
    File(String),
}

/// What is expected of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// This record, or these, as JSON.
    Record(Text),
    /// This kind of error.
    Error(String),
    /// That it is skipped for this reason.
    Skip(String),
}

const KEYS: [&str; 8] =
    ["name", "input", "input_file", "expect", "expect_file", "expect_error", "expect_skip", "marks"];

/// The cases of a mapping.
///
/// # Errors
/// What is wrong with the first that cannot be used.
pub fn cases(source_name: &str, text: &str) -> Result<Vec<Case>, MappingError> {
    let document = parse(source_name, text)?;
    read(&Section::top(source_name, text, &document))
}

pub(crate) fn read(top: &Section<'_>) -> Result<Vec<Case>, MappingError> {
    top.tables("case")?.iter().map(case).collect()
}

fn case(section: &Section<'_>) -> Result<Case, MappingError> {
    section.only(&KEYS)?;
    let name = section.required("name", "a name for the case")?.to_owned();
    let input = one(section, &["input", "input_file"], "the order, as JSON or as the name of a file")?;
    let input = text(&input, "input_file");
    let expected = one(
        section,
        &["expect", "expect_file", "expect_error", "expect_skip"],
        "the record, the kind of error, or the reason it is skipped for",
    )?;
    let expected = match expected {
        ("expect_error", kind) if !KINDS.contains(&kind.as_str()) => {
            return Err(section.refuse("expect_error", format!("{kind:?}"), one_of(&KINDS, &kind)));
        }
        ("expect_error", kind) => Expected::Error(kind),
        ("expect_skip", reason) => Expected::Skip(reason),
        record => Expected::Record(text(&record, "expect_file")),
    };
    let none = section
        .get("marks")
        .and_then(|marks| marks.get_ref().as_array())
        .is_some_and(|marks| marks.is_empty());
    let marks = if none { Vec::new() } else { section.strings("marks")? };
    let marks = marks.into_iter().map(str::to_owned).collect();
    let place = section.place(section.span_of("name"));
    let place = format!("{}:{}", place.source_name, place.line.unwrap_or_default());
    Ok(Case { name, place, input, expected, marks })
}

fn text((key, value): &(&str, String), file: &str) -> Text {
    if *key == file { Text::File(value.clone()) } else { Text::Here(value.clone()) }
}

/// The one of some keys that is given.
fn one(
    section: &Section<'_>,
    keys: &[&'static str],
    expected: &str,
) -> Result<(&'static str, String), MappingError> {
    let mut given = keys.iter().copied().filter(|key| section.get(key).is_some());
    match (given.next(), given.next()) {
        (Some(key), None) => Ok((key, section.required(key, expected)?.to_owned())),
        (Some(first), Some(second)) => Err(section.refuse(
            second,
            format!("it beside `{first}`"),
            format!("exactly one of {}", keys.join(", ")),
        )),
        _ => Err(section.refuse(keys[0], "nothing", expected)),
    }
}
