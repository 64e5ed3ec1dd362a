//! Rows as tables in Markdown.

use super::Row;

/// What was measured beside what it should be and what the machine does without us.
pub fn rates(rows: &[Row]) -> String {
    let mut lines = vec![
        "| what | measured | aim | the machine's limit | of the limit |".to_string(),
        "|---|---|---|---|---|".to_string(),
    ];
    for row in rows {
        let aim = match (row.aim, row.met()) {
            (Some(aim), Some(met)) => {
                let (sign, said) =
                    (if row.higher_is_better { ">=" } else { "<=" }, if met { "met" } else { "missed" });
                format!("{sign} {}: {said}", number(aim))
            }
            _ => "-".into(),
        };
        let (limit, of) = match &row.limit {
            Some(limit) => (
                format!("{} ({})", number(limit.value), limit.what),
                format!("{:.2}", row.value / limit.value),
            ),
            None => ("-".into(), "-".into()),
        };
        lines.push(format!("| {} | {} {} | {aim} | {limit} | {of} |", row.name, number(row.value), row.unit));
    }
    lines.join("\n")
}

/// What the processes used.
pub fn processes(rows: &[Row]) -> String {
    let mut lines = vec![
        "| what | process | CPU seconds | CPU us an order | peak memory, MiB |".to_string(),
        "|---|---|---|---|---|".to_string(),
    ];
    for row in rows {
        for process in &row.processes {
            let peak = process.peak_mib.map_or_else(|| "-".into(), |peak| format!("{peak:.0}"));
            lines.push(format!(
                "| {} | {} | {:.2} | {:.1} | {peak} |",
                row.name, process.name, process.cpu_seconds, process.cpu_us_an_order
            ));
        }
    }
    lines.join("\n")
}

/// New over old, of the rows that both runs have.
pub fn ratios(rows: &[Row]) -> String {
    let mut lines =
        vec!["| what | earlier | now | now / earlier | |".to_string(), "|---|---|---|---|---|".to_string()];
    for row in rows {
        let Some(earlier) = row.earlier else {
            lines.push(format!("| {} | - | {} {} | - | new |", row.name, number(row.value), row.unit));
            continue;
        };
        let better = (row.value > earlier) == row.higher_is_better;
        let said = match (row.value == earlier, better) {
            (true, _) => "same",
            (false, true) => "better",
            (false, false) => "worse",
        };
        lines.push(format!(
            "| {} | {} | {} {} | {:.3} | {said} |",
            row.name,
            number(earlier),
            number(row.value),
            row.unit,
            row.value / earlier
        ));
    }
    lines.join("\n")
}

/// As many digits as say something.
fn number(value: f64) -> String {
    match value.abs() {
        0.0..10.0 => format!("{value:.3}"),
        10.0..1_000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
