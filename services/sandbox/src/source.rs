//! The source's routes: token, order list, order detail.

mod list;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use serde::Deserialize;

use crate::answer;
use crate::civil;
use crate::dial::Armed;
use crate::faults::SourceFaults;
use crate::fields::quote;
use crate::key::Key;
use crate::lock::read;
use crate::orders::render::Shape;
use crate::state::{SOURCE_TOKEN_SECONDS, State, add};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/v1/oauth2/access_token", post(token))
        .route("/v1/invoices/order/list", get(list::list))
        .route("/v1/invoices/order/info", get(info))
}

#[derive(Deserialize)]
struct Grant {
    #[serde(default)]
    grant_type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
}

async fn token(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    add(&state.calls.token);
    let armed = state.dial.now();
    let faults = &armed.faults.source;
    if faults.outage {
        return answer::html(StatusCode::SERVICE_UNAVAILABLE);
    }
    let refuse = |status, error: &str, why: &str| {
        answer::json(status, format!(r#"{{"error":"{error}","error_description":"{why}"}}"#))
    };
    let Some(grant) = parse_grant(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_request", "neither JSON nor a form");
    };
    if grant.grant_type != "client_credentials" {
        return refuse(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "only client_credentials is supported",
        );
    }
    if grant.client_id != state.client_id || grant.client_secret != state.client_secret {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed");
    }
    let token = state.source_tokens.issue(Instant::now());
    let life = if faults.omit_expires_in {
        String::new()
    } else {
        format!(r#","expires_in":{SOURCE_TOKEN_SECONDS}"#)
    };
    answer::json(StatusCode::OK, format!(r#"{{"token_type":"Bearer","access_token":"{token}"{life}}}"#))
}

fn parse_grant(body: &[u8]) -> Option<Grant> {
    if body.trim_ascii_start().starts_with(b"{") {
        return serde_json::from_slice(body).ok();
    }
    // A form has the syntax of a query.
    let uri: Uri = format!("/?{}", std::str::from_utf8(body).ok()?.trim()).parse().ok()?;
    Query::try_from_uri(&uri).ok().map(|Query(grant)| grant)
}

async fn info(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Response {
    add(&state.calls.info);
    let armed = state.dial.now();
    if let Some(response) = before(&state, &armed, &headers).await {
        return response;
    }
    let faults = &armed.faults.source;
    let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let row = {
        let book = read(&state.book);
        let index = match (value("order_id"), value("order_no")) {
            (Some(id), _) => Key::from_text(id).and_then(|key| book.find(&key)),
            (None, Some(number)) => book.find_number(number),
            (None, None) => return failure(&state, faults, 400, "order_id or order_no is required"),
        };
        let index = if state.dice.roll(faults.other_detail) { book.first_live() } else { index };
        index.filter(|index| book.is_live(*index)).map(|index| book.row(index))
    };
    let Some(row) = row.filter(|_| !state.dice.roll(faults.detail_gone)) else {
        return failure(&state, faults, 404, "Not Found Resource");
    };
    let mut body = open_envelope(&state, faults, 2048);
    row.render(&mut body, Shape { ids: faults.ids, php_empties: faults.php_empties, brief: false });
    body.push(b'}');
    finish(&state, faults, body)
}

/// What comes before any work: outages, waits, limits, errors, and the bearer.
async fn before(state: &State, armed: &Armed, headers: &HeaderMap) -> Option<Response> {
    let faults = &armed.faults.source;
    if faults.outage {
        return Some(answer::html(StatusCode::SERVICE_UNAVAILABLE));
    }
    if faults.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    }
    if let Some(response) = answer::hang(state, faults.hang).await {
        return Some(response);
    }
    answer::slow(state, faults.slow, faults.slow_ms).await;
    let limit = faults.rate_limit_per_second;
    if let Err(wait) = state.source_gate.pass(Instant::now(), limit, SECOND, Duration::ZERO) {
        add(&state.calls.source_limited);
        let body = error_body(state, faults, 429, "Too Many Requests");
        let response = answer::json(StatusCode::TOO_MANY_REQUESTS, body);
        return Some(answer::retry_after(response, faults.retry_after, wait, limit));
    }
    if state.dice.roll(faults.error_5xx) {
        let body = error_body(state, faults, 500, "Internal Server Error");
        return Some(answer::json(StatusCode::INTERNAL_SERVER_ERROR, body));
    }
    if state.dice.roll(faults.html) {
        return Some(answer::html(StatusCode::OK));
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer "));
    if !token.is_some_and(|token| state.source_tokens.spend(token, Instant::now(), faults.token_requests)) {
        let body = r#"{"error":"access_denied","error_description":"The access token is missing, unknown or expired"}"#;
        return Some(answer::json(StatusCode::UNAUTHORIZED, body));
    }
    state
        .dice
        .roll(faults.soft_error)
        .then(|| failure(state, faults, faults.soft_code, "系统繁忙,请稍后再试"))
}

/// `{..."data":` of a success; the caller writes the data and the closing brace.
fn open_envelope(state: &State, faults: &SourceFaults, capacity: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(capacity);
    body.push(b'{');
    if let Some(code) = faults.success_code {
        body.extend_from_slice(format!("\"code\":{code},").as_bytes());
    }
    body.extend_from_slice(b"\"message\":\"success\"");
    body.extend_from_slice(now_field(state, faults).as_bytes());
    body.extend_from_slice(b",\"data\":");
    body
}

/// `,"now":"..."` by the source's own clock, or nothing.
fn now_field(state: &State, faults: &SourceFaults) -> String {
    if faults.omit_now {
        return String::new();
    }
    format!(r#","now":"{}""#, civil::text(state.source_now(faults)))
}

fn finish(state: &State, faults: &SourceFaults, mut body: Vec<u8>) -> Response {
    if state.dice.roll(faults.truncate) {
        body.truncate(body.len() / 2);
    }
    answer::json(StatusCode::OK, body)
}

/// An error the way the source sends it: HTTP 200 with another code.
fn failure(state: &State, faults: &SourceFaults, code: i64, message: &str) -> Response {
    answer::json(StatusCode::OK, error_body(state, faults, code, message))
}

fn error_body(state: &State, faults: &SourceFaults, code: i64, message: &str) -> String {
    let (message, now) = (quote(message), now_field(state, faults));
    format!(r#"{{"code":{code},"message":{message}{now},"data":null}}"#)
}

#[cfg(test)]
mod tests;
