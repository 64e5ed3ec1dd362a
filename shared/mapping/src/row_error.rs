//! What can be wrong with a row, named so that it can be counted and repaired.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use thiserror::Error;

/// Longest excerpt of a source value in an error, in characters.
const EXCERPT: usize = 80;

/// The kinds of row errors; [`Kind::name`] is what metrics and reports show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    MissingKey,
    MissingField,
    WrongType,
    BadText,
    NotANumber,
    NotAnInteger,
    NotABoolean,
    NotADate,
    NotAnArray,
    NotAnObject,
    BadElement,
    TooPrecise,
    Overflow,
    DivisionByZero,
    NotInMap,
    BadExpression,
    CheckFailed,
    DuplicateKey,
}

/// The kinds of row errors, as [`RowError::kind`] names them.
pub const KINDS: [&str; 18] = [
    "missing_key",
    "missing_field",
    "wrong_type",
    "bad_text",
    "not_a_number",
    "not_an_integer",
    "not_a_boolean",
    "not_a_date",
    "not_an_array",
    "not_an_object",
    "bad_element",
    "too_precise",
    "overflow",
    "division_by_zero",
    "not_in_map",
    "bad_expression",
    "check_failed",
    "duplicate_key",
];

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::MissingKey => "missing_key",
            Kind::MissingField => "missing_field",
            Kind::WrongType => "wrong_type",
            Kind::BadText => "bad_text",
            Kind::NotANumber => "not_a_number",
            Kind::NotAnInteger => "not_an_integer",
            Kind::NotABoolean => "not_a_boolean",
            Kind::NotADate => "not_a_date",
            Kind::NotAnArray => "not_an_array",
            Kind::NotAnObject => "not_an_object",
            Kind::BadElement => "bad_element",
            Kind::TooPrecise => "too_precise",
            Kind::Overflow => "overflow",
            Kind::DivisionByZero => "division_by_zero",
            Kind::NotInMap => "not_in_map",
            Kind::BadExpression => "bad_expression",
            Kind::CheckFailed => "check_failed",
            Kind::DuplicateKey => "duplicate_key",
        }
    }
}

/// A value that could not be converted, before it is known for which field.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    pub(crate) found: String,
    pub(crate) expected: Cow<'static, str>,
    /// Where below the field's source path, e.g. `[3].price`; mostly empty.
    pub(crate) below: String,
    pub(crate) cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Fault {
    /// `found` is the JSON text of the value, `None` when there is none.
    pub(crate) fn new(kind: Kind, found: Option<&str>, expected: &'static str) -> Fault {
        // What makes a number unusable tells more than that a number was expected.
        let expected = match kind {
            Kind::TooPrecise => "a number of at most 28 decimals that needs no rounding",
            Kind::Overflow => "a number within 96 bits",
            _ => expected,
        };
        Fault { kind, found: excerpt(found), expected: expected.into(), below: String::new(), cause: None }
    }

    /// A fault whose expectation depends on the mapping.
    pub(crate) fn expecting(kind: Kind, found: Option<&str>, expected: String) -> Fault {
        Fault { expected: expected.into(), ..Fault::new(kind, found, "") }
    }

    /// A fault of a computation rather than of one value.
    pub(crate) fn computed(kind: Kind, found: &str, expected: &'static str) -> Fault {
        Fault { expected: expected.into(), ..Fault::new(kind, Some(found), expected) }
    }

    pub(crate) fn caused_by(mut self, cause: impl StdError + Send + Sync + 'static) -> Fault {
        self.cause = Some(Box::new(cause));
        self
    }

    /// The error of `field`, whose value comes from `from`.
    pub(crate) fn of_field(self, field: &str, from: &str) -> RowError {
        RowError {
            kind: self.kind,
            field: field.to_owned(),
            from: format!("{from}{}", self.below),
            found: self.found,
            expected: self.expected,
            cause: self.cause,
        }
    }
}

