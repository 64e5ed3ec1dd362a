//! What `orderflow peek` tells a person.

use comfy_table::{CellAlignment, Table, presets};
use service::Config;
use unicode_width::UnicodeWidthChar;

use super::PeekReport;
use super::fields::FieldOfOrders;

/// An example is cut to so many columns.
const EXAMPLE: usize = 32;

pub fn shown(report: &PeekReport, config: &Config) -> String {
    let looked = t!(
        "%{orders} orders of %{total} since schedule.since (%{since})",
        orders = report.orders,
        total = report.total,
        since = config.schedule.since.as_deref().unwrap_or("-")
    );
    let mut out = format!("{looked}\n");
    if report.left_out > 0 {
        let left_out = t!(
            "%{count} rows are no JSON, or were gone when their detail was asked for",
            count = report.left_out
        );
        out.push_str(&format!("{left_out}\n"));
    }
    if report.orders == 0 {
        let none = t!(
            "there is nothing to look at: an earlier schedule.since, or another source.request, may have orders"
        );
        return format!("{out}{none}\n");
    }
    out.push_str(&format!("\n{}\n\n", table(&report.fields)));
    if config.source.detail.is_none() && !report.fields.iter().any(|field| field.path == "product_list") {
        let detail = t!(
            "There is no product_list: the list of orders lacks it. [source.detail] in orderflow.toml fetches each order whole."
        );
        out.push_str(&format!("{detail}\n"));
    }
    out
}

/// What can be done next, where no mapping was asked for.
pub fn hint(report: &PeekReport, config: &Config) -> String {
    let hint = match &report.proposal {
        _ if report.orders == 0 => return String::new(),
        Some(proposal) => t!(
            "`orderflow peek --propose mapping.toml` writes a mapping that maps %{mapped} of these %{orders} orders.",
            mapped = proposal.mapped,
            orders = report.orders
        ),
        None => {
            t!("No order has the field %{id} (source.id), so no mapping is proposed.", id = config.source.id)
        }
    };
    format!("{hint}\n")
}

fn table(fields: &[FieldOfOrders]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([t!("field"), t!("example"), t!("filled")]);
    for field in fields {
        let example = field.example.as_deref().map_or_else(|| kind(field).into(), cut);
        let share = t!("%{filled} of %{of}", filled = field.filled, of = field.of);
        table.add_row([&*service::escape_value(&field.path), &*service::escape_value(&example), &*share]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// What stands for a value that is none to show.
fn kind(field: &FieldOfOrders) -> std::borrow::Cow<'static, str> {
    match field.types.first().map(String::as_str) {
        Some("object") => t!("(object)"),
        Some("array" | "empty_array") => t!("(list)"),
        _ => "-".into(),
    }
}

/// A text that takes so many columns at most.
fn cut(text: &str) -> String {
    let mut columns = 0;
    let fits = |letter: &(usize, char)| {
        columns += letter.1.width().unwrap_or(0);
        columns <= EXAMPLE
    };
    let end = text.char_indices().take_while(fits).last().map_or(0, |(at, letter)| at + letter.len_utf8());
    if end == text.len() { text.to_owned() } else { format!("{}…", &text[..end]) }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn an_example_is_cut_by_columns_and_between_letters() {
        assert_eq!(cut("\"short\""), "\"short\"");
        assert_eq!(cut(&"订".repeat(40)), format!("{}…", "订".repeat(16)));
        assert_eq!(cut(&"a".repeat(33)), format!("{}…", "a".repeat(32)));
    }
}
