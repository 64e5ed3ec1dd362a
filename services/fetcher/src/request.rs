//! The request of a page, from the template of the configuration.

use events::Slice;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use okki::{Moment, expand, uses_dates};
use toml::{Table, Value};

/// The parameters of one request, in the order of the configuration.
pub(crate) type Parameters = Vec<(String, String)>;

/// A request template that has been checked.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parameters: Vec<(String, String)>,
    zone: TimeZone,
}

impl Template {
    /// Checks a template.
    ///
    /// # Errors
    /// A message that names the parameter.
    pub(crate) fn new(table: &Table, zone: TimeZone) -> Result<Self, String> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            Value::Boolean(flag) => Some(flag.to_string()),
            Value::Float(number) => Some(number.to_string()),
            _ => None,
        };
        let mut parameters = Vec::with_capacity(table.len());
        for (name, value) in table {
            let text = text(value).ok_or_else(|| {
                format!("source.request.{name}: found {}, expected a text or a number", value.type_str())
            })?;
            parameters.push((name.clone(), text));
        }
        let template = Self { parameters, zone };
        let now = Timestamp::UNIX_EPOCH;
        template.expand(now, now, 1)?;
        Ok(template)
    }

    /// The request of one page of a slice of time.
    pub(crate) fn page(&self, slice: Slice, page: u32) -> Result<Parameters, String> {
        let time = |micros| Timestamp::from_microsecond(micros).map_err(|error| error.to_string());
        self.expand(time(slice.since)?, time(slice.until)?, page)
    }

    /// Whether the source is asked for whole days.
    pub(crate) fn counts_days(&self) -> bool {
        self.parameters.iter().any(|(_, text)| uses_dates(text))
    }

    fn expand(&self, since: Timestamp, until: Timestamp, page: u32) -> Result<Parameters, String> {
        let moment = Moment { since, until, zone: self.zone.clone() };
        let mut expanded = Vec::with_capacity(self.parameters.len());
        for (name, text) in &self.parameters {
            let value = match name.as_str() {
                "start_index" => page.to_string(),
                _ => expand(text, &moment).map_err(|message| format!("source.request.{name}: {message}"))?,
            };
            // `status = ""` in the case's template means: whatever the status.
            if !value.is_empty() {
                expanded.push((name.clone(), value));
            }
        }
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> Result<Template, String> {
        Template::new(&toml::from_str(text).expect("toml"), TimeZone::fixed(jiff::tz::offset(8)))
    }

    #[test]
    fn the_template_of_the_case_becomes_a_request() {
        let template = template(
            "start_time = '{{LAST_SYNC_TIME|datetime}}'\nend_time = '{{CURRENT_TIME|datetime}}'\nstart_index = 1\n\
             count = 100\nremoved = 0\napproval = 1\nstatus = ''\n",
        )
        .expect("sound");
        let since = 1_741_251_325_000_000;
        let slice = Slice { since, until: since + 60_000_000 };
        let request = template.page(slice, 7).expect("a request");
        let shown: Vec<String> = request.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut expected = vec![
            "start_time=2025-03-06 16:55:25",
            "end_time=2025-03-06 16:56:25",
            "start_index=7",
            "count=100",
            "removed=0",
            "approval=1",
        ];
        expected.sort_unstable();
        let mut shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        shown.sort_unstable();
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_request_by_dates_is_told_from_one_by_the_second() {
        assert!(template("start_time = '{{LAST_SYNC_TIME|date}}'").expect("sound").counts_days());
        assert!(!template("start_time = '{{LAST_SYNC_TIME|datetime}}'").expect("sound").counts_days());
    }

    #[test]
    fn a_wrong_template_is_refused_when_it_is_loaded() {
        let error = template("start_time = '{{LAST|datetime}}'").expect_err("unknown name");
        assert!(error.starts_with("source.request.start_time: \"{{LAST|datetime}}\" names LAST"), "{error}");
        assert!(template("status = [1]").expect_err("a list").contains("source.request.status: found array"));
    }
}
