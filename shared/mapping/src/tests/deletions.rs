//! What becomes of the rows of deleted orders.

use insta::assert_snapshot;
use serde_json::value::RawValue;

use super::shanghai;
use crate::{MappedDeletion, Plan, RowError};

const TOP: &str = "key = 'id'\nnumber = 'no'\nversion = 'at'\n";
const FIELD: &str = "[[field]]\nto = 'a'\nfrom = 'a'\nrequired = true\n";
const DELETED: &str = "[[deleted_field]]\nto = 'deleted'\nvalue = true\ntype = 'boolean'\n";

fn compile(top: &str, below: &str) -> Result<Plan, String> {
    let text = format!("{TOP}{top}{FIELD}{below}");
    Plan::compile("mapping.toml", &text, &shanghai()).map_err(|error| error.to_string())
}

fn plan(top: &str, below: &str) -> Plan {
    compile(top, below).expect("the mapping is sound")
}

fn error(top: &str, below: &str) -> String {
    compile(top, below).err().unwrap_or_else(|| "it compiles".to_owned())
}

fn delete(plan: &Plan, row: &str) -> Result<MappedDeletion, RowError> {
    let row: &RawValue = serde_json::from_str(row).expect("the row is JSON");
    plan.map_deleted(row)
}

/// The record, or the error in words.
fn record(plan: &Plan, row: &str) -> String {
    match delete(plan, row) {
        Ok(MappedDeletion { record: Some(record), .. }) => {
            String::from_utf8(record).expect("a record is text")
        }
        Ok(_) => "no record".to_owned(),
        Err(error) => format!("{} | {error}", error.kind()),
    }
}

