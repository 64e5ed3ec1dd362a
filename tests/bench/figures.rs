//! What a bench found, in the form that all of them share: rows for the table, for a JSON file, and to be compared with an
//! earlier run.

mod earlier;
pub mod table;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::args::{Args, Wrong};
use earlier::Earlier;

/// The run of all benches that this one is a part of; `make bench` sets it, so that only what belongs together is put together.
pub const RUN: &str = "BENCH_RUN";

/// Where the JSON files are.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// One figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The bench and what it measured, `write/single`.
    pub name: String,
    /// The median of the runs.
    pub value: f64,
    /// What it counts.
    pub unit: String,
    /// What it should be at least, or at most.
    pub aim: Option<f64>,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// What the machine does without us, measured in the same run and in the same unit.
    pub limit: Option<Limit>,
    /// The processes of the median run.
    #[serde(default)]
    pub processes: Vec<Process>,
    /// The same figure of the file that `--compare` named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<f64>,
}

/// What the machine does without us.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limit {
    /// What was measured.
    pub what: String,
    /// In the unit of the row.
    pub value: f64,
}

/// What a process used.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// What it is.
    pub name: String,
    /// User and system time.
    pub cpu_seconds: f64,
    /// The same an order, in microseconds.
    pub cpu_us_an_order: f64,
    /// The largest resident set; `None` when it would be that of other runs as well.
    pub peak_mib: Option<f64>,
}

impl Row {
    /// A figure of which more is better.
    pub fn new(name: impl Into<String>, value: f64, unit: &str) -> Self {
        let (name, unit) = (name.into(), unit.to_string());
        let processes = Vec::new();
        Self { name, value, unit, aim: None, higher_is_better: true, limit: None, processes, earlier: None }
    }

    /// Less is better.
    pub fn low(self) -> Self {
        Self { higher_is_better: false, ..self }
    }

    /// What it should come to.
    pub fn aim(self, aim: impl Into<Option<f64>>) -> Self {
        Self { aim: aim.into(), ..self }
    }

    /// The machine's limit.
    pub fn limit(self, what: &str, value: f64) -> Self {
        Self { limit: Some(Limit { what: what.to_string(), value }), ..self }
    }

    /// What the processes used.
    pub fn processes(self, processes: Vec<Process>) -> Self {
        Self { processes, ..self }
    }

    /// Whether it came to its aim; `None` without one.
    pub fn met(&self) -> Option<bool> {
        self.aim.map(|aim| if self.higher_is_better { self.value >= aim } else { self.value <= aim })
    }
}

/// The figures of one bench.
pub struct Figures {
    bench: &'static str,
    earlier: Option<Earlier>,
    rows: Vec<Row>,
}

impl Figures {
    /// Of the bench of this name; not with a `--compare FILE` that is no earlier run.
    pub fn of(bench: &'static str, args: &Args) -> Result<Self, Wrong> {
        let earlier = args.text("--compare")?.map(|file| Earlier::read(file, bench)).transpose()?;
        Ok(Self { bench, earlier, rows: Vec::new() })
    }

    /// Adds one.
    pub fn push(&mut self, row: Row) {
        let earlier = self.earlier.as_ref().and_then(|earlier| earlier.value(&row.name));
        self.rows.push(Row { earlier, ..row });
    }

    /// What the processes of its rows used, as a table.
    pub fn processes(&self) -> String {
        table::processes(&self.rows)
    }

    /// Prints them, and writes them with all else that is worth keeping.
    pub fn finish(self, detail: Value) {
        println!("\n{}", table::rates(&self.rows));
        if let Some(earlier) = &self.earlier {
            println!("\nAgainst {}:\n\n{}", earlier.file(), table::ratios(&self.rows));
        }
        let file = write(&format!("bench-{}.json", self.bench), self.bench, &self.rows, detail);
        println!("\nThe same as JSON: {}", file.display());
    }
}

/// Writes rows, and what else is known of the bench beside them; returns where.
pub fn write(file: &str, bench: &str, rows: &[Row], detail: Value) -> PathBuf {
    let run = std::env::var(RUN).ok();
    let mut report = serde_json::json!({ "bench": bench, "run": run, "rows": rows });
    if let (Value::Object(report), Value::Object(detail)) = (&mut report, detail) {
        report.extend(detail);
    }
    let file = folder().join(file);
    std::fs::write(&file, serde_json::to_vec_pretty(&report).unwrap()).unwrap();
    file
}
