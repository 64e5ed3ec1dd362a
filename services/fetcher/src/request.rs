//! The request of a page, from the template of the configuration.

use events::Slice;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use okki::{Moment, expand, field_text, uses_dates};
use toml::{Table, Value};

use crate::asked::{Asked, AskedTimes, Cut, moments};

/// The field that `time_type = 3` is about.
const ORDER_DATE: &str = "account_date";

/// The parameters of one request, in the order of the configuration.
pub(crate) type Parameters = Vec<(String, String)>;

/// A request template that has been checked.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    parameters: Vec<(String, String)>,
    zone: TimeZone,
    /// The field of a row that the time filter is about, and how finely it counts; `None` judges nothing.
    time_field: Option<(String, Cut)>,
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
        let template = Self { parameters, zone, time_field: None };
        let now = Timestamp::UNIX_EPOCH;
        template.expand(now, now, 1)?;
        Ok(template)
    }

    /// Has rows compared with the times that are asked for: `field` is the key of the configuration, where it is given.
    #[must_use]
    pub(crate) fn judging(self, field: Option<&str>, cut: Cut) -> Self {
        let field = match field {
            Some(field) => Some(field),
            None => self.filtered_by(),
        };
        // The date of an order has no time of day that means anything.
        let cut = if field == Some(ORDER_DATE) { Cut::Day } else { cut };
        let time_field = field.filter(|field| !field.is_empty()).map(|field| (field.to_string(), cut));
        Self { time_field, ..self }
    }

    /// The field that `time_type` names.
    fn filtered_by(&self) -> Option<&'static str> {
        let given = self.parameters.iter().find(|(name, _)| name == "time_type");
        match given.map_or("1", |(_, value)| value.trim()) {
            "" | "1" => Some("update_time"),
            "2" => Some("create_time"),
            "3" => Some(ORDER_DATE),
            "4" => Some("delete_time"),
            _ => None,
        }
    }

    /// The moments at which the time filter finds a row; `None` when the row does not say.
    pub(crate) fn moments_of(&self, row: &str) -> Option<Slice> {
        let (field, cut) = self.time_field.as_ref()?;
        moments(&field_text(row, field)?, &self.zone, *cut)
    }

    /// The field of a row that the time filter is about.
    #[cfg(test)]
    fn time_field(&self) -> Option<&str> {
        self.time_field.as_ref().map(|(field, _)| field.as_str())
    }

    /// The request of one page of a slice of time.
    pub(crate) fn page(&self, slice: Slice, page: u32) -> Result<Asked, String> {
        let time = |micros| Timestamp::from_microsecond(micros).map_err(|error| error.to_string());
        let parameters = self.expand(time(slice.since)?, time(slice.until)?, page)?;
        let judged = self.time_field.as_ref();
        let times = judged.and_then(|(field, cut)| AskedTimes::of(&parameters, field, *cut, &self.zone));
        Ok(Asked { parameters, times })
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
        let request = template.page(slice, 7).expect("a request").parameters;
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

    #[test]
    fn the_time_that_rows_are_judged_by_follows_from_the_request_unless_it_is_named() {
        for (request, given, field) in [
            ("", None, Some("update_time")),
            ("time_type = 1", None, Some("update_time")),
            ("time_type = '2'", None, Some("create_time")),
            ("time_type = 3", None, Some("account_date")),
            ("time_type = 4", None, Some("delete_time")),
            ("time_type = 9", None, None),
            ("time_type = 4", Some("removed_at"), Some("removed_at")),
            ("", Some(""), None),
        ] {
            let judging = template(request).expect("sound").judging(given, Cut::Second);
            assert_eq!(judging.time_field(), field, "{request} {given:?}");
        }
    }
}
