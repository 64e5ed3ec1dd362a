//! The expressions of a mapping: plain arithmetic where that is all (`formula.rs`), else a script (`script.rs`).

use std::borrow::Cow;

use rhai::ParseError;
use rust_decimal::Decimal;
use thiserror::Error;

use crate::dynamic::number_of;
use crate::formula::{Formula, Unsolved};
use crate::reference::Scope;
use crate::row_error::{Fault, Kind};
use crate::script::{Script, arithmetic_kind};
use crate::shape::Shapes;
use crate::value::Scalar;

/// Longest expression, in characters.
const LENGTH: usize = 4_000;

/// Why an expression of a mapping cannot be used.
#[derive(Debug, Error)]
pub enum ExpressionError {
    /// The expression exceeds a limit.
    #[error("the expression has more than {limit} {what}")]
    Limit {
        /// The greatest number allowed.
        limit: usize,
        /// What there is too much of.
        what: &'static str,
    },
    /// The script engine refuses the expression; it says where.
    #[error("{found}{hint}", found = .0, hint = hint(.0))]
    Parse(#[from] ParseError),
    /// A function is called that there is not.
    #[error("there is no function `{name}`{} ({place})",
        nearest.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?")))]
    Function {
        /// Its name.
        name: String,
        /// The one that was perhaps meant.
        nearest: Option<&'static str>,
        /// The line and the position within it, from 1.
        place: String,
    },
    /// `??` beside an operator. `a + b ?? 0` is `(a + b) ?? 0`, which is hardly ever meant.
    #[error("put `??` and its two values in parentheses, with nothing else: (discount ?? 0) ({0})")]
    Coalesce(String),
    /// A number that a decimal does not hold exactly.
    #[error("the number {0} is not a decimal of at most 28 digits")]
    Number(String),
    /// It computes a number where a condition is wanted.
    #[error("it is a number, where one is wanted that is true or false, such as `amount > 0`")]
    NoCondition,
}

/// What was probably meant, of the slips that people make who write other languages.
fn hint(error: &ParseError) -> &'static str {
    let said = error.to_string();
    for (slip, hint) in [
        ("Unexpected '='", "; `==` compares"),
        ("Unexpected 'and'", "; it is `&&`"),
        ("Unexpected 'or'", "; it is `||`"),
        ("Unexpected 'not'", "; it is `!`"),
        ("Unknown operator: '?'", "; it is `if a { b } else { c }`"),
        ("Invalid character", "; texts stand in double quotes"),
        ("'switch' is", "; use `if`, or the `map` of a field"),
    ] {
        if said.contains(slip) {
            return hint;
        }
    }
    ""
}

/// What an expression is to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Number,
    Condition,
    Anything,
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) enum Expression {
    Formula(Formula),
    Script(Box<Script>),
}

impl Expression {
    /// Compiles an expression whose names are read in `shape`.
    pub(crate) fn compile(
        text: &str,
        wanted: Wanted,
        shape: usize,
        shapes: &mut Shapes,
    ) -> Result<Expression, ExpressionError> {
        if text.chars().nth(LENGTH).is_some() {
            return Err(ExpressionError::Limit { limit: LENGTH, what: "characters" });
        }
        match Formula::compile(text, wanted == Wanted::Number, shape, shapes) {
            Some(_) if wanted == Wanted::Condition => Err(ExpressionError::NoCondition),
            Some(formula) => Ok(Expression::Formula(formula)),
            None => Ok(Expression::Script(Box::new(Script::compile(text, shape, shapes)?))),
        }
    }

    /// Its value as a number; `None` when it has none.
    ///
    /// # Errors
    /// A fault; `below` names the operand where one is to blame.
    pub(crate) fn number(
        &self,
        scope: &Scope<'_, '_>,
        stack: &mut Vec<Decimal>,
    ) -> Result<Option<Decimal>, Fault> {
        match self {
            Expression::Formula(formula) => match formula.solve(scope, stack) {
                Ok(value) => Ok(Some(value)),
                Err(Unsolved::Missing(_)) => Ok(None),
                Err(Unsolved::Operand(operand, mut fault)) => {
                    fault.below = format!(".{}", operand.text);
                    Err(fault)
                }
                Err(Unsolved::Arithmetic(error, operands)) => {
                    let (kind, expected) = arithmetic_kind(error);
                    Err(Fault::computed(kind, &operands, expected).caused_by(error))
                }
            },
            Expression::Script(script) => {
                let value = script.run(scope)?;
                number_of(&value).map_err(|found| Fault::computed(Kind::NotANumber, &found, "a number"))
            }
        }
    }

    /// The operand that is not there, when that is why the expression has no value.
    pub(crate) fn missing(&self, scope: &Scope<'_, '_>) -> Option<&str> {
        match self {
            Expression::Formula(formula) => match formula.solve(scope, &mut Vec::new()) {
                Err(Unsolved::Missing(operand)) => Some(&operand.text),
                _ => None,
            },
            Expression::Script(_) => None,
        }
    }

    /// Its value.
    ///
    /// # Errors
    /// As [`Expression::number`]; also when it is a list or an object.
    pub(crate) fn scalar(&self, scope: &Scope<'_, '_>) -> Result<Scalar<'static>, Fault> {
        let Expression::Script(script) = self else {
            let number = self.number(scope, &mut Vec::new())?;
            return Ok(number.map_or(Scalar::Missing, Scalar::Computed));
        };
        let value = script.run(scope)?;
        if value.is_unit() {
            return Ok(Scalar::Missing);
        }
        if let Ok(flag) = value.as_bool() {
            return Ok(Scalar::Boolean(flag));
        }
        if let Ok(text) = value.as_immutable_string_ref() {
            return Ok(Scalar::Text(Cow::Owned(text.to_string())));
        }
        match number_of(&value) {
            Ok(number) => Ok(number.map_or(Scalar::Missing, Scalar::Computed)),
            Err(found) => Err(Fault::computed(Kind::WrongType, &found, "a text, a number or a boolean")),
        }
    }

    /// Whether it is true.
    ///
    /// # Errors
    /// When it is neither true nor false, or cannot be computed.
    pub(crate) fn truth(&self, scope: &Scope<'_, '_>) -> Result<bool, Fault> {
        match self.scalar(scope)? {
            Scalar::Boolean(truth) => Ok(truth),
            other => {
                let shown = other.text().map_or_else(|| "nothing".to_owned(), Cow::into_owned);
                Err(Fault::computed(Kind::BadExpression, &shown, "true or false"))
            }
        }
    }
}
