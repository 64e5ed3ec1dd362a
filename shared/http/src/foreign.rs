//! Reading the fields of a JSON answer that another system wrote, each field by itself: a number may be sent as a text, a
//! flag as 0 or 1, an empty object as `[]`. What cannot be read is reported as unreadable, never as zero or success.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use events::shorten_owned;
use serde_json::value::RawValue;

/// The fields of a JSON object as they were sent. If a name occurs twice, the last value counts, as everywhere here.
pub type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// A lifetime longer than this is cut: a foreign number must not overflow our clocks.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_secs(366 * 86_400);

/// Reads the fields of a JSON object; `None` if the bytes are anything else.
pub fn read_fields(bytes: &[u8]) -> Option<Fields<'_>> {
    serde_json::from_slice(bytes).ok()
}

/// A yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `true`, 1, `"true"`, `"1"`, `"yes"`, `"ok"` or `"success"`.
    Yes,
    /// `false`, 0, `"false"`, `"0"`, `"no"`, `"fail"`, `"failed"` or `"error"`.
    No,
    /// Not there, null or an empty text.
    Absent,
    /// Anything else.
    Unreadable,
}

/// Reads a yes or no.
pub fn read_flag(value: Option<&RawValue>) -> Flag {
    let Some(text) = read_scalar(value) else {
        return if is_empty(value) { Flag::Absent } else { Flag::Unreadable };
    };
    if let Some(number) = whole_number(&text) {
        return match number {
            0 => Flag::No,
            1 => Flag::Yes,
            _ => Flag::Unreadable,
        };
    }
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "ok" | "success" => Flag::Yes,
        "false" | "no" | "fail" | "failed" | "failure" | "error" => Flag::No,
        _ => Flag::Unreadable,
    }
}

/// The `code` of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// Not there, null or an empty text.
    Absent,
    /// A whole number, also when it was sent as a text or as a float without fraction.
    Number(i64),
    /// Anything else, as it was sent.
    Text(String),
}

impl Code {
    /// Reads a code.
    pub fn read(value: Option<&RawValue>) -> Self {
        match (read_scalar(value), value) {
            (Some(text), _) => match whole_number(&text) {
                Some(number) => Self::Number(number),
                None => Self::Text(shorten_owned(text)),
            },
            (None, Some(other)) if !is_empty(value) => Self::Text(events::shorten(other.get()).into_owned()),
            _ => Self::Absent,
        }
    }

    /// Whether it says that all is well: 0, 200 to 299, "ok" or "success". `None` if there is no code.
    pub fn is_success(&self) -> Option<bool> {
        match self {
            Self::Absent => None,
            Self::Number(number) => Some(*number == 0 || (200..=299).contains(number)),
            Self::Text(text) => Some(["ok", "success"].contains(&text.to_ascii_lowercase().as_str())),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no code"),
            Self::Number(number) => write!(f, "code {number}"),
            Self::Text(text) => write!(f, "code {:?}", shorten(text)),
        }
    }
}

/// A number of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Not there, null or an empty text.
    Absent,
    /// So many.
    Number(u64),
    /// Something that is no number of things.
    Unreadable,
}

/// Reads a number of things: a whole number that is not negative, also sent as a text or as a float without fraction.
pub fn read_count(value: Option<&RawValue>) -> Count {
    match read_scalar(value) {
        Some(text) => match whole_number(&text).map(u64::try_from) {
            Some(Ok(number)) => Count::Number(number),
            _ => Count::Unreadable,
        },
        None if is_null_or_blank(value) => Count::Absent,
        None => Count::Unreadable,
    }
}

/// Reads how many failed: a number, `false` for none, or a list (or an object) of those that failed.
pub fn read_failures(value: Option<&RawValue>) -> Count {
    let Some(raw) = value else { return Count::Absent };
    if raw.get() == "false" {
        return Count::Number(0);
    }
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) {
        return Count::Number(list.len() as u64);
    }
    if let Ok(object) = serde_json::from_str::<Fields<'_>>(raw.get()) {
        return Count::Number(object.len() as u64);
    }
    read_count(value)
}

