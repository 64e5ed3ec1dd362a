//! What the table can say, one thing after the other.

use insta::assert_snapshot;
use serde_json::value::RawValue;

use super::{all, plan, record, shanghai};
use crate::{Outcome, Plan, REFERENCE};

fn compiled(text: &str) -> Plan {
    Plan::compile("mapping.toml", text, &shanghai()).unwrap_or_else(|error| panic!("{error}"))
}

fn outcome(plan: &Plan, row: &str) -> String {
    let row: &RawValue = serde_json::from_str(row).expect("the row is JSON");
    match plan.map(row) {
        Ok(Outcome::Records(records)) => {
            let shown = |mapped: crate::Mapped| {
                let marks = if mapped.marks.is_empty() {
                    String::new()
                } else {
                    format!(" marks {:?}", mapped.marks)
                };
                let key = mapped.identity.key.unwrap_or_default();
                format!("{key}: {}{marks}", String::from_utf8_lossy(&mapped.record))
            };
            records.into_iter().map(shown).collect::<Vec<_>>().join("\n")
        }
        Ok(Outcome::Skipped(skipped)) => format!("skipped: {} {:?}", skipped.reason, skipped.identity.number),
        Err(error) => format!("{} | {error}", error.kind()),
    }
}

#[test]
fn the_first_source_that_is_there_is_taken() {
    let plan = plan(&[
        "to = 'a'\nfrom = ['company.name', 'company_name', 'l[0].n']\ndefault = '-'",
        "to = 'b'\nfrom = ['x', 'y']\ntype = 'integer'\nrequired = true",
    ]);
    assert_eq!(
        record(&plan, r#"{"id":1,"company":{"name":"A"},"company_name":"B","x":1}"#),
        r#"{"a":"A","b":1}"#
    );
    for nothing in ["[]", r#"{"name":""}"#, r#"{"name":" "}"#, r#"{"name":null}"#, "{}"] {
        let row = format!(r#"{{"id":1,"company":{nothing},"company_name":"B","y":"2"}}"#);
        assert_eq!(record(&plan, &row), r#"{"a":"B","b":2}"#);
    }
    assert_eq!(record(&plan, r#"{"id":1,"l":[{"n":7}],"x":0}"#), r#"{"a":"7","b":0}"#);
    assert_eq!(record(&plan, r#"{"id":1,"x":0}"#), r#"{"a":"-","b":0}"#);
    assert_snapshot!(record(&plan, r#"{"id":1,"company_name":{},"x":0}"#), @"wrong_type | field `a` (from company_name): found {}, expected text, a number or a boolean");
    assert_snapshot!(record(&plan, r#"{"id":1,"x":"","y":"abc"}"#), @r#"not_a_number | field `b` (from y): found "abc", expected an integer"#);
    assert_snapshot!(record(&plan, r#"{"id":1}"#), @"missing_field | field `b` (from x): found nothing, expected an integer");
}

#[test]
fn names_with_dots_make_objects() {
    let plan = plan(&[
        "to = 'customer.name'\nfrom = 'name'",
        "to = 'total'\nvalue = 1\ntype = 'integer'",
        "to = 'customer.address.city'\nfrom = 'city'",
        "to = 'a.\"b.c\"'\nvalue = 'x'",
    ]);
    assert_eq!(
        record(&plan, r#"{"id":1,"name":"N","city":"C"}"#),
        r#"{"customer":{"name":"N","address":{"city":"C"}},"total":1,"a":{"b.c":"x"}}"#
    );
    assert_eq!(
        record(&plan, r#"{"id":1,"name":"N"}"#),
        r#"{"customer":{"name":"N"},"total":1,"a":{"b.c":"x"}}"#
    );
    assert_eq!(record(&plan, r#"{"id":1}"#), r#"{"total":1,"a":{"b.c":"x"}}"#, "no empty objects");
}

#[test]
fn a_list_has_fields_of_its_own() {
    let plan = plan(&[
        "to = 'no'\nfrom = 'no'",
        "to = 'lines'\neach = 'l'\ndefault = []\n\
         [[field.field]]\nto = 'sku'\nfrom = 'p.no'\nrequired = true\n\
         [[field.field]]\nto = 'amount'\nexpr = 'q * p.price * order.rate'\ntype = 'decimal'\nscale = 2\nrounding = 'half_up'\n\
         [[field.field]]\nto = 'order.no'\nfrom = '$.no'\n\
         [[field.field]]\nto = 'tags'\neach = 't'\n[[field.field.field]]\nto = 'n'\nfrom = 'n'\ntype = 'integer'\non_error = 'drop_field'\n\
         [[field.field]]\nto = 'tagged'\nsum = 't'\nof = 'n'\non_error = 'default'\ndefault = -1",
        "to = 'skus'\nfrom = 'l[*].p.no'",
        "to = 'joined'\nconcat = ['no', 'l[*].p.no']\nseparator = '/'",
        "to = 'quantity'\nsum = 'l[*].q'\ntype = 'integer'",
        "to = 'first'\nfrom = 'l[0].q'\ntype = 'integer'",
        "to = 'raw'\nfrom = 'l[1].t'\ntype = 'json'",
    ]);
    let row = r#"{"id":1,"no":"S1","rate":1.5,"l":[
        {"p":{"no":"A","price":0.335},"q":1,"t":[{"n":1},{"n":"2"}]},
        {"p":{"no":"B","price":"2"},"q":"2","t":[{"n":"x"}]}]}"#;
    assert_snapshot!(record(&plan, row), @r#"{"no":"S1","lines":[{"sku":"A","amount":0.50,"order":{"no":"S1"},"tags":[{"n":1},{"n":2}],"tagged":3},{"sku":"B","amount":6.00,"order":{"no":"S1"},"tags":[{}],"tagged":-1}],"skus":["A","B"],"joined":"S1/A/B","quantity":3,"first":1,"raw":[{"n":"x"}]}"#);
    assert_eq!(record(&plan, r#"{"id":1,"no":"S1"}"#), r#"{"no":"S1","lines":[],"joined":"S1"}"#);
    assert_eq!(record(&plan, r#"{"id":1,"l":[]}"#), r#"{"lines":[],"skus":[],"quantity":0}"#);
    let mapped = all(&plan, row).expect("it maps");
    let problems: Vec<String> = mapped[0].dropped.iter().map(ToString::to_string).collect();
    assert_snapshot!(problems.join("\n"), @r#"
    field `lines[1].tags[0].n` (from l[1].t[0].n): found "x", expected an integer; the field was left out
    field `lines[1].tagged` (from l[1].t[0].n): found "x", expected a number; its default was used
    "#);
    let mut all = String::new();
    for list in [
        "7",
        "[7]",
        r#"[{"p":{}}]"#,
        r#"[{"p":{"no":1},"t":5}]"#,
        r#"[{"p":3}]"#,
        r#"[{"p":{"no":"A"}},{"p":{"no":"B"},"q":"x"}]"#,
    ] {
        all.push_str(&format!("{}\n", record(&plan, &format!(r#"{{"id":1,"rate":1,"l":{list}}}"#))));
    }
    assert_snapshot!(all);
}

#[test]
fn texts_maps_scales_and_times_are_converted() {
    let plan = plan(&[
        "to = 'c'\nconcat = ['a', 'b', 'n']\nseparator = ' - '",
        "to = 's'\nfrom = 's'\ntype = 'integer'\nmap = { open = 1, '2' = 2, true = 3 }\non_error = 'default'\ndefault = 0",
        "to = 'd'\nfrom = 'd'\ntype = 'decimal'\nscale = 2\non_error = 'drop_field'",
        "to = 'r'\nfrom = 'd'\ntype = 'decimal'\nscale = 1\nrounding = 'half_even'",
        "to = 't'\nfrom = 't'\ntype = 'datetime'\nformats = ['%d/%m/%Y %H:%M', 'millis']\nzone = 'UTC'\nto_format = '%Y%m%d%H%M%S'",
        "to = 'j'\nfrom = 'j'\ntype = 'json'",
    ]);
    let row =
        r#"{"id":1,"a":"x","b":" ","n":7,"s":"open","d":"1.250","t":"31/12/2010 20:00","j":{"k":[1.0]}}"#;
    assert_eq!(
        record(&plan, row),
        r#"{"c":"x - 7","s":1,"d":1.25,"r":1.2,"t":"20110101040000","j":{"k":[1.0]}}"#
    );
    let row = r#"{"id":1,"s":"else","d":1.255,"t":1293825600000,"j":null}"#;
    assert_eq!(record(&plan, row), r#"{"s":0,"r":1.3,"t":"20110101040000"}"#);
    let problems = all(&plan, row).expect("it maps").remove(0).dropped;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_snapshot!(problems.join("\n"), @r#"
    field `s` (from s): found "else", expected one of 2, open, true; its default was used
    field `d` (from d): found 1.255, expected a number of at most 2 decimals; name a `rounding` to have it rounded; the field was left out
    "#);
    assert_snapshot!(record(&plan, r#"{"id":1,"t":"2010-12-31"}"#), @r#"not_a_date | field `t` (from t): found "2010-12-31", expected a time written as %d/%m/%Y %H:%M or millis"#);
}

#[test]
fn filters_skip_with_a_reason() {
    let plan = compiled(
        "key = 'id'\nnumber = 'no'\n[[when]]\nis = 'status in [1, 2]'\nreason = 'not approved'\n\
         [[when]]\nis = 'no != ()'\nreason = 'no number'\n[[field]]\nto = 'a'\nfrom = 'a'\nrequired = true\n",
    );
    assert_eq!(outcome(&plan, r#"{"id":1,"no":"x","status":"1","a":1}"#), r#"1: {"a":"1"}"#);
    assert_eq!(outcome(&plan, r#"{"id":1,"no":"x","status":3}"#), r#"skipped: not approved Some("x")"#);
    assert_eq!(outcome(&plan, r#"{"id":1,"status":2}"#), "skipped: no number None");
    assert_snapshot!(outcome(&plan, r#"{"no":"x","status":3}"#), @"missing_key | key (from id): found nothing, expected a number or a text that is not empty");
    let broken =
        compiled("key = 'id'\n[[when]]\nis = 'a > 1'\nreason = 'r'\n[[field]]\nto = 'a'\nvalue = 'x'");
    assert_snapshot!(outcome(&broken, r#"{"id":1,"a":"many"}"#), @r#"bad_expression | field `when` (from a > 1): found the text "many" is no number; texts are put together as `${a}${b}` (line 1, pos…, expected an expression that can be computed"#);
    let no_condition =
        compiled("key = 'id'\n[[when]]\nis = 'a'\nreason = 'r'\n[[field]]\nto = 'a'\nvalue = 'x'");
    assert_snapshot!(outcome(&no_condition, r#"{"id":1,"a":"many"}"#), @"bad_expression | field `when` (from a): found many, expected true or false");
}

#[test]
fn a_record_for_each_element() {
    let plan = compiled(
        "each = 'l'\nkey = 'uid'\nnumber = '$.no'\nversion = '$.at'\nmarks = 'warn'\n\
         [[when]]\nis = 'no != \"TEST\"'\nreason = 'test'\n\
         [[validate]]\nname = 'sum'\nsum = 'l'\nof = 'q'\nequals = 'total'\non_fail = 'mark'\n\
         [[field]]\nto = 'no'\nfrom = '$.no'\n[[field]]\nto = 'q'\nfrom = 'q'\ntype = 'decimal'\n\
         [[field]]\nto = 'share'\nexpr = 'q / order.total'\ntype = 'decimal'\non_error = 'drop_field'\n",
    );
    assert!(plan.is_by_element());
    let row = |rest: &str| outcome(&plan, &format!(r#"{{"id":1,"no":"S1","at":1291163160,{rest}}}"#));
    assert_snapshot!(row(r#""total":4,"l":[{"uid":11,"q":3},{"uid":"12","q":1}]"#), @r#"
    11: {"no":"S1","q":3,"share":0.75}
    12: {"no":"S1","q":1,"share":0.25}
    "#);
    assert_snapshot!(row(r#""total":5,"l":[{"uid":11,"q":3}]"#), @r#"11: {"no":"S1","q":3,"share":0.6,"warn":["sum"]} marks ["sum"]"#);
    let mut all = String::new();
    for rest in [
        r#""l":[]"#,
        r#""m":1"#,
        r#""l":null"#,
        r#""l":7"#,
        r#""l":[7]"#,
        r#""l":[{"q":1}]"#,
        r#""l":[{"uid":1},{"uid":"1"}]"#,
        r#""total":1,"l":[{"uid":1,"q":1},{"uid":2,"q":"x"}]"#,
    ] {
        all.push_str(&format!("{}\n", row(rest)));
    }
    assert_snapshot!(all);
    let deleted: &RawValue = serde_json::from_str(r#"{"id":1,"no":"S1"}"#).expect("JSON");
    assert_eq!(plan.map_deleted(deleted).expect_err("no key").kind(), "missing_key");
    assert_eq!(
        plan.identify(serde_json::from_str(r#"{"no":"S1","l":[{"uid":1}]}"#).expect("JSON"))
            .number
            .as_deref(),
        Some("S1")
    );
}

#[test]
fn checks_are_passed_or_mark_or_stop() {
    let plan = compiled(
        "key = 'id'\nmarks = 'warnings'\n\
         [[validate]]\nname = 'lines'\nsum = 'l'\nof = 'q * p'\nplus = ['cost', 'costs[0].amount']\nequals = 'amount'\nwithin = 0.01\n\
         [[validate]]\nname = 'rate x100'\nexpr = 'amount * rate / 100'\nequals = 'rmb'\non_fail = 'mark'\n\
         [[validate]]\nname = 'currency'\nfrom = 'currency'\nin = ['CNY', 'USD', 1]\non_fail = 'mark'\n\
         [[validate]]\nname = 'dates'\nthat = 'from <= to'\n\
         [[field]]\nto = 'a'\nfrom = 'a'\n",
    );
    let row = |rest: &str| {
        outcome(
            &plan,
            &format!(
                r#"{{"id":1,"l":[{{"q":2,"p":1.5}}],"rate":725,"from":"2025-01-01","to":"2025-02-01",{rest}}}"#
            ),
        )
    };
    assert_snapshot!(row(r#""amount":3,"rmb":21.75,"currency":"CNY","a":1"#), @r#"1: {"a":"1"}"#);
    assert_snapshot!(row(r#""amount":3.51,"cost":"0.50","rmb":25.4475,"currency":1"#), @"1: {}");
    assert_snapshot!(row(r#""amount":3,"rmb":21.76,"currency":"cny""#), @r#"1: {"warnings":["rate x100","currency"]} marks ["rate x100", "currency"]"#);
    let mut all = String::new();
    for rest in [
        r#""amount":3.02"#,
        r#""cost":1"#,
        r#""amount":"x""#,
        r#""amount":3,"cost":"x""#,
        r#""amount":3,"to":"2024-01-01""#,
        r#""amount":3,"from":[1]"#,
        r#""amount":3,"l":[{"q":1}]"#,
        r#""amount":3,"l":null"#,
    ] {
        all.push_str(&format!("{}\n", row(rest)));
    }
    assert_snapshot!(all);
}

#[test]
fn the_reference_works_and_passes_its_own_cases() {
    let plan = compiled(REFERENCE);
    assert!(plan.warnings().is_empty(), "{:?}", plan.warnings());
    let cases = crate::cases("reference", REFERENCE).expect("they are sound");
    assert_eq!(cases.len(), 3);
    for case in cases {
        let crate::Text::Here(input) = &case.input else { panic!("no files") };
        let (found, row) = (outcome(&plan, input), input);
        match case.expected {
            crate::Expected::Record(crate::Text::Here(expected)) => {
                let record = &all(&plan, row).expect("it maps")[0].record;
                let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("JSON");
                assert_eq!(value(record), value(expected.as_bytes()), "{}", case.name);
            }
            crate::Expected::Error(kind) => assert!(found.starts_with(&kind), "{found}"),
            crate::Expected::Skip(reason) => {
                assert!(found.starts_with(&format!("skipped: {reason}")), "{found}")
            }
            crate::Expected::Record(crate::Text::File(_)) => panic!("no files"),
        }
    }
}

#[test]
fn what_is_probably_not_meant_is_said() {
    let plan = compiled(
        "key = 'id'\nmarks = 'm'\n[[field]]\nto = 'a'\nfrom = 'a'\nrequired = true\ndefault = ''\n\
         [[field]]\nto = 'b'\nfrom = 'b'\ntype = 'integer'\non_error = 'drop_field'\ndefault = 1\n",
    );
    assert_snapshot!(plan.warnings().join("\n"), @r#"
    there is no `version`: of two states of an order, the one that was read later counts as newer
    `marks` names a field, but no [[validate]] has on_fail = "mark"
    field `a`: `required` has no effect beside a `default`
    field `b`: a missing value becomes the default, a wrong one is left out; on_error = "default" would use it for both
    "#);
}

#[test]
fn every_field_says_where_it_came_from() {
    let plan = compiled(REFERENCE);
    let case = crate::cases("reference", REFERENCE).expect("they are sound").remove(0);
    let crate::Text::Here(input) = case.input else { panic!("no files") };
    let (fields, outcome) = plan.explain(serde_json::from_str(&input).expect("JSON"));
    assert!(outcome.is_ok());
    let line = |field: &crate::Provenance| {
        let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        format!("{} <- {} [{}] = {}", field.to, field.from, dash(&field.found), dash(&field.became))
    };
    assert_snapshot!(fields.iter().map(line).collect::<Vec<_>>().join("\n"));
    let row = r#"{"order_id":1,"order_no":"A","company":"x"}"#;
    let (fields, outcome) = plan.explain(serde_json::from_str(row).expect("JSON"));
    assert!(outcome.is_err());
    assert_eq!(fields[1].problem.as_deref(), Some("found \"x\", expected an object on the way there"));
}
