//! The summary of a run: windows with their proof, what became of every order, and whether that adds up.

use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use events::Outcome;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use operations::{Account, WindowState};

/// Writes a number with separators: 10,783.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The summary as text.
pub fn summary(account: &Account, zone: &TimeZone, took: Duration) -> String {
    let time = |micros: i64| match Timestamp::from_microsecond(micros) {
        Ok(at) => at.to_zoned_datetime(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string(),
        Err(_) => "-".into(),
    };
    let mut windows = plain(["window", "from", "to", "source counts", "distinct", "proof"], &[3, 4]);
    for line in &account.windows {
        let (total, distinct, proof) = match &line.state {
            WindowState::Open => ("-".into(), "-".into(), "still open".to_string()),
            WindowState::Closed { total, distinct, slices, pages_read, .. } => {
                let pages = if *pages_read == 1 { "page" } else { "pages" };
                let read = format!("complete: {} {pages} read", grouped(*pages_read));
                let proof = if *slices > 1 { format!("{read}, in {slices} slices") } else { read };
                (grouped(*total), grouped(*distinct), proof)
            }
            WindowState::Failed { reason } => ("-".into(), "-".into(), format!("FAILED: {reason}")),
        };
        windows.add_row([line.window.clone(), time(line.since), time(line.until), total, distinct, proof]);
    }
    let mut stages = plain(["stage", "in", "done", "dead", "in flight", ""], &[1, 2, 3, 4]);
    stages.add_row([
        "fetch".into(),
        grouped(account.listed),
        grouped(account.read),
        "-".into(),
        "-".into(),
        fetched(account),
    ]);
    stages.add_row([
        "transform".into(),
        grouped(account.read),
        grouped(account.mapped),
        grouped(account.dead + account.dead_pages),
        grouped(account.in_flight),
        transformed(account),
    ]);
    for target in &account.targets {
        let done: u64 = target.outcomes.values().sum();
        let detail: Vec<String> = Outcome::ALL
            .iter()
            .filter(|outcome| target.of(**outcome) > 0)
            .map(|outcome| format!("{} {outcome}", grouped(target.of(*outcome))))
            .collect();
        stages.add_row([
            format!("write {}", target.target),
            grouped(account.records),
            grouped(done),
            grouped(target.dead),
            grouped(target.in_flight),
            detail.join(", "),
        ]);
    }
    let seconds = took.as_secs_f64();
    let rate = if seconds > 0.0 { account.read as f64 / seconds } else { 0.0 };
    format!(
        "{windows}\n\n{stages}\n\n{}\n{seconds:.1} s, {} orders/s through all stages\n",
        verdict(account),
        grouped(rate as u64)
    )
}

/// What became of the rows the source listed and that did not go on.
fn fetched(account: &Account) -> String {
    let known = account.listed.saturating_sub(account.read + account.gone);
    let mut parts = vec![format!("{} pages with news", grouped(account.pages))];
    if known > 0 {
        parts.push(format!("{} rows known already", grouped(known)));
    }
    if account.gone > 0 {
        parts.push(format!("{} deleted meanwhile", grouped(account.gone)));
    }
    parts.join(", ")
}

/// What became of the rows that are neither mapped one by one nor dead.
fn transformed(account: &Account) -> String {
    let mut parts: Vec<String> = account
        .skipped
        .iter()
        .map(|(reason, orders)| format!("{} skipped: {reason}", grouped(*orders)))
        .collect();
    if account.records > account.mapped {
        parts.insert(0, format!("{} records", grouped(account.records)));
    }
    parts.join(", ")
}

/// One sentence that says whether the account adds up.
pub fn verdict(account: &Account) -> String {
    let read = grouped(account.read);
    if !account.is_complete() {
        let failed =
            account.unproved().filter(|line| matches!(line.state, WindowState::Failed { .. })).count();
        let open = account.unproved().filter(|line| line.state == WindowState::Open).count();
        let in_flight: u64 =
            account.in_flight + account.targets.iter().map(|target| target.in_flight).sum::<u64>();
        return format!(
            "NOT COMPLETE: {read} rows read; {} have no outcome yet, {failed} windows failed, {open} are open. \
             Run the same command again: it goes on where this ended.",
            grouped(in_flight)
        );
    }
    match account.dead_letters() {
        0 => format!("Every order read is accounted for: {read} read, none dead, none in flight."),
        dead => format!(
            "Every order read is accounted for: {read} read, none in flight, but {} became dead letters and did not \
             arrive.",
            grouped(dead)
        ),
    }
}

fn plain<const N: usize>(header: [&str; N], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    for column in right {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 10_783, 1_234_567].map(grouped),
            ["0", "999", "1,000", "10,783", "1,234,567"]
        );
    }
}
