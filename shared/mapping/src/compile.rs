//! What all parts of a table need while they are read: the shapes they bind their paths to, and the errors found so far.

use jiff::tz::TimeZone;

use crate::expression::{Expression, Wanted};
use crate::mapping_error::{MappingError, MappingErrors};
use crate::path::Path;
use crate::reference::{ListRef, Ref};
use crate::section::Section;
use crate::shape::Shapes;

pub(crate) const PATH: &str = "a path such as order_no, company.name or product_list[*].count";
const ONE_VALUE: &str = "a path to one value, such as order_no, company.name or product_list[0].count";

/// Errors that are told at once.
const MOST_ERRORS: usize = 50;

/// A table on its way to being compiled.
pub(crate) struct Compiling<'z> {
    pub(crate) shapes: Shapes,
    pub(crate) zone: &'z TimeZone,
    errors: Vec<MappingError>,
    /// How many errors there are, kept or not.
    found: usize,
}

impl<'z> Compiling<'z> {
    pub(crate) fn new(zone: &'z TimeZone) -> Compiling<'z> {
        Compiling { shapes: Shapes::new(), zone, errors: Vec::new(), found: 0 }
    }

    /// What was read; an error is kept, so that the author hears of all of them at once.
    pub(crate) fn keep<T>(&mut self, read: Result<T, MappingError>) -> Option<T> {
        read.map_err(|error| {
            self.found += 1;
            // Nobody reads more at once, and a file that is no mapping at all has any number of them.
            if self.errors.len() < MOST_ERRORS {
                self.errors.push(error);
            }
        })
        .ok()
    }

    pub(crate) fn into_errors(self) -> MappingErrors {
        let more = self.found - self.errors.len();
        MappingErrors::new(self.errors, more)
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The path of one value at a key.
    pub(crate) fn value(
        &mut self,
        section: &Section<'_>,
        key: &str,
        shape: usize,
    ) -> Result<Option<Ref>, MappingError> {
        let Some(text) = section.string(key)? else {
            return Ok(None);
        };
        match Path::read(text).filter(|path| path.list().is_none()) {
            Some(path) => Ok(Some(Ref::new(path, shape, &mut self.shapes))),
            None => Err(section.refuse(key, format!("{text:?}"), ONE_VALUE)),
        }
    }

    /// The paths at a key, one or several; none when it is absent.
    pub(crate) fn values(
        &mut self,
        section: &Section<'_>,
        key: &str,
        shape: usize,
    ) -> Result<Vec<Ref>, MappingError> {
        let mut refs = Vec::new();
        for text in section.strings(key)? {
            let path = Path::read(text).ok_or_else(|| section.refuse(key, format!("{text:?}"), PATH))?;
            refs.push(Ref::new(path, shape, &mut self.shapes));
        }
        Ok(refs)
    }

    /// The path of a list at a key, and what is behind its `[*]`.
    pub(crate) fn list(
        &mut self,
        section: &Section<'_>,
        key: &str,
        shape: usize,
    ) -> Result<Option<(ListRef, Option<Ref>)>, MappingError> {
        let Some(text) = section.string(key)? else {
            return Ok(None);
        };
        match Path::read(text) {
            Some(path) => Ok(Some(ListRef::new(path, shape, &mut self.shapes))),
            None => Err(section.refuse(key, format!("{text:?}"), PATH)),
        }
    }

    /// The expression at a key that must be there.
    pub(crate) fn expression(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        wanted: Wanted,
        shape: usize,
    ) -> Result<(Expression, String), MappingError> {
        let text = section.required(key, "an expression")?;
        match Expression::compile(text, wanted, shape, &mut self.shapes) {
            Ok(expression) => Ok((expression, text.to_owned())),
            Err(error) => Err(MappingError::Expression {
                place: Box::new(section.place(section.span_of(key))),
                key,
                text: text.to_owned(),
                source: Box::new(error),
            }),
        }
    }
}
