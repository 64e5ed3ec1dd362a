//! The arithmetic of a sum: an expression over the members of one element.
//!
//! The language is decimal arithmetic and no more: names, numbers, `+ - * /`
//! and parentheses. Names and numbers are replaced by one-letter variables
//! before the script engine sees them, so that any member name works (reserved
//! words too), no number is ever read as a float, and the positions in the
//! engine's messages stay those of the text in the mapping.

use std::sync::LazyLock;

use rhai::{AST, Dynamic, Engine, EvalAltResult, OptimizationLevel, ParseError, Scope};
use rust_decimal::Decimal;
use thiserror::Error;

use crate::arithmetic::{self, ArithmeticError};
use crate::number;
use crate::row::Names;

/// Longest expression, in characters.
const LENGTH: usize = 1_000;
/// The variables names and numbers become.
const VARIABLES: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Why an expression of a mapping cannot be used.
#[derive(Debug, Error)]
pub enum ExpressionError {
    /// Something stands where it makes no sense.
    #[error("found {found} at position {position}, expected {expected}")]
    Unexpected {
        /// The text there.
        found: String,
        /// Position in the expression in characters, from 1.
        position: usize,
        /// What could stand there.
        expected: &'static str,
    },
    /// A number that a decimal does not hold exactly.
    #[error("the number {0} is not a decimal of at most 28 digits")]
    Number(String),
    /// The expression exceeds a limit.
    #[error("the expression has more than {limit} {what}")]
    Limit {
        /// The greatest number allowed.
        limit: usize,
        /// What there is too much of.
        what: &'static str,
    },
    /// The script engine refuses the expression.
    #[error("{0}")]
    Parse(#[from] ParseError),
}

/// The engine with the four exact operations in place of its own, which round.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    fn failure(error: ArithmeticError) -> Box<EvalAltResult> {
        Box::new(EvalAltResult::ErrorSystem(String::new(), Box::new(error)))
    }
    let mut engine = Engine::new_raw();
    engine.set_fast_operators(false); // the fast ones are the rounding ones
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_expr_depths(64, 0);
    engine.set_max_operations(10_000);
    engine.set_max_variables(VARIABLES.len());
    engine.set_max_call_levels(1);
    engine.set_strict_variables(false);
    engine.register_fn("+", |a: Decimal, b: Decimal| arithmetic::add(a, b).map_err(failure));
    engine.register_fn("-", |a: Decimal, b: Decimal| arithmetic::subtract(a, b).map_err(failure));
    engine.register_fn("*", |a: Decimal, b: Decimal| arithmetic::multiply(a, b).map_err(failure));
    engine.register_fn("/", |a: Decimal, b: Decimal| arithmetic::divide(a, b).map_err(failure));
    engine.register_fn("-", |a: Decimal| -a);
    engine.register_fn("+", |a: Decimal| a);
    engine
});

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    /// The members of an element it reads.
    pub(crate) names: Names,
    /// The variable of each name, by slot.
    variables: Vec<&'static str>,
    /// All variables, the numbers of the expression already in place.
    scope: Scope<'static>,
    tree: AST,
}

impl Expression {
    pub(crate) fn compile(text: &str) -> Result<Expression, ExpressionError> {
        if text.chars().nth(LENGTH).is_some() {
            return Err(ExpressionError::Limit { limit: LENGTH, what: "characters" });
        }
        let mut expression = Expression {
            names: Names::default(),
            variables: Vec::new(),
            scope: Scope::new(),
            tree: AST::empty(),
        };
        let script = expression.rewrite(text)?;
        expression.tree = ENGINE.compile_expression(&script)?;
        Ok(expression)
    }

    /// The text with one-letter variables for its names and numbers, each padded
    /// to the length of what it replaces.
    fn rewrite(&mut self, text: &str) -> Result<String, ExpressionError> {
        const OPERAND: &str = "a name, a number or `(`";
        const OPERATOR: &str = "`+`, `-`, `*`, `/` or `)`";
        let characters: Vec<char> = text.chars().collect();
        let mut script = String::with_capacity(text.len());
        let mut operand_next = true;
        let mut at = 0;
        while let Some(&character) = characters.get(at) {
            let unexpected = |found: &[char]| ExpressionError::Unexpected {
                found: format!("`{}`", found.iter().collect::<String>()),
                position: at + 1,
                expected: if operand_next { OPERAND } else { OPERATOR },
            };
            let length = characters[at..].iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
            match character {
                _ if length > 0 => {
                    let mut end = at + length;
                    let is_number = character.is_ascii_digit();
                    if is_number && characters.get(end) == Some(&'.') {
                        let fraction = characters[end + 1..].iter();
                        end += 1 + fraction.take_while(|c| c.is_alphanumeric()).count();
                    }
                    let word = &characters[at..end];
                    if !operand_next {
                        return Err(unexpected(word));
                    }
                    let operand: String = word.iter().collect();
                    script.push_str(self.variable(&operand, is_number)?);
                    script.extend(std::iter::repeat_n(' ', end - at - 1));
                    operand_next = false;
                    at = end;
                    continue;
                }
                c if c.is_whitespace() => script.push(' '),
                '+' | '-' => {
                    script.push(character);
                    operand_next = true;
                }
                '*' | '/' if !operand_next => {
                    script.push(character);
                    operand_next = true;
                }
                '(' if operand_next => script.push('('),
                ')' if !operand_next => script.push(')'),
                _ => return Err(unexpected(&[character])),
            }
            at += 1;
        }
        if operand_next {
            return Err(ExpressionError::Unexpected {
                found: "the end".to_owned(),
                position: characters.len() + 1,
                expected: OPERAND,
            });
        }
        Ok(script)
    }

