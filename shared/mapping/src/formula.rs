//! Plain arithmetic: names, numbers, `+ - * /`, parentheses, `(name ?? number)`. What nearly every expression of a mapping
//! is, compiled to a few steps so that a sum over lines does not wait for the script engine. The operations, and so the
//! results, are the same as the engine's (`script.rs`); a test holds that.

use rust_decimal::Decimal;

use crate::arithmetic::{self, ArithmeticError};
use crate::number;
use crate::path::Path;
use crate::reference::{Ref, Scope};
use crate::row_error::{Fault, Kind};
use crate::shape::Shapes;
use crate::value;

/// Deepest nesting of parentheses and signs.
const DEPTH: usize = 32;

/// A compiled formula.
#[derive(Debug)]
pub(crate) struct Formula {
    steps: Vec<Step>,
    /// The operands, each once.
    names: Vec<Ref>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Name(usize),
    /// Or this number where there is none.
    NameOr(usize, Decimal),
    Number(Decimal),
    Negate,
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Why a formula has no value.
#[derive(Debug)]
pub(crate) enum Unsolved<'f> {
    /// This operand is not there.
    Missing(&'f Ref),
    /// This operand is no number.
    Operand(&'f Ref, Fault),
    /// An operation has no exact result; the operands as they stand in the row.
    Arithmetic(ArithmeticError, String),
}

impl Formula {
    /// Compiles a text; `None` when it is more than plain arithmetic. A name alone is one only where a number is wanted.
    pub(crate) fn compile(text: &str, number: bool, shape: usize, shapes: &mut Shapes) -> Option<Formula> {
        let mut parser = Parser { rest: text, steps: Vec::new(), names: Vec::new(), depth: 0, operators: 0 };
        parser.sum()?;
        let computes = parser.operators > 0 || number;
        if !parser.blanks().is_empty() || !computes {
            return None;
        }
        let Parser { steps, names, .. } = parser;
        let names = names.into_iter().map(|path| Ref::new(path, shape, shapes)).collect();
        Some(Formula { steps, names })
    }

    /// Its value.
    ///
    /// # Errors
    /// [`Unsolved`].
    pub(crate) fn solve(
        &self,
        scope: &Scope<'_, '_>,
        stack: &mut Vec<Decimal>,
    ) -> Result<Decimal, Unsolved<'_>> {
        stack.clear();
        for step in &self.steps {
            let value = match *step {
                Step::Number(number) => number,
                Step::Name(at) => self.operand(at, scope)?.ok_or(Unsolved::Missing(&self.names[at]))?,
                Step::NameOr(at, number) => self.operand(at, scope)?.unwrap_or(number),
                // Not `-`, which gives zero a sign.
                Step::Negate => arithmetic::subtract(Decimal::ZERO, pop(stack))
                    .map_err(|error| Unsolved::Arithmetic(error, self.shown(scope)))?,
                operation => {
                    let (right, left) = (pop(stack), pop(stack));
                    let computed = match operation {
                        Step::Add => arithmetic::add(left, right),
                        Step::Subtract => arithmetic::subtract(left, right),
                        Step::Multiply => arithmetic::multiply(left, right),
                        _ => arithmetic::divide(left, right),
                    };
                    computed.map_err(|error| Unsolved::Arithmetic(error, self.shown(scope)))?
                }
            };
            stack.push(value);
        }
        Ok(pop(stack))
    }

    fn operand(&self, at: usize, scope: &Scope<'_, '_>) -> Result<Option<Decimal>, Unsolved<'_>> {
        let name = &self.names[at];
        name.value(scope).and_then(value::decimal).map_err(|mut fault| {
            if fault.kind == Kind::WrongType {
                fault.kind = Kind::NotANumber;
            }
            Unsolved::Operand(name, fault)
        })
    }

    /// The operands as they stand in the row, for an error.
    fn shown(&self, scope: &Scope<'_, '_>) -> String {
        let shown = |name: &Ref| {
            let json = name.value(scope).ok().flatten().unwrap_or("nothing");
            format!("{} = {json}", name.text)
        };
        match &self.names[..] {
            [] => "numbers".to_owned(),
            names => names.iter().map(shown).collect::<Vec<_>>().join(", "),
        }
    }
}

/// A formula is compiled so that no step finds the stack empty.
fn pop(stack: &mut Vec<Decimal>) -> Decimal {
    stack.pop().unwrap_or_default()
}

