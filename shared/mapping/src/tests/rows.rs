//! What becomes of rows, field by field.

use insta::assert_snapshot;
use serde_json::value::RawValue;

use super::{map, plan, record};
use crate::{Identity, Plan};

#[test]
fn a_missing_value_is_defaulted_demanded_or_left_out() {
    let plan = plan(&[
        "to = 'a'\nfrom = 'a'\ntype = 'decimal'\ndefault = 0.10",
        "to = 'b'\nfrom = 'b.c'\ntype = 'date'",
        "to = 'c'\nfrom = 'c'\nrequired = true",
        "to = 'd'\nvalue = 'web'",
        "to = 'e'\nsum = 'e'\nof = 'n'\ndefault = 1",
    ]);
    assert_eq!(record(&plan, r#"{"id":1,"c":""}"#), r#"{"a":0.10,"c":"","d":"web","e":1}"#);
    for nothing in ["null", "\" \"", "[]"] {
        let row = format!(r#"{{"id":1,"c":1,"a":{nothing},"b":{{"c":{nothing}}}}}"#);
        assert_eq!(record(&plan, &row), r#"{"a":0.10,"c":"1","d":"web","e":1}"#);
    }
    let row = r#"{"id":1,"c":"x","b":{"c":"0000-00-00"},"e":[]}"#;
    assert_eq!(record(&plan, row), r#"{"a":0.10,"c":"x","d":"web","e":0}"#);
    assert_snapshot!(record(&plan, r#"{"id":1}"#), @"missing_field | field `c` (from c): found nothing, expected text, a number or a boolean");
    assert_snapshot!(record(&plan, r#"{"id":1,"c":null}"#), @"missing_field | field `c` (from c): found null, expected text, a number or a boolean");
}

#[test]
fn a_bad_value_stops_the_row_or_only_its_field() {
    let plan = plan(&[
        "to = 'a'\nfrom = 'x.a'\ntype = 'integer'\non_error = 'drop_field'",
        "to = 'b'\nfrom = 'b'\ntype = 'date'\non_error = 'default'\ndefault = 2010-12-01",
        "to = 'c'\nsum = 'c'\nof = 'n'",
    ]);
    let row = r#"{"id":1,"x":{"a":"abc"},"b":"soon","c":[{"n":1.5}]}"#;
    let mapped = map(&plan, row).expect("nothing here is fatal");
    assert_eq!(mapped.record, br#"{"b":"2010-12-01","c":1.5}"#);
    let problems: Vec<String> = mapped.dropped.iter().map(ToString::to_string).collect();
    assert_snapshot!(problems.join("\n"), @r#"field `a` (from x.a): found "abc", expected an integer; the field was left out
field `b` (from b): found "soon", expected a date such as 2010-12-01 or 2010-12-01 08:26:00, or a time with an offset; its default was used"#);
    assert_snapshot!(record(&plan, r#"{"id":1,"c":[{"n":1},{"n":"x"}]}"#), @r#"bad_element | field `c` (from c[1].n): found "x", expected a number"#);
    assert_snapshot!(record(&plan, r#"{"id":1,"c":{"n":1}}"#), @r#"not_an_array | field `c` (from c): found {"n":1}, expected an array"#);
    assert_snapshot!(record(&plan, r#"{"id":1,"c":["n"]}"#), @r#"bad_element | field `c` (from c[0]): found "n", expected an object"#);
    assert_snapshot!(record(&plan, r#"{"id":1,"x":"abc","c":7}"#), @"not_an_array | field `c` (from c): found 7, expected an array");
}

#[test]
fn a_sum_can_be_an_integer_or_a_text() {
    let plan = plan(&[
        "to = 'a'\nsum = 'l'\nof = 'n'\ntype = 'integer'\non_error = 'drop_field'",
        "to = 'b'\nsum = 'l'\nof = 'n'\ntype = 'string'",
    ]);
    let whole = r#"{"id":1,"l":[{"n":1.5},{"n":0.50}]}"#;
    assert_eq!(record(&plan, whole), r#"{"a":2,"b":"2.00"}"#);
    let mapped = map(&plan, r#"{"id":1,"l":[{"n":1.5}]}"#).expect("the field is dropped");
    assert_eq!(mapped.dropped[0].error.kind(), "not_an_integer");
}

#[test]
fn every_row_needs_a_key() {
    let plan = plan(&["to = 'a'\nvalue = 'x'"]);
    for (key, canonical) in [
        ("0", "0"),
        ("\"0\"", "0"),
        ("12", "12"),
        ("\" 12 \"", "12"),
        ("12.0", "12"),
        ("1.2e1", "12"),
        ("-0", "0"),
        ("1.5", "1.5"),
        ("\"007\"", "007"),
        ("\"A\\u002d1\"", "A-1"),
        ("9007199254740993", "9007199254740993"),
    ] {
        let mapped = map(&plan, &format!(r#"{{"id":{key}}}"#)).expect("the key is legal");
        assert_eq!(mapped.identity.key.as_deref(), Some(canonical), "{key}");
    }
    for key in ["null", "\"\"", "\" \"", "{}", "[]", "[1]", "true", r#""\ud800""#] {
        let row = format!(r#"{{"id":{key}}}"#);
        let error = map(&plan, &row).expect_err("there is no key");
        assert_eq!((error.kind(), error.found()), ("missing_key", key));
    }
    assert_snapshot!(record(&plan, "{}"), @"missing_key | key (from id): found nothing, expected a number or a text that is not empty");
    assert_snapshot!(record(&plan, "[1, 2]"), @"not_an_object | row: found [1, 2], expected an object");
}

#[test]
fn a_row_is_identified_as_far_as_it_can_be() {
    let plan = plan(&["to = 'a'\nfrom = 'a'\nrequired = true"]);
    let identify = |row: &str| {
        let row: &RawValue = serde_json::from_str(row).expect("the row is JSON");
        plan.identify(row)
    };
    let full = Identity {
        key: Some("7".to_owned()),
        number: Some("SO-7".to_owned()),
        version: Some(1_291_163_160_000_000),
    };
    assert_eq!(identify(r#"{"id":7,"no":"SO-7","at":"2010-12-01 08:26:00"}"#), full);
    assert_eq!(identify(r#"{"id":7,"no":"SO-7","at":1291163160}"#), full);
    assert_eq!(identify(r#"{"id":7,"no":"SO-7","at":"1291163160000"}"#), full);
    let partly = identify(r#"{"no":{},"at":"soon"}"#);
    assert_eq!(partly, Identity::default());
    assert_eq!(identify("7"), Identity::default());
}

#[test]
fn a_long_value_is_quoted_in_part() {
    let plan = plan(&["to = 'a'\nfrom = 'a'\ntype = 'integer'"]);
    let row = format!(r#"{{"id":1,"a":"{}"}}"#, "名".repeat(500));
    let error = map(&plan, &row).expect_err("it is no number");
    assert_eq!(error.found().chars().count(), 80);
    assert_eq!((error.field(), error.from()), ("a", "a"));
}

#[test]
fn plans_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Plan>();
}
