//! The one table that decides what an answer of the target means. The body decides; HTTP 200 alone proves nothing.

use http::{Answer, Class, HttpError};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the target did with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It took it.
    Written,
    /// It has this key already and keeps what it had (`idCheck`).
    Repeat,
}

/// Why an order was not written, or not known to be.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that says no.
    #[error("the target answered HTTP {status}, {said}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// What the body said, for a person.
        said: String,
        /// The start of the body.
        excerpt: String,
        /// What it means.
        class: Class,
    },
}

impl WriteError {
    /// What it means for the order.
    pub fn class(&self) -> Class {
        match self {
            Self::Http(error) => error.class(),
            Self::Answer { class, .. } => *class,
        }
    }

    /// Status and excerpt, when there was an answer.
    pub fn answer(&self) -> Option<(u16, &str)> {
        match self {
            Self::Http(_) => None,
            Self::Answer { status, excerpt, .. } => Some((*status, excerpt)),
        }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(default)]
    success: Option<bool>,
    #[serde(default, borrow)]
    code: Option<&'a RawValue>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Counts {
    #[serde(default)]
    failed: u64,
}

/// Decides what the answer to one order means. With `trust_status`, HTTP 2xx with a body that says nothing either way is
/// success, as the case has it; without, only a body that says so is.
///
/// # Errors
/// [`WriteError::Answer`] with the class of the failure.
pub fn judge(answer: &Answer, trust_status: bool) -> Result<Verdict, WriteError> {
    let failed = |class, said: String| WriteError::Answer {
        status: answer.status,
        said,
        excerpt: answer.excerpt(),
        class,
    };
    let of_status = Class::of_status(answer.status, answer.retry_after);
    let body = serde_json::from_slice::<Body<'_>>(&answer.body).ok();
    let code = body
        .as_ref()
        .and_then(|body| body.code)
        .and_then(|raw| raw.get().trim_matches('"').parse::<i64>().ok());
    let success = body.as_ref().and_then(|body| body.success);
    let message = body.as_ref().and_then(|body| body.message.clone()).unwrap_or_default();
    let says_no = success == Some(false) || code.is_some_and(|code| code != 0 && code != 200);
    if says_no {
        if message.to_ascii_uppercase().contains("REPEAT") {
            return Ok(Verdict::Repeat);
        }
        let class = of_code(code, answer).or(of_status).unwrap_or(Class::Refusing);
        let code = code.map_or_else(|| "no code".to_string(), |code| format!("code {code}"));
        return Err(failed(class, format!("{code}: {message}")));
    }
    if let Some(class) = of_status {
        // A proxy's page says nothing of an order, whatever its status.
        let class = if class == Class::Permanent && answer.is_html() { Class::Outage } else { class };
        return Err(failed(class, answer.excerpt()));
    }
    let counts =
        body.as_ref().and_then(|body| body.content).and_then(|raw| serde_json::from_str(raw.get()).ok());
    if let Some(Counts { failed: 1.. }) = counts {
        return Err(failed(Class::Permanent, format!("success, but failed > 0: {message}")));
    }
    let says_yes = success == Some(true) || code.is_some();
    // A web page with status 200 is a login form or a proxy's notice, whatever one is willing to trust.
    if says_yes || (trust_status && !answer.is_html()) {
        return Ok(Verdict::Written);
    }
    let said = format!("which neither confirms nor refuses: {:?}", answer.excerpt());
    Err(failed(Class::Outage, said))
}

/// The documented codes (contract of the `store` form; the `execute` form has shown the same ones).
fn of_code(code: Option<i64>, answer: &Answer) -> Option<Class> {
    match code? {
        40_101..=40_199 | 40_301..=40_399 => Some(Class::Credentials),
        // No such scheme: configuration. Not one order is at fault.
        40_401..=40_499 => Some(Class::Outage),
        40_901..=40_999 => Some(Class::Retryable),
        42_901..=42_999 => Some(Class::Throttled(answer.retry_after)),
        40_001..=40_099 => Some(Class::Permanent),
        50_200..=50_399 => Some(Class::Outage),
        50_001..=50_199 => Some(Class::Retryable),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        Answer { status, content_type: "application/json".into(), retry_after: None, date: None, body }
    }

    fn class(status: u16, body: &str) -> Class {
        judge(&answer(status, body), false).expect_err(body).class()
    }

    #[test]
    fn only_a_body_that_says_so_is_success() {
        for body in [
            r#"{"success":true,"code":0,"message":"success","content":{"inserted":1,"failed":0}}"#,
            r#"{"code":200}"#,
            r#"{"success":true}"#,
        ] {
            assert_eq!(judge(&answer(200, body), false).expect(body), Verdict::Written);
        }
        for body in ["", "ok", "{}", "[]", "<html>login</html>"] {
            assert_eq!(class(200, body), Class::Outage, "{body}");
        }
        assert!(judge(&answer(200, "ok"), true).is_ok());
        assert!(judge(&answer(200, "<html>login</html>"), true).is_err());
    }

    #[test]
    fn the_table_of_codes() {
        let said = |code: i64| format!(r#"{{"success":false,"code":{code},"message":"x","content":null}}"#);
        assert_eq!(class(200, &said(40_002)), Class::Permanent);
        assert_eq!(class(200, &said(40_102)), Class::Credentials);
        assert_eq!(class(200, &said(40_301)), Class::Credentials);
        assert_eq!(class(200, &said(40_401)), Class::Outage);
        assert_eq!(class(429, &said(42_901)), Class::Throttled(None));
        assert_eq!(class(200, &said(50_001)), Class::Retryable);
        assert_eq!(class(200, &said(50_301)), Class::Outage);
        assert_eq!(class(200, r#"{"success":false}"#), Class::Refusing);
        assert_eq!(class(503, "<html>"), Class::Outage);
        assert_eq!(class(400, "<html>"), Class::Outage);
        assert_eq!(class(400, "no"), Class::Permanent);
        assert_eq!(class(200, r#"{"success":false,"code":1}"#), Class::Refusing);
        assert_eq!(class(500, r#"{"success":true}"#), Class::Retryable);
        assert_eq!(class(200, r#"{"success":true,"content":{"inserted":0,"failed":1}}"#), Class::Permanent);
    }

    #[test]
    fn repeat_is_an_outcome_of_its_own() {
        let repeat = answer(200, r#"{"success":false,"code":40901,"message":"REPEAT"}"#);
        assert_eq!(judge(&repeat, false).expect("an outcome"), Verdict::Repeat);
    }
}
