//! What is found of an order.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::path::Path;

fn steps(path: &str) -> Vec<Step> {
    Path::read(path).unwrap().steps
}

/// What lies behind some paths of an order, read in one go.
fn at<'r>(paths: &[&str], order: &'r str) -> Vec<Found<'r>> {
    let mut shapes = Shapes::new();
    let slots: Vec<usize> = paths.iter().map(|path| shapes.slot(ORDER, &steps(path))).collect();
    let frame = shapes.read(order).unwrap();
    slots.into_iter().map(|slot| frame.slots[slot]).collect()
}

/// The values of members of a list's elements.
fn elements<'r>(list: &str, members: &[&str], order: &'r str) -> (Found<'r>, Vec<Vec<Found<'r>>>) {
    let mut shapes = Shapes::new();
    let list = shapes.list(ORDER, &steps(list));
    let slots: Vec<usize> = members.iter().map(|path| shapes.slot(list.shape, &steps(path))).collect();
    let frame = shapes.read(order).unwrap();
    let found = shapes.elements(&list, &[], &frame);
    let of = |index| slots.iter().map(|slot| found.slots(index)[*slot]).collect();
    (found.state, (0..found.texts.len()).map(of).collect())
}

use Found::{Blocked, Nothing, Value};

#[test]
fn values_are_found_at_any_depth() {
    let order = r#"{"a": 1.50 ,"skip":{"a":[1]},"b":{"c":{"d": "x\u00e9"},"e":[{"f":1},[7]]}}"#;
    let paths = ["a", "b.c.d", "b.c", "b.x.d", "b.e[0].f", "b.e[1]", "b.e[2].f", "a.b", "z"];
    assert_eq!(
        at(&paths, order),
        [
            Value("1.50"),
            Value(r#""x\u00e9""#),
            Value(r#"{"d": "x\u00e9"}"#),
            Nothing,
            Value("1"),
            Value("[7]"),
            Nothing,
            Blocked("1.50"),
            Nothing,
        ]
    );
}

#[test]
fn the_last_of_repeated_names_wins() {
    assert_eq!(at(&["a"], r#"{"a":1,"\u0061":2,"a":null}"#), [Value("null")]);
    assert_eq!(at(&["b.a"], r#"{"b":{"a":1},"b":{"a":2}}"#), [Value("2")]);
    assert_eq!(at(&["b.a", "b"], r#"{"b":{"a":1},"b":null}"#), [Nothing, Value("null")]);
    assert_eq!(elements("l", &["a"], r#"{"l":[{"a":1}],"l":[]}"#), (Value("[]"), vec![]));
}

#[test]
fn names_beyond_unicode_and_deep_nesting_do_no_harm() {
    assert_eq!(at(&["a"], r#"{"\ud800":"\ud800","a":1}"#), [Value("1")]);
    let deep = format!(r#"{{"x":{}{},"a":1}}"#, "[".repeat(9999), "]".repeat(9999));
    assert_eq!(at(&["a"], &deep), [Value("1")]);
}

#[test]
fn empty_php_arrays_stand_for_absent_objects() {
    for absent in ["[]", "[ ]", "null", "\"\""] {
        assert_eq!(at(&["b.a"], &format!(r#"{{"b":{absent}}}"#)), [Nothing]);
    }
    assert_eq!(at(&["b.a"], r#"{"b":[1]}"#), [Blocked("[1]")]);
}

#[test]
fn a_list_has_the_wanted_members_of_each_element() {
    let order = r#"{"l":[{"a":1,"z":{"y":[2]}}, {"b":"x"},7],"m":{"l":3}}"#;
    let (state, found) = elements("l", &["a", "z.y[0]"], order);
    assert_eq!(state, Value(r#"[{"a":1,"z":{"y":[2]}}, {"b":"x"},7]"#));
    assert_eq!(
        found,
        [vec![Value("1"), Value("2")], vec![Nothing, Nothing], vec![Blocked("7"), Blocked("7")]]
    );
    assert_eq!(elements("m.l", &["a"], order), (Blocked("3"), vec![]));
    assert_eq!(elements("m.l.n", &["a"], order), (Blocked("3"), vec![]));
    assert_eq!(elements("x", &["a"], order), (Nothing, vec![]));
}

#[test]
fn one_value_can_be_wanted_in_several_ways() {
    let mut shapes = Shapes::new();
    let whole = shapes.slot(ORDER, &steps("l"));
    let list = shapes.list(ORDER, &steps("l"));
    let again = shapes.list(ORDER, &steps("l"));
    let second = shapes.slot(ORDER, &steps("l[1].a"));
    let member = shapes.slot(list.shape, &steps("a"));
    let inner = shapes.list(list.shape, &steps("k"));
    let deep = shapes.slot(inner.shape, &steps("a"));
    assert_eq!(list.shape, again.shape);
    let text = r#"{"l":[{"a":1,"k":[{"a":5},{"a":6}]},{"a":2}]}"#;
    let frame = shapes.read(text).unwrap();
    assert_eq!((frame.slots[whole], frame.slots[second]), (Value(&text[5..text.len() - 1]), Value("2")));
    let elements = shapes.elements(&list, &[], &frame);
    assert_eq!(elements.slots(1)[member], Value("2"));
    let inner = shapes.elements(&inner, elements.slots(0), &frame);
    assert_eq!([inner.slots(0)[deep], inner.slots(1)[deep]], [Value("5"), Value("6")]);
}

#[test]
fn a_wanted_name_that_stands_there_twice_is_found() {
    let mut shapes = Shapes::new();
    for path in ["price", "lines[0].q", "total"] {
        shapes.slot(ORDER, &steps(path));
    }
    for (order, repeated) in [
        (r#"{"price":1,"total":2,"lines":[{"q":1,"q":2}]}"#, None),
        (r#"{"price":1,"other":1,"other":2}"#, None),
        (r#"{"price":1,"total":2,"price":"3"}"#, Some("price")),
        (r#"{"lines":[],"\u006cines":[1]}"#, Some("lines")),
        ("[1]", None),
    ] {
        assert_eq!(shapes.repeated_name(order).as_deref(), repeated, "{order}");
    }
}
