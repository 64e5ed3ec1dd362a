//! What can be wrong with a mapping table.

use std::fmt;

use thiserror::Error;

use crate::expression::ExpressionError;

/// Why a mapping cannot be compiled. Each display names the file, the line, the
/// field and key, what was found and what was expected.
#[derive(Debug, Error)]
pub enum MappingError {
    /// The text is not TOML.
    #[error("{place}: not valid TOML: {}", source.message())]
    Syntax {
        /// Where in the file.
        place: Box<Place>,
        /// What the TOML parser says.
        source: Box<toml::de::Error>,
    },
    /// A key is missing, unknown, or has a value that cannot be used.
    #[error("{place}: key `{key}`: found {found}, expected {expected}")]
    Key {
        /// Where in the file.
        place: Box<Place>,
        /// The key as written.
        key: String,
        /// What stands there.
        found: String,
        /// What could stand there, with a suggestion when one is close.
        expected: String,
    },
    /// The expression of a sum cannot be used.
    #[error("{place}: key `of`: cannot use `{text}`: {source}")]
    Expression {
        /// Where in the file.
        place: Box<Place>,
        /// The expression as written.
        text: String,
        /// What is wrong with it.
        source: Box<ExpressionError>,
    },
}

/// A place in a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(crate) source_name: Box<str>,
    pub(crate) line: Option<usize>,
    /// `field` or `deleted_field`, its number from 1, and its name, so far as it has one.
    pub(crate) field: Option<(&'static str, usize, Option<Box<str>>)>,
}

impl Place {
    /// The line, from 1, where it is known.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source_name)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        match &self.field {
            None => Ok(()),
            Some((array, number, None)) => write!(f, ": {array} {number}"),
            Some((array, number, Some(to))) => write!(f, ": {array} {number} (`{to}`)"),
        }
    }
}

/// `one of a, b, c`, and the one that was perhaps meant.
pub(crate) fn one_of(known: &[&str], found: &str) -> String {
    let list = known.join(", ");
    match suggestion(known, found) {
        Some(meant) => format!("one of {list}; did you mean `{meant}`?"),
        None => format!("one of {list}"),
    }
}

/// The known word nearest to `found`, if it is near enough to be a slip.
fn suggestion<'k>(known: &[&'k str], found: &str) -> Option<&'k str> {
    // Beyond this it is no slip, and the distance takes time to compute.
    let found: String = found.chars().take(32).collect::<String>().to_lowercase();
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(word, &found), *word))
        .filter(|(distance, word)| *distance <= (word.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slip_gets_a_suggestion() {
        let known = ["to", "from", "required", "on_error"];
        assert_eq!(suggestion(&known, "form"), Some("from"));
        assert_eq!(suggestion(&known, "Requierd"), Some("required"));
        assert_eq!(suggestion(&known, "on-error"), Some("on_error"));
        assert_eq!(suggestion(&known, "source"), None);
        assert_eq!(suggestion(&[], "x"), None);
    }
}
