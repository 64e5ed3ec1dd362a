//! What expressions compute.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::{plan, record};
use crate::arithmetic::ArithmeticError;
use crate::expression::{Expression, Wanted};
use crate::formula::Formula;
use crate::reference::{Order, Scope};
use crate::script::Script;
use crate::shape::{ORDER, Shapes};

/// The value of an expression over an order as a field of type string has it, or the error.
fn value(text: &str, order: &str) -> String {
    let plan = plan(&[&format!("to = 'x'\nexpr = '''{text}'''")]);
    let record = record(&plan, &order.replacen('{', "{\"id\":1,", 1));
    let json = record.strip_prefix("{\"x\":").and_then(|json| json.strip_suffix('}'));
    match json {
        Some(json) => json.trim_matches('"').to_owned(),
        None if record == "{}" => "nothing".to_owned(),
        None => record,
    }
}

fn is_formula(text: &str, wanted: Wanted) -> bool {
    matches!(Expression::compile(text, wanted, ORDER, &mut Shapes::new()), Ok(Expression::Formula(_)))
}

const ORDER_7: &str = r#"{"quantity":6,"price":"2.55","rate":725,"类型":-1,"if":4,"name":"顾客 A","blank":" ","none":null,"type":"A",
    "company":{"name":"C","discount":0.9},"php":[],"status":"1","n":1101043688,"yes":true,"1101":5,
    "lines":[{"q":2,"p":0.10},{"q":1,"p":"0.30"}],"id30":123456789012345678901234567890}"#;

#[test]
fn plain_arithmetic_is_a_formula() {
    for (text, expected) in [
        ("quantity * price", "15.30"),
        ("quantity*price*0.9", "13.770"),
        ("0.1 + 0.2", "0.3"),
        ("1 / 4 * quantity", "1.50"),
        ("-price + +price - -(price)", "2.55"),
        ("quantity - price - price", "0.90"),
        ("quantity - (price - price)", "6.00"),
        ("类型 * if", "-4"),
        ("9007199254740993 * 1", "9007199254740993"),
        ("company.discount * 2", "1.8"),
        ("order.quantity * line.price", "15.30"),
        ("(none ?? 2) * quantity", "12"),
        ("(blank ?? 2.5) * (quantity ?? 1)", "15.0"),
        ("none * 2", "nothing"),
        ("php.name + 1", "nothing"),
    ] {
        assert!(is_formula(text, Wanted::Anything), "{text}");
        assert_eq!(value(text, ORDER_7), expected, "{text}");
    }
    assert!(is_formula("price", Wanted::Number) && !is_formula("price", Wanted::Anything));
}

#[test]
fn anything_else_is_a_script() {
    for (text, expected) in [
        ("name", "顾客 A"),
        ("if quantity > 5 { price * quantity * 0.9 } else { price * quantity }", "13.770"),
        ("if status == 1 { \"open\" } else { \"closed\" }", "open"),
        ("if n == \"1101043688\" { 1 } else { 2 }", "1"),
        ("if type == 'A' && name[0] == \"顾\" { 1 } else { 2 }", "1"),
        ("\"10\" >= price", "true"),
        ("blank == \"\"", "true"),
        ("name.trim().replace(\" \", \"-\")", "顾客-A"),
        ("max(price, \"10\")", "10"),
        ("round(none.x.y, 0) ?? 7", "7"),
        ("`${order.name}'s (RMB) ${order.status}`", "顾客 A's (RMB) 1"),
        ("`${company.name}-${quantity}-${price}`", "C-6-2.55"),
        ("company.name.to_lower() + 1", "bad_expression"),
        ("company.name.to_lower()", "c"),
        ("sum(lines.map(|l| l.q * l.p))", "0.50"),
        ("sum(lines.filter(|l| l.q > 1).map(|l| l.p * rate / 100))", "0.725"),
        ("lines[0].q + lines[1].q", "3"),
        ("len(php)", "0"),
        ("lines.len()", "2"),
        ("php?.name ?? \"nobody\"", "nobody"),
        ("blank ?? \"x\"", "x"),
        ("none ?? 0", "0"),
        ("order[\"1101\"] * 2", "10"),
        ("line.company.name", "C"),
        ("round(price, 1)", "2.6"),
        ("round(-2.345, 2)", "-2.35"),
        ("divide(10, 3, 2)", "3.33"),
        ("divide(-20, 3, 2)", "-6.67"),
        ("divide(1, 8, 2)", "0.13"),
        ("abs(类型) + min(1, 2) + max(1, 2)", "4"),
        ("7 % 4 + quantity % 4", "5"),
        ("1 / 4 + number(\"0.25\")", "0.50"),
        ("text(quantity) == \"6\"", "true"),
        ("yes && quantity != 7 && !(price > 3) || false", "true"),
        ("status in [1, 2]", "true"),
        ("name.contains(\"A\")", "true"),
        ("none > 1", "false"),
        ("none == ()", "true"),
        ("name == 1", "false"),
        ("id30", "123456789012345678901234567890"),
        ("0.1 + 0.2 == 0.3", "true"),
        ("none", "nothing"),
    ] {
        assert!(!is_formula(text, Wanted::Anything), "{text}");
        let found = value(text, ORDER_7);
        assert!(found == expected || found.starts_with(&format!("{expected} |")), "{text}: {found}");
    }
}

