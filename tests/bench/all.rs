//! The figures of all benches as one table: the end of `make bench`.
//!
//! `cargo bench -p orderflow-tests --bench all` puts the files together that the benches left last. With
//! `BENCH_RUN`, which `make bench` sets, only those of that run. It measures nothing.
#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
mod args;
#[allow(dead_code)]
mod figures;

use args::Wrong;
use figures::{Row, table};
use serde::Deserialize;

/// What a bench left.
#[derive(Deserialize)]
struct Report {
    run: Option<String>,
    rows: Vec<Row>,
}

fn main() -> Result<(), Wrong> {
    let run = std::env::var(figures::RUN).ok();
    let mut files: Vec<_> = std::fs::read_dir(figures::folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("bench-") && name.ends_with(".json")
        })
        .collect();
    files.sort();
    let mut rows = Vec::new();
    for file in files {
        // What an older build left, or another bench, has no rows.
        let Ok(report) = serde_json::from_slice::<Report>(&std::fs::read(&file).unwrap()) else { continue };
        if run.is_none() || report.run == run {
            rows.extend(report.rows);
        }
    }
    if rows.is_empty() {
        return Err(Wrong("no bench has left figures: `make bench` runs them".into()));
    }
    println!("\n# Benchmark\n\n{}", table::rates(&rows));
    println!("\nThe processes of the median runs:\n\n{}", table::processes(&rows));
    if rows.iter().any(|row| row.earlier.is_some()) {
        println!("\nAgainst the earlier run:\n\n{}", table::ratios(&rows));
    }
    let file = figures::write("bench.json", "all", &rows, serde_json::Value::Null);
    println!("\nThe same as JSON: {}", file.display());
    Ok(())
}
