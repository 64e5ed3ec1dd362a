//! Expressions beyond plain arithmetic: Rhai, bounded, expressions only, with exact decimals in place of its own numbers.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::LazyLock;

use rhai::packages::{BasicArrayPackage, BasicMapPackage, BasicStringPackage, MoreStringPackage, Package};
use rhai::{
    AST, Array, Dynamic, Engine, EvalAltResult, Map, OptimizationLevel, ParseErrorType, Scope as Variables,
};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::arithmetic::{self, ArithmeticError};
use crate::dynamic::{number_of, of_json};
use crate::expression::ExpressionError;
use crate::mapping_error::suggestion;
use crate::path::{Path, Step};
use crate::reference::{Ref, Scope};
use crate::row_error::{Fault, Kind};
use crate::shape::Shapes;
use crate::words::Words;

/// Different names that an expression may read.
const NAMES: usize = 100;
/// Steps that one evaluation may take: ten for each of 100,000 lines.
const MOST_STEPS: u64 = 1_000_000;

/// The names of all functions, to find a slip when a mapping is loaded rather than when an order comes.
static FUNCTIONS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let names = ENGINE.gen_fn_signatures(true).into_iter().filter_map(|signature| {
        let name = signature.split('(').next()?.trim().to_owned();
        name.starts_with(|first: char| first.is_alphabetic()).then(|| &*name.leak())
    });
    // Part of the language rather than of a package.
    names.chain(["call", "curry", "type_of", "is_shared", "Fn", "if", "switch", "in"]).collect()
});

thread_local! {
    /// Steps of the script that this thread runs.
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

type Text = rhai::ImmutableString;
type Answer<T> = Result<T, Box<EvalAltResult>>;

/// A compiled script.
#[derive(Debug)]
pub(crate) struct Script {
    tree: AST,
    variables: Vec<(String, Variable)>,
}

#[derive(Debug)]
enum Variable {
    /// The order (`order`) or the element (`line`), of which only these members are used.
    Some(Vec<Ref>),
    /// All of the order.
    Order,
    /// All of the element.
    Line,
    /// A member.
    Member(Ref),
}

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut engine = Engine::new_raw();
    for package in [
        BasicStringPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
    ] {
        engine.register_global_module(package);
    }
    engine.set_fast_operators(false); // the fast ones round, and divide integers
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_max_expr_depths(64, 64);
    // The engine's own count begins anew in each call of a closure.
    engine.on_progress(|_| {
        let steps = STEPS.get() + 1;
        STEPS.set(steps);
        (steps > MOST_STEPS).then_some(Dynamic::UNIT)
    });
    engine.set_max_call_levels(8);
    engine.set_max_string_size(1 << 20);
    engine.set_max_array_size(100_000);
    engine.set_max_map_size(100_000);
    for symbol in ["eval", "print", "debug", "**", "<<", ">>"] {
        engine.disable_symbol(symbol);
    }
    for (name, operation) in [
        ("+", arithmetic::add as fn(Decimal, Decimal) -> Result<Decimal, ArithmeticError>),
        ("-", arithmetic::subtract),
        ("*", arithmetic::multiply),
        ("/", arithmetic::divide),
        ("%", arithmetic::remainder),
    ] {
        engine.register_fn(name, move |a: Dynamic, b: Dynamic| compute(&a, &b, operation));
        // Texts are numbers here, not put together or cut: the packages have functions for that under the same names.
        let of_text = move |a: Text, b: Text| compute(&a.into(), &b.into(), operation);
        engine.register_fn(name, of_text);
        engine.register_fn(name, move |a: Text, b: Dynamic| compute(&a.into(), &b, operation));
        engine.register_fn(name, move |a: Dynamic, b: Text| compute(&a, &b.into(), operation));
        engine.register_fn(name, move |_: Text, (): ()| compute(&Dynamic::UNIT, &Dynamic::UNIT, operation));
        engine.register_fn(name, move |(): (), _: Text| compute(&Dynamic::UNIT, &Dynamic::UNIT, operation));
    }
    engine.register_fn("-", |a: Dynamic| {
        compute(&Dynamic::from_decimal(Decimal::ZERO), &a, arithmetic::subtract)
    });
    engine.register_fn("+", |a: Dynamic| compute(&Dynamic::from_decimal(Decimal::ZERO), &a, arithmetic::add));
    engine.register_fn("!", |a: bool| !a);
    engine.register_fn("==", |a: Dynamic, b: Dynamic| equal(&a, &b));
    engine.register_fn("!=", |a: Dynamic, b: Dynamic| !equal(&a, &b));
    engine
        .register_fn("<", |a: Dynamic, b: Dynamic| order(&a, &b).map(|order| order == Some(Ordering::Less)));
    engine.register_fn("<=", |a: Dynamic, b: Dynamic| order(&a, &b).map(|o| o.is_some_and(Ordering::is_le)));
    engine.register_fn(">", |a: Dynamic, b: Dynamic| {
        order(&a, &b).map(|order| order == Some(Ordering::Greater))
    });
    engine.register_fn(">=", |a: Dynamic, b: Dynamic| order(&a, &b).map(|o| o.is_some_and(Ordering::is_ge)));
    engine.register_fn("round", |a: Dynamic, decimals: Dynamic| round(&a, &decimals));
    engine.register_fn("divide", |a: Dynamic, b: Dynamic, decimals: Dynamic| divide(&a, &b, &decimals));
    engine
        .register_fn("abs", |a: Dynamic| Ok::<_, Box<EvalAltResult>>(dynamic(number(&a)?.map(|a| a.abs()))));
    engine.register_fn("min", |a: Dynamic, b: Dynamic| compute(&a, &b, |a, b| Ok(a.min(b))));
    engine.register_fn("max", |a: Dynamic, b: Dynamic| compute(&a, &b, |a, b| Ok(a.max(b))));
    engine.register_fn("sum", |list: Array| {
        list.iter().try_fold(Dynamic::from_decimal(Decimal::ZERO), |sum, value| {
            compute(&sum, value, arithmetic::add)
        })
    });
    engine.register_fn("sum", |(): ()| Dynamic::from_decimal(Decimal::ZERO));
    engine.register_fn("len", |(): ()| 0_i64);
    engine.register_fn("number", |a: Dynamic| Ok::<_, Box<EvalAltResult>>(dynamic(number(&a)?)));
    engine.register_fn("text", |a: Dynamic| if a.is_unit() { a } else { a.to_string().into() });
    engine
});

