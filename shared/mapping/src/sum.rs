//! The sum of an expression over the elements of an array.

use std::fmt;

use rhai::EvalAltResult;
use rust_decimal::Decimal;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::arithmetic::{self, ArithmeticError};
use crate::expression::{Evaluation, Expression, arithmetic_error};
use crate::row::Members;
use crate::row_error::{Fault, Kind};
use crate::value;

const ARRAY: &str = "an array";
const ELEMENT: &str = "an object";

/// The exact sum of `expression` over the elements of the array `json`, 0 when
/// it has none.
///
/// # Errors
/// A fault naming the element and, where one is to blame, the member.
pub(crate) fn sum(expression: &Expression, json: &str) -> Result<Decimal, Fault> {
    if !json.starts_with('[') {
        return Err(Fault::new(Kind::NotAnArray, Some(json), ARRAY));
    }
    let mut slots = vec![None; expression.names.len()];
    let mut elements = Elements {
        expression,
        evaluation: expression.evaluation(),
        slots: &mut slots,
        total: Decimal::ZERO,
        index: 0,
        fault: None,
    };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    match (&mut elements).deserialize(&mut deserializer) {
        Ok(()) => Ok(elements.total),
        Err(cause) => Err(elements.fault.unwrap_or_else(|| {
            // The text is JSON, so what stopped the parser is an element that
            // is no object.
            let all: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            let found = all.get(elements.index).map(|element| element.get());
            let mut fault = Fault::new(Kind::BadElement, found, ELEMENT).caused_by(cause);
            fault.below = format!("[{}]", elements.index);
            fault
        })),
    }
}

/// Adds up elements while they are parsed, without keeping any.
struct Elements<'p, 's, 'row> {
    expression: &'p Expression,
    evaluation: Evaluation<'p>,
    slots: &'s mut [Option<&'row str>],
    total: Decimal,
    /// Elements added so far.
    index: usize,
    fault: Option<Fault>,
}

impl Elements<'_, '_, '_> {
    fn add(&mut self) -> Result<(), Fault> {
        for slot in 0..self.slots.len() {
            let json = self.slots[slot];
            let value = value::decimal(json)
                .and_then(|value| value.ok_or_else(|| Fault::new(Kind::BadElement, json, "a number")))
                .map_err(|fault| self.at_member(slot, fault))?;
            self.evaluation.set(slot, value);
        }
        let value = self.evaluation.run().map_err(|error| self.not_computed(error))?;
        self.total = arithmetic::add(self.total, value).map_err(|error| self.not_added(value, error))?;
        self.slots.fill(None);
        self.index += 1;
        Ok(())
    }

    fn not_computed(&self, error: Box<EvalAltResult>) -> Fault {
        let (kind, expected) = match arithmetic_error(&error) {
            Some(ArithmeticError::Overflow) => (Kind::Overflow, "values with a result of 96 bits"),
            Some(ArithmeticError::TooPrecise) => {
                (Kind::TooPrecise, "values with a result that needs no rounding")
            }
            Some(ArithmeticError::DivisionByZero) => (Kind::DivisionByZero, "a divisor other than zero"),
            None => (Kind::BadElement, "values to compute with"),
        };
        let values: Vec<String> = self
            .expression
            .names
            .iter()
            .zip(self.slots.iter())
            .map(|(name, json)| format!("{name} = {}", json.unwrap_or_default()))
            .collect();
        self.at_element(Fault::computed(kind, &values.join(", "), expected).caused_by(error))
    }

    fn not_added(&self, value: Decimal, error: ArithmeticError) -> Fault {
        let (kind, expected) = match error {
            ArithmeticError::TooPrecise => (Kind::TooPrecise, "a sum that needs no rounding"),
            _ => (Kind::Overflow, "a sum of 96 bits"),
        };
        let found = format!("{} plus {value}", self.total);
        self.at_element(Fault::computed(kind, &found, expected).caused_by(error))
    }

    fn at_element(&self, mut fault: Fault) -> Fault {
        fault.below = format!("[{}]", self.index);
        fault
    }

    fn at_member(&self, slot: usize, mut fault: Fault) -> Fault {
        let name = self.expression.names.iter().nth(slot).unwrap_or_default();
        fault.below = format!("[{}].{name}", self.index);
        if !matches!(fault.kind, Kind::TooPrecise | Kind::Overflow) {
            fault.kind = Kind::BadElement;
        }
        fault
    }
}

impl<'row> DeserializeSeed<'row> for &mut Elements<'_, '_, 'row> {
    type Value = ();

    fn deserialize<D: Deserializer<'row>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'row> Visitor<'row> for &mut Elements<'_, '_, 'row> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ARRAY)
    }

    fn visit_seq<A: SeqAccess<'row>>(self, mut seq: A) -> Result<(), A::Error> {
        loop {
            let members = Members { names: &self.expression.names, slots: self.slots };
            if seq.next_element_seed(members)?.is_none() {
                return Ok(());
            }
            if let Err(fault) = self.add() {
                self.fault = Some(fault);
                return Err(A::Error::custom("an element cannot be added"));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(text: &str, json: &str) -> String {
        let expression = Expression::compile(text).unwrap();
        match sum(&expression, json) {
            Ok(total) => total.to_string(),
            Err(fault) => fault.of_field("total", "items").to_string(),
        }
    }

    #[test]
    fn lines_add_up_exactly() {
        let json = r#"[{"q":6,"p":2.55,"x":{}}, {"p":"3.39","q":" 6 "}, {"q":1,"q":0,"p":1e2}]"#;
        assert_eq!(of("q * p", json), "35.64");
        assert_eq!(of("q * p", "[ ]"), "0");
        assert_eq!(of("1", json), "3");
    }

    #[test]
    fn an_error_names_the_element_and_the_member() {
        let after = |element: &str| of("q / p", &format!(r#"[{{"q":1,"p":1}},{element}]"#));
        insta::assert_snapshot!(after(r#"{"q":1,"p":"abc"}"#), @r#"field `total` (from items[1].p): found "abc", expected a number"#);
        insta::assert_snapshot!(after(r#"{"q":1}"#), @"field `total` (from items[1].p): found nothing, expected a number");
        insta::assert_snapshot!(after(r#"{"q":[],"p":1}"#), @"field `total` (from items[1].q): found [], expected a number");
        insta::assert_snapshot!(after("7"), @"field `total` (from items[1]): found 7, expected an object");
        insta::assert_snapshot!(after("[]"), @"field `total` (from items[1]): found [], expected an object");
        insta::assert_snapshot!(after(r#"{"q":1,"p":0}"#), @"field `total` (from items[1]): found q = 1, p = 0, expected a divisor other than zero");
        insta::assert_snapshot!(after(r#"{"q":1,"p":3}"#), @"field `total` (from items[1]): found q = 1, p = 3, expected values with a result that needs no rounding");
        insta::assert_snapshot!(after(r#"{"q":79228162514264337593543950335,"p":1}"#), @"field `total` (from items[1]): found 1 plus 79228162514264337593543950335, expected a sum of 96 bits");
        insta::assert_snapshot!(after(r#"{"q":1e-40,"p":1}"#), @"field `total` (from items[1].q): found 1e-40, expected a number of at most 28 decimals that needs no rounding");
        insta::assert_snapshot!(of("q", r#"{"q":1}"#), @r#"field `total` (from items): found {"q":1}, expected an array"#);
    }
}
