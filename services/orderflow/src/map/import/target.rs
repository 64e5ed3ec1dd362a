//! The target end as a `[[target]]` of orderflow.toml.

use super::metadata::Metadata;
use super::report::{Report, shown};
use super::toml_text::string;

/// Where the case's form of 轻易云 takes its requests.
const URL: &str = "https://api.qingyiyun.com/execute";

/// The part of orderflow.toml that says where orders go.
pub(super) fn target(metadata: &Metadata, report: &mut Report) -> String {
    let mut out = format!("\n[[target]]\nname = \"qeasy\"\nkind = \"execute\"\nurl = \"{URL}\"\n");
    match &metadata.api {
        Some(api) => out.push_str(&format!("api = {}\n", string(api))),
        None => report.note(format!("{} names no `api`: 写入空操作 is assumed", metadata.file)),
    }
    out.push_str("effect = \"EXECUTE\"\n");
    match metadata.method.as_deref().map(str::to_ascii_uppercase) {
        Some(method) if method == "POST" || method == "PUT" => {
            out.push_str(&format!("method = \"{method}\"\n"))
        }
        Some(method) => {
            let place = format!("{}, `method`", metadata.file);
            report.lose(
                place,
                shown("method", &method),
                "POST is used; set method of [[target]] to POST or PUT",
            );
        }
        None => {}
    }
    let (flag, remark) = match metadata.id_check {
        Some(true) => (
            "true",
            "true: a key that is there is refused as REPEAT, so a later edit of the order does not arrive",
        ),
        Some(false) => {
            ("false", "false: a key that is there is overwritten, so a later edit of the order arrives")
        }
        None => (
            "true",
            "the metadata does not say: true is assumed, which refuses a key that is there; false would overwrite it",
        ),
    };
    out.push_str(&format!("# {remark}\nidCheck = {flag}\n"));
    if metadata.id_check != Some(false) {
        report.note(format!("idCheck of the target: {remark}"));
    }
    if let Some(size) = &metadata.page_size {
        report.note(format!(
            "{}: pageSize {} is not used; a target has no pages",
            metadata.file,
            shown("", size)
        ));
    }
    out
}
