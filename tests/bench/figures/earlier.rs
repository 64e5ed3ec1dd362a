//! An earlier run to compare with: the JSON of the same bench, or of all of them.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Row;
use crate::args::Wrong;

/// The rows of a file.
pub struct Earlier {
    file: PathBuf,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Report {
    rows: Vec<Row>,
}

impl Earlier {
    /// Reads a file.
    pub fn read(file: &str, bench: &str) -> Result<Self, Wrong> {
        let file = place(file);
        let shown = file.display();
        let bytes = std::fs::read(&file)
            .map_err(|error| Wrong(format!("--compare {shown} cannot be read: {error}")))?;
        let report: Report = serde_json::from_slice(&bytes).map_err(|error| {
            Wrong(format!("--compare {shown} is not what a bench wrote (JSON with \"rows\"): {error}"))
        })?;
        let of_bench = |row: &Row| row.name.starts_with(&format!("{bench}/"));
        let all = report.rows.len();
        let rows: Vec<Row> = report.rows.into_iter().filter(of_bench).collect();
        if rows.is_empty() {
            // With `make bench` a file of one bench comes to all of them.
            eprintln!(
                "warning: {shown} has {all} figures, and none of the bench {bench}: nothing to compare"
            );
        }
        Ok(Self { file, rows })
    }

    /// Where it is from.
    pub fn file(&self) -> std::path::Display<'_> {
        self.file.display()
    }

    /// The figure of this name.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name).map(|row| row.value)
    }
}

/// Where the caller is, which is not where cargo has us run.
fn place(file: &str) -> PathBuf {
    std::env::var_os("PWD").map_or_else(|| PathBuf::from(file), |folder| Path::new(&folder).join(file))
}
