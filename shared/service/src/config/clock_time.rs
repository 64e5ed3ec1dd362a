//! Times of the day in the configuration: `08:00`.

use std::fmt;

use jiff::civil::Time;
use serde::{Deserialize, Deserializer, de};

/// A time of the day, in whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockTime(Time);

impl ClockTime {
    /// As the library of times has it.
    pub fn get(self) -> Time {
        self.0
    }
}

impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

fn parse(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |part: &str| {
        let is_number = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| part.parse::<i8>().ok()).flatten()
    };
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

impl<'de> Deserialize<'de> for ClockTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse(text.trim()).map(Self).ok_or_else(|| {
            let message = format!("\"{text}\" is no time of the day; expected 08:00 or the like");
            de::Error::custom(message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_day_are_read() {
        let read = |text| parse(text).map(|time| ClockTime(time).to_string());
        assert_eq!(read("08:00").as_deref(), Some("08:00"));
        assert_eq!(read("8:05").as_deref(), Some("08:05"));
        assert_eq!(read("23:59").as_deref(), Some("23:59"));
        for wrong in ["", "8", "24:00", "08:60", "08:00:00", "-1:00", "8 o'clock", "+8:00", "008:00"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
