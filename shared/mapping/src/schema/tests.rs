use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;

fn folded(limits: Option<Limits>, orders: &[&str]) -> Schema {
    let mut schema = limits.map_or_else(Schema::default, Schema::new);
    for (place, order) in (1..).zip(orders) {
        let order: &RawValue = serde_json::from_str(order).expect("JSON");
        schema.fold(order, place);
    }
    schema
}

/// One line a path: what was seen there, from where to where, within how much.
fn shown(schema: &Schema) -> String {
    let line = |field: SchemaField| {
        let types: Vec<String> = field
            .types
            .iter()
            .map(|(kind, seen)| format!("{} {} ({}-{})", kind.name(), seen.count, seen.first, seen.last))
            .collect();
        format!("{}: {} of {}\n", field.path, types.join(", "), field.within)
    };
    schema.fields().into_iter().map(line).collect()
}

#[test]
fn every_path_has_its_types_and_places() {
    let orders = [
        r#"{"id":1,"company":{"name":"a"},"lines":[{"count":1},{"count":"2"}],"1101":"x","a.b":{"":null}}"#,
        r#"{"id":2,"company":[],"lines":[],"note":"  ","paid":true,"a.b":{"":[[1,"-0.5e+3"]]}}"#,
        r#"{"id":3,"company":{"name":"\u5ba2"},"lines":null,"note":"\n","tags":["x","1.","1e","\u0031"]}"#,
    ];
    insta::assert_snapshot!(shown(&folded(None, &orders)), @r#"
    1101: string 1 (1-1) of 3
    "a.b": object 2 (1-2) of 3
    "a.b"."": array 1 (2-2), null 1 (1-1) of 2
    "a.b".""[*]: array 1 (2-2) of 1
    "a.b".""[*][*]: numeric_string 1 (2-2), number 1 (2-2) of 1
    company: object 2 (1-3), empty_array 1 (2-2) of 3
    company.name: string 2 (1-3) of 2
    id: number 3 (1-3) of 3
    lines: array 1 (1-1), empty_array 1 (2-2), null 1 (3-3) of 3
    lines[*]: object 2 (1-1) of 2
    lines[*].count: numeric_string 1 (1-1), number 1 (1-1) of 2
    note: empty_string 2 (2-3) of 3
    paid: boolean 1 (2-2) of 3
    tags: array 1 (3-3) of 3
    tags[*]: string 3 (3-3), numeric_string 1 (3-3) of 1
    "#);
}

#[test]
fn what_is_no_order_and_what_is_odd_does_no_harm() {
    let deep = format!(r#"{{"deep":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let orders = [r#""text""#, "[1]", "7", r#"{"\ud800":1e999,"a":123456789012345678901234567890}"#, &deep];
    let schema = folded(None, &orders);
    assert_eq!(schema.orders(), 5);
    let fields = schema.fields();
    assert_eq!(fields.iter().filter(|field| field.path.starts_with("deep[*]")).count(), 15);
    assert!(fields.iter().any(|field| field.path == "a" && field.types.of(&[Kind::Number]) == 1));
}

#[test]
fn an_object_of_very_many_members_is_data() {
    let wide = |from: u32| {
        let members: Vec<String> = (from..from + 700).map(|n| format!(r#""{n}":{{"left":{n}}}"#)).collect();
        format!(r#"{{"stock":{{{}}}}}"#, members.join(","))
    };
    let few = folded(None, &[&wide(0)]);
    assert_eq!(few.fields().len(), 1_401);
    let many = folded(None, &[&wide(0), &wide(300), &wide(900)]);
    insta::assert_snapshot!(shown(&many), @r"
    stock: object 3 (1-3) of 3
    stock.*: object 2100 (1-3) of 3
    stock.*.left: number 2100 (1-3) of 2100
    ");
    assert_eq!(many.left_out(), 0);
    // One side alone took its members together: they are compared as one.
    assert_eq!(Drift::between(&few, &many).changes, []);
    assert_eq!(Drift::between(&many, &few).changes, []);
}

#[test]
fn what_has_no_room_is_counted_and_makes_no_alarm() {
    let limits = Limits { paths: 3, ..Schema::default().room.limits() };
    let full = folded(Some(limits), &[r#"{"a":1,"b":{"c":1},"d":[1],"e":2}"#; 50]);
    assert_eq!((full.fields().len(), full.left_out()), (3, 100));
    let whole = folded(None, &[r#"{"a":1,"b":{"c":1},"d":[1],"e":2}"#; 50]);
    assert_eq!(Drift::between(&full, &whole).changes, []);
    assert_eq!(Drift::between(&whole, &full).changes, []);
    let mut merged = full;
    merged.merge(whole);
    assert_eq!((merged.fields().len(), merged.left_out()), (3, 200));
}

#[test]
fn a_change_names_the_place_that_shows_it() {
    let before = [r#"{"a":1,"b":1,"c":1,"d":"x"}"#; 30];
    let since = [&[r#"{"a":null,"c":null,"d":"1"}"#; 30][..], &[r#"{"a":1,"d":1,"e":1}"#]].concat();
    let mut later = Schema::default();
    for (place, order) in (100..).zip(since) {
        later.fold(serde_json::from_str(order).expect("JSON"), place);
    }
    let drift = Drift::between(&folded(None, &before), &later);
    let said = |change: &Change| format!("{:?} {} {}", change.change, change.path, change.place);
    let said: Vec<String> = drift.changes.iter().map(said).collect();
    assert_eq!(said, ["Gone b 30", "Empty c 30", "Type d 130", "New e 130"]);
}

/// What is different: the change, the path.
fn drift(before: &[&str], since: &[&str]) -> Vec<String> {
    let drift = Drift::between(&folded(None, before), &folded(None, since));
    drift.changes.iter().map(|change| format!("{:?} {}", change.change, change.path)).collect()
}

#[test]
fn a_field_that_few_orders_have_is_not_taken_for_gone() {
    let (with, without) = (r#"{"id":1,"a":1}"#, r#"{"id":1}"#);
    let mixed = |with_it: usize, of: usize| [vec![with; with_it], vec![without; of - with_it]].concat();
    assert_eq!(drift(&mixed(100, 100), &mixed(0, 20)), ["Gone a"]);
    assert_eq!(drift(&mixed(100, 100), &mixed(0, 19)), [""; 0], "too few since");
    assert_eq!(drift(&mixed(1, 1), &mixed(0, 20)), ["Gone a"]);
    assert_eq!(drift(&mixed(2, 100), &mixed(0, 1_000)), ["Gone a"]);
    assert_eq!(drift(&mixed(2, 100), &mixed(0, 999)), [""; 0], "19.98 were to be expected");
    assert_eq!(drift(&mixed(2, 201), &mixed(0, 10_000)), [""; 0], "fewer than one in a hundred had it");
    assert_eq!(drift(&mixed(100, 100), &mixed(1, 1_000)), [""; 0], "one has it still");
    assert_eq!(drift(&mixed(0, 100), &mixed(1, 100)), ["New a"]);
}

#[test]
fn of_what_is_gone_or_new_only_the_top_is_listed() {
    let (full, bare) = (r#"{"id":1,"o":{"a":1,"b":[{"c":1}]}}"#, r#"{"id":1}"#);
    assert_eq!(drift(&[full; 30], &[bare; 30]), ["Gone o"]);
    assert_eq!(drift(&[bare; 30], &[full; 30]), ["New o"]);
    let short = r#"{"id":1,"o":{"a":1,"b":[{"d":1}]}}"#;
    assert_eq!(drift(&[full; 30], &[short; 30]), ["Gone o.b[*].c", "New o.b[*].d"]);
}

#[test]
fn types_change_and_no_value_is_no_type() {
    let of = |before: &str, since: &str| {
        let order = |value: &str| format!(r#"{{"a":{value}}}"#);
        let (before, since) = (order(before), order(since));
        drift(&[before.as_str(); 40], &[since.as_str(); 40])
    };
    for (before, since, expected) in [
        ("1", "true", "Type a"),
        ("1", r#""x""#, "Type a"),
        ("1", r#""1.50""#, "NumberAsText a"),
        (r#""1.50""#, "1", "TextAsNumber a"),
        (r#""x""#, "1", "Type a"),
        (r#""x""#, r#"["x"]"#, "Type a"),
        (r#""x""#, "[]", "Type a"),
        ("1", "null", "Empty a"),
        (r#""x""#, r#"" ""#, "Empty a"),
        (r#"{"b":1}"#, "[]", "Empty a"),
        (r#""x""#, r#""1""#, ""),
        (r#""1""#, r#""x""#, ""),
        ("1", "1e30", ""),
        ("null", "1", ""),
        (r#""""#, "[1]", "New a[*]"),
        ("[1]", "[]", "Gone a[*]"),
    ] {
        assert_eq!(of(before, since).join(", "), expected, "{before} and then {since}");
    }
    assert_eq!(drift(&[r#"{"a":{"b":1}}"#; 40], &[r#"{"a":[]}"#, r#"{"a":{"b":1}}"#]), [""; 0]);
    assert_eq!(drift(&[r#"{"a":[]}"#; 40], &[r#"{"a":{"b":1}}"#; 40]), ["New a.b"], "it was empty so far");
    assert_eq!(drift(&[r#"{"a":1}"#; 40], &[r#"{"a":1}"#, r#"{"a":"1"}"#, r#"{"a":"n"}"#]), ["Type a"]);
}

/// An order of the fields a to f and x to z, present and typed as `dice` say.
fn order(dice: &[u8]) -> String {
    let value = |die: u8| match die % 8 {
        0 => "null".to_string(),
        1 => "[]".to_string(),
        2 => format!(r#""{die}""#),
        3 => r#""text""#.to_string(),
        4 => format!("[{die},\"x\",{{\"n\":{die}}}]"),
        5 => format!(r#"{{"m{}":{die},"deep":{{"n":[1]}}}}"#, die / 8),
        6 => "true".to_string(),
        _ => die.to_string(),
    };
    let members = dice.chunks(2).enumerate().filter(|(_, pair)| pair[0] > 40);
    let members: Vec<String> = members.map(|(at, pair)| format!(r#""f{at}":{}"#, value(pair[1]))).collect();
    format!("{{{}}}", members.join(","))
}

proptest! {
    #[test]
    fn merging_folds_is_folding_all(
        dice in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 8), 0..60),
        cut in 0_usize..60,
        members in 2_usize..12,
    ) {
        let orders: Vec<String> = dice.iter().map(|dice| order(dice)).collect();
        let limits = Limits { members, ..Schema::default().room.limits() };
        let (mut all, mut left, mut right) = (Schema::new(limits), Schema::new(limits), Schema::new(limits));
        for (place, order) in (1..).zip(&orders) {
            let row: &RawValue = serde_json::from_str(order).expect("JSON");
            all.fold(row, place);
            let part = if place <= cut as u64 { &mut left } else { &mut right };
            part.fold(row, place);
        }
        let mut merged = left.clone();
        merged.merge(right.clone());
        prop_assert_eq!(&merged, &all);
        right.merge(left);
        prop_assert_eq!(&right, &all);
    }

    #[test]
    fn two_halves_of_one_stream_are_no_drift(
        dice in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 12), 400),
    ) {
        // Each field is in five of six orders; its type is one of four.
        let field = |at: usize, pair: &[u8]| {
            let value = ["1", r#""text""#, r#"[{"n":1,"m":"2"}]"#, "null"][usize::from(pair[1] % 4)];
            (pair[0] > 40).then(|| format!(r#""f{at}":{value}"#))
        };
        let order = |dice: &Vec<u8>| {
            let fields = dice.chunks(2).enumerate().filter_map(|(at, pair)| field(at, pair));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        };
        let orders: Vec<String> = dice.iter().map(order).collect();
        let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
        prop_assert_eq!(drift(&orders[..200], &orders[200..]), Vec::<String>::new());
    }
}
