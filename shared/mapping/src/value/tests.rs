//! What becomes of single values.
#![allow(clippy::unwrap_used)]

use super::*;
use jiff::tz::TimeZone;

/// The JSON written, `missing`, or the kind of error.
fn converted(to: Type, json: &str) -> String {
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let convert = Convert { times: Some(Box::new(Times::plain(&zone))), ..Convert::plain(to) };
    let mut out = Vec::new();
    match convert.json(Some(json), &mut out) {
        Ok(true) => String::from_utf8(out).unwrap(),
        Ok(false) => "missing".to_owned(),
        Err(fault) => format!("{:?}", fault.kind),
    }
}

#[test]
fn each_type_takes_what_it_can_hold() {
    use Type::*;
    for (to, json, expected) in [
        (String, r#""a \"b\" \u00e9\/""#, r#""a \"b\" é/""#),
        (String, r#""""#, r#""""#),
        (String, "1.50e2", r#""1.50e2""#),
        (String, "false", r#""false""#),
        (String, r#""\ud800""#, "BadText"),
        (String, "{}", "WrongType"),
        (String, "[1]", "WrongType"),
        (String, "[ ]", "missing"),
        (Integer, r#"" 0012 ""#, "12"),
        (Integer, "12345678901234567890123", "12345678901234567890123"),
        (Integer, "5.5", "NotAnInteger"),
        (Integer, "true", "NotANumber"),
        (Integer, r#""  ""#, "missing"),
        (Decimal, r#""1.10""#, "1.10"),
        (Decimal, r#""\u0031.10""#, "1.10"),
        (Decimal, "-0.0", "0.0"),
        (Decimal, "1e2", "100"),
        (Decimal, "0.12345678901234567890123456789", "TooPrecise"),
        (Decimal, r#""abc""#, "NotANumber"),
        (Decimal, "[]", "missing"),
        (Decimal, "{}", "WrongType"),
        (Date, r#""2010-12-01 08:26:00""#, r#""2010-12-01""#),
        (Date, r#""0000-00-00 00:00:00""#, "missing"),
        (Date, "20101201", "NotADate"),
        (Datetime, r#""2010-12-01""#, r#""2010-12-01T00:00:00+08:00""#),
        (Datetime, "false", "NotADate"),
        (Boolean, "true", "true"),
        (Boolean, "0", "false"),
        (Boolean, r#""Y""#, "true"),
        (Boolean, r#""FALSE""#, "false"),
        (Boolean, "2", "NotABoolean"),
        (Boolean, "null", "missing"),
        (Json, r#"{"a" : [1.0]}"#, r#"{"a" : [1.0]}"#),
        (Json, "[]", "[]"),
        (Json, "null", "missing"),
    ] {
        assert_eq!(converted(to, json), expected, "{to:?} of {json}");
    }
}

#[test]
fn a_map_takes_its_own_texts_only() {
    let values = [("1", "\"open\""), ("true", "2"), ("x y", "null")];
    let values = values.into_iter().map(|(text, json)| (text.to_owned(), json.as_bytes().to_vec()));
    let map = Map { values: values.collect(), expected: "one of 1, true, x y".to_owned() };
    let convert = Convert { map: Some(Box::new(map)), ..Convert::plain(Type::String) };
    let mapped = |json: &str| {
        let mut out = Vec::new();
        match convert.json(Some(json), &mut out) {
            Ok(present) => format!("{present} {}", String::from_utf8(out).unwrap()),
            Err(fault) => format!("{:?}, expected {}", fault.kind, fault.expected),
        }
    };
    for json in ["1", "\"1\"", "\" 1 \""] {
        assert_eq!(mapped(json), "true \"open\"");
    }
    assert_eq!(mapped("true"), "true 2");
    assert_eq!(mapped("\"x y\""), "true null");
    assert_eq!(mapped("\" \""), "false ");
    assert_eq!(mapped("null"), "false ");
    assert_eq!(mapped("3"), "NotInMap, expected one of 1, true, x y");
}
