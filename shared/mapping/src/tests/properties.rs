//! What holds for every row.

use proptest::prelude::*;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{map, plan};
use crate::Plan;

/// An amount as units of 10^-decimals.
#[derive(Debug, Clone, Copy)]
struct Amount {
    units: i64,
    decimals: u32,
}

impl Amount {
    /// As a source writes it: plain, quoted, or with an exponent.
    fn text(self, form: u8) -> String {
        let digits = format!("{:0width$}", self.units.unsigned_abs(), width = self.decimals as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - self.decimals as usize);
        let sign = if self.units < 0 { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        match form % 3 {
            0 => format!("{sign}{whole}{point}{fraction}"),
            1 => format!("\" {sign}{whole}{point}{fraction}\""),
            _ => format!("{}e-{}", self.units, self.decimals),
        }
    }
}

prop_compose! {
    fn amount()(units in -10_000_000_i64..10_000_000, decimals in 0_u32..7) -> Amount {
        Amount { units, decimals }
    }
}

/// A non-negative integer as decimal digits, lowest first: slow and obvious, so
/// that the sums below are checked by something that shares nothing with them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Big(Vec<u8>);

impl Big {
    fn of(mut number: u64) -> Big {
        let mut digits = Vec::new();
        while number > 0 {
            digits.push((number % 10) as u8);
            number /= 10;
        }
        Big(digits)
    }

    fn plus(&self, other: &Big) -> Big {
        let mut digits = Vec::new();
        let mut carry = 0;
        for at in 0..self.0.len().max(other.0.len()) + 1 {
            let sum = self.0.get(at).unwrap_or(&0) + other.0.get(at).unwrap_or(&0) + carry;
            digits.push(sum % 10);
            carry = sum / 10;
        }
        Big(digits).trimmed()
    }

    fn times(&self, other: &Big) -> Big {
        let mut product = Big(Vec::new());
        for (shift, digit) in other.0.iter().enumerate() {
            for _ in 0..*digit {
                let mut shifted = vec![0; shift];
                shifted.extend(&self.0);
                product = product.plus(&Big(shifted));
            }
        }
        product
    }

