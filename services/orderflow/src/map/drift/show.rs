//! What `orderflow map drift` tells a person.

use std::borrow::Cow;

use comfy_table::{Table, presets};
use mapping::{Change, Changed, Kind, Seen, Types};
use service::Config;

use super::{Line, Missing, Read, Report};
use crate::columns::padded;
use crate::map::accept::told;
use crate::status::time;
use crate::summary::grouped;

/// So many columns are for what a line is about.
const LABEL: usize = 9;

/// Pages that cannot be read are named up to this many.
const NAMED: usize = 10;

pub(super) fn shown(report: &Report, config: &Config) -> String {
    let moment = time(report.moment, &config.zone());
    let mut said = String::new();
    let mut tell = |what: &str, text: &str| said.push_str(&format!("{}{text}\n", padded(what, LABEL)));
    tell(&t!("flow"), &report.flow);
    let before = t!("%{orders}, fetched before %{time}", orders = read(&report.before), time = moment);
    tell(&t!("before"), &before);
    tell(&t!("since"), &read(&report.since));
    match &report.mapping.error {
        None => tell(&t!("mapping"), report.mapping.version.as_deref().unwrap_or("-")),
        Some(error) => {
            let error = error.lines().next().unwrap_or_default();
            let unknown = t!("not known, so that any field may be read by it: %{why}", why = error);
            tell(&t!("mapping"), &unknown);
        }
    }
    if !report.unreadable_pages.is_empty() {
        tell("", &unreadable(&report.unreadable_pages));
    }
    let values = report.before.values_left_out + report.since.values_left_out;
    if values > 0 {
        let left_out = t!(
            "there are too many different fields: %{count} values of the later ones were left out",
            count = values
        );
        tell("", &left_out);
    }
    let found = match (&report.changes, &report.fields) {
        (Some(changes), _) if changes.is_empty() => t!("the orders look the same as before").into(),
        (Some(changes), _) => differences(changes).to_string(),
        (None, Some(fields)) if fields.is_empty() => t!("there are no orders yet").into(),
        (None, _) => {
            let none = match report.since.orders {
                0 => t!(
                    "no orders were fetched since %{time}, so there is nothing to compare; the fields there are:",
                    time = moment
                ),
                _ => t!(
                    "no orders were fetched before %{time}, so there is nothing to compare; the fields there are:",
                    time = moment
                ),
            };
            format!("{none}\n\n{}", fields(report))
        }
    };
    format!("{said}\n{}{found}\n", watched(report, config))
}

/// What is wrong with the mapping although every order is mapped; what it reads and no order has.
fn watched(report: &Report, config: &Config) -> String {
    let mut said = String::new();
    for field in &report.watch.empty {
        let line = t!(
            "%{path} has gone empty: %{had} of %{of} orders had it, none of the %{orders} since %{time}",
            path = field.path,
            had = grouped(field.had),
            of = grouped(field.of),
            orders = grouped(field.orders),
            time = time(field.since, &config.zone())
        );
        said.push_str(&format!("{line}\n"));
    }
    if let Some(held) = &report.watch.held {
        said.push_str(&told(held, config));
        let accept = t!(
            "`orderflow map accept %{version} --execute --reason \"...\"` puts it in use",
            version = held.version
        );
        said.push_str(&format!("{accept}\n"));
    }
    for missing in &report.missing {
        said.push_str(&format!("{}\n", misspelt(missing)));
    }
    if !said.is_empty() {
        said.push('\n');
    }
    said
}

/// So many fields are named of those that are there.
const FIELDS: usize = 12;

fn some(fields: &[String]) -> String {
    let more = if fields.len() > FIELDS { ", ..." } else { "" };
    format!("{}{more}", fields.iter().take(FIELDS).cloned().collect::<Vec<_>>().join(", "))
}

/// Of a path that no order has, what was perhaps meant.
fn misspelt(missing: &Missing) -> String {
    let Missing { path, near, within, there } = missing;
    match (near, within.as_str()) {
        (Some(near), _) => {
            t!("the mapping reads %{path}, which no order has; is it %{near}?", path = path, near = near)
        }
        (None, "") => t!("the mapping reads %{path}, which no order has; is it misspelt?", path = path),
        (None, within) => t!(
            "the mapping reads %{path}, which no order has; is it misspelt? %{within} has %{fields}",
            path = path,
            within = within,
            fields = some(there)
        ),
    }
    .into()
}

