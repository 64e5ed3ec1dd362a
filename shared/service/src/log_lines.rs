//! Where log lines go: to stderr, each with nothing in it that a terminal would act on.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::LogFormat;
use crate::plain_text::{escape_json, escape_log_line};

/// Makes the writer of one line.
pub(crate) struct LogLines(pub(crate) LogFormat);

/// Gathers one line, and writes it when it is whole.
pub(crate) struct LogLine {
    format: LogFormat,
    line: Vec<u8>,
}

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { format: self.0, line: Vec::new() }
    }
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line);
        let line = match self.format {
            LogFormat::Text => secrets::redact(&line),
            LogFormat::Json => redact_json(&line),
        };
        let escaped = match self.format {
            LogFormat::Text => escape_log_line(&line),
            LogFormat::Json => escape_json(&line),
        };
        io::stderr().lock().write_all(escaped.as_bytes())
    }
}

/// A line of JSON without secrets of ours, and still JSON: where one is found, value by value.
fn redact_json(line: &str) -> Cow<'_, str> {
    if matches!(secrets::redact(line), Cow::Borrowed(_)) {
        return Cow::Borrowed(line);
    }
    let Ok(mut value) = serde_json::from_str(line) else { return secrets::redact(line) };
    redact_value(&mut value);
    Cow::Owned(format!("{value}\n"))
}

fn redact_value(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(redact_value),
        Value::Array(values) => values.iter_mut().for_each(redact_value),
        Value::Null | Value::Bool(_) => {}
        Value::Number(_) | Value::String(_) => {
            let text = value.as_str().map_or_else(|| value.to_string(), ToString::to_string);
            if let Cow::Owned(redacted) = secrets::redact(&text) {
                *value = Value::String(redacted);
            }
        }
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        let _ = self.flush(); // nobody could be told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_json_loses_its_secrets_and_stays_json() {
        secrets::remember("log-line-s3cret");
        secrets::remember("48151623");
        let line = "{\"a\":\"x log-line-s3cret\",\"b\":[48151623,1],\"c\":{\"d\":\"log%2Dline%2Ds3cret\"}}\n";
        let clean = redact_json(line);
        assert_eq!(clean, "{\"a\":\"x ***\",\"b\":[\"***\",1],\"c\":{\"d\":\"***\"}}\n");
        assert!(matches!(redact_json("{\"a\": 1}\n"), Cow::Borrowed(_)));
    }
}
