//! mapping.toml as a whole: the keys at its top, and the fields.

use super::condition::filters;
use super::fields::{Fields, fields};
use super::metadata::{Entry, Metadata};
use super::report::Report;
use super::template::{Path, Piece, pieces};
use super::toml_text::{comment, string};

/// What identifies an order, and what people know it by: paths from the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) key: String,
    pub(super) number: String,
}

impl Names {
    /// What the source says, else what the target says, else what OKKI calls them.
    pub(super) fn of(source: Option<&Metadata>, target: Option<&Metadata>, report: &mut Report) -> Self {
        let mut choose = |what: &str, default: &str, said: fn(&Metadata) -> Option<&String>| {
            for end in [source, target].into_iter().flatten() {
                let Some(text) = said(end) else { continue };
                match meant(text, &end.request) {
                    Some(path) => return path,
                    None => report.lose(
                        format!("{}, `{what}`", end.file),
                        super::report::shown(what, text),
                        "this is no path of the order; say it in orderflow.toml (source) and mapping.toml",
                    ),
                }
            }
            report
                .note(format!("no usable `{what}` in the metadata: {default} is assumed, as OKKI calls it"));
            default.to_owned()
        };
        Self {
            key: choose("id", "order_id", |end| end.id.as_ref()),
            number: choose("number", "order_no", |end| end.number.as_ref()),
        }
    }
}

/// A target's id is one of its own fields, where it has such a field; then it means what that is made of.
fn meant(text: &str, request: &[Entry]) -> Option<String> {
    let own = request.iter().find(|entry| entry.field == text).and_then(|entry| entry.value.as_ref());
    let whole = |text: &str| match pieces(text).as_slice() {
        [Piece::Path { path, filter: None }] => Some(path.to_string()),
        _ => None,
    };
    own.and_then(|value| whole(value.text()))
        .or_else(|| whole(text))
        .or_else(|| Path::read(text).map(|path| path.to_string()))
}

/// The text of mapping.toml, and its fields.
pub(super) fn mapping(
    source: Option<&Metadata>,
    target: &Metadata,
    names: &Names,
    report: &mut Report,
) -> (String, Fields) {
    let mut fields = fields(&target.file, &target.request, report);
    let mut text = comment(&format!(
        "Made by `orderflow map import` of {}{}. `orderflow check` lints it.",
        target.file,
        target.api.as_ref().map(|api| format!(" ({api})")).unwrap_or_default()
    ));
    text.push_str(&format!("\nkey = {}\nnumber = {}\n", string(&names.key), string(&names.number)));
    text.push_str(
        "version = \"update_time\"         # assumed: metadata does not say when an order was last changed\n",
    );
    report.note("mapping.toml: version = \"update_time\" is assumed; metadata does not say when an order was last changed");
    if fields.written == 0 {
        let none = match target.request.is_empty() {
            true => "names no fields (its request is empty)",
            false => "has no field that could be carried over",
        };
        report.note(format!(
            "{} {none}: the mapping sends the order's {} and {} only; add what the target \
             is to hold",
            target.file, names.key, names.number
        ));
        fields.text.push_str(&least(names));
    }
    for end in source.into_iter().chain([target]) {
        let (filters, reads) = filters(end, report);
        text.push_str(&filters);
        fields.reads.extend(reads);
    }
    text.push_str(&fields.text);
    (text, fields)
}

/// A record needs a field: the id and the number of the order are what every record can have.
fn least(names: &Names) -> String {
    let field = |path: &str, more: &str| {
        format!("\n[[field]]\nto = {0}\nfrom = {0}\ntype = \"string\"\n{more}", string(path))
    };
    let mut out = field(&names.key, "required = true\n");
    if names.number != names.key {
        out.push_str(&field(&names.number, ""));
    }
    out
}
