//! The `Retry-After` header, in both forms of RFC 9110, section 10.2.3.

use std::time::Duration;

use jiff::Timestamp;

/// A server that asks for more is not believed: a wrong clock there must not stop us for a year.
const LONGEST: Duration = Duration::from_secs(3_600);

/// How long to wait; `None` when the header is neither a number of seconds nor a date. At most one hour. A fraction of a
/// second, which the standard does not have and some servers send, is rounded up.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if let Some(seconds) = value.parse::<f64>().ok().filter(|_| is_number) {
        return Some(Duration::from_secs(seconds.ceil().min(LONGEST.as_secs_f64()) as u64));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let until = Timestamp::try_from(until).ok()?;
    let wait = until.duration_since(now);
    Some(Duration::try_from(wait).unwrap_or(Duration::ZERO).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_capped() {
        let now: Timestamp = "1994-11-06T08:49:27Z".parse().expect("a time");
        let seconds = |value| retry_after(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(10));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(seconds("999999999999"), Some(3_600));
        assert_eq!(seconds("Sat, 06 Nov 2094 08:49:37 GMT"), Some(3_600));
        assert_eq!(seconds("99999999999999999999999"), Some(3_600));
        assert_eq!(
            [seconds("1.5"), seconds("0.2"), seconds("3.0"), seconds("0")],
            [Some(2), Some(1), Some(3), Some(0)]
        );
        for unknown in ["soon", "", ".", "-1", "1,5", "1e3", "inf", "NaN", "5s"] {
            assert_eq!(seconds(unknown), None, "{unknown}");
        }
    }
}
