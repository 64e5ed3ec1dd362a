//! The flags of a bench. Those of another one are not looked at, so that `make bench ARGS='...'` can give them to all.

use std::fmt;
use std::str::FromStr;

/// Runs of which the median counts, unless `--runs` says otherwise.
const RUNS: usize = 5;

/// What is wrong with the command line. It ends a bench before anything is measured; `main` shows it.
pub struct Wrong(pub String);

impl fmt::Debug for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The command line.
pub struct Args(Vec<String>);

impl Args {
    /// Of this process, without what cargo adds.
    pub fn read() -> Self {
        Self(std::env::args().skip(1).filter(|arg| arg != "--bench").collect())
    }

    /// What stands behind a flag.
    pub fn text(&self, flag: &str) -> Result<Option<&str>, Wrong> {
        let Some(at) = self.0.iter().position(|arg| arg == flag) else { return Ok(None) };
        match self.0.get(at + 1).filter(|value| !value.starts_with("--")) {
            Some(value) => Ok(Some(value)),
            None => Err(Wrong(format!("{flag} wants a value"))),
        }
    }

    /// A number behind a flag.
    pub fn number<T: FromStr>(&self, flag: &str) -> Result<Option<T>, Wrong> {
        let Some(text) = self.text(flag)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Wrong(format!("{flag} {text}: a number is expected")))
    }

    /// Whether a flag is there.
    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|arg| arg == flag)
    }

    /// The first argument, when it is a number.
    pub fn first<T: FromStr>(&self) -> Option<T> {
        self.0.first()?.parse().ok()
    }

    /// `--runs`, at least one.
    pub fn runs(&self) -> Result<usize, Wrong> {
        Ok(self.number("--runs")?.unwrap_or(RUNS).max(1))
    }

    /// So many orders, or `--orders` when that is less.
    pub fn orders(&self, usual: u64) -> Result<u64, Wrong> {
        Ok(self.number("--orders")?.unwrap_or(usual).clamp(1, usual))
    }
}

/// The middle one of some values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