/// Reads a text for people: a text, a number, or the parts of a list or an object, without secrets of ours. `None` if it
/// says nothing. A long one is cut: see [`events::shorten`].
pub fn read_message(value: Option<&RawValue>) -> Option<String> {
    // First: a secret that is cut in two would not be found.
    read_parts(value, DEEPEST).map(|text| shorten_owned(secrets::redact(&text).into_owned()))
}

/// Lists within lists are taken apart so far: foreign nesting must not exhaust our stack.
const DEEPEST: u32 = 4;

fn read_parts(value: Option<&RawValue>, depth: u32) -> Option<String> {
    if is_empty(value) {
        return None;
    }
    if let Some(text) = read_scalar(value) {
        return Some(text);
    }
    let raw = value?.get();
    if raw.starts_with('"') {
        return None; // the text "null", or one that is no text at all
    }
    let Some(deeper) = depth.checked_sub(1) else { return Some(raw.to_string()) };
    let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(raw) else { return Some(raw.to_string()) };
    let parts: Vec<String> = parts.into_iter().filter_map(|part| read_parts(Some(part), deeper)).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Reads an `error` field. `None` if it says that there is none: null, 0, false, `""`, `[]`, `{}`, also as texts.
pub fn read_error(value: Option<&RawValue>) -> Option<String> {
    let text = read_message(value)?;
    let nothing = ["false", "null", "none", "[]", "{}"].contains(&text.to_ascii_lowercase().as_str());
    (!nothing && whole_number(&text) != Some(0)).then_some(text)
}

/// Reads a lifetime in seconds; a fraction is cut off, and a year is the most. `None` if it is not known.
pub fn read_life(value: Option<&RawValue>) -> Option<Duration> {
    let seconds: f64 = read_scalar(value)?.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0)
        .then(|| Duration::from_secs(seconds.min(LONGEST_LIFE.as_secs_f64()) as u64))
}

/// Whether a value says nothing: null, a blank text, an empty list or an empty object. PHP writes all of them for "none".
pub fn is_empty(value: Option<&RawValue>) -> bool {
    let Some(raw) = value else { return true };
    let hollow = |open, close| {
        let inner = raw.get().strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner: &str| inner.trim().is_empty())
    };
    is_null_or_blank(value) || hollow('[', ']') || hollow('{', '}')
}

fn is_null_or_blank(value: Option<&RawValue>) -> bool {
    let Some(raw) = value else { return true };
    let blank = serde_json::from_str::<String>(raw.get()).is_ok_and(|text| text.trim().is_empty());
    raw.get() == "null" || blank
}

/// The text of a value that is a text, a number or a boolean, without blanks around it; `None` for anything else and for
/// nothing.
pub fn read_scalar(value: Option<&RawValue>) -> Option<String> {
    let raw = value?.get();
    let text = match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw).ok()?.trim().to_string(),
        b'{' | b'[' => return None,
        _ => raw.to_string(),
    };
    (!text.is_empty() && text != "null").then_some(text)
}

