//! What `orderflow map drift` tells a person.

use comfy_table::{Table, presets};
use mapping::{Change, Changed, Kind, Seen, Types};
use service::Config;

use super::{Line, Read, Report};
use crate::status::time;

/// Pages that cannot be read are named up to this many.
const NAMED: usize = 10;

pub(super) fn shown(report: &Report, config: &Config) -> String {
    let moment = time(report.moment, &config.zone());
    let mut said = format!(
        "flow     {}\nbefore   {}, fetched before {moment}\nsince    {}\n",
        report.flow,
        read(&report.before),
        read(&report.since)
    );
    said.push_str(&match &report.mapping.error {
        None => format!("mapping  {}\n", report.mapping.version.as_deref().unwrap_or("-")),
        Some(error) => {
            let error = error.lines().next().unwrap_or_default();
            format!("mapping  not known, so that any field may be read by it: {error}\n")
        }
    });
    if !report.unreadable_pages.is_empty() {
        said.push_str(&format!("         {}\n", unreadable(&report.unreadable_pages)));
    }
    let values = report.before.values_left_out + report.since.values_left_out;
    if values > 0 {
        said.push_str(&format!(
            "         there are too many different fields: {values} values of the later ones were left out\n"
        ));
    }
    said.push('\n');
    match (&report.changes, &report.fields) {
        (Some(changes), _) if changes.is_empty() => said.push_str("the orders look the same as before\n"),
        (Some(changes), _) => said.push_str(&format!("{}\n", differences(changes))),
        (None, Some(fields)) if fields.is_empty() => said.push_str("there are no orders yet\n"),
        (None, _) => {
            let side = if report.since.orders > 0 { "before" } else { "since" };
            said.push_str(&format!(
                "no orders were fetched {side} {moment}, so there is nothing to compare; the fields there are:\n\n{}\n",
                fields(report)
            ));
        }
    }
    said
}

fn read(read: &Read) -> String {
    let left_out = match read.pages_left_out {
        0 => String::new(),
        pages => format!(" (older ones are left out, see --limit: {pages})"),
    };
    format!("{} on {}{left_out}", counted(read.orders, "order"), counted(read.pages, "page"))
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn unreadable(pages: &[u64]) -> String {
    let named: Vec<String> = pages.iter().take(NAMED).map(u64::to_string).collect();
    let more = if pages.len() > NAMED { ", ..." } else { "" };
    format!("pages that cannot be read and are not counted: {}{more}", named.join(", "))
}

/// Which page of RAW shows what happened.
fn page(change: &Change) -> String {
    match change.change {
        Changed::Gone | Changed::Empty => format!("last {}", change.place),
        Changed::Type | Changed::NumberAsText | Changed::TextAsNumber | Changed::New => {
            format!("first {}", change.place)
        }
    }
}

fn differences(changes: &[Line<Change>]) -> Table {
    let mut table = table(["change", "field", "mapping", "before", "since", "page of RAW"]);
    for line in changes {
        let of = &line.of;
        table.add_row([
            words(of.change),
            &of.path,
            reads(line.mapping_reads),
            &counts(&of.before, of.within_before),
            &counts(&of.since, of.within_since),
            &page(of),
        ]);
    }
    table
}

fn fields(report: &Report) -> Table {
    let mut table = table(["field", "mapping", "seen", "page of RAW"]);
    for Line { mapping_reads, of } in report.fields.iter().flatten() {
        let Seen { first, last, .. } = of.types.all();
        table.add_row([
            &of.path,
            reads(*mapping_reads),
            &counts(&of.types, of.within),
            &format!("{first} to {last}"),
        ]);
    }
    table
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn words(change: Changed) -> &'static str {
    match change {
        Changed::Gone => "gone",
        Changed::Empty => "no values any more",
        Changed::Type => "other type",
        Changed::NumberAsText => "numbers as text",
        Changed::TextAsNumber => "text as numbers",
        Changed::New => "new",
    }
}

fn reads(reads: Option<bool>) -> &'static str {
    match reads {
        Some(true) => "reads it",
        Some(false) => "-",
        None => "?",
    }
}

fn counts(types: &Types, within: u64) -> String {
    let word = |kind| match kind {
        Kind::String => "text",
        Kind::NumericString => "number as text",
        Kind::Number => "number",
        Kind::Boolean => "boolean",
        Kind::Object => "object",
        Kind::Array => "array",
        Kind::EmptyArray => "[]",
        Kind::EmptyString => "blank",
        Kind::Null => "null",
    };
    let counts: Vec<String> =
        types.iter().map(|(kind, seen)| format!("{} {}", word(kind), seen.count)).collect();
    match types.count() {
        0 => format!("none of {within}"),
        // The elements of arrays: more than there are arrays.
        all if all > within => format!("{} in {within}", counts.join(", ")),
        _ => format!("{} of {within}", counts.join(", ")),
    }
}
