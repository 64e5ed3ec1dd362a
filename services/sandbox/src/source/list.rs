//! The order list: its parameters, its pages, and how both are bent.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{before, error_body, failure, finish, open_envelope};
use crate::answer;
use crate::civil::{self, Seconds};
use crate::faults::{PastEnd, SourceFaults, TotalField, TotalShape};
use crate::lock::read;
use crate::orders::Row;
use crate::orders::listing::{TimeType, Window};
use crate::orders::render::Shape;
use crate::state::{State, add};

/// What a call asks for.
#[derive(Clone, Copy)]
struct Asked {
    window: Window,
    /// From 1 on.
    page: u64,
    /// Rows a page.
    size: u32,
}

pub(super) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Response {
    add(&state.calls.list);
    let _under_way = state.calls.lists_at_once.begin();
    let armed = state.dial.now();
    if let Some(response) = before(&state, &armed, &headers).await {
        return response;
    }
    let faults = &armed.faults.source;
    let asked = match parse(&parameters, state.page_limit) {
        Ok(asked) => bend(&state, faults, asked),
        Err(problem) => return failure(&state, faults, 400, &problem),
    };
    if faults.huge_bytes > 0 {
        let mut start = open_envelope(&state, faults, 128);
        start.extend_from_slice(b"{\"list\":[");
        return answer::padded(start, faults.huge_bytes);
    }
    let last = asked.page.saturating_mul(u64::from(asked.size));
    if faults.most_rows > 0 && asked.page > 1 && last > faults.most_rows {
        return refuse_page(&state, faults);
    }
    let Some((rows, total)) = cut(&state, faults, asked) else {
        return failure(&state, faults, 400, "page out of range");
    };
    let shape = Shape { ids: faults.ids, php_empties: faults.php_empties, brief: state.brief_rows };
    let mut body = open_envelope(&state, faults, rows.len() * 1700 + 128);
    body.extend_from_slice(b"{\"list\":[");
    for (position, row) in rows.iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        row.render(&mut body, shape);
    }
    body.push(b']');
    body.extend_from_slice(render_total(&state, faults, total).as_bytes());
    body.extend_from_slice(b"}}");
    state.after_page(faults, &asked.window);
    finish(&state, faults, body)
}

/// What is understood of what was asked.
fn bend(state: &State, faults: &SourceFaults, mut asked: Asked) -> Asked {
    let window = &mut asked.window;
    if state.started.elapsed() < Duration::from_secs(faults.late_seconds) {
        window.hidden = faults.late_rows;
    }
    if faults.ignore_seconds {
        (window.start, window.end) = civil::whole_days(window.start, window.end);
    }
    if faults.ignore_times {
        (window.start, window.end) = (Seconds::MIN, Seconds::MAX);
    }
    if faults.same_page {
        asked.page = 1;
    }
    window.and_living = faults.removed_lists_living && window.removed;
    asked
}

/// The rows of the page and the window's total; `None` when the page is behind the last and that is an error. Rows are
/// copied out under the lock and rendered outside of it.
fn cut(state: &State, faults: &SourceFaults, asked: Asked) -> Option<(Vec<Row>, u64)> {
    let Asked { window, page, size } = asked;
    let number = faults.shuffle.then(|| state.shuffles.fetch_add(1, Ordering::Relaxed));
    let book = read(&state.book);
    let rows_of = |page| match number {
        Some(number) => book.shuffled_page(window, page, size, &state.collected, number),
        None => book.page(window, page, size, &state.collected),
    };
    let (rows, total) = rows_of(page);
    let last = total.div_ceil(u64::from(size)).max(1);
    match faults.past_end {
        PastEnd::Last if page > last => Some(rows_of(last)),
        PastEnd::Error if page > last => None,
        PastEnd::Empty | PastEnd::Last | PastEnd::Error => Some((rows, total)),
    }
}

/// A page that lies too deep.
fn refuse_page(state: &State, faults: &SourceFaults) -> Response {
    let message = "the page lies too deep";
    match StatusCode::from_u16(faults.deep_status) {
        Ok(status) if status != StatusCode::OK => {
            answer::json(status, error_body(state, faults, i64::from(faults.deep_status), message))
        }
        _ => failure(state, faults, 400, message),
    }
}

fn render_total(state: &State, faults: &SourceFaults, total: u64) -> String {
    let total = total.saturating_add_signed(faults.total_lies);
    let total = total.saturating_add(state.dice.up_to(faults.total_jitter));
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

fn parse(parameters: &[(String, String)], page_limit: u32) -> Result<Asked, String> {
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
        and_living: false,
        hidden: 0.0,
    };
    if window.start > window.end {
        return Err("start_time is after end_time".to_owned());
    }
    let size = u32::try_from(number("count", 10)?).unwrap_or(u32::MAX).min(page_limit);
    Ok(Asked { window, page: number("start_index", 1)?, size })
}

#[cfg(test)]
mod tests;
