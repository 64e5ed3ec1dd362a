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
    assert_snapshot!(error(""), @"
    mapping.toml:1: key `key`: found nothing, expected the path of the business key, such as order_id
    mapping.toml:1: key `field`: found nothing, expected at least one [[field]]
    ");
    assert_snapshot!(error("key = 7"), @"
    mapping.toml:1: key `key`: found the integer 7, expected a string
    mapping.toml:1: key `field`: found nothing, expected at least one [[field]]
    ");
    assert_snapshot!(error("key = ''"), @r#"
    mapping.toml:1: key `key`: found "", expected a path to one value, such as order_no, company.name or product_list[0].count
    mapping.toml:1: key `field`: found nothing, expected at least one [[field]]
    "#);
    assert_snapshot!(error("key = 'a..b'"), @r#"
    mapping.toml:1: key `key`: found "a..b", expected a path to one value, such as order_no, company.name or product_list[0].count
    mapping.toml:1: key `field`: found nothing, expected at least one [[field]]
    "#);
    assert_snapshot!(error("key = 'id'"), @"mapping.toml:1: key `field`: found nothing, expected at least one [[field]]");
    assert_snapshot!(error("key = 'id'\nfield = []"), @"mapping.toml:2: key `field`: found an empty array, expected at least one [[field]]");
    assert_snapshot!(error("key = 'id'\n[field]\nto = 'a'"), @"mapping.toml:2: key `field`: found a table, expected at least one [[field]]");
    assert_snapshot!(error("key = 'id'\nfield = [1]"), @"mapping.toml:2: key `field`: found the integer 1, expected at least one [[field]]");
    assert_snapshot!(error("key = 'id'\nnunber = 'no'"), @"
    mapping.toml:1: key `field`: found nothing, expected at least one [[field]]
    mapping.toml:2: key `nunber`: found an unknown key, expected one of key, number, version, each, deleted_at, on_delete, marks, when, field, deleted_field, validate, case; did you mean `number`?
    ");
    assert_snapshot!(error("key = 'id'\n\nkey = 'id'"), @"mapping.toml:3: not valid TOML: duplicate key");
    assert_snapshot!(error("key = 'id"), @"mapping.toml:1: not valid TOML: invalid literal string, expected `'`");
}

#[test]
fn the_keys_of_a_field() {
    assert_snapshot!(field("from = 'a'"), @"mapping.toml:7: field 2: key `to`: found nothing, expected the field's name in the record");
    assert_snapshot!(field("to = 'b'\nform = 'a'"), @"mapping.toml:9: field 2 (`b`): key `form`: found an unknown key, expected one of to, from, sum, of, concat, separator, expr, value, each, field, type, scale, rounding, formats, zone, to_zone, to_format, map, required, default, on_error; did you mean `from`?");
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nformat = 'x'"), @"mapping.toml:10: field 2 (`b`): key `format`: found an unknown key, expected one of to, from, sum, of, concat, separator, expr, value, each, field, type, scale, rounding, formats, zone, to_zone, to_format, map, required, default, on_error; did you mean `formats`?");
    assert_snapshot!(field("to = 'first'\nfrom = 'b'"), @r#"mapping.toml:8: field 2 (`first`): key `to`: found "first", already written on line 4, expected a name used by no other field"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a.'"), @r#"mapping.toml:9: field 2 (`b`): key `from`: found "a.", expected a path such as order_no, company.name or product_list[*].count"#);
    assert_snapshot!(field("to = 'b'\nfrom = ['a']"), @"it compiles");
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\ntype = 'decimel'"), @r#"mapping.toml:10: field 2 (`b`): key `type`: found "decimel", expected one of string, integer, decimal, date, datetime, boolean, json; did you mean `decimal`?"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nrequired = 'yes'"), @r#"mapping.toml:10: field 2 (`b`): key `required`: found "yes", expected true or false"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\non_error = 'drop'"), @r#"mapping.toml:10: field 2 (`b`): key `on_error`: found "drop", expected one of dead, drop_field, default"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\non_error = 'default'"), @r#"mapping.toml:10: field 2 (`b`): key `on_error`: found "default" and no default, expected a `default` to use"#);
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nrequired = true\non_error = 'drop_field'"), @r#"mapping.toml:11: field 2 (`b`): key `on_error`: found "drop_field" on a required field, expected "dead", or required = false"#);
}

#[test]
fn the_source_of_a_field() {
    assert_snapshot!(field("to = 'b'"), @"mapping.toml:7: field 2 (`b`): key `from`: found no source, expected exactly one of `from`, `sum` with `of`, `concat`, `expr`, `value`, or `each` with [[field.field]]");
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nvalue = 'x'"), @"mapping.toml:10: field 2 (`b`): key `value`: found it beside `from`, expected exactly one of `from`, `sum` with `of`, `concat`, `expr`, `value`, or `each` with [[field.field]]");
    assert_snapshot!(field("to = 'b'\nfrom = 'a'\nof = 'x'"), @"mapping.toml:10: field 2 (`b`): key `of`: found it beside `from`, expected exactly one of `from`, `sum` with `of`, `concat`, `expr`, `value`, or `each` with [[field.field]]");
    assert_snapshot!(field("to = 'b'\nof = 'x'"), @"mapping.toml:9: field 2 (`b`): key `of`: found `of` without `sum`, expected exactly one of `from`, `sum` with `of`, `concat`, `expr`, `value`, or `each` with [[field.field]]");
    assert_snapshot!(field("to = 'b'\nsum = 'items'"), @"mapping.toml:7: field 2 (`b`): key `of`: found nothing, expected an expression over one element of the list");
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
    let mut all = String::new();
    for text in [
        "",
        "quantity *",
        "quantity * (price",
        "quantity ** price",
        "rund(price, 2)",
        "x.to_uper()",
        "while true { }",
        "let a = 1",
        "a = 1",
        "eval(\"1\")",
        "fn f() { 1 }",
        "import \"x\"",
        "{a}; b",
        "a ? b : c",
        "print(a)",
        "-",
        "a b",
        "1..2",
        "`${a",
        "\"",
        "|x|",
        "#{a: 1",
        "a + b ?? 0",
        "a ?? 0 + b",
        "x.make_upper()",
        "if a { 0.33333333333333333333333333333 } else { 1 }",
        "switch a { 1 => 2,",
        "9223372036854775808 + 1",
        "\u{0}",
    ] {
        all.push_str(&format!("{}\n", of(text)));
    }
    assert_snapshot!(all);
    assert_snapshot!(error("key = 'id'\n[[when]]\nreason = 'x'\nis = 'a + 1'\n[[field]]\nto = 'a'\nvalue = 'a'"), @"mapping.toml:4: when 1 (`x`): key `is`: cannot use `a + 1`: it is a number, where one is wanted that is true or false, such as `amount > 0`");
    assert_snapshot!(field("to = 'b'\nexpr = '''\na +\n  rund(b)'''"), @"
    mapping.toml:9: field 2 (`b`): key `expr`: cannot use `a +
      rund(b)`: there is no function `rund`; did you mean `round`? (line 2, position 3)
    ");
    let long = format!("{}1", "a + ".repeat(1_000));
    assert!(of(&long).ends_with("the expression has more than 4000 characters"));
    let wide: Vec<String> = (0..101).map(|n| format!("a{n}")).collect();
    assert!(of(&format!("sum([{}])", wide.join(","))).ends_with("the expression has more than 100 names"));
    let deep = format!("{}a{}", "(".repeat(400), ")".repeat(400));
    assert!(of(&deep).contains("maximum") || of(&deep).contains("nested"), "{}", of(&deep));
}

#[test]
fn the_options_of_a_type() {
    let mut all = String::new();
    for body in [
        "from = 'a'\nscale = 2",
        "from = 'a'\ntype = 'decimal'\nscale = 29",
        "from = 'a'\ntype = 'decimal'\nscale = 2.0",
        "from = 'a'\ntype = 'decimal'\nrounding = 'half_up'",
        "from = 'a'\ntype = 'decimal'\nscale = 2\nrounding = 'half'",
        "from = 'a'\nzone = 'UTC'",
        "from = 'a'\ntype = 'date'\nzone = 'Shanghai'",
        "from = 'a'\ntype = 'date'\nformats = ['%d/%m/%Y', 'dd.mm.yyyy']",
        "from = 'a'\ntype = 'date'\nformats = []",
        "from = 'a'\ntype = 'date'\nto_format = '%!'",
        "from = 'a'\nmap = { }",
        "from = 'a'\ntype = 'integer'\nmap = { open = 'one' }",
        "from = 'a'\nmap = 'x'",
        "sum = 'a[*]'\nmap = { a = 'b' }",
        "concat = ['a', 'b']\ntype = 'json'",
        "concat = ['a', 7]",
        "from = 'a'\nseparator = ','",
        "sum = 'a[*].b'\nof = 'c'",
        "sum = 'a'",
        "each = 'a'",
        "each = 'a[*].b'\n[[field.field]]\nto = 'x'\nfrom = 'y'",
        "each = 'a'\ntype = 'json'\n[[field.field]]\nto = 'x'\nfrom = 'y'",
        "each = 'a'\ndefault = [1]\n[[field.field]]\nto = 'x'\nfrom = 'y'",
        "each = 'a'\n[[field.field]]\nto = 'x'\nform = 'y'\n[[field.field]]\nto = 'x'",
        "from = 'a[*].b[*]'",
        "from = ''",
    ] {
        all.push_str(&format!("{}\n", field(&format!("to = 'b'\n{body}"))));
    }
    for to in ["a.", "first.b", "x[0]", "$.a", "c"] {
        let two = format!("to = 'c.d'\nvalue = 'x'\n[[field]]\nto = '{to}'\nvalue = 'x'");
        all.push_str(&format!("{}\n", field(&two)));
    }
    assert_snapshot!(all);
}

#[test]
fn checks_filters_and_cases() {
    let below = |below: &str| error(&format!("key = 'id'\n[[field]]\nto = 'a'\nvalue = 'x'\n{below}"));
    let mut all = String::new();
    for text in [
        "[[when]]\nis = 'a > 1'",
        "[[when]]\nis = 'a > 1'\nreson = 'x'\nreason = 'y'",
        "[[when]]\nreason = 'y'",
        "when = 'a > 1'",
        "[[validate]]\nthat = 'a > 1'",
        "[[validate]]\nname = 'x'",
        "[[validate]]\nname = 'x'\nthat = 'a > 1'\nequals = 'b'",
        "[[validate]]\nname = 'x'\nthat = 'a > 1'\nfrom = 'b'",
        "[[validate]]\nname = 'x'\nfrom = 'b'",
        "[[validate]]\nname = 'x'\nfrom = 'b'\nin = [1.5]",
        "[[validate]]\nname = 'x'\nexpr = 'b'",
        "[[validate]]\nname = 'x'\nexpr = 'b'\nequals = 'c'\nwithin = -1",
        "[[validate]]\nname = 'x'\nexpr = 'b'\nequals = 'c'\nwithin = 'a'",
        "[[validate]]\nname = 'x'\nthat = 'b > c'\non_fail = 'warn'",
        "[[case]]\ninput = '{}'",
        "[[case]]\nname = 'x'",
        "[[case]]\nname = 'x'\ninput = '{}'",
        "[[case]]\nname = 'x'\ninput = '{}'\nexpect = '{}'\nexpect_error = 'y'",
        "[[case]]\nname = 'x'\ninput = {}\nexpect = '{}'",
    ] {
        all.push_str(&format!("{}\n", below(text)));
    }
    let top = |top: &str| error(&format!("key = 'id'\n{top}\n[[field]]\nto = 'a'\nvalue = 'x'"));
    for text in [
        "each = 'l[*].x'",
        "each = 7",
        "marks = 'a'",
        "each = 'l'\non_delete = 'record'",
        "version = 'a[*].b'",
    ] {
        all.push_str(&format!("{}\n", top(text)));
    }
    assert_snapshot!(all);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = "key = 'a.'\n[[field]]\nto = 'x'\nform = 'y'\n[[field]]\nto = 'z'\nfrom = 'y'\ntype = 'int'\n\
                [[validate]]\nname = 'n'\nthat = 'a +'\n";
    assert_snapshot!(error(text), @r#"
    mapping.toml:1: key `key`: found "a.", expected a path to one value, such as order_no, company.name or product_list[0].count
    mapping.toml:4: field 1 (`x`): key `form`: found an unknown key, expected one of to, from, sum, of, concat, separator, expr, value, each, field, type, scale, rounding, formats, zone, to_zone, to_format, map, required, default, on_error; did you mean `from`?
    mapping.toml:8: field 2 (`z`): key `type`: found "int", expected one of string, integer, decimal, date, datetime, boolean, json
    mapping.toml:11: validate 1 (`n`): key `that`: cannot use `a +`: Script is incomplete (line 1, position 4)
    "#);
}
