//! A condition on a row that stands outside of a mapping, in its language.

use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use crate::check::Filter;
use crate::compile::Compiling;
use crate::mapping_error::MappingErrors;
use crate::reference::{Order, Scope};
use crate::row_error::{Fault, Kind, RowError};
use crate::section::Section;
use crate::shape::Shapes;
use crate::table::parse;

/// An expression that is true of a row or not, as that of a `[[when]]`.
#[derive(Debug)]
pub struct Condition {
    shapes: Shapes,
    filters: Vec<Filter>,
}

impl Condition {
    /// Compiles an expression. `source_name` names where it stands in errors, and local times are of `zone`.
    ///
    /// # Errors
    /// When it is no expression, or one that the language refuses.
    pub fn compile(source_name: &str, text: &str, zone: &TimeZone) -> Result<Condition, MappingErrors> {
        let table = format!("[[when]]\nis = {}\nreason = \"-\"\n", toml::Value::from(text));
        let document = parse(source_name, &table)?;
        let top = Section::top(source_name, &table, &document);
        let mut compiling = Compiling::new(zone);
        let mut filters = Vec::new();
        for section in top.tables("when")? {
            let filter = Filter::read(&section, &mut compiling);
            filters.extend(compiling.keep(filter));
        }
        if compiling.has_errors() {
            return Err(compiling.into_errors());
        }
        Ok(Condition { shapes: compiling.shapes, filters })
    }

    /// Whether it is true of a row.
    ///
    /// # Errors
    /// When the row is no object, or the expression cannot be computed.
    pub fn holds(&self, row: &RawValue) -> Result<bool, RowError> {
        let order = Order::read(&self.shapes, row.get())
            .ok_or_else(|| Fault::new(Kind::NotAnObject, Some(row.get()), "an object").of_field("", ""))?;
        let scope = Scope::of(&self.shapes, &order);
        for filter in &self.filters {
            if !filter.passes(&scope)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &Condition, row: &str) -> Result<bool, String> {
        let row: &RawValue = serde_json::from_str(row).expect("the row is JSON");
        condition.holds(row).map_err(|error| error.kind().to_string())
    }

    #[test]
    fn a_condition_is_true_false_or_cannot_be_computed() {
        let removed = Condition::compile("when", r#"removed == 1 || state == "gone""#, &TimeZone::UTC);
        let removed = removed.expect("sound");
        for (row, expected) in [
            (r#"{"removed":1}"#, Ok(true)),
            (r#"{"removed":"1"}"#, Ok(true)),
            (r#"{"removed":0,"state":"gone"}"#, Ok(true)),
            (r#"{"removed":0}"#, Ok(false)),
            ("{}", Ok(false)),
            ("7", Err("not_an_object".to_string())),
        ] {
            assert_eq!(holds(&removed, row), expected, "{row}");
        }
        let computed = Condition::compile("when", "removed / 0 == 1", &TimeZone::UTC).expect("sound");
        assert_eq!(holds(&computed, r#"{"removed":1}"#), Err("division_by_zero".to_string()));
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        for text in ["removed =", "", "let x = 1", "'"] {
            let error = Condition::compile("schedule.deleted.when", text, &TimeZone::UTC).expect_err(text);
            assert!(error.to_string().contains("schedule.deleted.when"), "{error}");
        }
    }
}
