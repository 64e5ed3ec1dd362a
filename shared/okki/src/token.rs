//! Reading an answer as an access token. Nothing of such an answer is ever repeated: it may hold a
//! token that we do not recognise.

use http::foreign::{Code, read_fields, read_life, read_scalar};
use http::{Answer, Class, Token};
use serde::de::IgnoredAny;

use crate::OkkiError;
use crate::envelope::{Envelope, Refusal};

/// The words of OAuth (RFC 6749, section 5.2, and those that are met besides), which may be
/// repeated.
const WORDS: [&str; 14] = [
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "rate_limit_exceeded",
    "rate_limited",
    "server_error",
    "slow_down",
    "temporarily_unavailable",
    "too_many_requests",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
];

/// Reads an answer as an access token. How long it lives is a hint: a token is good without it.
///
/// # Errors
/// [`OkkiError::Credentials`] when the source does not accept who we are, else
/// [`OkkiError::Token`].
pub fn read_token(answer: &Answer) -> Result<Token, OkkiError> {
    let envelope = serde_json::from_slice::<Envelope<'_, IgnoredAny>>(&answer.body).ok();
    let refusal = envelope.and_then(|envelope| envelope.refusal());
    let said = refusal.as_ref().map(repeatable).unwrap_or_default();
    let outline = answer.outline();
    let wrong =
        |class, found: &str| OkkiError::Token { outline: outline.clone(), found: found.to_string(), class };
    let of_status = Class::of_status(answer.status, answer.retry_after);
    let is_of_credentials = refusal.as_ref().is_some_and(Refusal::is_of_credentials);
    if is_of_credentials || of_status == Some(Class::Credentials) {
        let said = if said.is_empty() { outline } else { format!("{said} ({outline})") };
        return Err(OkkiError::Credentials { said });
    }
    if let Some(class) = of_status {
        return Err(wrong(class, if said.is_empty() { "without words of OAuth" } else { &said }));
    }
    if let Some(refusal) = refusal {
        let class = refusal.class(answer.retry_after);
        return Err(match class {
            Class::Credentials => OkkiError::Credentials { said: format!("{said} ({outline})") },
            class => wrong(class, if said.is_empty() { "which says no" } else { &said }),
        });
    }
    let expected =
        |found: &str| wrong(Class::Retryable, &format!("{found}, expected a JSON object with access_token"));
    let fields = read_fields(&answer.body).ok_or_else(|| expected("which is no JSON object"))?;
    match read_scalar(fields.get("access_token").copied()) {
        Some(value) if value.bytes().all(|byte| byte.is_ascii_graphic()) => {
            secrets::remember_token(&value);
            Ok(Token { value, life: read_life(fields.get("expires_in").copied()) })
        }
        Some(value) => {
            secrets::remember_token(&value);
            Err(expected("whose access_token has characters that cannot be in a header"))
        }
        None => Err(expected("which has no access_token")),
    }
}

/// What may be repeated of a refusal: a known word, and a code that is a number.
fn repeatable(refusal: &Refusal) -> String {
    let word = refusal.word.as_deref().unwrap_or_default().to_ascii_lowercase();
    let word = WORDS.iter().find(|known| **known == word).map(ToString::to_string);
    let code = Some(&refusal.code).filter(|code| matches!(code, Code::Number(_))).map(ToString::to_string);
    word.into_iter().chain(code).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn read(status: u16, body: &str) -> Result<Token, OkkiError> {
        read_token(&Answer {
            status,
            content_type: "application/json; charset=utf-8".into(),
            retry_after: None,
            date: None,
            location: None,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
    }

    #[test]
    fn a_token_is_good_whatever_is_said_of_its_life() {
        for (life, seconds) in [
            (r#""28800""#, Some(28_800)),
            ("28799.5", Some(28_799)),
            ("28800", Some(28_800)),
            ("-1", None),
            (r#""soon""#, None),
            ("null", None),
            ("[]", None),
        ] {
            let body = format!(r#"{{"token_type":"Bearer","access_token":"abc","expires_in":{life}}}"#);
            let token = read(200, &body).expect(life);
            let life_found = token.life.map(|life| life.as_secs());
            assert_eq!((token.value.as_str(), life_found), ("abc", seconds), "{life}");
        }
        assert_eq!(read(200, r#"{"access_token":"abc","error":0}"#).expect("good").life, None);
    }

    #[test]
    fn an_answer_that_is_no_token_is_not_repeated() {
        for (status, body, class, expected) in [
            (200, r#"{"accessToken":"t0k3n-xyz"}"#, Class::Retryable, "which has no access_token"),
            (200, r#"{"access_token":{"value":"t0k3n-xyz"}}"#, Class::Retryable, "which has no access_token"),
            (200, r#"{"access_token":""}"#, Class::Retryable, "which has no access_token"),
            (200, "t0k3n-xyz", Class::Retryable, "which is no JSON object"),
            (200, r#"{"access_token":"t0k3n-xyz"#, Class::Retryable, "which is no JSON object"),
            (200, "{\"access_token\":\"t0k3n-xyz\\n1\"}", Class::Retryable, "cannot be in a header"),
            (200, r#"{"error":"slow_down","message":"t0k3n-xyz"}"#, Class::Throttled(None), "slow_down"),
            (200, r#"{"error":"t0k3n-xyz"}"#, Class::Retryable, "which says no"),
            (200, r#"{"code":4711,"message":"t0k3n-xyz"}"#, Class::Retryable, "code 4711"),
            (200, r#"{"code":"t0k3n-xyz"}"#, Class::Retryable, "which says no"),
            (500, "t0k3n-xyz", Class::Retryable, "HTTP 500, application/json, 9 bytes"),
            (401, "t0k3n-xyz", Class::Credentials, "HTTP 401, application/json, 9 bytes"),
            (
                400,
                r#"{"error":"invalid_client","error_description":"t0k3n-xyz"}"#,
                Class::Credentials,
                "invalid_client",
            ),
        ] {
            let error = read(status, body).expect_err(body);
            assert_eq!(error.class(), class, "{body}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(expected) && !text.contains("t0k3n"), "{text}");
        }
    }
}
