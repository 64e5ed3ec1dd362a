//! The engine of scripts: Rhai, bounded, with exact decimals in place of its own numbers, and the functions there are.
//!
//! Rhai's own operators round, divide integers and compare values of different kinds as unequal without a word. Those here
//! compute exactly or fail, read a text beside a number as a number, and refuse what cannot be compared.

use std::cell::Cell;
use std::cmp::Ordering;
use std::sync::LazyLock;

use rhai::packages::{BasicArrayPackage, BasicMapPackage, BasicStringPackage, MoreStringPackage, Package};
use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString, OptimizationLevel};
use rust_decimal::{Decimal, RoundingStrategy};

use crate::arithmetic::{self, ArithmeticError};
use crate::dynamic::number_of;

/// Steps that one evaluation may take: ten for each of 100,000 lines.
pub(crate) const MOST_STEPS: u64 = 1_000_000;

/// The functions that a script may call: ours, and those of Rhai that change nothing in place, for their value would be
/// nothing.
pub(crate) const FUNCTIONS: [&str; 32] = [
    "abs",
    "all",
    "call",
    "contains",
    "divide",
    "ends_with",
    "filter",
    "find",
    "get",
    "index_of",
    "is_empty",
    "keys",
    "len",
    "map",
    "max",
    "min",
    "number",
    "reduce",
    "replace",
    "round",
    "some",
    "split",
    "starts_with",
    "sub_string",
    "sum",
    "text",
    "to_lower",
    "to_string",
    "to_upper",
    "trim",
    "type_of",
    "values",
];

thread_local! {
    /// Steps of the script that this thread runs. The engine's own count begins anew in each call of a closure.
    pub(crate) static STEPS: Cell<u64> = const { Cell::new(0) };
}

type Text = ImmutableString;
type Answer<T> = Result<T, Box<EvalAltResult>>;
type Operation = fn(Decimal, Decimal) -> Result<Decimal, ArithmeticError>;

pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut engine = Engine::new_raw();
    for package in [
        BasicStringPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
    ] {
        engine.register_global_module(package);
    }
    engine.set_fast_operators(false); // the fast ones are Rhai's own
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_strict_variables(true);
    engine.set_max_expr_depths(64, 64);
    engine.set_max_call_levels(8);
    engine.set_max_string_size(1 << 20);
    engine.set_max_array_size(100_000);
    engine.set_max_map_size(100_000);
    engine.on_progress(|_| {
        let steps = STEPS.get() + 1;
        STEPS.set(steps);
        (steps > MOST_STEPS).then_some(Dynamic::UNIT)
    });
    // `switch` tells values apart by their hash, and a decimal is never the integer that a case is written as.
    for symbol in ["eval", "print", "debug", "switch", "**", "<<", ">>"] {
        engine.disable_symbol(symbol);
    }
    let (minimum, maximum): (Operation, Operation) = (|a, b| Ok(a.min(b)), |a, b| Ok(a.max(b)));
    for (name, operation) in [
        ("+", arithmetic::add as Operation),
        ("-", arithmetic::subtract),
        ("*", arithmetic::multiply),
        ("/", arithmetic::divide),
        ("%", arithmetic::remainder),
        ("min", minimum),
        ("max", maximum),
    ] {
        of_two(&mut engine, name, move |a, b| compute(a, b, operation));
    }
    engine.register_fn("-", |a: Dynamic| {
        compute(&Dynamic::from_decimal(Decimal::ZERO), &a, arithmetic::subtract)
    });
    engine.register_fn("+", |a: Dynamic| compute(&Dynamic::from_decimal(Decimal::ZERO), &a, arithmetic::add));
    engine.register_fn("!", |a: bool| !a);
    of_two(&mut engine, "==", |a, b| equal(a, b).map(Dynamic::from_bool));
    of_two(&mut engine, "!=", |a, b| equal(a, b).map(|equal| Dynamic::from_bool(!equal)));
    for (name, wanted) in [
        ("<", Ordering::is_lt as fn(Ordering) -> bool),
        ("<=", Ordering::is_le),
        (">", Ordering::is_gt),
        (">=", Ordering::is_ge),
    ] {
        of_two(&mut engine, name, move |a, b| {
            order(a, b).map(|order| Dynamic::from_bool(order.is_some_and(wanted)))
        });
    }
    engine.register_fn("round", |a: Dynamic, decimals: Dynamic| round(&a, &decimals));
    engine.register_fn("divide", |a: Dynamic, b: Dynamic, decimals: Dynamic| divide(&a, &b, &decimals));
    engine.register_fn("abs", |a: Dynamic| Answer::Ok(dynamic(number(&a)?.map(|a| a.abs()))));
    engine.register_fn("sum", |list: Array| sum(&list));
    engine.register_fn("sum", |(): ()| Dynamic::from_decimal(Decimal::ZERO));
    engine.register_fn("number", |a: Dynamic| Answer::Ok(dynamic(number(&a)?)));
    engine.register_fn("text", |a: Dynamic| if a.is_unit() { a } else { a.to_string().into() });
    // Nothing has no members, no elements and no length.
    engine.register_fn("len", |(): ()| 0_i64);
    engine.register_fn("is_empty", |(): ()| true);
    engine.register_indexer_get(|(): &mut (), _: Text| Dynamic::UNIT);
    // Rhai's change the text in place, and have no value.
    engine.register_fn("trim", |text: Text| Text::from(text.trim()));
    engine.register_fn("replace", |text: Text, from: Text, to: Text| Text::from(text.replace(&*from, &to)));
    engine
});