    /// The variable of a name or a number, a new one if it is new.
    fn variable(&mut self, operand: &str, is_number: bool) -> Result<&'static str, ExpressionError> {
        let next = self.scope.len();
        let variable = || {
            VARIABLES
                .get(next..=next)
                .ok_or(ExpressionError::Limit { limit: VARIABLES.len(), what: "names and numbers" })
        };
        if is_number {
            let value = number::decimal(operand).map_err(|_| ExpressionError::Number(operand.to_owned()))?;
            let variable = variable()?;
            self.scope.push_dynamic(variable, Dynamic::from_decimal(value));
            return Ok(variable);
        }
        let slot = self.names.slot(operand);
        if let Some(known) = self.variables.get(slot) {
            return Ok(known);
        }
        let variable = variable()?;
        self.variables.push(variable);
        self.scope.push_dynamic(variable, Dynamic::from_decimal(Decimal::ZERO));
        Ok(variable)
    }

    /// A place to evaluate the expression in, for one element after another.
    pub(crate) fn evaluation(&self) -> Evaluation<'_> {
        Evaluation { expression: self, scope: self.scope.clone() }
    }
}

/// The variables of an expression while it is evaluated.
pub(crate) struct Evaluation<'p> {
    expression: &'p Expression,
    scope: Scope<'static>,
}

impl Evaluation<'_> {
    /// Gives the name of a slot its value; done for all of them before each run.
    pub(crate) fn set(&mut self, slot: usize, value: Decimal) {
        let variable = self.expression.variables[slot];
        let place = self.scope.get_mut(variable);
        // In place: a fresh value would be an allocation per name and element.
        if let Some(mut place) = place.and_then(|place| place.write_lock::<Decimal>()) {
            *place = value;
        }
    }

    /// The value of the expression.
    pub(crate) fn run(&mut self) -> Result<Decimal, Box<EvalAltResult>> {
        ENGINE.eval_ast_with_scope(&mut self.scope, &self.expression.tree)
    }
}

/// The arithmetic error behind a failed evaluation, if that is what it was.
pub(crate) fn arithmetic_error(error: &EvalAltResult) -> Option<ArithmeticError> {
    match error {
        EvalAltResult::ErrorSystem(_, cause) => cause.downcast_ref().copied(),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn value(text: &str, names: &[(&str, &str)]) -> Result<String, ArithmeticError> {
        let expression = Expression::compile(text).unwrap();
        let mut evaluation = expression.evaluation();
        for (slot, name) in expression.names.iter().enumerate() {
            let (_, value) = names.iter().find(|(known, _)| *known == name).unwrap();
            evaluation.set(slot, number::decimal(value).unwrap());
        }
        let first = evaluation.run();
        // A run leaves the variables as they were.
        assert_eq!(first.is_ok(), evaluation.run().is_ok());
        first.map(|value| value.to_string()).map_err(|error| arithmetic_error(&error).unwrap())
    }

    #[test]
    fn arithmetic_is_decimal_throughout() {
        let line = [("quantity", "6"), ("price", "2.55"), ("类型", "-1"), ("if", "4")];
        for (text, expected) in [
            ("quantity * price", "15.30"),
            ("quantity*price*0.9", "13.770"),
            ("0.1 + 0.2", "0.3"),
            ("1 / 4 * quantity", "1.50"),
            ("-price + +price - -(price)", "2.55"),
            ("quantity - price - price", "0.90"),
            ("quantity - (price - price)", "6.00"),
            ("类型 * if", "-4"),
            ("price", "2.55"),
            ("9007199254740993 * 1", "9007199254740993"),
        ] {
            assert_eq!(value(text, &line).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_result_that_would_be_rounded_is_an_error() {
        let names = [("tiny", "0.000000000000001"), ("huge", "79228162514264337593543950335"), ("zero", "0")];
        for (text, error) in [
            ("tiny * tiny", ArithmeticError::TooPrecise),
            ("1 / 3", ArithmeticError::TooPrecise),
            ("huge + huge", ArithmeticError::Overflow),
            ("huge * huge", ArithmeticError::Overflow),
            ("-huge - 1", ArithmeticError::Overflow),
            ("huge / zero", ArithmeticError::DivisionByZero),
        ] {
            assert_eq!(value(text, &names), Err(error), "{text}");
        }
    }

    #[test]
    fn nothing_but_arithmetic_compiles() {
        for text in [
            "",
            " ",
            "a b",
            "a(1)",
            "(a",
            "a)",
            "()",
            "a *",
            "* a",
            "a ** b",
            "a % b",
            "a = 1",
            "a.b",
            "a[0]",
            "\"a\"",
            "{a}",
            "a; b",
            "a // b",
            "a /* b",
            "a == b",
            "a && b",
            "!a",
            "|x| x",
            "a--b",
            "1e",
            "1.2.3",
            "0x10",
            "1_000",
            "$a",
            "`a`",
            "let a = 1",
            "while a { }",
            "print(a)",
        ] {
            assert!(Expression::compile(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_hold() {
        let deep = format!("{}a{}", "(".repeat(400), ")".repeat(400));
        let long = "a+".repeat(500) + "a";
        let wide: Vec<String> = (0..53).map(|n| format!("n{n}")).collect();
        for text in [deep, long, wide.join("+")] {
            assert!(Expression::compile(&text).is_err());
        }
        assert!(Expression::compile(&wide[..52].join("+")).is_ok());
    }
}