fn excerpt(found: Option<&str>) -> String {
    let Some(text) = found else {
        return "nothing".to_owned();
    };
    match text.char_indices().nth(EXCERPT) {
        None => text.to_owned(),
        Some(_) => text.chars().take(EXCERPT - 1).chain(['…']).collect(),
    }
}

/// Why a row could not become a record.
///
/// The row is at fault, not the plan: the same row fails again until either its
/// source or the mapping changes. The display names the field, where its value
/// was read, what was found there and what was expected.
#[derive(Debug, Error)]
pub struct RowError {
    kind: Kind,
    field: String,
    from: String,
    found: String,
    expected: Cow<'static, str>,
    #[source]
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl RowError {
    /// The kind of error in `snake_case`, from a small fixed set (`missing_key`,
    /// `missing_field`, `wrong_type`, `bad_text`, `not_a_number`,
    /// `not_an_integer`, `not_a_boolean`, `not_a_date`, `not_an_array`,
    /// `not_an_object`, `bad_element`, `too_precise`, `overflow`,
    /// `division_by_zero`, `not_in_map`, `bad_expression`, `check_failed`,
    /// `duplicate_key`): fit for a metric label.
    pub fn kind(&self) -> &'static str {
        self.kind.name()
    }

    /// The field of the record (its `to`, e.g. `lines[3].sku`); `key` for the
    /// business key, the name of a check that failed, empty when the row as a
    /// whole is at fault.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The place in the row, e.g. `company.name` or `items[3].price`.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// An excerpt of the JSON found there, at most 80 characters; `nothing`
    /// when the row has no such value.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// What would have been acceptable, in words.
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// The same error, of a field within an element of a list.
    pub(crate) fn within(mut self, field: &str, from: &str, index: usize) -> RowError {
        self.field = format!("{field}[{index}].{}", self.field);
        if !self.from.starts_with("$.") {
            self.from = format!("{from}[{index}].{}", self.from);
        }
        self
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.field.as_str(), self.kind) {
            ("", _) => write!(f, "row")?,
            (_, Kind::MissingKey | Kind::DuplicateKey) => write!(f, "key (from {})", self.from)?,
            (check, Kind::CheckFailed) => write!(f, "check `{check}`")?,
            (field, _) => write!(f, "field `{field}` (from {})", self.from)?,
        }
        write!(f, ": found {}, expected {}", self.found, self.expected)
    }
}

/// A field that could not be converted and, as its `on_error` asks, did not stop
/// the row.
#[derive(Debug, Error)]
#[error("{error}; {}", if *.defaulted { "its default was used" } else { "the field was left out" })]
pub struct FieldProblem {
    /// What was wrong with the value.
    #[source]
    pub error: RowError,
    /// True when the field's default stands in the record, false when the field
    /// was left out of it.
    pub defaulted: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_are_cut_at_80_characters() {
        assert_eq!(excerpt(None), "nothing");
        assert_eq!(excerpt(Some("\"ok\"")), "\"ok\"");
        let exact = "号".repeat(80);
        assert_eq!(excerpt(Some(&exact)), exact);
        let cut = excerpt(Some(&"号".repeat(81)));
        assert_eq!(cut.chars().count(), 80);
        assert!(cut.ends_with("号…"));
    }

    #[test]
    fn an_error_reads_as_one_sentence() {
        let mut fault = Fault::new(Kind::BadElement, Some("\"abc\""), "a number");
        fault.below = "[3].price".to_owned();
        let error = fault.of_field("totalAmount", "items");
        assert_eq!(
            error.to_string(),
            r#"field `totalAmount` (from items[3].price): found "abc", expected a number"#
        );
        assert_eq!(error.kind(), "bad_element");
        let problem = FieldProblem { error, defaulted: false };
        assert!(problem.to_string().ends_with("; the field was left out"));
    }
}