/// Registers a function of two values for every kind of them: the packages have some of these names for texts, and what is
/// registered for exactly the kinds at hand is taken first.
fn of_two(
    engine: &mut Engine,
    name: &str,
    function: impl Fn(&Dynamic, &Dynamic) -> Answer<Dynamic> + Copy + Send + Sync + 'static,
) {
    engine.register_fn(name, move |a: Dynamic, b: Dynamic| function(&a, &b));
    engine.register_fn(name, move |a: Text, b: Text| function(&a.into(), &b.into()));
    engine.register_fn(name, move |a: Text, b: Dynamic| function(&a.into(), &b));
    engine.register_fn(name, move |a: Dynamic, b: Text| function(&a, &b.into()));
    engine.register_fn(name, move |a: Text, b: char| function(&a.into(), &b.into()));
    engine.register_fn(name, move |a: char, b: Text| function(&a.into(), &b.into()));
    engine.register_fn(name, move |a: char, b: char| function(&a.into(), &b.into()));
    engine.register_fn(name, move |a: Text, (): ()| function(&a.into(), &Dynamic::UNIT));
    engine.register_fn(name, move |(): (), b: Text| function(&Dynamic::UNIT, &b.into()));
    engine.register_fn(name, move |a: Array, b: Array| function(&a.into(), &b.into()));
    engine.register_fn(name, move |a: rhai::Map, b: rhai::Map| function(&a.into(), &b.into()));
}

/// `a` and `b` as numbers, put together; nothing when one of them is nothing.
fn compute(a: &Dynamic, b: &Dynamic, operation: Operation) -> Answer<Dynamic> {
    let (Some(a), Some(b)) = (number(a)?, number(b)?) else {
        return Ok(Dynamic::UNIT);
    };
    exactly(a, b, operation(a, b))
}

fn exactly(a: Decimal, b: Decimal, computed: Result<Decimal, ArithmeticError>) -> Answer<Dynamic> {
    computed
        .map(Dynamic::from_decimal)
        .map_err(|error| Box::new(EvalAltResult::ErrorSystem(format!("{a}, {b}"), Box::new(error))))
}

fn number(value: &Dynamic) -> Answer<Option<Decimal>> {
    number_of(value).map_err(|found| {
        let hint = if text_of(value).is_some() { "; texts are put together as `${a}${b}`" } else { "" };
        format!("{found} is no number{hint}").into()
    })
}

fn dynamic(number: Option<Decimal>) -> Dynamic {
    number.map_or(Dynamic::UNIT, Dynamic::from_decimal)
}

