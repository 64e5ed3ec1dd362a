use std::path::PathBuf;

use service::Config;

use super::*;

mod functions;
mod rich;

/// The source end of the case.
const CASE_SOURCE: &str = include_str!("fixtures/case.source.json");

/// The target end of the case.
const CASE_TARGET: &str = include_str!("fixtures/case.target.json");

/// Something of everything.
const RICH_SOURCE: &str = include_str!("fixtures/rich.source.json");

const RICH_TARGET: &str = include_str!("fixtures/rich.target.json");

fn imported(source: &str, target: &str) -> Import {
    let read = |file, text: &str, end| {
        (!text.is_empty()).then(|| Metadata::read(file, text, end).expect("metadata"))
    };
    let source = read("source.json", source, End::Source);
    let target = read("target.json", target, End::Target);
    let made = import(source.as_ref(), target.as_ref());
    Config::parse(Path::new("orderflow.toml"), &made.config, std::iter::empty()).expect(&made.config);
    if let Some(text) = &made.mapping {
        let table: toml::Table = toml::from_str(text).expect(text);
        assert!(!table["field"].as_array().expect("fields").is_empty());
        let zone = jiff::tz::TimeZone::UTC;
        if let Err(error) = ::mapping::Plan::compile("mapping.toml", text, &zone) {
            panic!("{error}\n{text}");
        }
    }
    let all = format!("{}{:?}{}", made.config, made.mapping, made.report.text());
    assert!(!all.contains("s3cr3t"), "{all}");
    made
}

#[test]
fn the_case_becomes_what_the_case_says() {
    let made = imported(CASE_SOURCE, CASE_TARGET);
    insta::assert_snapshot!(made.config, @r#"
    # Made by `orderflow map import` of source.json and target.json. Keys that do not stand here have the defaults that
    # `orderflow check --defaults` prints.

    [source]
    kind = "okki"
    # base_url = "https://api-sandbox.xiaoman.cn"    # where OKKI is; this is the address it publishes
    # client_id = "..."             # its secret: ORDERFLOW_SOURCE__CLIENT_SECRET, or client_secret_file
    api = "/v1/invoices/order/list"
    method = "GET"
    number = "order_no"
    id = "order_id"

    [source.request]
    start_time = "{{LAST_SYNC_TIME|datetime}}"       # 查询开始日期
    end_time = "{{CURRENT_TIME|datetime}}"           # 查询结束日期
    start_index = 1                                  # 查询的页码
    count = 100                                      # 每页记录数
    removed = 0
    approval = 1
    status = "0"

    [mapping]
    file = "mapping.toml"

    [[target]]
    name = "qeasy"
    kind = "execute"
    url = "https://api.qingyiyun.com/execute"
    api = "写入空操作"
    effect = "EXECUTE"
    method = "POST"
    # true: a key that is there is refused as REPEAT, so a later edit of the order does not arrive
    idCheck = true
    "#);
    insta::assert_snapshot!(made.mapping.expect("a mapping"), @r#"
    # Made by `orderflow map import` of target.json (写入空操作). `orderflow check` lints it.

    key = "order_id"
    number = "order_no"
    version = "update_time"         # assumed: metadata does not say when an order was last changed

    [[field]]
    to = "order_id"
    from = "order_id"
    type = "string"
    required = true

    [[field]]
    to = "order_no"
    from = "order_no"
    type = "string"
    "#);
    insta::assert_snapshot!(made.report.text(), @r#"

    worth knowing:
    - mapping.toml: version = "update_time" is assumed; metadata does not say when an order was last changed
    - target.json names no fields (its request is empty): the mapping sends the order's order_id and order_no only; add what the target is to hold
    - idCheck of the target: true: a key that is there is refused as REPEAT, so a later edit of the order does not arrive
    - to be filled in: source.base_url and source.client_id, the secret as ORDERFLOW_SOURCE__CLIENT_SECRET, and what the target asks for in its headers; then `orderflow check`
    "#);
}

#[test]
fn each_end_can_come_alone() {
    let source = imported(CASE_SOURCE, "");
    assert!(source.mapping.is_none() && !source.config.contains("[[target]]"));
    assert!(source.report.text().contains("mapping.toml is still to be written"));
    let target = imported("", RICH_TARGET);
    assert!(target.mapping.is_some() && target.config.contains("[[target]]"));
    // The target's id is a field of its own, made of the order's.
    assert!(target.config.contains("id = \"order_id\""), "{}", target.config);
    imported("{}", "{}");
}

#[test]
fn the_request_of_the_case_as_plain_json_does_as_well() {
    let request = r#"{"request": {"start_time": "{{LAST_SYNC_TIME|datetime}}", "count": 20, "status": "0"}}"#;
    let made = imported(request, "");
    assert!(
        made.config.contains("count = 20\n") && made.config.contains("status = \"0\"\n"),
        "{}",
        made.config
    );
    assert!(
        made.config.contains("approval = \"\""),
        "what a scheme does not send is not sent: {}",
        made.config
    );
}

#[test]
fn no_text_of_the_metadata_breaks_the_files() {
    for nasty in [
        "\\\"",
        "\\n[[target]]\\n",
        "'''",
        "\\u0000",
        "\\u0085",
        "]]",
        "}}",
        "{{",
        "{{a}}\\n`${",
        "a\\\"b.c",
        "#",
    ] {
        let source = format!(
            r#"{{"api": "{nasty}", "id": "{nasty}", "number": "{nasty}", "x{nasty}": "{nasty}", "request": [
                {{"field": "f{nasty}", "value": "{nasty}", "label": "{nasty}"}}, {{"field": "f{nasty}", "value": 1}}]}}"#
        );
        let target = format!(
            r#"{{"api": "{nasty}", "request": [
                {{"field": "f{nasty}", "value": "v{nasty}", "label": "{nasty}", "type": "{nasty}", "k{nasty}": "{nasty}"}},
                {{"field": "g", "value": "{{{{a}}}}{nasty}{{{{b}}}}", "describe": "{nasty}", "parent": "{nasty}"}},
                {{"field": "h", "value": "{{{{a}}}}{nasty}{{{{b}}}}{nasty}!"}}]}}"#
        );
        imported(&source, &target);
    }
}

