//! Answers that both sides give, the bad ones in particular.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream;
use jiff::{SignedDuration, Timestamp};

use crate::faults::RetryAfter;
use crate::state::State;

/// How long a hanging call is kept open when nobody gives up.
const HANG: Duration = Duration::from_secs(120);
/// What a padded body is sent in.
static SPACES: [u8; 16 << 10] = [b' '; 16 << 10];

pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))],
        body.into(),
    )
        .into_response()
}

/// A page where JSON belongs, as a gateway in front of either system sends it.
pub(crate) fn html(status: StatusCode) -> Response {
    let body = format!(
        "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n<center><h1>{status}</h1></center>\r\n\
         <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("text/html"))], body).into_response()
}

/// No answer: the connection is closed before a byte of it was sent, because the body fails before the head is flushed.
pub(crate) fn dropped() -> Response {
    let failure = std::io::Error::other("the connection is dropped on purpose");
    Response::new(Body::from_stream(stream::once(std::future::ready(Err::<Bytes, _>(failure)))))
}

/// A body of so many bytes: `start`, then spaces, made as they are sent. It is sent in chunks: its length is not
/// announced, so only a reader that counts notices in time.
pub(crate) fn padded(mut start: Vec<u8>, bytes: u64) -> Response {
    start.truncate(usize::try_from(bytes).unwrap_or(usize::MAX));
    let padding = stream::unfold(bytes - start.len() as u64, |rest| {
        let length = usize::try_from(rest).map_or(SPACES.len(), |rest| rest.min(SPACES.len()));
        let piece = Bytes::from_static(&SPACES[..length]);
        std::future::ready((length > 0).then_some((piece, rest - length as u64)))
    });
    let body = stream::once(std::future::ready(Bytes::from(start))).chain(padding);
    let body = Body::from_stream(body.map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))], body)
        .into_response()
}

/// Hangs as the faults say; `Some` is the end of the call.
pub(crate) async fn hang(state: &State, hang: f64) -> Option<Response> {
    if !state.dice.roll(hang) {
        return None;
    }
    tokio::select! {
        () = tokio::time::sleep(HANG) => {}
        () = state.shutdown.cancelled() => {}
    }
    Some(dropped())
}

/// Waits as the faults say.
pub(crate) async fn slow(state: &State, slow: f64, slow_ms: u64) {
    if state.dice.roll(slow) {
        tokio::time::sleep(Duration::from_millis(slow_ms)).await;
    }
}

/// Adds when to come back to a 429.
pub(crate) fn retry_after(mut response: Response, how: RetryAfter, wait: Duration, limit: u32) -> Response {
    // Rounded up: coming back exactly then must succeed.
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let value = match how {
        RetryAfter::None => None,
        RetryAfter::Seconds => Some(seconds.to_string()),
        RetryAfter::Date => Some(http_date(Timestamp::now(), seconds)),
    };
    let headers = response.headers_mut();
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
        headers.insert(header::RETRY_AFTER, value);
    }
    headers.insert(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(limit));
    headers.insert(HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(0));
    response
}

fn http_date(now: Timestamp, seconds: u64) -> String {
    // The date has whole seconds, and cutting must not make it earlier than the wait.
    let wait = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_add(1));
    let until = now.checked_add(wait).unwrap_or(now);
    until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_padded_body_has_the_length_asked_for() {
        for bytes in [1, 5, 16_384, 100_000] {
            let body = padded(b"{\"a\":".to_vec(), bytes).into_body();
            let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            assert_eq!(body.len() as u64, bytes);
            assert!(body.trim_ascii_end() == &b"{\"a\":"[..body.len().min(5)]);
        }
    }

    #[test]
    fn the_ways_to_say_when_to_come_back() {
        let of = |how| {
            let response =
                retry_after(html(StatusCode::TOO_MANY_REQUESTS), how, Duration::from_millis(1500), 60);
            let value = response.headers().get(header::RETRY_AFTER);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(of(RetryAfter::None), None);
        assert_eq!(of(RetryAfter::Seconds).as_deref(), Some("2"));
        assert!(of(RetryAfter::Date).unwrap().ends_with(" GMT"));
        let now = "2025-03-06T08:55:25.5Z".parse().unwrap();
        assert_eq!(http_date(now, 2), "Thu, 06 Mar 2025 08:55:28 GMT");
    }
}
