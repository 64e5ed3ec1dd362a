//! The target's routes: both ways to write, the token of the second, and reading back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{FromRequestParts, Query, State as Shared};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::post;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::answer;
use crate::apply::{self, Call, Done};
use crate::dial::Armed;
use crate::fields::quote;
use crate::in_hand::Held;
use crate::key::Key;
use crate::log::Log;
use crate::state::{State, TARGET_TOKEN_SECONDS, add};

const MINUTE: Duration = Duration::from_secs(60);
const DONE_ONE: &[u8] =
    br#"{"success":true,"code":0,"message":"success","content":{"inserted":1,"failed":0}}"#;

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/execute", post(execute))
        .route("/v2/oauth", post(token))
        .route("/v2/open-api/business/{scheme_id}/store", post(store))
        .route("/v2/open-api/business/{scheme_id}/query", post(query))
}

/// The call's idempotency key. Taken out by itself: a copy of all headers would cost more than the rest of the call.
struct IdempotencyKey(Option<HeaderValue>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.headers.get("idempotency-key").cloned()))
    }
}

impl IdempotencyKey {
    fn text<'a>(&'a self, armed: &Armed) -> Option<&'a str> {
        let key = self.0.as_ref().filter(|_| !armed.faults.target.ignore_idempotency)?;
        key.to_str().ok().filter(|key| !key.is_empty())
    }
}

#[derive(Deserialize)]
struct Execute<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(rename = "idCheck", default)]
    id_check: bool,
}

#[derive(Deserialize)]
struct Store<'a> {
    #[serde(borrow)]
    content: &'a RawValue,
    #[serde(rename = "idCheck", default)]
    id_check: bool,
}

#[derive(Deserialize)]
struct Access {
    #[serde(default)]
    access_token: String,
}

async fn execute(Shared(state): Shared<Arc<State>>, key: IdempotencyKey, body: Bytes) -> Response {
    add(&state.calls.write);
    let armed = state.dial.now();
    if let Some(response) = away(&state, &armed).await {
        return response;
    }
    let rows = || serde_json::from_slice(&body).ok().map(|Execute { data, .. }| data);
    let _in_hand = in_hand(&state, &armed, rows);
    if let Some(response) = before(&state, &armed, true).await {
        return response;
    }
    let Ok(Execute { data, id_check }) = serde_json::from_slice(&body) else {
        return failure(StatusCode::OK, 40001, "the body is not JSON with data");
    };
    let call = Call { id_check, idempotency: key.text(&armed) };
    let Some((done, batch)) = apply::rows(&state, &armed, data, &call) else {
        return failure(StatusCode::OK, 40001, "data is neither a record nor a list of records");
    };
    // A list of one can say what was wrong with it; a longer one can only count.
    after(&state, &armed, &done, batch && done.rows() > 1)
}

async fn store(
    Shared(state): Shared<Arc<State>>,
    Query(access): Query<Access>,
    key: IdempotencyKey,
    body: Bytes,
) -> Response {
    add(&state.calls.write);
    let armed = state.dial.now();
    if let Some(response) = away(&state, &armed).await {
        return response;
    }
    let rows = || serde_json::from_slice(&body).ok().map(|Store { content, .. }| content);
    let _in_hand = in_hand(&state, &armed, rows);
    if let Some(response) = before(&state, &armed, true).await {
        return response;
    }
    if let Some(response) = check_token(&state, &armed, &access) {
        return response;
    }
    let Ok(Store { content, id_check }) = serde_json::from_slice(&body) else {
        return failure(StatusCode::OK, 40001, "the body is not JSON with content");
    };
    let call = Call { id_check, idempotency: key.text(&armed) };
    match apply::rows(&state, &armed, content, &call) {
        Some((done, true)) => after(&state, &armed, &done, true),
        _ => failure(StatusCode::OK, 40001, "content is no list of records"),
    }
}

#[derive(Deserialize)]
struct Application {
    #[serde(default)]
    app_key: String,
    #[serde(default)]
    app_secret: String,
}

async fn token(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let armed = state.dial.now();
    if armed.faults.target.outage {
        return answer::html(StatusCode::SERVICE_UNAVAILABLE);
    }
    let Ok(application) = serde_json::from_slice::<Application>(&body) else {
        return failure(StatusCode::OK, 40001, "the body is not JSON");
    };
    if application.app_key != state.client_id || application.app_secret != state.client_secret {
        return failure(StatusCode::UNAUTHORIZED, 40101, "app_key or app_secret is wrong");
    }
    let token = state.target_tokens.issue(Instant::now());
    let content = format!(r#"{{"access_token":"{token}","expires_in":{TARGET_TOKEN_SECONDS}}}"#);
    success("success", &content)
}

#[derive(Deserialize)]
struct Search<'a> {
    #[serde(default = "one")]
    page: usize,
    #[serde(rename = "pageSize", default = "hundred")]
    page_size: usize,
    #[serde(rename = "CONTENT_orderId", borrow, default)]
    order_id: Option<&'a RawValue>,
}

fn one() -> usize {
    1
}

fn hundred() -> usize {
    100
}

