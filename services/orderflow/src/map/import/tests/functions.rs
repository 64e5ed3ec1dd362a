//! `_function` and `condition`, as schemes use them, and what they make of an order.

use mapping::{Outcome, Plan};
use serde_json::{Value, json};

use super::imported;

const SOURCE: &str = include_str!("../fixtures/functions.source.json");
const TARGET: &str = include_str!("../fixtures/functions.target.json");

fn plan() -> Plan {
    let text = imported(SOURCE, TARGET).mapping.expect("a mapping");
    Plan::compile("mapping.toml", &text, &jiff::tz::TimeZone::UTC).expect("sound")
}

fn order() -> Value {
    json!({
        "order_id": 7, "order_no": "A7", "amount": "12000.50", "exchange_rate": 7.2, "discount": 0.5, "freight": 12,
        "currency": "USD", "status": 2, "status_name": "已审", "account_date": "2025-03-06", "update_time": "2025-03-06 08:55:25",
        "company": {"name": "Acme", "serial_id": "C1"}, "contact_name": "", "remark": "请加急处理",
        "product_list": [
            {"product_no": "P1", "product_name": "杯", "count": 3, "unit_price": "2.50"},
            {"product_no": "", "product_name": "碟", "count": "1", "unit_price": 4}
        ],
    })
}

fn record(order: &Value) -> Result<Value, String> {
    let row = order.to_string();
    match plan().map(serde_json::from_str(&row).expect("JSON")) {
        Ok(Outcome::Records(records)) => Ok(serde_json::from_slice(&records[0].record).expect("JSON")),
        Ok(Outcome::Skipped(skipped)) => Err(skipped.reason),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn functions_of_schemes_become_fields() {
    let made = imported(SOURCE, TARGET);
    insta::assert_snapshot!(made.mapping.expect("a mapping"));
    insta::assert_snapshot!(made.report.text());
}

#[test]
fn what_they_make_of_an_order_is_what_the_platform_makes() {
    let found = record(&order()).expect("a record");
    let expected = json!({
        "orderId": "7", "orderNumber": "XM-A7", "buyer": "Acme (C1)", "orderDate": "2025-03-06", "month": "202503",
        "changedAt": "2025-03-06 08:55:25", "amountCny": 864.036, "net": 1666.67, "quantity": 4, "goods": 11.50,
        "total": 23.50, "rows": 2, "rowsWithSku": 1, "state": "已审", "size": "A", "tax": 0, "contact": "Acme", "urgent": "Y",
        "lines": [
            {"price": 18.0, "name": "P1-杯", "share": 0.75},
            {"price": 28.8, "name": "-碟", "share": 0.25}
        ],
    });
    let members = expected.as_object().expect("an object");
    for (field, value) in members {
        let same = |a: &Value, b: &Value| a == b || (a.is_number() && a.as_f64() == b.as_f64());
        match (field.as_str(), value) {
            ("lines", _) => {}
            (_, value) => assert!(same(&found[field], value), "{field}: {} and not {value}", found[field]),
        }
    }
    for (at, line) in expected["lines"].as_array().expect("a list").iter().enumerate() {
        for (field, value) in line.as_object().expect("an object") {
            let other = &found["lines"][at][field];
            assert!(
                other == value || (other.is_number() && other.as_f64() == value.as_f64()),
                "{field}: {other} and not {value}"
            );
        }
    }
    assert_eq!(found.as_object().expect("an object").len(), members.len(), "{found}");
}

#[test]
fn what_is_missing_is_left_out_or_empty_and_never_made_up() {
    let mut bare = order();
    for field in ["company", "product_list", "freight", "remark", "status", "discount"] {
        bare.as_object_mut().expect("an object").remove(field);
    }
    bare["amount"] = json!(900);
    let found = record(&bare).expect("a record");
    assert_eq!(
        [&found["buyer"], &found["state"], &found["urgent"], &found["rows"]],
        [&json!(" ()"), &json!("其他"), &json!("N"), &json!(0)]
    );
    for field in ["size", "net", "total", "contact", "goods"] {
        assert!(found.get(field).is_none(), "{field}: {found}");
    }
}

#[test]
fn orders_for_which_a_condition_does_not_hold_are_skipped() {
    for (field, value) in [("amount", json!(0)), ("amount", json!("-1")), ("status_name", json!("草稿"))] {
        let mut other = order();
        other[field] = value;
        assert_eq!(record(&other), Err("condition of source.json".into()), "{other}");
    }
}

#[test]
fn a_condition_without_a_mapping_is_listed() {
    let made = imported(SOURCE, "");
    assert!(made.report.text().contains("source.json, `condition`"), "{}", made.report.text());
}
