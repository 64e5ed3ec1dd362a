//! The summary of a run: windows with their proof, what became of every order, and whether that adds up.

use std::borrow::Cow;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use events::Outcome;
use jiff::tz::TimeZone;
use operations::{Account, WindowState};

use crate::columns::cells;
use crate::status::time;
use crate::words;

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
    let seconds = took.as_secs_f64();
    let rate = if seconds > 0.0 { account.read as f64 / seconds } else { 0.0 };
    let pace = t!(
        "%{seconds} s, %{rate} orders/s through all stages",
        seconds = format!("{seconds:.1}"),
        rate = grouped(rate as u64)
    );
    format!("{}\n\n{}\n\n{}\n{pace}\n", windows(account, zone), stages(account), verdict(account))
}

fn windows(account: &Account, zone: &TimeZone) -> Table {
    let header = [t!("window"), t!("from"), t!("to"), t!("source counts"), t!("distinct"), t!("proof")];
    let mut windows = plain(header, &[3, 4]);
    for line in &account.windows {
        let (total, distinct, proof) = match &line.state {
            WindowState::Open => ("-".into(), "-".into(), t!("still open").into()),
            WindowState::Closed { total, distinct, slices, pages_read, .. } => {
                let read = match pages_read {
                    1 => t!("complete: 1 page read"),
                    pages => t!("complete: %{pages} pages read", pages = grouped(*pages)),
                };
                let slices =
                    if *slices > 1 { t!(", in %{slices} slices", slices = slices) } else { "".into() };
                (grouped(*total), grouped(*distinct), format!("{read}{slices}"))
            }
            WindowState::Failed { reason } => {
                ("-".into(), "-".into(), t!("FAILED: %{reason}", reason = reason).into())
            }
        };
        let (since, until) = (time(line.since, zone), time(line.until, zone));
        windows.add_row(cells([line.window.clone(), since, until, total, distinct, proof]));
    }
    windows
}

fn stages(account: &Account) -> Table {
    let header = [t!("stage"), t!("in"), t!("done"), t!("dead"), t!("in flight"), "".into()];
    let mut stages = plain(header, &[1, 2, 3, 4]);
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
        let some = Outcome::ALL.into_iter().filter(|outcome| target.of(*outcome) > 0);
        let detail = some.map(|outcome| {
            let (count, outcome) = (grouped(target.of(outcome)), words::outcome(outcome));
            t!("%{count} %{outcome}", count = count, outcome = outcome).into_owned()
        });
        stages.add_row([
            format!("write {}", target.target),
            grouped(account.records),
            grouped(done),
            grouped(target.dead),
            grouped(target.in_flight),
            listed(detail.collect()),
        ]);
    }
    stages
}

/// Texts with commas between.
pub fn listed(texts: Vec<String>) -> String {
    texts.join(&t!(", "))
}

/// What became of the rows the source listed and that did not go on.
fn fetched(account: &Account) -> String {
    let known = account.listed.saturating_sub(account.read + account.gone);
    let mut parts = vec![t!("%{count} pages with news", count = grouped(account.pages)).into_owned()];
    if known > 0 {
        parts.push(t!("%{count} rows known already", count = grouped(known)).into());
    }
    if account.gone > 0 {
        parts.push(t!("%{count} deleted meanwhile", count = grouped(account.gone)).into());
    }
    listed(parts)
}

/// What became of the rows that are neither mapped one by one nor dead.
fn transformed(account: &Account) -> String {
    let skipped = account.skipped.iter().map(|(reason, orders)| {
        t!("%{count} skipped: %{reason}", count = grouped(*orders), reason = reason).into_owned()
    });
    let several = (account.records > account.mapped)
        .then(|| t!("%{count} records", count = grouped(account.records)).into_owned());
    listed(several.into_iter().chain(skipped).collect())
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
        return t!(
            "NOT COMPLETE: %{read} rows read; %{in_flight} have no outcome yet, %{failed} windows failed, %{open} are open. \
             Run the same command again: it goes on where this ended.",
            read = read,
            in_flight = grouped(in_flight),
            failed = failed,
            open = open
        )
        .into();
    }
    let mut said = match account.dead_letters() {
        0 => t!("Every order read is accounted for: %{read} read, none dead, none in flight.", read = read),
        dead => t!(
            "Every order read is accounted for: %{read} read, none in flight, but %{dead} became dead letters and did not \
             arrive.",
            read = read,
            dead = grouped(dead)
        ),
    }
    .into_owned();
    if account.older_stamps() > 0 {
        said.push_str(&t!(
            " %{count} carry an older update time than what the target holds, though they were read later, and were not written: \
             `orderflow reconcile --repair` writes them.",
            count = grouped(account.older_stamps())
        ));
    }
    said
}

fn plain<const N: usize>(header: [Cow<'static, str>; N], right: &[usize]) -> Table {
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
    use operations::{TargetAccount, WindowLine};

    use crate::language::in_both;

    const AT: i64 = 1_741_233_600_000_000;

    fn account() -> Account {
        let window = |name: &str, pages_read, slices| WindowLine {
            window: name.into(),
            since: AT - 60_000_000,
            until: AT,
            state: WindowState::Closed { total: 3_000, distinct: 3_000, passes: 2, slices, pages_read },
        };
        Account {
            windows: vec![window("live-000001", 60, 3), window("live-000002", 1, 1)],
            listed: 6_000,
            gone: 2,
            pages: 30,
            read: 3_000,
            mapped: 2_990,
            records: 2_990,
            skipped: [("draft".to_string(), 7)].into(),
            dead: 3,
            dead_pages: 0,
            in_flight: 0,
            targets: vec![TargetAccount {
                target: "qeasy".into(),
                outcomes: [("written", 2_980), ("unknown", 4)].into(),
                dead: 6,
                in_flight: 0,
            }],
        }
    }

    #[test]
    fn a_run_that_is_complete_but_for_dead_letters() {
        let took = Duration::from_millis(12_340);
        insta::assert_snapshot!(in_both(|| summary(&account(), &TimeZone::UTC, took)));
    }

    #[test]
    fn a_run_that_is_not_complete_and_one_that_is_well() {
        let (mut open, mut well) = (account(), account());
        let reason = "page 3 has no list".to_string();
        open.windows[0].state = WindowState::Failed { reason };
        open.windows[1].state = WindowState::Open;
        open.windows[1].until += 60_000_000;
        (open.records, open.in_flight) = (2_995, 5);
        (well.dead, well.targets[0].dead) = (0, 0);
        insta::assert_snapshot!(in_both(|| {
            format!("{}\n{}", summary(&open, &TimeZone::UTC, Duration::ZERO), verdict(&well))
        }));
    }

    #[test]
    fn a_run_with_orders_that_carry_an_older_update_time() {
        let mut older = account();
        (older.dead, older.targets[0].dead) = (0, 0);
        older.targets[0].outcomes.insert("older_stamp", 3);
        let took = Duration::from_secs(1);
        insta::assert_snapshot!(in_both(|| summary(&older, &TimeZone::UTC, took)));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 10_783, 1_234_567].map(grouped),
            ["0", "999", "1,000", "10,783", "1,234,567"]
        );
    }
}
