//! `/api/kos/…`: what pages of KOS ask of a router, told by what the mesh has.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::json;

use super::{Client, Events};
use peerage::service::operation::StopKind;

/// All of it.
pub(super) fn router(events: Events) -> Router {
    Router::new()
        .route("/api/kos/future", get(futures))
        .route("/api/kos/future/traces", get(traces))
        .route("/api/kos/future/traces/{id}/events", get(trace_events))
        .route("/api/kos/future/{id}", get(future))
        .route("/api/kos/future/{id}/cancel", post(cancel))
        .with_state(events)
}

type Asker = Option<Extension<Client>>;

async fn futures(State(events): State<Events>, asker: Asker) -> Response {
    Json(events.0.futures.list(asker.map(|asker| asker.0.0))).into_response()
}

async fn traces(State(events): State<Events>) -> Response {
    Json(events.0.futures.traces()).into_response()
}

async fn trace_events(State(events): State<Events>, Path(id): Path<String>) -> Response {
    match events.0.futures.find(&id) {
        Some((future, _)) => Json(future.events()).into_response(),
        None => unknown("future"),
    }
}

async fn future(State(events): State<Events>, Path(id): Path<String>, asker: Asker) -> Response {
    let asker = asker.map(|asker| asker.0.0);
    match events.0.futures.find(&id) {
        Some((future, is_told)) => Json(future.view(asker, is_told)).into_response(),
        None => unknown("future"),
    }
}

async fn cancel(State(events): State<Events>, Path(id): Path<String>, asker: Asker) -> Response {
    let asker = asker.map(|asker| asker.0.0);
    match events.0.futures.find(&id) {
        Some((future, is_told)) if is_told || future.is_of(asker) => {
            future.stop(StopKind::Cancel, "cancelled by the user");
            StatusCode::OK.into_response()
        }
        Some(_) => {
            let message = "expected the client whose future it is, or its tracker";
            refused(StatusCode::FORBIDDEN, "unauthorised", message)
        }
        None => unknown("future"),
    }
}

fn unknown(what: &str) -> Response {
    let message = format!("there is no such {what}");
    refused(StatusCode::NOT_FOUND, "unknown-name", &message)
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "code": code, "message": message }))).into_response()
}