fn read(read: &Read) -> String {
    let orders = match read.orders {
        1 => t!("1 order"),
        count => t!("%{count} orders", count = count),
    };
    let pages = match read.pages {
        1 => t!("1 page"),
        count => t!("%{count} pages", count = count),
    };
    let left_out = match read.pages_left_out {
        0 => "".into(),
        pages => t!(" (older ones are left out, see --limit: %{count})", count = pages),
    };
    t!("%{orders} on %{pages}%{left_out}", orders = orders, pages = pages, left_out = left_out).into()
}

fn unreadable(pages: &[u64]) -> String {
    let named: Vec<String> = pages.iter().take(NAMED).map(u64::to_string).collect();
    let more = if pages.len() > NAMED { ", ..." } else { "" };
    let pages = format!("{}{more}", named.join(", "));
    t!("pages that cannot be read and are not counted: %{pages}", pages = pages).into()
}

/// Which page of RAW shows what happened.
fn page(change: &Change) -> String {
    match change.change {
        Changed::Gone | Changed::Empty => t!("last %{place}", place = change.place),
        Changed::Type | Changed::NumberAsText | Changed::TextAsNumber | Changed::New => {
            t!("first %{place}", place = change.place)
        }
    }
    .into()
}

fn differences(changes: &[Line<Change>]) -> Table {
    let mut table =
        table([t!("change"), t!("field"), t!("mapping"), t!("before"), t!("since"), t!("page of RAW")]);
    for line in changes {
        let of = &line.of;
        table.add_row([
            &*words(of.change),
            &*service::escape_value(&of.path),
            &reads(line.mapping_reads),
            &counts(&of.before, of.within_before),
            &counts(&of.since, of.within_since),
            &page(of),
        ]);
    }
    table
}

fn fields(report: &Report) -> Table {
    let mut table = table([t!("field"), t!("mapping"), t!("seen"), t!("page of RAW")]);
    for Line { mapping_reads, of } in report.fields.iter().flatten() {
        let Seen { first, last, .. } = of.types.all();
        table.add_row([
            &*service::escape_value(&of.path),
            &reads(*mapping_reads),
            &counts(&of.types, of.within),
            &t!("%{first} to %{last}", first = first, last = last),
        ]);
    }
    table
}

fn table<const N: usize>(header: [Cow<'static, str>; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

fn words(change: Changed) -> Cow<'static, str> {
    match change {
        Changed::Gone => t!("gone"),
        Changed::Empty => t!("no values any more"),
        Changed::Type => t!("other type"),
        Changed::NumberAsText => t!("numbers as text"),
        Changed::TextAsNumber => t!("text as numbers"),
        Changed::New => t!("new"),
    }
}

fn reads(reads: Option<bool>) -> Cow<'static, str> {
    match reads {
        Some(true) => t!("reads it"),
        Some(false) => "-".into(),
        None => "?".into(),
    }
}

fn counts(types: &Types, within: u64) -> String {
    let word = |kind| match kind {
        Kind::String => t!("text"),
        Kind::NumericString => t!("number as text"),
        Kind::Number => t!("number"),
        Kind::Boolean => t!("boolean"),
        Kind::Object => t!("object"),
        Kind::Array => t!("array"),
        Kind::EmptyArray => "[]".into(),
        Kind::EmptyString => t!("blank"),
        Kind::Null => "null".into(),
    };
    let counts: Vec<String> =
        types.iter().map(|(kind, seen)| format!("{} {}", word(kind), seen.count)).collect();
    let counts = counts.join(&t!(", "));
    match types.count() {
        0 => t!("none of %{within}", within = within),
        // The elements of arrays: more than there are arrays.
        all if all > within => t!("%{counts} in %{within}", counts = counts, within = within),
        _ => t!("%{counts} of %{within}", counts = counts, within = within),
    }
    .into()
}