/// `a` and `b` as numbers, put together; nothing when one of them is nothing.
fn compute(
    a: &Dynamic,
    b: &Dynamic,
    operation: impl Fn(Decimal, Decimal) -> Result<Decimal, ArithmeticError>,
) -> Answer<Dynamic> {
    let (Some(a), Some(b)) = (number(a)?, number(b)?) else {
        return Ok(Dynamic::UNIT);
    };
    operation(a, b)
        .map(Dynamic::from_decimal)
        .map_err(|error| Box::new(EvalAltResult::ErrorSystem(format!("{a}, {b}"), Box::new(error))))
}

fn number(value: &Dynamic) -> Answer<Option<Decimal>> {
    number_of(value).map_err(|found| format!("{found} is no number").into())
}

fn dynamic(number: Option<Decimal>) -> Dynamic {
    number.map_or(Dynamic::UNIT, Dynamic::from_decimal)
}

fn round(a: &Dynamic, decimals: &Dynamic) -> Answer<Dynamic> {
    let (a, decimals) = (number(a)?, scale(decimals)?);
    Ok(dynamic(a.map(|a| a.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero))))
}

/// A quotient of so many decimals, rounded half up, where the exact one may not end.
fn divide(a: &Dynamic, b: &Dynamic, decimals: &Dynamic) -> Answer<Dynamic> {
    let scale = scale(decimals)?;
    compute(a, b, |a, b| {
        // A quotient of 28 digits rounded again could be off by one in its last place; what is left over decides.
        let quotient = a.checked_div(b).ok_or(match b.is_zero() {
            true => ArithmeticError::DivisionByZero,
            false => ArithmeticError::Overflow,
        })?;
        let down = quotient.round_dp_with_strategy(scale, RoundingStrategy::ToZero);
        let unit = Decimal::new(1, scale);
        let rest = arithmetic::subtract(a, arithmetic::multiply(down, b)?)?;
        let twice = arithmetic::multiply(rest.abs(), Decimal::TWO)?;
        let away = twice >= arithmetic::multiply(unit, b.abs())?;
        let up = if a.is_sign_negative() == b.is_sign_negative() { unit } else { -unit };
        if away { arithmetic::add(down, up) } else { Ok(down) }
    })
}

fn scale(decimals: &Dynamic) -> Answer<u32> {
    let scale = number(decimals)?.and_then(|number| u32::try_from(number).ok());
    scale.filter(|scale| *scale <= 28).ok_or_else(|| "the number of decimals is 0 to 28".into())
}

/// Equal as numbers where one of them is a number, else as they are.
fn equal(a: &Dynamic, b: &Dynamic) -> bool {
    if a.is_unit() || b.is_unit() {
        return a.is_unit() && b.is_unit();
    }
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return *a == *b;
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return a == b;
    }
    matches!((number_of(a), number_of(b)), (Ok(Some(a)), Ok(Some(b))) if a == b)
}