fn sum(list: &Array) -> Answer<Dynamic> {
    let mut total = Decimal::ZERO;
    for value in list {
        let value = number(value)?.ok_or("an element of the list has no value to add up")?;
        total = arithmetic::add(total, value)
            .map_err(|error| EvalAltResult::ErrorSystem(format!("{total}, {value}"), Box::new(error)))?;
    }
    Ok(Dynamic::from_decimal(total))
}

fn round(a: &Dynamic, decimals: &Dynamic) -> Answer<Dynamic> {
    let (a, decimals) = (number(a)?, scale(decimals)?);
    Ok(dynamic(a.map(|a| a.round_dp_with_strategy(decimals, RoundingStrategy::MidpointAwayFromZero))))
}

/// A quotient of so many decimals, rounded half up, where the exact one may not end.
fn divide(a: &Dynamic, b: &Dynamic, decimals: &Dynamic) -> Answer<Dynamic> {
    let scale = scale(decimals)?;
    let (Some(a), Some(b)) = (number(a)?, number(b)?) else {
        return Ok(Dynamic::UNIT);
    };
    let rounded = || {
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
    };
    exactly(a, b, rounded())
}

fn scale(decimals: &Dynamic) -> Answer<u32> {
    let scale = number(decimals)?.and_then(|number| u32::try_from(number).ok());
    scale.filter(|scale| *scale <= 28).ok_or_else(|| "the number of decimals is 0 to 28".into())
}

/// The text of a value that is one; a single character is a text too.
fn text_of(value: &Dynamic) -> Option<Text> {
    match value.as_char() {
        Ok(character) => Some(character.to_string().into()),
        Err(_) => value.as_immutable_string_ref().ok().map(|text| text.clone()),
    }
}

/// Whether a value is nothing: also a blank text that the expression itself has, for one of the source is nothing.
fn is_nothing(value: &Dynamic) -> bool {
    value.is_unit() || text_of(value).is_some_and(|text| text.trim().is_empty())
}

/// Equal as texts, as booleans, or as numbers where one of them is a number.
fn equal(a: &Dynamic, b: &Dynamic) -> Answer<bool> {
    if is_nothing(a) || is_nothing(b) {
        return Ok(is_nothing(a) && is_nothing(b));
    }
    let (text_a, text_b) = (text_of(a), text_of(b));
    if let (Some(a), Some(b)) = (&text_a, &text_b) {
        return Ok(a == b);
    }
    if let (Ok(a), Ok(b)) = (a.as_bool(), b.as_bool()) {
        return Ok(a == b);
    }
    match (number_of(a), number_of(b)) {
        (Ok(a), Ok(b)) => Ok(a == b),
        // A text that is no number is none that a number is equal to.
        (Err(_), Ok(_)) if text_a.is_some() => Ok(false),
        (Ok(_), Err(_)) if text_b.is_some() => Ok(false),
        _ => Err(format!("{} cannot be compared with {}", kind(a), kind(b)).into()),
    }
}

/// Which is greater: as numbers where both can be read as one, else as texts. Nothing is neither greater nor smaller.
fn order(a: &Dynamic, b: &Dynamic) -> Answer<Option<Ordering>> {
    if is_nothing(a) || is_nothing(b) {
        return Ok(None);
    }
    if let (Some(text_a), Some(text_b)) = (text_of(a), text_of(b)) {
        let numbers = number_of(a).ok().flatten().zip(number_of(b).ok().flatten());
        return Ok(Some(numbers.map_or_else(|| text_a.cmp(&text_b), |(a, b)| a.cmp(&b))));
    }
    Ok(number(a)?.zip(number(b)?).map(|(a, b)| a.cmp(&b)))
}

/// What a value is called in an error.
fn kind(value: &Dynamic) -> &'static str {
    match value {
        value if value.is_bool() => "true or false",
        value if value.is_array() => "a list",
        value if value.is_map() => "an object",
        value if text_of(value).is_some() => "a text",
        _ => "a number",
    }
}
