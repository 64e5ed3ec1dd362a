//! The one table that decides what an answer of the target means. The body decides; HTTP 200 alone proves nothing.

use http::{Answer, Class, HttpError};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the target did with the orders of a request.
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
    #[error("the target answered HTTP {status}, {ours}{theirs}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// What the body said, in our words.
        ours: String,
        /// What the body said, in its own: it may name a person.
        theirs: String,
        /// The start of the body.
        excerpt: String,
        /// What it means.
        class: Class,
    },
    /// Some orders of the batch were refused, and the answer does not say which.
    #[error("the target answered HTTP {status}: {failed} of {rows} orders failed: {theirs}")]
    Partly {
        /// HTTP status.
        status: u16,
        /// How many were refused.
        failed: u64,
        /// How many were sent.
        rows: usize,
        /// What the body said, in its own words: it may name a person.
        theirs: String,
        /// The start of the body.
        excerpt: String,
    },
    /// An answer that counts more orders than were sent, and failures: it was given to another request before.
    #[error("the target answered HTTP {status} about {counted} orders to a request of {rows}")]
    Another {
        /// HTTP status.
        status: u16,
        /// How many it counts.
        counted: u64,
        /// How many were sent.
        rows: usize,
        /// The start of the body.
        excerpt: String,
    },
}

impl WriteError {
    /// What it means for the order.
    pub fn class(&self) -> Class {
        match self {
            Self::Http(error) => error.class(),
            Self::Answer { class, .. } => *class,
            Self::Partly { .. } => Class::Permanent,
            Self::Another { .. } => Class::Refusing,
        }
    }

    /// The part of the message that the target wrote, which may name a person.
    pub fn theirs(&self) -> Option<&str> {
        match self {
            Self::Answer { theirs, .. } | Self::Partly { theirs, .. } => Some(theirs),
            Self::Http(_) | Self::Another { .. } => None,
        }
    }

    /// Status and excerpt, when there was an answer.
    pub fn answer(&self) -> Option<(u16, &str)> {
        match self {
            Self::Http(_) => None,
            Self::Answer { status, excerpt, .. }
            | Self::Partly { status, excerpt, .. }
            | Self::Another { status, excerpt, .. } => Some((*status, excerpt)),
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
    inserted: u64,
    #[serde(default)]
    failed: u64,
}

/// Decides what the answer to a request with `rows` orders means. With `trust_status`, HTTP 2xx with a body that says
/// nothing either way is success, as the case has it; without, only a body that says so is.
///
/// # Errors
/// [`WriteError`]; its class says what to do.
pub fn judge(answer: &Answer, trust_status: bool, rows: usize) -> Result<Verdict, WriteError> {
    let status = answer.status;
    let failed = |class, ours: String, theirs: String| WriteError::Answer {
        status,
        ours,
        theirs,
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
    // Of a batch it says only that some order is there already, not which.
    let repeat = rows == 1 && message.to_ascii_uppercase().contains("REPEAT");
    let says_no = success == Some(false) || code.is_some_and(|code| code != 0 && code != 200);
    if says_no {
        if repeat {
            return Ok(Verdict::Repeat);
        }
        let class = of_code(code, answer).or(of_status).unwrap_or(Class::Refusing);
        let code = code.map_or_else(|| "no code".to_string(), |code| format!("code {code}"));
        return Err(failed(class, format!("{code}: "), message));
    }
    if let Some(class) = of_status {
        // A proxy's page says nothing of an order, whatever its status.
        let class = if class == Class::Permanent && answer.is_html() { Class::Outage } else { class };
        return Err(failed(class, String::new(), answer.excerpt()));
    }
    let counts = body
        .as_ref()
        .and_then(|body| body.content)
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or(Counts { inserted: 0, failed: 0 });
    let counted = counts.inserted.saturating_add(counts.failed);
    // Without failures it may count what it likes: lines, for example.
    if counts.failed > 0 && counted > rows as u64 {
        return Err(WriteError::Another { status, counted, rows, excerpt: answer.excerpt() });
    }
    match (counts.failed, rows) {
        (0, _) => {}
        (_, 1) if repeat => return Ok(Verdict::Repeat),
        (_, 1) => return Err(failed(Class::Permanent, "success, but failed > 0: ".into(), message)),
        (failed, _) => {
            let excerpt = answer.excerpt();
            return Err(WriteError::Partly { status, failed, rows, theirs: message, excerpt });
        }
    }
    let says_yes = success == Some(true) || code.is_some();
    // A web page with status 200 is a login form or a proxy's notice, whatever one is willing to trust.
    if says_yes || (trust_status && !answer.is_html()) {
        return Ok(Verdict::Written);
    }
    let theirs = format!("{:?}", answer.excerpt());
    Err(failed(Class::Outage, "which neither confirms nor refuses: ".into(), theirs))
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
        judge(&answer(status, body), false, 1).expect_err(body).class()
    }

    #[test]
    fn only_a_body_that_says_so_is_success() {
        for body in [
            r#"{"success":true,"code":0,"message":"success","content":{"inserted":1,"failed":0}}"#,
            r#"{"code":200}"#,
            r#"{"success":true}"#,
        ] {
            assert_eq!(judge(&answer(200, body), false, 1).expect(body), Verdict::Written);
        }
        for body in ["", "ok", "{}", "[]", "<html>login</html>"] {
            assert_eq!(class(200, body), Class::Outage, "{body}");
        }
        assert!(judge(&answer(200, "ok"), true, 1).is_ok());
        assert!(judge(&answer(200, "<html>login</html>"), true, 1).is_err());
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
        assert_eq!(judge(&repeat, false, 1).expect("an outcome"), Verdict::Repeat);
    }

    #[test]
    fn a_batch_is_judged_by_its_counts() {
        let said = |inserted: u64, failed: u64, message: &str| {
            format!(
                r#"{{"success":true,"code":0,"message":"{message}","content":{{"inserted":{inserted},"failed":{failed}}}}}"#
            )
        };
        let judged = |body: &str, rows| judge(&answer(200, body), false, rows);
        assert_eq!(judged(&said(3, 0, "success"), 3).expect("all"), Verdict::Written);
        // Updates are not counted as inserted.
        assert_eq!(judged(&said(1, 0, "success"), 3).expect("all"), Verdict::Written);
        let partly = judged(&said(2, 1, "客户不存在"), 3).expect_err("one failed");
        assert!(matches!(partly, WriteError::Partly { failed: 1, rows: 3, .. }), "{partly}");
        assert_eq!(partly.theirs(), Some("客户不存在"));
        let one = judged(&said(0, 1, "客户不存在"), 1).expect_err("it failed");
        assert_eq!(
            (one.theirs(), one.to_string().replace("客户不存在", "***")),
            (Some("客户不存在"), "the target answered HTTP 200, success, but failed > 0: ***".to_string())
        );
        let repeat = judged(&said(2, 1, "REPEAT"), 3).expect_err("which one is not said");
        assert!(matches!(repeat, WriteError::Partly { .. }), "{repeat}");
        assert_eq!(judged(&said(0, 1, "REPEAT"), 1).expect("an outcome"), Verdict::Repeat);
        let another = judged(&said(99, 1, "x"), 50).expect_err("an answer about 100 orders");
        assert!(matches!(another, WriteError::Another { counted: 100, rows: 50, .. }), "{another}");
        let whole = r#"{"success":false,"code":40901,"message":"REPEAT"}"#;
        assert_eq!(judged(whole, 3).expect_err("refused whole").class(), Class::Retryable);
    }
}
