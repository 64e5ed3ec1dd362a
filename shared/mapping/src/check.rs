//! What is asked of an order as a whole: filters that skip it, and checks that it has to pass.

use rust_decimal::Decimal;
use toml::de::DeValue;

use crate::arithmetic;
use crate::compile::Compiling;
use crate::expression::{Expression, Wanted};
use crate::field::Stack;
use crate::mapping_error::{MappingError, one_of};
use crate::number;
use crate::reference::{Ref, Scope};
use crate::row_error::{Fault, Kind, RowError};
use crate::section::{Section, described};
use crate::shape::ORDER;
use crate::sum::Sum;
use crate::value::{self, Scalar};

/// A filter: an order for which it is not true is skipped.
#[derive(Debug)]
pub(crate) struct Filter {
    is: Expression,
    text: String,
    pub(crate) reason: String,
}

/// A check of an order.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) name: String,
    /// Whether an order that fails is sent all the same, and marked.
    pub(crate) marks: bool,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    That(Expression, String),
    OneOf(Ref, Vec<String>),
    Equal { left: Side, plus: Vec<Ref>, right: Expression, text: String, within: Decimal },
}

#[derive(Debug)]
enum Side {
    Sum(Sum),
    Expression(Expression),
}

const CHECK: [&str; 11] =
    ["name", "that", "from", "in", "sum", "of", "expr", "plus", "equals", "within", "on_fail"];
const RULE: &str = "exactly one of `that`, `from` with `in`, `sum` with `equals`, or `expr` with `equals`";

impl Filter {
    pub(crate) fn read(section: &Section<'_>, compiling: &mut Compiling<'_>) -> Result<Filter, MappingError> {
        section.only(&["is", "reason"])?;
        let reason = section.required("reason", "why such an order is skipped, for the count")?.to_owned();
        let (is, text) = compiling.expression(section, "is", Wanted::Condition, ORDER)?;
        Ok(Filter { is, text, reason })
    }

    /// Whether the order is to be mapped.
    ///
    /// # Errors
    /// When the expression cannot be computed.
    pub(crate) fn passes(&self, scope: &Scope<'_, '_>) -> Result<bool, RowError> {
        self.is.truth(scope).map_err(|fault| fault.of_field("when", &self.text))
    }
}

impl Check {
    pub(crate) fn read(section: &Section<'_>, compiling: &mut Compiling<'_>) -> Result<Check, MappingError> {
        section.only(&CHECK)?;
        let name = section.required("name", "a name for the check")?.to_owned();
        let marks = match section.string("on_fail")? {
            None | Some("dead") => false,
            Some("mark") => true,
            Some(other) => {
                return Err(section.refuse(
                    "on_fail",
                    format!("{other:?}"),
                    one_of(&["dead", "mark"], other),
                ));
            }
        };
        let mut given = ["that", "from", "sum", "expr"].into_iter().filter(|key| section.get(key).is_some());
        let first = given.next();
        if let (Some(first), Some(second)) = (first, given.next()) {
            return Err(section.refuse(second, format!("it beside `{first}`"), RULE));
        }
        let first = first.ok_or_else(|| section.refuse("that", "nothing", RULE))?;
        let companions: &[&str] = match first {
            "that" => &[],
            "from" => &["in"],
            "sum" => &["of", "plus", "equals", "within"],
            _ => &["plus", "equals", "within"],
        };
        for key in ["in", "of", "plus", "equals", "within"] {
            if section.get(key).is_some() && !companions.contains(&key) {
                return Err(section.refuse(key, format!("it beside `{first}`"), RULE));
            }
        }
        let rule = match first {
            "that" => {
                let (that, text) = compiling.expression(section, "that", Wanted::Condition, ORDER)?;
                Rule::That(that, text)
            }
            "from" => {
                let from = compiling.value(section, "from", ORDER)?;
                let from = from.ok_or_else(|| section.refuse("from", "nothing", RULE))?;
                Rule::OneOf(from, allowed(section)?)
            }
            _ => {
                let left = match first {
                    "sum" => Side::Sum(Sum::read(section, ORDER, compiling)?),
                    _ => Side::Expression(compiling.expression(section, "expr", Wanted::Number, ORDER)?.0),
                };
                let plus = compiling.values(section, "plus", ORDER)?;
                let (right, text) = compiling.expression(section, "equals", Wanted::Number, ORDER)?;
                Rule::Equal { left, plus, right, text, within: within(section)? }
            }
        };
        Ok(Check { name, marks, rule })
    }

