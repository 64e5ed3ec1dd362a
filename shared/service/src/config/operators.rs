//! `[operators]`: what people see.

use std::error::Error;

use serde::Deserialize;

use crate::chain;

/// What stands for a value that is not shown.
pub const HIDDEN: &str = "***";

/// `[operators]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operators {
    /// Fields, by their names in the source's rows and in the target's records, whose values are not shown.
    pub personal: Vec<String>,
}

impl Operators {
    /// The message of an error without `theirs`, the part that another system wrote: nobody knows whom it names. `None` when
    /// there is no such part, or no field is personal. Without the causes, which would say it again.
    pub fn hidden(&self, error: &dyn Error, theirs: Option<&str>) -> Option<String> {
        let theirs = theirs.filter(|theirs| !self.personal.is_empty() && !theirs.is_empty())?;
        // Wherever it stands: a short one may also be part of our own words.
        Some(secrets::redact(&error.to_string().replace(theirs, HIDDEN)).into_owned())
    }

    /// The same, or the error with its causes where there is nothing to hide.
    pub fn said(&self, error: &dyn Error, theirs: Option<&str>) -> String {
        self.hidden(error, theirs).unwrap_or_else(|| chain(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_system_wrote_is_left_out_when_any_field_is_personal() {
        let error = std::io::Error::other("HTTP 400, code 40001: no customer 李明");
        let theirs = Some("no customer 李明");
        let personal = Operators { personal: vec!["customerName".into()] };
        let hidden = personal.hidden(&error, theirs).expect("hidden");
        assert_eq!(hidden, "HTTP 400, code 40001: ***");
        assert_eq!(personal.hidden(&error, None), None);
        assert_eq!(personal.hidden(&error, Some("")), None, "not stars between all letters");
        assert_eq!(Operators::default().hidden(&error, theirs), None);
        assert_eq!(personal.said(&error, theirs), hidden);
        assert_eq!(Operators::default().said(&error, theirs), error.to_string());
    }
}
