//! The operator's routes: the report, the faults, and changes of the source's orders.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::answer;
use crate::state::{Alteration, State};
use crate::{Faults, Report};

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/sandbox/report", get(report))
        .route("/sandbox/faults", get(faults).patch(patch))
        .route("/sandbox/{alteration}", post(alter))
}

async fn report(Shared(state): Shared<Arc<State>>) -> Json<Report> {
    // The pass over all orders must not hold up the requests that share a thread with it.
    Json(tokio::task::spawn_blocking(move || state.report()).await.unwrap_or_default())
}

async fn faults(Shared(state): Shared<Arc<State>>) -> Json<Faults> {
    Json(state.dial.now().faults.clone())
}

async fn patch(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let patched = serde_json::from_slice(&body).map_err(|error| error.to_string());
    match patched.and_then(|part| state.patch_faults(part)) {
        Ok(faults) => answer::json(StatusCode::OK, json!(faults).to_string()),
        Err(error) => answer::json(StatusCode::BAD_REQUEST, json!({ "error": error }).to_string()),
    }
}

#[derive(Deserialize)]
struct Amount {
    #[serde(default = "one")]
    n: u64,
    /// How far back the update time of a backdated edit is set.
    #[serde(default = "two_minutes")]
    seconds: u32,
}

fn two_minutes() -> u32 {
    120
}

fn one() -> u64 {
    1
}

async fn alter(
    Shared(state): Shared<Arc<State>>,
    Path(alteration): Path<String>,
    Query(amount): Query<Amount>,
) -> Response {
    let alteration = match alteration.as_str() {
        "edit" => Alteration::Edit,
        "silent_edit" => Alteration::SilentEdit,
        "backdated_edit" => Alteration::BackdatedEdit(amount.seconds.into()),
        "insert" => Alteration::Insert,
        "insert_late" => Alteration::InsertLate,
        "remove" => Alteration::Remove,
        _ => {
            let known = "known are report, faults, edit, silent_edit, backdated_edit, insert, insert_late \
                         and remove";
            let body = json!({ "error": known });
            return answer::json(StatusCode::NOT_FOUND, body.to_string());
        }
    };
    let orders = state.alter(alteration, amount.n);
    answer::json(StatusCode::OK, json!({ "orders": orders }).to_string())
}

#[cfg(test)]
mod tests;