    fn trimmed(mut self) -> Big {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }
}

/// The sums of the positive and of the negative products, in units of 10^-12.
fn rational(lines: &[(Amount, Amount)]) -> (Big, Big) {
    let (mut positive, mut negative) = (Big(Vec::new()), Big(Vec::new()));
    for (a, b) in lines {
        let scale = Big::of(10_u64.pow(12 - a.decimals - b.decimals));
        let size = Big::of(a.units.unsigned_abs()).times(&Big::of(b.units.unsigned_abs()));
        let size = size.times(&scale);
        if (a.units < 0) == (b.units < 0) {
            positive = positive.plus(&size);
        } else {
            negative = negative.plus(&size);
        }
    }
    (positive, negative)
}

/// The same pair for a written total, moved to the side where it belongs.
fn written(total: &str) -> (Big, Big) {
    let (sign, size) = match total.strip_prefix('-') {
        Some(size) => (true, size),
        None => (false, total),
    };
    let (whole, fraction) = size.split_once('.').unwrap_or((size, ""));
    let digits = format!("{whole}{fraction:0<12}");
    let big = Big(digits.bytes().rev().map(|digit| digit - b'0').collect()).trimmed();
    let zero = Big(Vec::new());
    if sign { (zero, big) } else { (big, zero) }
}

/// One field of every kind, so that every conversion meets every value.
fn fields_of_every_type(on_error: &str) -> Vec<String> {
    let mut fields: Vec<String> = ["string", "integer", "decimal", "date", "datetime", "boolean"]
        .iter()
        .map(|kind| format!("to = '{kind}'\nfrom = 'a'\ntype = '{kind}'\non_error = '{on_error}'"))
        .collect();
    fields.push(format!("to = 'n\\\"'\nfrom = 'a.b'\non_error = '{on_error}'"));
    fields.push(format!("to = 's'\nsum = 'a'\nof = 'b / c - 1.5'\non_error = '{on_error}'"));
    fields
}

fn every_type(on_error: &str) -> Plan {
    let fields = fields_of_every_type(on_error);
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    plan(&fields)
}

/// A plan whose deletions have the fields of its orders.
fn mirrored(on_error: &str) -> Plan {
    let mut text = "key = 'id'\nversion = 'at'\non_delete = 'record'\ndeleted_at = 'b'\n".to_owned();
    for array in ["field", "deleted_field"] {
        for field in fields_of_every_type(on_error) {
            text.push_str(&format!("[[{array}]]\n{field}\n"));
        }
    }
    Plan::compile("mapping.toml", &text, &super::shanghai()).expect("the mapping is sound")
}

/// JSON text of all kinds, with the values sources are known to send.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("[]".to_owned()),
        Just(r#""\ud800""#.to_owned()),
        Just(r#""\u0000\"\\\/""#.to_owned()),
        Just(r#""0000-00-00 00:00:00""#.to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,25})?",
        "\"[0-9+.eE -]{0,40}\"",
        "\"[0-9]{4}[-/][01][0-9][-/][0-3][0-9][T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{0,12})?)?(Z|[+-][0-9]{2}:[0-9]{2})?\"",
        any::<String>().prop_map(|text| Value::String(text).to_string()),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let name = prop_oneof![Just("a"), Just("b"), Just("c"), Just("id"), Just("\\u0061"), Just("\\udfff")];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|items| format!("[{}]", items.join(" ,\n"))),
            prop::collection::vec((name, inner), 0..5).prop_map(|members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("\"{name}\" :{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn sums_are_those_of_the_rationals(
        lines in prop::collection::vec((amount(), amount(), any::<u8>()), 0..12),
    ) {
        let plan = plan(&["to = 't'\nsum = 'l'\nof = 'q * p'"]);
        let elements: Vec<String> = lines
            .iter()
            .map(|(q, p, form)| format!(r#"{{"q":{},"p":{}}}"#, q.text(*form), p.text(form / 3)))
            .collect();
        let row = format!(r#"{{"id":1,"l":[{}]}}"#, elements.join(","));
        let record = map(&plan, &row).expect("every line is a number").record;
        let record = String::from_utf8(record).expect("a record is text");
        let total = record.strip_prefix("{\"t\":").and_then(|t| t.strip_suffix('}'));
        let (positive, negative) = written(total.expect("the record is the total"));
        let pairs: Vec<(Amount, Amount)> = lines.iter().map(|(q, p, _)| (*q, *p)).collect();
        let (up, down) = rational(&pairs);
        // up - down = positive - negative
        prop_assert_eq!(up.plus(&negative), down.plus(&positive));
    }

    #[test]
    fn ids_survive(digits in "[1-9][0-9]{0,29}", quoted in any::<bool>()) {
        let plan = plan(&["to = 'i'\nfrom = 'id'\ntype = 'integer'", "to = 's'\nfrom = 'id'"]);
        let id = if quoted { format!("\"{digits}\"") } else { digits.clone() };
        let mapped = map(&plan, &format!(r#"{{"id":{id}}}"#)).expect("it is an id");
        prop_assert_eq!(mapped.identity.key.as_deref(), Some(digits.as_str()));
        let expected = format!(r#"{{"i":{digits},"s":"{digits}"}}"#);
        prop_assert_eq!(mapped.record, expected.into_bytes());
    }

    #[test]
    fn no_row_panics_and_every_record_is_json(a in json(), id in json(), whole in json()) {
        let (lenient, strict) = (every_type("drop_field"), every_type("dead"));
        for row in [format!(r#"{{"id":{id},"a":{a},"at":{a}}}"#), format!(r#"{{"id":1,"a":{a}}}"#), whole] {
            // A number beyond the range of floats is JSON, though not to every parser.
            let Ok(raw) = serde_json::from_str::<&RawValue>(&row) else { continue };
            lenient.identify(raw);
            for plan in [&lenient, &strict] {
                match super::map(plan, raw.get()) {
                    Err(error) => prop_assert!(error.found().chars().count() <= 80),
                    Ok(mapped) => {
                        let record = serde_json::from_slice::<&RawValue>(&mapped.record);
                        prop_assert!(record.is_ok_and(|json| json.get().as_bytes()[0] == 0x7b));
                        prop_assert!(mapped.identity.key.is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn a_deletion_is_mapped_as_an_order_is(a in json(), b in json(), whole in json()) {
        for plan in [mirrored("drop_field"), mirrored("dead")] {
            for row in [format!(r#"{{"id":1,"a":{a},"at":{a},"b":{b}}}"#), whole.clone()] {
                let Ok(raw) = serde_json::from_str::<&RawValue>(&row) else { continue };
                match (super::map(&plan, raw.get()), plan.map_deleted(raw)) {
                    (Ok(order), Ok(deletion)) => {
                        prop_assert_eq!(Some(order.record), deletion.record);
                        prop_assert_eq!(order.dropped.len(), deletion.dropped.len());
                        prop_assert_eq!(order.identity.key, deletion.identity.key);
                        prop_assert!(order.identity.version <= deletion.identity.version);
                    }
                    (Err(order), Err(deletion)) => {
                        prop_assert_eq!(order.to_string(), deletion.to_string());
                    }
                    (order, deletion) => prop_assert!(false, "{order:?} but {deletion:?}"),
                }
            }
        }
    }

    #[test]
    fn no_mapping_panics(text in "(key|to|from|sum|of|value|type|on_delete|record|deleted_at|\\[\\[field\\]\\]|\\[\\[deleted_field\\]\\]|=|'|\"|[a-z.*+/()0-9-]|\n| ){0,60}") {
        let _ = Plan::compile("mapping.toml", &text, &super::shanghai());
        let text = format!("key='id'\n[[field]]\nto='a'\nsum='b'\nof={}", Value::String(text));
        let _ = Plan::compile("mapping.toml", &text, &super::shanghai());
    }
}