#[test]
fn what_cannot_be_computed_says_why() {
    let mut all = String::new();
    for text in [
        "name * 2",
        "1 / 3",
        "quantity / 0",
        "if true { 1 / 3 } else { 1 }",
        "if true { quantity / 0 } else { 1 }",
        "name > 2",
        "company + 1",
        "company",
        "yes + 1",
        "lines.nope",
        "company.nope.nope",
        "round(price, 40)",
        "79228162514264337593543950335 * 2",
        "yes == 1",
        "lines == lines",
        "sum([1, none])",
        "sum(lines)",
        "lines.map(|l| l.q)",
        "name.to_upper(1)",
    ] {
        all.push_str(&format!("{text}: {}\n", value(text, ORDER_7)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_script_is_bounded() {
    let plan = plan(&["to = 'x'\nexpr = 'l.map(|a| m.map(|b| n.map(|c| 1).len()).len()).len()'"]);
    let list = format!("[{}1]", "1,".repeat(200));
    let row = format!(r#"{{"id":1,"l":{list},"m":{list},"n":{list}}}"#);
    assert!(record(&plan, &row).contains("found more than 1000000 steps"), "{}", record(&plan, &row));
}

/// A random formula over a, b and c.
fn formula() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["a", "b", "c", "(none ?? 3)"]).prop_map(str::to_owned),
        (0_u32..1_000, 0_u32..4).prop_map(|(n, scale)| Decimal::new(i64::from(n), scale).to_string()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        (inner.clone(), prop::sample::select(vec!["+", "-", "*", "/"]), inner, any::<u8>()).prop_map(
            |(left, operator, right, form)| match form % 4 {
                0 => format!("({left} {operator} {right})"),
                1 => format!("-({left}) {operator} {right}"),
                2 => format!("{left}{operator}({right})"),
                _ => format!("{left} {operator} {right}"),
            },
        )
    })
}

proptest! {
    /// The fast path and the engine are one language.
    #[test]
    fn a_formula_computes_what_the_script_engine_computes(
        text in formula(),
        values in prop::array::uniform3((-10_000_i64..10_000, 0_u32..5, any::<bool>())),
    ) {
        let json = |(units, scale, quoted): (i64, u32, bool)| {
            let number = Decimal::new(units, scale);
            if quoted { format!("\"{number}\"") } else { number.to_string() }
        };
        let [a, b, c] = values.map(json);
        let row = format!(r#"{{"a":{a},"b":{b},"c":{c}}}"#);
        let mut shapes = Shapes::new();
        let formula = Formula::compile(&text, true, ORDER, &mut shapes).expect("it is plain arithmetic");
        let script = Script::compile(&text, ORDER, &mut shapes).expect("it is an expression");
        let order = Order::read(&shapes, &row).expect("it is an object");
        let scope = Scope::of(&shapes, &order);
        let solved = formula.solve(&scope, &mut Vec::new());
        let run = script.run(&scope);
        match (solved, run) {
            (Ok(solved), Ok(run)) => {
                let run = crate::dynamic::number_of(&run).expect("a number");
                // As they are written: equal numbers may differ in their decimals, and zero in its sign.
                prop_assert_eq!(Some(solved.to_string()), run.map(|run| run.to_string()));
            }
            (Err(crate::formula::Unsolved::Arithmetic(error, _)), Err(fault)) => {
                let kind = crate::script::arithmetic_kind(error).0;
                prop_assert_eq!(kind, fault.kind);
                prop_assert_ne!(error, ArithmeticError::Overflow, "numbers this small do not overflow");
            }
            (solved, run) => prop_assert!(false, "{:?} but {:?}", solved, run),
        }
    }
}