/// Which is greater, as numbers where one of them is a number; nothing is neither.
fn order(a: &Dynamic, b: &Dynamic) -> Answer<Option<Ordering>> {
    if let (Ok(a), Ok(b)) = (a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
        return Ok(Some(a.as_str().cmp(b.as_str())));
    }
    Ok(number(a)?.zip(number(b)?).map(|(a, b)| a.cmp(&b)))
}

impl Script {
    pub(crate) fn compile(text: &str, shape: usize, shapes: &mut Shapes) -> Result<Script, ExpressionError> {
        let mut known = Variables::new();
        let tree = loop {
            // Strict variables: the engine names one that is unknown, and so all that the script reads become known.
            match ENGINE.compile_expression_with_scope(&known, text) {
                Ok(tree) => break tree,
                Err(error) => match error.err_type() {
                    ParseErrorType::VariableUndefined(name) if known.len() < NAMES => {
                        known.push_dynamic(name.clone(), Dynamic::UNIT);
                    }
                    ParseErrorType::VariableUndefined(_) => {
                        return Err(ExpressionError::Limit { limit: NAMES, what: "names" });
                    }
                    _ => return Err(ExpressionError::Parse(error)),
                },
            }
        };
        let words = Words::of(text);
        if let Some(call) = words.calls.iter().find(|call| !FUNCTIONS.contains(call.name.as_str())) {
            let known: Vec<&'static str> = FUNCTIONS.iter().copied().collect();
            let nearest = suggestion(&known, &call.name);
            let (name, line, position) = (call.name.clone(), call.line, call.position);
            return Err(ExpressionError::Function { name, nearest, line, position });
        }
        let mut member = |name: &str, root: bool| {
            let steps = vec![Step::Member(name.to_owned())];
            Ref::new(Path { text: name.to_owned(), root, steps }, shape, shapes)
        };
        let mut variables = Vec::with_capacity(known.len());
        for (name, _, _) in known.iter() {
            let root = name == "order";
            let members = words.members.get(name).cloned().flatten();
            let variable = match (name, members) {
                ("order" | "line", Some(members)) => {
                    Variable::Some(members.iter().map(|name| member(name, root)).collect())
                }
                ("order", None) => Variable::Order,
                ("line", None) => Variable::Line,
                _ => Variable::Member(member(name, false)),
            };
            variables.push((name.to_owned(), variable));
        }
        Ok(Script { tree, variables })
    }

    /// Its value.
    ///
    /// # Errors
    /// A fault of kind `bad_expression`, or one of arithmetic.
    pub(crate) fn run(&self, scope: &Scope<'_, '_>) -> Result<Dynamic, Fault> {
        let mut variables = Variables::new();
        for (name, variable) in &self.variables {
            let value = match variable {
                Variable::Order => of_json(scope.order.text),
                Variable::Line => of_json(scope.text),
                Variable::Member(path) => path.value(scope)?.map_or(Dynamic::UNIT, of_json),
                Variable::Some(members) => {
                    let mut map = Map::new();
                    for path in members {
                        let value = path.value(scope)?.map_or(Dynamic::UNIT, of_json);
                        map.insert(path.text.as_str().into(), value);
                    }
                    map.into()
                }
            };
            variables.push_dynamic(name.as_str(), value);
        }
        STEPS.set(0);
        ENGINE.eval_ast_with_scope::<Dynamic>(&mut variables, &self.tree).map_err(|error| fault(*error))
    }
}

fn fault(error: EvalAltResult) -> Fault {
    let (mut inner, mut found) = (&error, error.to_string());
    while let EvalAltResult::ErrorInFunctionCall(_, _, below, _) = inner {
        inner = below;
    }
    let kind = match inner {
        EvalAltResult::ErrorTerminated(..) => {
            found = format!("more than {MOST_STEPS} steps");
            None
        }
        EvalAltResult::ErrorSystem(values, cause) => {
            found.clone_from(values);
            cause.downcast_ref().copied().map(arithmetic_kind)
        }
        _ => None,
    };
    let (kind, expected) = kind.unwrap_or((Kind::BadExpression, "an expression that can be computed"));
    Fault::computed(kind, &found, expected).caused_by(error)
}

/// The kind of an arithmetic error, and what would have been acceptable.
pub(crate) fn arithmetic_kind(error: ArithmeticError) -> (Kind, &'static str) {
    match error {
        ArithmeticError::Overflow => (Kind::Overflow, "values with a result of 96 bits"),
        ArithmeticError::TooPrecise => (Kind::TooPrecise, "values with a result that needs no rounding"),
        ArithmeticError::DivisionByZero => (Kind::DivisionByZero, "a divisor other than zero"),
    }
}
