//! What one would not think of, and what would be wrong without a word.

use super::record;
use crate::Plan;

const ROW: &str = r#"{"id":1,"first":"Ann","last":"Lee","status":1101043689,"q":6,"amount":100,"p":"9.5","r":"10","no":" SO-1 ",
    "type":"A","flag":1,"blank":"","zero":0}"#;

fn all(cases: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (text, expected) in cases {
        let mapping = format!("key = 'id'\n[[field]]\nto = 'x'\nexpr = '''{text}'''");
        let found = match Plan::compile("m", &mapping, &super::shanghai()) {
            Ok(plan) => record(&plan, ROW),
            Err(error) => format!("refused: {error}"),
        };
        if found != *expected {
            wrong.push_str(&format!("{text}: {found}, not {expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn members_behind_an_apostrophe_are_handed_over() {
    all(&[("`${order.first}'s ${order.last}`", r#"{"x":"Ann's Lee"}"#)]);
}

#[test]
fn a_switch_which_would_not_know_numbers_is_refused() {
    let text = "key = 'id'\n[[field]]\nto = 'x'\nexpr = 'switch status { 1 => 2, _ => 3 }'";
    let error = Plan::compile("m", text, &super::shanghai()).expect_err("it is refused");
    assert!(error.to_string().contains("'switch' is a reserved keyword"), "{error}");
}

#[test]
fn min_and_max_of_texts_are_of_numbers() {
    all(&[("max(p, r)", r#"{"x":"10"}"#), ("min(p, r)", r#"{"x":"9.5"}"#)]);
}

#[test]
fn text_functions_have_a_value() {
    all(&[("no.trim()", r#"{"x":"SO-1"}"#), ("last.replace(\"e\", \"i\")", r#"{"x":"Lii"}"#)]);
}

#[test]
fn comparisons_do_not_silently_say_no() {
    all(&[
        ("type == 'A'", r#"{"x":"true"}"#),
        ("first[0] == \"A\"", r#"{"x":"true"}"#),
        ("blank == \"\"", r#"{"x":"true"}"#),
        ("flag == 1", r#"{"x":"true"}"#),
        ("r >= p", r#"{"x":"true"}"#),
    ]);
}

#[test]
fn a_constant_is_not_rounded() {
    let found = {
        let mapping = "key = 'id'\n[[field]]\nto = 'x'\nexpr = 'q * 0.33333333333333333333333333333'";
        Plan::compile("m", mapping, &super::shanghai()).map(|plan| record(&plan, ROW))
    };
    assert!(
        found.is_err() || found.as_ref().is_ok_and(|found| found.starts_with("too_precise")),
        "{found:?}"
    );
}

#[test]
fn zero_has_no_sign_as_a_text_either() {
    all(&[("-zero", r#"{"x":"0"}"#)]);
}

#[test]
fn parentheses_in_a_backquoted_text_are_no_call() {
    all(&[("`Total (RMB) ${q}`", r#"{"x":"Total (RMB) 6"}"#)]);
}

#[test]
fn every_element_of_plus_counts() {
    let mapping = "key = 'id'\n[[field]]\nto = 'a'\nfrom = 'id'\n[[validate]]\nname = 'v'\nexpr = 'total'\n\
                   plus = ['fees[*].a']\nequals = 'amount'";
    // Or it is refused when the mapping is loaded.
    if let Ok(plan) = Plan::compile("m", mapping, &super::shanghai()) {
        let row = r#"{"id":1,"total":10,"amount":11,"fees":[{"a":1},{"a":5}]}"#;
        assert!(record(&plan, row).starts_with("check_failed"), "{}", record(&plan, row));
    }
}

#[test]
fn a_zone_in_a_text_is_not_passed_over() {
    let mapping =
        "key = 'id'\n[[field]]\nto = 'a'\nfrom = 'd'\ntype = 'datetime'\nformats = ['%Y-%m-%d %H:%M %Q']";
    if let Ok(plan) = Plan::compile("m", mapping, &super::shanghai()) {
        let found = record(&plan, r#"{"id":1,"d":"2010-12-31 10:00 America/New_York"}"#);
        assert_eq!(found, r#"{"a":"2010-12-31T23:00:00+08:00"}"#);
    }
}

#[test]
fn a_constant_is_json() {
    let mapping = "key = 'id'\n[[field]]\nto = 'a'\ntype = 'json'\nvalue = [+5]";
    if let Ok(plan) = Plan::compile("m", mapping, &super::shanghai()) {
        assert_eq!(record(&plan, r#"{"id":1}"#), r#"{"a":[5]}"#);
    }
}

#[test]
fn a_blocked_path_stays_blocked_beside_another() {
    let mapping = "key = 'id'\n[[field]]\nto = 'a'\nfrom = 'l.y'\n[[field]]\nto = 'b'\nfrom = 'l[0].y'";
    let plan = Plan::compile("m", mapping, &super::shanghai()).expect("it is sound");
    let found = record(&plan, r#"{"id":1,"l":[{"y":1}]}"#);
    assert!(found.starts_with("wrong_type"), "{found}");
}

#[test]
fn filters_are_not_asked_of_deletions() {
    let mapping = "key = 'id'\non_delete = 'record'\n[[when]]\nis = 'status == 1'\nreason = 'no'\n[[field]]\nto = 'a'\n\
                   from = 'id'\n[[deleted_field]]\nto = 'deleted'\nvalue = true\ntype = 'boolean'";
    let plan = Plan::compile("m", mapping, &super::shanghai()).expect("it is sound");
    // A row of the list of deletions has no status: asked, the filter would leave deleted orders at the target.
    let row: &serde_json::value::RawValue = serde_json::from_str(r#"{"id":1}"#).expect("JSON");
    assert!(plan.map_deleted(row).expect("a deletion").record.is_some());
}

#[test]
fn a_version_that_is_looked_for_in_each_element_is_pointed_out() {
    let mapping = |version: &str| {
        let text = format!("each = 'l'\nkey = 'id'\nversion = '{version}'\n[[field]]\nto = 'a'\nfrom = 'id'");
        Plan::compile("m", &text, &super::shanghai()).expect("it is sound").warnings().join("\n")
    };
    insta::assert_snapshot!(mapping("at"), @"`version` is read in each element, because of `each`; the order's own is found with $. in front");
    assert_eq!(mapping("$.at"), "");
}