struct Parser<'t> {
    rest: &'t str,
    steps: Vec<Step>,
    names: Vec<Path>,
    depth: usize,
    operators: usize,
}

impl<'t> Parser<'t> {
    fn blanks(&mut self) -> &'t str {
        self.rest = self.rest.trim_start();
        self.rest
    }

    /// Steps over one of these characters.
    fn one_of(&mut self, wanted: &[char]) -> Option<char> {
        let first = self.blanks().chars().next().filter(|first| wanted.contains(first))?;
        self.rest = &self.rest[first.len_utf8()..];
        Some(first)
    }

    fn sum(&mut self) -> Option<()> {
        self.product()?;
        while let Some(sign) = self.one_of(&['+', '-']) {
            self.product()?;
            self.operators += 1;
            self.steps.push(if sign == '+' { Step::Add } else { Step::Subtract });
        }
        Some(())
    }

    fn product(&mut self) -> Option<()> {
        self.signed()?;
        while let Some(sign) = self.one_of(&['*', '/']) {
            // Rhai has comments and powers there.
            if self.rest.starts_with(['/', '*']) {
                return None;
            }
            self.signed()?;
            self.operators += 1;
            self.steps.push(if sign == '*' { Step::Multiply } else { Step::Divide });
        }
        Some(())
    }

    fn signed(&mut self) -> Option<()> {
        self.depth += 1;
        let within = self.depth <= DEPTH;
        let sign = self.one_of(&['+', '-']);
        // `--` and `++` are no two signs to Rhai.
        if !within || (sign.is_some() && self.rest.starts_with(['+', '-'])) {
            return None;
        }
        match sign {
            Some(sign) => {
                self.signed()?;
                self.operators += 1;
                self.steps.extend((sign == '-').then_some(Step::Negate));
            }
            None => self.operand()?,
        }
        self.depth -= 1;
        Some(())
    }

    fn operand(&mut self) -> Option<()> {
        if self.one_of(&['(']).is_some() {
            let inside = self.rest;
            if self.name_or_number().is_none() {
                self.rest = inside;
                self.sum()?;
            }
            return self.one_of(&[')']).map(|_| ());
        }
        if self.blanks().starts_with(|first: char| first.is_ascii_digit()) {
            let number = self.number()?;
            self.steps.push(Step::Number(number));
        } else {
            let name = self.name()?;
            self.steps.push(Step::Name(name));
        }
        Some(())
    }

    /// `name ?? number`, up to the parenthesis.
    fn name_or_number(&mut self) -> Option<()> {
        let name = self.name()?;
        self.rest = self.blanks().strip_prefix("??")?;
        self.blanks();
        let number = self.number()?;
        if !self.blanks().starts_with(')') {
            return None;
        }
        self.operators += 1;
        self.steps.push(Step::NameOr(name, number));
        Some(())
    }

    fn number(&mut self) -> Option<Decimal> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        // 1e3, 1_000, 0x10, 1. and 1..2 mean other things to Rhai, or nothing.
        let plain = !digits.is_empty()
            && !digits.ends_with('.')
            && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        self.rest = rest;
        if plain { number::decimal(digits).ok() } else { None }
    }

    /// The number of a name, which is a path of members: `count`, `company.discount`, `order.exchange_rate`.
    fn name(&mut self) -> Option<usize> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let start = self.blanks();
        let end = start.find(|c: char| !is_name(c)).unwrap_or(start.len());
        let (text, rest) = start.split_at(end);
        let first = text.chars().next().filter(|first| !first.is_ascii_digit() && *first != '.');
        let more = matches!(text, "true" | "false" | "this" | "order" | "line");
        // A call, an index or a member behind `?.` is more than a name.
        if first.is_none()
            || more
            || rest.trim_start().starts_with(['(', '[', '!', ':'])
            || rest.starts_with("?.")
        {
            return None;
        }
        self.rest = rest;
        let path = match (text.strip_prefix("order."), text.strip_prefix("line.")) {
            (Some(path), _) => Path { root: true, ..Path::read(path)? },
            (_, Some(path)) => Path::read(path)?,
            _ => Path::read(text)?,
        };
        let known =
            self.names.iter().position(|known| (known.root, &known.steps) == (path.root, &path.steps));
        Some(known.unwrap_or_else(|| {
            self.names.push(path);
            self.names.len() - 1
        }))
    }
}
