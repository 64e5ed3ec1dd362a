//! The sum over the elements of a list.

use rust_decimal::Decimal;

use crate::arithmetic;
use crate::compile::Compiling;
use crate::expression::{Expression, Wanted};
use crate::mapping_error::MappingError;
use crate::reference::{ListRef, Ref, Scope};
use crate::row_error::{Fault, Kind};
use crate::script::arithmetic_kind;
use crate::section::Section;
use crate::value;

/// What is added up.
#[derive(Debug)]
pub(crate) enum Sum {
    /// An expression over each element.
    Of(ListRef, Expression, String),
    /// The values of a path with `[*]`.
    Values(Ref),
}

impl Sum {
    /// Reads `sum` and `of`.
    pub(crate) fn read(
        section: &Section<'_>,
        shape: usize,
        compiling: &mut Compiling<'_>,
    ) -> Result<Sum, MappingError> {
        let many = section.string("sum")?.is_some_and(|text| text.contains("[*]"));
        if section.get("of").is_none() {
            let value = compiling.values(section, "sum", shape)?.pop().filter(|_| many);
            let expected = "an expression over one element of the list";
            return value.map(Sum::Values).ok_or_else(|| section.refuse("of", "nothing", expected));
        }
        let list = compiling.list(section, "sum", shape)?;
        let (list, behind) = list.ok_or_else(|| section.refuse("sum", "nothing", "the path of a list"))?;
        if behind.is_some() {
            let expected = "the path of the list alone where there is an `of`";
            return Err(section.refuse(
                "sum",
                format!("{:?}", section.string("sum")?.unwrap_or("")),
                expected,
            ));
        }
        let (of, text) = compiling.expression(section, "of", Wanted::Number, list.shape())?;
        Ok(Sum::Of(list, of, text))
    }

    /// The exact sum; `None` when there is no list, 0 when it has no elements.
    ///
    /// # Errors
    /// A fault naming the element and, where one is to blame, the member.
    pub(crate) fn total(
        &self,
        scope: &Scope<'_, '_>,
        stack: &mut Vec<Decimal>,
    ) -> Result<Option<Decimal>, Fault> {
        let mut total = Decimal::ZERO;
        match self {
            Sum::Of(list, of, _) => {
                let Some(elements) = list.elements(scope)? else { return Ok(None) };
                for index in 0..elements.texts.len() {
                    let value = element(of, &scope.element(&elements, index), stack);
                    add(&mut total, value).map_err(|fault| at(index, fault))?;
                }
            }
            Sum::Values(path) => {
                let Some(values) = path.values(scope)? else { return Ok(None) };
                for (index, json) in values.into_iter().enumerate() {
                    let value = value::decimal(json);
                    let value = value.and_then(|value| value.ok_or_else(|| missing(json)));
                    add(&mut total, value).map_err(|fault| at(index, fault))?;
                }
            }
        }
        Ok(Some(total))
    }

    /// The path of the list.
    pub(crate) fn path(&self) -> &str {
        match self {
            Sum::Of(list, _, _) => &list.text,
            Sum::Values(path) => &path.text,
        }
    }

    /// How it is made, for people.
    pub(crate) fn described(&self) -> String {
        match self {
            Sum::Of(list, _, of) => format!("sum of `{of}` over {}", list.text),
            Sum::Values(path) => format!("sum of {}", path.text),
        }
    }

    /// What stands in place of the list, for an error.
    pub(crate) fn found<'r>(&self, scope: &Scope<'_, 'r>) -> Option<&'r str> {
        match self {
            Sum::Of(list, _, _) => list.found(scope),
            Sum::Values(_) => None,
        }
    }
}

fn missing(json: Option<&str>) -> Fault {
    Fault::new(Kind::BadElement, json, "a number")
}

/// The value of an expression over one element.
fn element(of: &Expression, scope: &Scope<'_, '_>, stack: &mut Vec<Decimal>) -> Result<Decimal, Fault> {
    if !scope.text.starts_with('{') {
        return Err(Fault::new(Kind::BadElement, Some(scope.text), "an object"));
    }
    of.number(scope, stack)?.ok_or_else(|| {
        let mut fault = missing(None);
        fault.below = of.missing(scope).map_or_else(String::new, |operand| format!(".{operand}"));
        fault
    })
}

fn add(total: &mut Decimal, value: Result<Decimal, Fault>) -> Result<(), Fault> {
    let value = value?;
    *total = arithmetic::add(*total, value).map_err(|error| {
        let (kind, _) = arithmetic_kind(error);
        let expected =
            if kind == Kind::TooPrecise { "a sum that needs no rounding" } else { "a sum of 96 bits" };
        Fault::computed(kind, &format!("{total} plus {value}"), expected).caused_by(error)
    })?;
    Ok(())
}

fn at(index: usize, mut fault: Fault) -> Fault {
    fault.below = format!("[{index}]{}", fault.below);
    if !matches!(fault.kind, Kind::TooPrecise | Kind::Overflow | Kind::DivisionByZero) {
        fault.kind = Kind::BadElement;
    }
    fault
}