#[test]
fn an_ignored_deletion_has_an_identity_and_no_record() {
    for top in ["", "on_delete = 'ignore'\n", "on_delete = 'ignore'\ndeleted_at = 'gone'\n"] {
        let plan = plan(top, "");
        let deletion = delete(&plan, r#"{"id":7.0,"no":"SO-7","at":1291163160}"#).expect("it has a key");
        assert_eq!(deletion.identity.key.as_deref(), Some("7"));
        assert_eq!(deletion.identity.number.as_deref(), Some("SO-7"));
        assert_eq!(deletion.identity.version, Some(1_291_163_160_000_000));
        assert!(deletion.record.is_none() && deletion.dropped.is_empty());
    }
}

#[test]
fn a_recorded_deletion_has_the_deleted_fields_only() {
    let below = format!(
        "{DELETED}[[deleted_field]]\nto = 'no'\nfrom = 'no'\nrequired = true\n[[deleted_field]]\nto = 'when'\n\
         from = 'gone.at'\ntype = 'datetime'\non_error = 'drop_field'\n[[deleted_field]]\nto = 'total'\n\
         sum = 'items'\nof = 'n'\ndefault = 0\n"
    );
    let plan = plan("on_delete = 'record'\n", &below);
    let row = r#"{"id":7,"no":"SO-7","gone":{"at":"2010-12-01 08:26:00"},"items":[{"n":1.5},{"n":2}]}"#;
    assert_snapshot!(record(&plan, row), @r#"{"deleted":true,"no":"SO-7","when":"2010-12-01T08:26:00+08:00","total":3.5}"#);
    let deletion = delete(&plan, r#"{"id":7,"no":7,"gone":{"at":"soon"}}"#).expect("nothing here is fatal");
    assert_eq!(deletion.record.as_deref(), Some(br#"{"deleted":true,"no":"7","total":0}"#.as_slice()));
    let problems: Vec<String> = deletion.dropped.iter().map(ToString::to_string).collect();
    assert_snapshot!(problems.join("\n"), @r#"field `when` (from gone.at): found "soon", expected a date such as 2010-12-01 or 2010-12-01 08:26:00, or a time with an offset; the field was left out"#);
    assert_snapshot!(record(&plan, r#"{"id":7}"#), @"missing_field | field `no` (from no): found nothing, expected text, a number or a boolean");
    assert_snapshot!(record(&plan, r#"{"id":7,"no":1,"items":[{"n":"x"}]}"#), @r#"bad_element | field `total` (from items[0].n): found "x", expected a number"#);
}

#[test]
fn an_order_is_mapped_as_if_nothing_were_said_of_deletions() {
    let (silent, told) = (plan("", ""), plan("on_delete = 'record'\ndeleted_at = 'gone'\n", DELETED));
    let row: &RawValue =
        serde_json::from_str(r#"{"id":7,"at":1291163160,"gone":1291163161,"a":1}"#).expect("JSON");
    let mapped = |plan: &Plan| {
        let mapped = super::map(plan, row.get()).expect("it is sound");
        (mapped.identity, mapped.record)
    };
    assert_eq!(mapped(&silent), mapped(&told));
    assert_eq!(silent.identify(row), told.identify(row));
}

#[test]
fn every_deletion_needs_a_key() {
    for plan in [plan("", ""), plan("on_delete = 'record'\n", DELETED)] {
        for row in ["{}", r#"{"id":null}"#, r#"{"id":" ","no":1}"#] {
            let error = delete(&plan, row).expect_err("there is no key");
            assert_eq!((error.kind(), error.field(), error.from()), ("missing_key", "key", "id"));
        }
        assert_eq!(delete(&plan, "[7]").expect_err("it is no object").kind(), "not_an_object");
    }
}

#[test]
fn the_version_is_the_later_of_the_two_times() {
    let (early, late) = (Some(1_291_163_160_000_000), Some(1_291_163_161_000_000));
    for (row, expected) in [
        (r#"{"id":7,"at":1291163160,"x":{"gone":"2010-12-01 08:26:01"}}"#, late),
        (r#"{"id":7,"at":1291163161,"x":{"gone":"2010-12-01 08:26:00"}}"#, late),
        (r#"{"id":7,"at":1291163160,"x":{"gone":"0000-00-00 00:00:00"}}"#, early),
        (r#"{"id":7,"at":1291163160,"x":[]}"#, early),
        (r#"{"id":7,"at":1291163160,"x":7}"#, early),
        (r#"{"id":7,"at":null,"x":{"gone":"1291163160"}}"#, early),
        (r#"{"id":7}"#, None),
    ] {
        for (on_delete, below) in [("ignore", ""), ("record", DELETED)] {
            let plan = plan(&format!("on_delete = '{on_delete}'\ndeleted_at = 'x.gone'\n"), below);
            let deletion = delete(&plan, row).expect("it has a key");
            assert_eq!(deletion.identity.version, expected, "{on_delete} {row}");
        }
    }
}

#[test]
fn what_deletions_alone_read_is_no_field_of_an_order() {
    let below = format!(
        "{DELETED}[[deleted_field]]\nto = 'b'\nfrom = 'b'\n[[deleted_field]]\nto = 'a'\nfrom = 'a'\n"
    );
    let plan = plan("on_delete = 'record'\ndeleted_at = 'gone'\n", &below);
    assert_eq!(plan.source_fields().collect::<Vec<_>>(), ["id", "no", "at", "a"]);
    assert_eq!(record(&plan, r#"{"id":7,"a":1,"b":2}"#), r#"{"deleted":true,"b":"2","a":"1"}"#);
}

#[test]
fn the_author_is_told_what_is_wrong() {
    let record = "on_delete = 'record'\n";
    assert_eq!(error(record, DELETED), "it compiles");
    assert_snapshot!(error(record, ""), @r#"mapping.toml:4: key `on_delete`: found "record" and no [[deleted_field]], expected at least one [[deleted_field]], for example one with `to = "deleted"`, `value = true` and `type = "boolean"`"#);
    assert_snapshot!(error("on_delete = 'record'\ndeleted_field = []\n", ""), @"mapping.toml:5: key `deleted_field`: found an empty array, expected at least one [[deleted_field]]");
    assert_snapshot!(error("on_delete = 'record'\ndeleted_field = true\n", ""), @"mapping.toml:5: key `deleted_field`: found true, expected at least one [[deleted_field]]");
    assert_snapshot!(error("on_delete = 'records'\n", DELETED), @r#"mapping.toml:4: key `on_delete`: found "records", expected one of ignore, record; did you mean `record`?"#);
    assert_snapshot!(error("on_delete = 'delete'\n", ""), @r#"mapping.toml:4: key `on_delete`: found "delete", expected one of ignore, record"#);
    assert_snapshot!(error("on_delete = true\n", ""), @"mapping.toml:4: key `on_delete`: found true, expected a string");
    assert_snapshot!(error("deleted_at = 'a.'\n", ""), @r#"mapping.toml:4: key `deleted_at`: found "a.", expected a path to one value, such as order_no, company.name or product_list[0].count"#);
    assert_snapshot!(error("", DELETED), @r#"mapping.toml:8: key `deleted_field`: found it without `on_delete`, expected `on_delete = "record"` with it"#);
    assert_snapshot!(error("on_delete = 'ignore'\n", DELETED), @r#"mapping.toml:9: key `deleted_field`: found it beside `on_delete = "ignore"`, expected `on_delete = "record"` with it"#);
    assert_snapshot!(error(record, "[[deleted_field]]\nfrom = 'a'"), @"mapping.toml:9: deleted_field 1: key `to`: found nothing, expected the field's name in the record");
    assert_snapshot!(error(record, "[[deleted_field]]\nto = 'b'\nform = 'a'"), @"mapping.toml:11: deleted_field 1 (`b`): key `form`: found an unknown key, expected one of to, from, sum, of, concat, separator, expr, value, each, field, type, scale, rounding, formats, zone, to_zone, to_format, map, required, default, on_error; did you mean `from`?");
    assert_snapshot!(error(record, &format!("{DELETED}{DELETED}")), @r#"mapping.toml:14: deleted_field 2 (`deleted`): key `to`: found "deleted", already written on line 10, expected a name used by no other field"#);
    assert_snapshot!(error(record, "[[deleted_field]]\nto = 'deleted'\nvalue = true"), @"mapping.toml:11: deleted_field 1 (`deleted`): key `value`: found true, expected a string, or another `type`");
    assert_snapshot!(error(record, "[[deleted_fields]]\nto = 'b'"), @r#"
    mapping.toml:4: key `on_delete`: found "record" and no [[deleted_field]], expected at least one [[deleted_field]], for example one with `to = "deleted"`, `value = true` and `type = "boolean"`
    mapping.toml:9: key `deleted_fields`: found an unknown key, expected one of key, number, version, each, deleted_at, on_delete, marks, when, field, deleted_field, validate, case; did you mean `deleted_field`?
    "#);
}