async fn query(Shared(state): Shared<Arc<State>>, Query(access): Query<Access>, body: Bytes) -> Response {
    let armed = state.dial.now();
    if let Some(response) = away(&state, &armed).await {
        return response;
    }
    if let Some(response) = before(&state, &armed, false).await {
        return response;
    }
    if let Some(response) = check_token(&state, &armed, &access) {
        return response;
    }
    let Ok(search) = serde_json::from_slice::<Search<'_>>(&body) else {
        return failure(StatusCode::OK, 40001, "the body is not JSON with page and pageSize");
    };
    if search.page == 0 || search.page_size == 0 || search.page_size > 100 {
        return failure(StatusCode::OK, 40002, "page is from 1 on and pageSize from 1 to 100");
    }
    let keys = match search.order_id.map(Key::from_json) {
        Some(key) => key.into_iter().filter(|key| state.ledger.record(key).is_some()).collect(),
        None => state.ledger.keys(),
    };
    let first = (search.page - 1).saturating_mul(search.page_size);
    let page = keys.iter().skip(first).take(search.page_size);
    let records: Vec<_> = page.filter_map(|key| state.ledger.record(key)).collect();
    let content = format!(
        r#"{{"list":[{}],"total":{},"page":{},"pageSize":{}}}"#,
        records.join(","),
        keys.len(),
        search.page,
        search.page_size
    );
    success("success", &content)
}

/// Nobody there: an outage, or a call that hangs.
async fn away(state: &State, armed: &Armed) -> Option<Response> {
    let faults = &armed.faults.target;
    if faults.outage {
        return Some(answer::html(StatusCode::SERVICE_UNAVAILABLE));
    }
    answer::hang(state, faults.hang).await
}

/// Takes the orders of a call in hand while it is worked on. A call that takes no time meets no other: then nothing is read.
fn in_hand<'a>(
    state: &'a State,
    armed: &Armed,
    rows: impl FnOnce() -> Option<&'a RawValue>,
) -> Option<Held<'a>> {
    let takes_time = armed.faults.target.latency_ms > 0 || armed.faults.target.slow > 0.0;
    takes_time.then(|| state.in_hand.take(rows().map(|rows| apply::keys(state, rows)).unwrap_or_default()))
}

/// What comes before any work: waits, limits and errors.
async fn before(state: &State, armed: &Armed, writes: bool) -> Option<Response> {
    let faults = &armed.faults.target;
    if faults.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    }
    answer::slow(state, faults.slow, faults.slow_ms).await;
    let (limit, penalty) = (faults.rate_limit_per_minute, Duration::from_secs(faults.penalty_seconds));
    if let Err(wait) = state.target_gate.pass(Instant::now(), limit, MINUTE, penalty) {
        add(&state.calls.target_limited);
        let response = failure(StatusCode::TOO_MANY_REQUESTS, 42901, "Too Many Requests");
        return Some(answer::retry_after(response, faults.retry_after, wait, limit));
    }
    if state.dice.roll(faults.error_5xx) {
        return Some(failure(StatusCode::INTERNAL_SERVER_ERROR, 50001, "Internal Server Error"));
    }
    if state.dice.roll(faults.html) {
        return Some(answer::html(StatusCode::OK));
    }
    (writes && state.dice.roll(faults.soft_error))
        .then(|| failure(StatusCode::OK, 50001, "系统繁忙,请稍后再试"))
}

fn check_token(state: &State, armed: &Armed, access: &Access) -> Option<Response> {
    if access.access_token.is_empty() {
        return Some(failure(StatusCode::UNAUTHORIZED, 40101, "access_token is missing"));
    }
    let uses = armed.faults.target.token_requests;
    let alive = state.target_tokens.spend(&access.access_token, Instant::now(), uses);
    (!alive).then(|| failure(StatusCode::UNAUTHORIZED, 40102, "access_token is unknown or expired"))
}

/// Keeps what was done, then answers, or withholds the answer.
fn after(state: &State, armed: &Armed, done: &Done, batch: bool) -> Response {
    if let Some(Err(error)) = state.target_log.as_ref().map(Log::flush) {
        tracing::error!(%error, "rows could not be kept in the data directory");
        return failure(StatusCode::INTERNAL_SERVER_ERROR, 50001, "the rows could not be kept");
    }
    if state.dice.roll(armed.faults.target.lost_answer) {
        add(&state.calls.lost_answers);
        return answer::dropped();
    }
    let content = || format!(r#"{{"inserted":{},"failed":{}}}"#, done.inserted, done.failed);
    match &done.first_failure {
        None if done.inserted == 1 => answer::json(StatusCode::OK, DONE_ONE),
        None => success("success", &content()),
        Some((_, message)) if batch => success(message, &content()),
        Some((code, message)) => {
            let (message, content) = (quote(message), content());
            let body =
                format!(r#"{{"success":false,"code":{code},"message":{message},"content":{content}}}"#);
            answer::json(StatusCode::OK, body)
        }
    }
}

fn success(message: &str, content: &str) -> Response {
    let message = quote(message);
    answer::json(
        StatusCode::OK,
        format!(r#"{{"success":true,"code":0,"message":{message},"content":{content}}}"#),
    )
}

fn failure(status: StatusCode, code: u32, message: &str) -> Response {
    let message = quote(message);
    answer::json(status, format!(r#"{{"success":false,"code":{code},"message":{message},"content":null}}"#))
}

#[cfg(test)]
mod tests;