#[test]
fn one_end_at_least_is_needed() {
    let parse = |more: &[&str]| {
        let line = ["orderflow", "map", "import"].iter().chain(more);
        <crate::cli::Cli as clap::Parser>::try_parse_from(line).is_ok()
    };
    assert!(!parse(&[]) && !parse(&["--out", "x"]));
    assert!(
        parse(&["--source", "a"]) && parse(&["--target", "b"]) && parse(&["--source", "a", "--target", "b"])
    );
}

fn args(folder: &Path, source: Option<PathBuf>, force: bool) -> ImportArgs {
    ImportArgs { source, target: None, out: folder.join("new/folder"), force, output: Output::Table }
}

#[test]
fn files_that_are_there_are_not_overwritten_unless_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source.json");
    std::fs::write(&source, CASE_SOURCE).expect("written");
    let run = |force| run(args(folder.path(), Some(source.clone()), force));
    assert_eq!(run(false).expect("imported"), Exit::Ok);
    let error = run(false).expect_err("it is there");
    assert_eq!(Exit::of(&error), Exit::Usage);
    assert!(error.to_string().contains("--force"), "{error}");
    std::fs::write(&source, RICH_SOURCE).expect("written");
    assert_eq!(run(true).expect("imported"), Exit::Partial);
}

#[test]
fn metadata_that_cannot_be_read_is_the_callers_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source.json");
    let missing = run(args(folder.path(), Some(source.clone()), false)).expect_err("no such file");
    assert_eq!(Exit::of(&missing), Exit::Usage);
    std::fs::write(&source, "{").expect("written");
    let broken = run(args(folder.path(), Some(source), false)).expect_err("no JSON");
    assert_eq!(Exit::of(&broken), Exit::Usage);
    assert!(!folder.path().join("new").exists(), "nothing is written");
}
