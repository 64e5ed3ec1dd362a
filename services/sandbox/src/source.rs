//! The source's routes: token, order list, order detail.

use std::fmt::Write as _;
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
use crate::civil::{self, Seconds};
use crate::dial::Armed;
use crate::faults::{SourceFaults, TotalField, TotalShape};
use crate::fields::quote;
use crate::key::Key;
use crate::lock::read;
use crate::orders::listing::{TimeType, Window};
use crate::orders::render::Shape;
use crate::state::{Alteration, SOURCE_TOKEN_SECONDS, State, add};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/v1/oauth2/access_token", post(token))
        .route("/v1/invoices/order/list", get(list))
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

async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Response {
    add(&state.calls.list);
    let armed = state.dial.now();
    if let Some(response) = before(&state, &armed, &headers).await {
        return response;
    }
    let faults = &armed.faults.source;
    let (mut window, page, size) = match parse_list(&parameters, state.page_limit) {
        Ok(parsed) => parsed,
        Err(problem) => return failure(&state, 400, &problem),
    };
    if state.started.elapsed() < Duration::from_secs(faults.late_seconds) {
        window.hidden = faults.late_rows;
    }
    // Rows are copied out under the lock and rendered outside of it.
    let (rows, total) = read(&state.book).page(window, page, size, &state.collected);
    let shape = Shape { ids: faults.ids, php_empties: faults.php_empties, brief: state.brief_rows };
    let mut body = open_envelope(&state, faults, rows.len() * 1200 + 128);
    body.extend_from_slice(b"{\"list\":[");
    for (position, row) in rows.iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        row.render(&mut body, shape);
    }
    body.push(b']');
    body.extend_from_slice(render_total(faults, total).as_bytes());
    body.extend_from_slice(b"}}");
    if faults.moving_rows > 0 {
        state.alter(Alteration::Edit, faults.moving_rows);
    }
    finish(&state, faults, body)
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
            (None, None) => return failure(&state, 400, "order_id or order_no is required"),
        };
        index.filter(|index| book.is_live(*index)).map(|index| book.row(index))
    };
    let Some(row) = row else {
        return failure(&state, 404, "Not Found Resource");
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
    if let Some(response) = answer::delay(state, faults.hang, faults.slow, faults.slow_ms).await {
        return Some(response);
    }
    let limit = faults.rate_limit_per_second;
    if let Err(wait) = state.source_gate.pass(Instant::now(), limit, SECOND, Duration::ZERO) {
        add(&state.calls.source_limited);
        let body = error_body(state, 429, "Too Many Requests");
        let response = answer::json(StatusCode::TOO_MANY_REQUESTS, body);
        return Some(answer::retry_after(response, faults.retry_after, wait, limit));
    }
    if state.dice.roll(faults.error_5xx) {
        let body = error_body(state, 500, "Internal Server Error");
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
    state.dice.roll(faults.soft_error).then(|| failure(state, faults.soft_code, "系统繁忙,请稍后再试"))
}

/// `{..."data":` of a success; the caller writes the data and the closing brace.
fn open_envelope(state: &State, faults: &SourceFaults, capacity: usize) -> Vec<u8> {
    let mut body = Vec::with_capacity(capacity);
    body.push(b'{');
    if let Some(code) = faults.success_code {
        body.extend_from_slice(format!("\"code\":{code},").as_bytes());
    }
    body.extend_from_slice(b"\"message\":\"success\",\"now\":\"");
    civil::write(&mut body, civil::now(&state.zone));
    body.extend_from_slice(b"\",\"data\":");
    body
}

fn finish(state: &State, faults: &SourceFaults, mut body: Vec<u8>) -> Response {
    if state.dice.roll(faults.truncate) {
        body.truncate(body.len() / 2);
    }
    answer::json(StatusCode::OK, body)
}

/// An error the way the source sends it: HTTP 200 with another code.
fn failure(state: &State, code: i64, message: &str) -> Response {
    answer::json(StatusCode::OK, error_body(state, code, message))
}

fn error_body(state: &State, code: i64, message: &str) -> String {
    let (message, now) = (quote(message), civil::text(civil::now(&state.zone)));
    format!(r#"{{"code":{code},"message":{message},"now":"{now}","data":null}}"#)
}

fn render_total(faults: &SourceFaults, total: u64) -> String {
    let total = total.saturating_add_signed(faults.total_lies);
    let name = match faults.total_field {
        TotalField::Count => "count",
        TotalField::TotalItem => "totalItem",
    };
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = match faults.total {
        TotalShape::Number => write!(out, r#","{name}":{total}"#),
        TotalShape::String => write!(out, r#","{name}":"{total}""#),
        TotalShape::Missing => Ok(()),
    };
    out
}

fn parse_list(parameters: &[(String, String)], page_limit: u32) -> Result<(Window, u64, u32), String> {
    let value = |name: &str| {
        parameters
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    };
    let time = |name: &str, parse: fn(&str) -> Option<Seconds>, default| match value(name) {
        Some(text) => {
            parse(text).ok_or(format!("{name} {text:?} is neither YYYY-MM-DD nor YYYY-MM-DD HH:MM:SS"))
        }
        None => Ok(default),
    };
    let number = |name: &str, default: u64| match value(name) {
        Some(text) => {
            text.parse().ok().filter(|n| *n > 0).ok_or(format!("{name} {text:?} is no number from 1 on"))
        }
        None => Ok(default),
    };
    let window = Window {
        start: time("start_time", civil::parse, Seconds::MIN)?,
        end: time("end_time", civil::parse_end, Seconds::MAX)?,
        time: match value("time_type").unwrap_or("1") {
            "1" => TimeType::Update,
            "2" => TimeType::Create,
            "3" => TimeType::Order,
            "4" => TimeType::Delete,
            other => return Err(format!("time_type {other:?} is none of 1, 2, 3, 4")),
        },
        removed: match value("removed").unwrap_or("0") {
            "0" => false,
            "1" => true,
            other => return Err(format!("removed {other:?} is neither 0 nor 1")),
        },
        hidden: 0.0,
    };
    if window.start > window.end {
        return Err("start_time is after end_time".to_owned());
    }
    let size = u32::try_from(number("count", 10)?).unwrap_or(u32::MAX).min(page_limit);
    Ok((window, number("start_index", 1)?, size))
}

#[cfg(test)]
mod tests;
