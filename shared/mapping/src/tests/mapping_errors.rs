//! What the author of a faulty mapping is told.

use insta::assert_snapshot;

use super::shanghai;
use crate::Plan;

fn error(text: &str) -> String {
    match Plan::compile("mapping.toml", text, &shanghai()) {
        Ok(_) => "it compiles".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The error of a second field with this body.
fn field(body: &str) -> String {
    error(&format!("key = 'id'\n\n[[field]]\nto = 'first'\nfrom = 'a'\n\n[[field]]\n{body}\n"))
}

#[test]
fn the_top_of_the_file() {
    assert_snapshot!(error(""), @"mapping.toml:1: key `key`: found nothing, expected a name, or names joined by dots such as company.name");
    assert_snapshot!(error("key = 7"), @"mapping.toml:1: key `key`: found the integer 7, expected a string");
    assert_snapshot!(error("key = ''"), @r#"mapping.toml:1: key `key`: found "", expected a name, or names joined by dots such as company.name"#);
    assert_snapshot!(error("key = 'a..b'"), @r#"mapping.toml:1: key `key`: found "a..b", expected a name, or names joined by dots such as company.name"#);
    assert_snapshot!(error("key = 'id'"), @"mapping.toml:1: key `field`: found nothing, expected at least one [[field]]");
    assert_snapshot!(error("key = 'id'\nfield = []"), @"mapping.toml:2: key `field`: found an empty array, expected at least one [[field]]");
    assert_snapshot!(error("key = 'id'\n[field]\nto = 'a'"), @"mapping.toml:2: key `field`: found a table, expected at least one [[field]]");
    assert_snapshot!(error("key = 'id'\nfield = [1]"), @"mapping.toml:2: key `field`: found the integer 1, expected at least one [[field]]");
    assert_snapshot!(error("key = 'id'\nnunber = 'no'"), @"mapping.toml:2: key `nunber`: found an unknown key, expected one of key, number, version, deleted_at, on_delete, field, deleted_field; did you mean `number`?");
    assert_snapshot!(error("key = 'id'\n\nkey = 'id'"), @"mapping.toml:3: not valid TOML: duplicate key");
    assert_snapshot!(error("key = 'id"), @"mapping.toml:1: not valid TOML: invalid literal string, expected `'`");
}

#[test]
fn the_keys_of_a_field() {
    assert_snapshot!(field("from = 'a'"), @"mapping.toml:7: field 2: key `to`: found nothing, expected the field's name in the record");
    assert_snapshot!(field("to = 'b'\nform = 'a'"), @"mapping.toml:9: field 2 (`b`): key `form`: found an unknown key, expected one of to, from, sum, of, value, type, required, default, on_error; did you mean `from`?");
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nformat = 'x'"), @"mapping.toml:10: field 2 (`b`): key `format`: found an unknown key, expected one of to, from, sum, of, value, type, required, default, on_error");
    assert_snapshot!(field("to = 'first'\nfrom = 'b'"), @r#"mapping.toml:8: field 2 (`first`): key `to`: found "first", already written on line 4, expected a name used by no other field"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a.'"), @r#"mapping.toml:9: field 2 (`b`): key `from`: found "a.", expected a name, or names joined by dots such as company.name"#);
    assert_snapshot!(field("to = 'b'\nfrom = ['a']"), @"mapping.toml:9: field 2 (`b`): key `from`: found an array, expected a string");
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\ntype = 'decimel'"), @r#"mapping.toml:10: field 2 (`b`): key `type`: found "decimel", expected one of string, integer, decimal, date, datetime, boolean; did you mean `decimal`?"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nrequired = 'yes'"), @r#"mapping.toml:10: field 2 (`b`): key `required`: found "yes", expected true or false"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\non_error = 'drop'"), @r#"mapping.toml:10: field 2 (`b`): key `on_error`: found "drop", expected one of dead, drop_field, default"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\non_error = 'default'"), @r#"mapping.toml:10: field 2 (`b`): key `on_error`: found "default" and no default, expected a `default` to use"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nrequired = true\non_error = 'drop_field'"), @r#"mapping.toml:11: field 2 (`b`): key `on_error`: found "drop_field" on a required field, expected "dead", or required = false"#);
}

#[test]
fn the_source_of_a_field() {
    assert_snapshot!(field("to = 'b'"), @"mapping.toml:7: field 2 (`b`): key `from`: found no source, expected exactly one of `from`, `sum` with `of`, or `value`");
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nvalue = 'x'"), @"mapping.toml:10: field 2 (`b`): key `value`: found it beside `from`, expected exactly one of `from`, `sum` with `of`, or `value`");
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nof = 'x'"), @"mapping.toml:10: field 2 (`b`): key `of`: found it beside `from`, expected exactly one of `from`, `sum` with `of`, or `value`");
    assert_snapshot!(field("to = 'b'\nof = 'x'"), @"mapping.toml:9: field 2 (`b`): key `of`: found `of` without `sum`, expected exactly one of `from`, `sum` with `of`, or `value`");
    assert_snapshot!(field("to = 'b'\nsum = 'items'"), @"mapping.toml:7: field 2 (`b`): key `of`: found nothing, expected an expression over one element of the array");
    assert_snapshot!(field("to = 'b'\nsum = 'items'\nof = 'x'\ntype = 'date'"), @r#"mapping.toml:11: field 2 (`b`): key `type`: found "date", expected decimal, integer or string for a sum"#);
    assert_snapshot!(field("to = 'b'\nvalue = 'x'\nrequired = true"), @"mapping.toml:10: field 2 (`b`): key `required`: found it beside `value`, expected no such key: a constant is never missing and never fails");
}

#[test]
fn defaults_and_constants() {
    let default =
        |kind: &str, value: &str| field(&format!("to = 'b'\nfrom = 'a'\ntype = '{kind}'\ndefault = {value}"));
    assert_snapshot!(default("integer", "'abc'"), @r#"mapping.toml:11: field 2 (`b`): key `default`: found "abc", expected an integer, for the field's type is integer"#);
    assert_snapshot!(default("integer", "1.5"), @"mapping.toml:11: field 2 (`b`): key `default`: found the float 1.5, expected an integer, for the field's type is integer");
    assert_snapshot!(default("decimal", "inf"), @"mapping.toml:11: field 2 (`b`): key `default`: found the float inf, expected a number, for the field's type is decimal");
    assert_snapshot!(default("decimal", "''"), @r#"mapping.toml:11: field 2 (`b`): key `default`: found "", expected a number, for the field's type is decimal"#);
    assert_snapshot!(default("decimal", "0.12345678901234567890123456789"), @"mapping.toml:11: field 2 (`b`): key `default`: found the float 0.12345678901234567890123456789, expected a number, for the field's type is decimal");
    assert_snapshot!(default("string", "0"), @"mapping.toml:11: field 2 (`b`): key `default`: found the integer 0, expected a string, or another `type`");
    assert_snapshot!(default("date", "20101201"), @"mapping.toml:11: field 2 (`b`): key `default`: found the integer 20101201, expected a date such as 2010-12-01 or 2010-12-01 08:26:00, or a time with an offset, for the field's type is date");
    assert_snapshot!(default("date", "08:26:00"), @"mapping.toml:11: field 2 (`b`): key `default`: found the time 08:26:00, expected a date such as 2010-12-01 or 2010-12-01 08:26:00, or a time with an offset, for the field's type is date");
    assert_snapshot!(default("boolean", "2"), @"mapping.toml:11: field 2 (`b`): key `default`: found the integer 2, expected true or false, 1 or 0, yes or no, for the field's type is boolean");
    assert_snapshot!(default("string", "['a']"), @"mapping.toml:11: field 2 (`b`): key `default`: found an array, expected a string, or another `type`");
    for (kind, value) in [
        ("string", "''"),
        ("integer", "0xFF"),
        ("integer", "123_456"),
        ("decimal", "'0.10'"),
        ("decimal", "-1.50"),
        ("date", "2010-12-01"),
        ("datetime", "2010-12-01T08:26:00Z"),
        ("datetime", "'2010-12-01 08:26'"),
        ("boolean", "false"),
        ("boolean", "'no'"),
    ] {
        assert_eq!(default(kind, value), "it compiles", "{kind} {value}");
    }
}

#[test]
fn expressions() {
    let of = |text: &str| field(&format!("to = 'b'\nsum = 'items'\nof = '{text}'"));
    assert_snapshot!(of(""), @r#"mapping.toml:10: field 2 (`b`): key `of`: found "", expected an expression over one element of the array"#);
    assert_snapshot!(of("quantity *"), @"mapping.toml:10: field 2 (`b`): key `of`: cannot use `quantity *`: found the end at position 11, expected a name, a number or `(`");
    assert_snapshot!(of("quantity * (price"), @"mapping.toml:10: field 2 (`b`): key `of`: cannot use `quantity * (price`: Expecting ')' for a matching ( in this expression (line 1, position 18)");
    assert_snapshot!(of("quantity -- price"), @"mapping.toml:10: field 2 (`b`): key `of`: cannot use `quantity -- price`: Unknown operator: '--' (line 1, position 10)");
    assert_snapshot!(of("quantity ** price"), @"mapping.toml:10: field 2 (`b`): key `of`: cannot use `quantity ** price`: found `*` at position 11, expected a name, a number or `(`");
    assert_snapshot!(of("product.price * 2"), @"mapping.toml:10: field 2 (`b`): key `of`: cannot use `product.price * 2`: found `.` at position 8, expected `+`, `-`, `*`, `/` or `)`");
    assert_snapshot!(of("round(price)"), @"mapping.toml:10: field 2 (`b`): key `of`: cannot use `round(price)`: found `(` at position 6, expected `+`, `-`, `*`, `/` or `)`");
    assert_snapshot!(of("0x10 * price"), @"mapping.toml:10: field 2 (`b`): key `of`: cannot use `0x10 * price`: the number 0x10 is not a decimal of at most 28 digits");
    assert_snapshot!(of("while true { }"), @"mapping.toml:10: field 2 (`b`): key `of`: cannot use `while true { }`: found `true` at position 7, expected `+`, `-`, `*`, `/` or `)`");
}
