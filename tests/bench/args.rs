//! The flags of a bench. Those of another one are not looked at, so that `make bench ARGS='...'` can give them to all.

use std::str::FromStr;

/// Runs of which the median counts, unless `--runs` says otherwise.
const RUNS: usize = 5;

/// The command line.
pub struct Args(Vec<String>);

impl Args {
    /// Of this process, without what cargo adds.
    pub fn read() -> Self {
        Self(std::env::args().skip(1).filter(|arg| arg != "--bench").collect())
    }

    /// What stands behind a flag.
    pub fn text(&self, flag: &str) -> Option<&str> {
        let at = self.0.iter().position(|arg| arg == flag)?;
        let value = self.0.get(at + 1).filter(|value| !value.starts_with("--"));
        Some(value.unwrap_or_else(|| fail(&format!("{flag} wants a value"))))
    }

    /// A number behind a flag.
    pub fn number<T: FromStr>(&self, flag: &str) -> Option<T> {
        let text = self.text(flag)?;
        Some(text.parse().unwrap_or_else(|_| fail(&format!("{flag} {text}: a number is expected"))))
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
    pub fn runs(&self) -> usize {
        self.number("--runs").unwrap_or(RUNS).max(1)
    }

    /// So many orders, or `--orders` when that is less.
    pub fn orders(&self, usual: u64) -> u64 {
        self.number("--orders").unwrap_or(usual).clamp(1, usual)
    }
}

/// Ends the bench before it has measured anything.
pub fn fail(why: &str) -> ! {
    eprintln!("error: {why}");
    std::process::exit(2)
}

/// The middle one of some values.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
