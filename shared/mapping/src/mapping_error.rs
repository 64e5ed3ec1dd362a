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
    /// An expression cannot be used.
    #[error("{place}: key `{key}`: cannot use `{text}`: {source}")]
    Expression {
        /// Where in the file.
        place: Box<Place>,
        /// The key it stands at.
        key: &'static str,
        /// The expression as written.
        text: String,
        /// What is wrong with it.
        source: Box<ExpressionError>,
    },
}

impl MappingError {
    /// The line, from 1, where it is known.
    pub fn line(&self) -> Option<usize> {
        self.place().line
    }

    fn place(&self) -> &Place {
        match self {
            MappingError::Syntax { place, .. }
            | MappingError::Key { place, .. }
            | MappingError::Expression { place, .. } => place,
        }
    }
}

/// Everything that keeps a mapping from being compiled, in the order of its lines; at least one. The display has a line
/// for each.
#[derive(Debug)]
pub struct MappingErrors {
    errors: Vec<MappingError>,
    /// Further ones that are not told.
    more: usize,
}

impl MappingErrors {
    /// Of at least one error.
    pub(crate) fn new(mut errors: Vec<MappingError>, more: usize) -> MappingErrors {
        errors.sort_by_key(|error| error.place().line);
        MappingErrors { errors, more }
    }

    /// The errors, one or more.
    pub fn iter(&self) -> impl Iterator<Item = &MappingError> {
        self.errors.iter()
    }
}

impl From<MappingError> for MappingErrors {
    fn from(error: MappingError) -> MappingErrors {
        MappingErrors { errors: vec![error], more: 0 }
    }
}

impl fmt::Display for MappingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for MappingErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.errors[..] {
            [only] => only.source(),
            _ => None,
        }
    }
}

/// A place in a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub(crate) source_name: Box<str>,
    pub(crate) line: Option<usize>,
    /// Which table, e.g. ``field 3 (`lines`): field 1 (`sku`)``; empty for the top of the file.
    pub(crate) title: Box<str>,
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
        if self.title.is_empty() { Ok(()) } else { write!(f, ": {}", self.title) }
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
pub fn suggestion<'k>(known: &[&'k str], found: &str) -> Option<&'k str> {
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