    /// Checks the order.
    ///
    /// # Errors
    /// What was found and what was expected.
    pub(crate) fn run(&self, scope: &Scope<'_, '_>, stack: &mut Stack) -> Result<(), RowError> {
        let failed = |fault: Fault| {
            let found = if fault.below.is_empty() {
                fault.found
            } else {
                format!("{} = {}", &fault.below.trim_start_matches('.'), fault.found)
            };
            Fault { kind: Kind::CheckFailed, below: String::new(), found, ..fault }.of_field(&self.name, "")
        };
        self.rule.run(scope, stack).map_err(failed)
    }
}

impl Rule {
    fn run(&self, scope: &Scope<'_, '_>, stack: &mut Stack) -> Result<(), Fault> {
        match self {
            Rule::That(that, text) => match that.truth(scope)? {
                true => Ok(()),
                false => {
                    Err(Fault::expecting(Kind::CheckFailed, Some("false"), format!("`{text}` to be true")))
                }
            },
            Rule::OneOf(from, allowed) => {
                let json = from.value(scope)?;
                let scalar = Scalar::read(json, "a text, a number or a boolean")?;
                let text = scalar.text().unwrap_or_default();
                if allowed.iter().any(|allowed| *allowed == text) {
                    return Ok(());
                }
                let expected = format!("{} to be one of {}", from.text, allowed.join(", "));
                Err(Fault::expecting(Kind::CheckFailed, json, expected))
            }
            Rule::Equal { left, plus, right, text, within } => {
                let found = match left {
                    Side::Sum(sum) => sum.total(scope, stack)?,
                    Side::Expression(expression) => expression.number(scope, stack)?,
                };
                let mut total = found;
                for path in plus {
                    for json in path.values(scope)?.unwrap_or_default() {
                        let more = value::decimal(json).map_err(|mut fault| {
                            fault.found = format!("{} = {}", path.text, fault.found);
                            fault
                        })?;
                        let more = more.unwrap_or_default();
                        total =
                            total.map(|total| arithmetic::add(total, more)).transpose().map_err(computed)?;
                    }
                }
                let wanted = right.number(scope, stack)?;
                let difference = total.zip(wanted).map(|(total, wanted)| arithmetic::subtract(total, wanted));
                match difference.transpose().map_err(computed)? {
                    Some(difference) if difference.abs() <= *within => Ok(()),
                    _ => {
                        let shown = |value: Option<Decimal>| {
                            value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
                        };
                        let within =
                            if within.is_zero() { String::new() } else { format!(", within {within}") };
                        let expected = format!("{} ({text}){within}", shown(wanted));
                        Err(Fault::expecting(Kind::CheckFailed, Some(&shown(total)), expected))
                    }
                }
            }
        }
    }
}

fn computed(error: arithmetic::ArithmeticError) -> Fault {
    Fault::computed(Kind::CheckFailed, &error.to_string(), "values to compute with")
}

fn allowed(section: &Section<'_>) -> Result<Vec<String>, MappingError> {
    const EXPECTED: &str = "the values that are allowed, such as [\"CNY\", \"USD\"]";
    let Some(DeValue::Array(values)) = section.get("in").map(|value| value.get_ref()) else {
        let found =
            section.get("in").map_or_else(|| "nothing".to_owned(), |value| described(value.get_ref()));
        return Err(section.refuse("in", found, EXPECTED));
    };
    let text = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        other => Err(section.refuse("in", described(other), EXPECTED)),
    };
    values.iter().map(|value| text(value.get_ref())).collect()
}

fn within(section: &Section<'_>) -> Result<Decimal, MappingError> {
    let given = section.get("within").map(|value| value.get_ref());
    let text = match given {
        None => return Ok(Decimal::ZERO),
        Some(DeValue::Integer(number)) => number.as_str(),
        Some(DeValue::Float(number)) => number.as_str(),
        Some(_) => "",
    };
    match number::decimal(text) {
        Ok(within) if !within.is_sign_negative() => Ok(within),
        _ => Err(section.refuse("within", given.map(described).unwrap_or_default(), "a number such as 0.01")),
    }
}
