//! Lengths of time in the configuration: `500ms`, `60s`, `10m`, `1h`, `2d`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(Duration);

impl Span {
    /// Its length in microseconds, as times are counted in events; the longest there is when it is longer.
    pub fn micros(self) -> i64 {
        i64::try_from(self.get().as_micros()).unwrap_or(i64::MAX)
    }

    /// As the standard library has it.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

fn parse(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    Some(match unit.trim() {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(3_600)?),
        "d" => Duration::from_secs(number.checked_mul(86_400)?),
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(text.trim()).map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "\"{text}\" is no length of time; expected a number and ms, s, m, h or d"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("10m"), Some(Duration::from_secs(600)));
        assert_eq!(parse("2 d"), Some(Duration::from_secs(172_800)));
        for wrong in ["", "10", "m", "-1s", "1w", "1.5s", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
