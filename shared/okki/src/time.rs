//! Times in requests: the source takes local times without offset, in the zone of the account.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The times a request template can name.
#[derive(Debug, Clone)]
pub struct Moment {
    /// `LAST_SYNC_TIME`: the start of the window.
    pub since: Timestamp,
    /// `CURRENT_TIME`: the end of the window.
    pub until: Timestamp,
    /// The zone the source writes its times in.
    pub zone: TimeZone,
}

impl Moment {
    fn named(&self, name: &str) -> Option<Timestamp> {
        match name {
            "LAST_SYNC_TIME" => Some(self.since),
            "CURRENT_TIME" => Some(self.until),
            _ => None,
        }
    }
}

/// Replaces every `{{NAME|format}}` of a request parameter.
///
/// Names are `LAST_SYNC_TIME` and `CURRENT_TIME`; formats are `datetime` (`2025-03-06 16:55:25`), `date` (`2025-03-06`)
/// and `timestamp` (seconds since the Unix epoch).
///
/// # Errors
/// A message that names what was found and what is known.
pub fn expand(text: &str, moment: &Moment) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, behind) = after
            .split_once("}}")
            .ok_or_else(|| format!("\"{text}\" has an opening {{{{ without a closing }}}}"))?;
        let (name, format) = inner.split_once('|').unwrap_or((inner, "datetime"));
        let at = moment.named(name.trim()).ok_or_else(|| {
            format!("\"{{{{{inner}}}}}\" names {}, known are LAST_SYNC_TIME and CURRENT_TIME", name.trim())
        })?;
        let local = at.to_zoned_datetime(moment.zone.clone());
        out.push_str(before);
        out.push_str(&match format.trim() {
            "datetime" => local.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            "date" => local.strftime("%Y-%m-%d").to_string(),
            "timestamp" => at.as_second().to_string(),
            other => {
                return Err(format!(
                    "\"{{{{{inner}}}}}\" has the format {other}, known are datetime, date and timestamp"
                ));
            }
        });
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment() -> Moment {
        Moment {
            since: "2025-03-06T08:55:25Z".parse().expect("a time"),
            until: "2025-03-06T20:00:00Z".parse().expect("a time"),
            zone: TimeZone::fixed(jiff::tz::offset(8)),
        }
    }

    #[test]
    fn the_templates_of_the_case() {
        let expanded = |text| expand(text, &moment());
        assert_eq!(expanded("{{LAST_SYNC_TIME|datetime}}"), Ok("2025-03-06 16:55:25".into()));
        assert_eq!(expanded("{{CURRENT_TIME|date}}"), Ok("2025-03-07".into()));
        assert_eq!(expanded("a {{ LAST_SYNC_TIME | timestamp }} b"), Ok("a 1741251325 b".into()));
        assert_eq!(expanded("0"), Ok("0".into()));
    }

    #[test]
    fn a_wrong_template_says_what_is_known() {
        for (text, message) in [
            (
                "{{LAST_TIME|date}}",
                "\"{{LAST_TIME|date}}\" names LAST_TIME, known are LAST_SYNC_TIME and CURRENT_TIME",
            ),
            (
                "{{CURRENT_TIME|iso}}",
                "\"{{CURRENT_TIME|iso}}\" has the format iso, known are datetime, date and timestamp",
            ),
            ("{{CURRENT_TIME", "\"{{CURRENT_TIME\" has an opening {{ without a closing }}"),
        ] {
            assert_eq!(expand(text, &moment()), Err(message.into()));
        }
    }
}