/// A whole number, also one that was written as a float without fraction.
fn whole_number(text: &str) -> Option<i64> {
    // Beyond this a float cannot tell neighbours apart.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Ok(number) = text.parse::<i64>() {
        return Some(number);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let number: f64 = text.parse().ok().filter(|_| digits)?;
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// The start of a foreign text without secrets of ours, for messages.
pub fn shorten(text: &str) -> String {
    // First: a secret that is cut in two would not be found.
    secrets::redact(text).chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(json: &str, read: impl Fn(Option<&RawValue>) -> T) -> T {
        read(Some(serde_json::from_str(json).expect(json)))
    }

    #[test]
    fn a_flag_is_read_in_every_spelling_and_never_guessed() {
        for yes in ["true", "1", "1.0", "\"true\"", "\"1\"", "\" True \"", "\"ok\"", "\"SUCCESS\""] {
            assert_eq!(with(yes, read_flag), Flag::Yes, "{yes}");
        }
        for no in ["false", "0", "0.0", "\"false\"", "\"0\"", "\"Error\"", "\"fail\""] {
            assert_eq!(with(no, read_flag), Flag::No, "{no}");
        }
        for absent in ["null", "\"\"", "[]", "{}", "\" \""] {
            assert_eq!(with(absent, read_flag), Flag::Absent, "{absent}");
        }
        for unreadable in ["2", "-1", "0.5", "\"maybe\"", "[1]", "{\"a\":1}"] {
            assert_eq!(with(unreadable, read_flag), Flag::Unreadable, "{unreadable}");
        }
        assert_eq!(read_flag(None), Flag::Absent);
    }

    #[test]
    fn a_code_is_a_number_however_it_is_written() {
        for (json, code) in [
            ("200", Code::Number(200)),
            ("\"200\"", Code::Number(200)),
            ("200.0", Code::Number(200)),
            ("2e2", Code::Number(200)),
            ("\" 40001 \"", Code::Number(40_001)),
            ("-1", Code::Number(-1)),
            ("\"E17\"", Code::Text("E17".into())),
            ("\"inf\"", Code::Text("inf".into())),
            ("true", Code::Text("true".into())),
            ("[4]", Code::Text("[4]".into())),
            ("1.5", Code::Text("1.5".into())),
            ("null", Code::Absent),
            ("\"\"", Code::Absent),
            ("[]", Code::Absent),
        ] {
            assert_eq!(with(json, Code::read), code, "{json}");
        }
        assert_eq!(Code::Text("E17".into()).to_string(), "code \"E17\"");
    }

    #[test]
    fn counts_are_numbers_and_failures_may_be_listed() {
        for (json, count) in [
            ("3", Count::Number(3)),
            ("\"3\"", Count::Number(3)),
            ("3.0", Count::Number(3)),
            ("\"3.00\"", Count::Number(3)),
            ("null", Count::Absent),
            ("\"\"", Count::Absent),
            ("-3", Count::Unreadable),
            ("3.5", Count::Unreadable),
            ("true", Count::Unreadable),
            ("\"many\"", Count::Unreadable),
            ("[1,2,3]", Count::Unreadable),
            ("[]", Count::Unreadable),
        ] {
            assert_eq!(with(json, read_count), count, "{json}");
        }
        for (json, count) in [
            ("[1,{\"id\":2}]", Count::Number(2)),
            ("{\"0\":1,\"2\":1}", Count::Number(2)),
            ("[]", Count::Number(0)),
            ("false", Count::Number(0)),
            ("true", Count::Unreadable),
            ("\"2\"", Count::Number(2)),
            ("null", Count::Absent),
        ] {
            assert_eq!(with(json, read_failures), count, "{json}");
        }
    }

    #[test]
    fn messages_and_errors_are_read_whatever_their_shape() {
        assert_eq!(
            with(r#"["customer missing",{"a":1}]"#, read_message).as_deref(),
            Some("customer missing; {\"a\":1}")
        );
        let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
        assert!(with(&deep, read_message).is_some());
        let long = with(&format!("\"{}\"", "x".repeat(5 << 20)), read_message).expect("a text");
        assert!(long.len() < 1_100 && long.ends_with("(cut, 5242880 bytes in all)"), "{}", long.len());
        assert!(with(&deep, read_message).is_some_and(|text| text.len() < 1_100));
        assert_eq!(with("7", read_message).as_deref(), Some("7"));
        assert_eq!(with("[]", read_message), None);
        for none in ["0", "false", "\"\"", "[]", "{}", "null", "\"0\"", "\"null\"", "0.0"] {
            assert_eq!(with(none, read_error), None, "{none}");
        }
        assert_eq!(with("\"invalid_client\"", read_error).as_deref(), Some("invalid_client"));
        assert_eq!(with("{\"code\":5}", read_error).as_deref(), Some("{\"code\":5}"));
    }

    #[test]
    fn a_lifetime_that_cannot_be_read_is_not_known() {
        let seconds = |json| with(json, read_life).map(|life| life.as_secs());
        assert_eq!(seconds("\"28800\""), Some(28_800));
        assert_eq!(seconds("7199.9"), Some(7_199));
        assert_eq!(seconds("1e99"), Some(LONGEST_LIFE.as_secs()));
        for unknown in ["-1", "\"soon\"", "null", "\"\"", "true", "[]", "{}", "\"NaN\""] {
            assert_eq!(seconds(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn the_last_of_two_equal_names_counts() {
        let fields = read_fields(br#"{"a":1,"b":2,"a":3}"#).expect("an object");
        assert_eq!(fields["a"].get(), "3");
        assert!(read_fields(b"[1]").is_none() && read_fields(b"").is_none());
    }
}
