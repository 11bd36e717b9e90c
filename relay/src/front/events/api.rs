//! `/api/kos/…`: what pages of KOS ask of a router, told by what the mesh has.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::StreamExt;
use peerage::error::Code;
use peerage::limits::REQUEST_TIMEOUT;
use peerage::service::broker::{Item, Subscribe};
use peerage::service::operation::StopKind;
use peerage::{Kind, Peer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::address::Address;
use super::future::now_ms;
use super::json as body;
use super::{Client, Events};
use crate::web::pages::navigate;

/// All of it.
pub(super) fn router<S: Clone + Send + Sync + 'static>(events: Events) -> Router<S> {
    Router::new()
        .route("/api/kos/future", get(futures))
        .route("/api/kos/future/traces", get(traces))
        .route("/api/kos/future/traces/{id}/events", get(trace_events))
        .route("/api/kos/future/{id}", get(future))
        .route("/api/kos/future/{id}/cancel", post(cancel))
        .route("/api/kos/node", get(nodes))
        .route("/api/kos/node/{name}", get(node))
        .route("/api/kos/browser", get(browsers))
        .route("/api/kos/browser/redirect", get(redirect))
        .route("/api/kos/browser/url", post(send_browser))
        .route("/api/kos/browser/{node}", post(send_page))
        .route("/api/kos/browser/{node}/{name}", post(send_page))
        .route("/api/kos/time", get(time))
        .route("/api/kos/time/timezone", get(timezone))
        .route("/api/kos/state/paths", get(states))
        .route("/api/kos/state/{*path}", get(state))
        .route("/api/kos/openapi", get(openapi))
        .route("/api/kos/openapi/{*base}", get(openapi))
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

/// A node, as pages of KOS know one: its id is what it is called by.
fn node_view(events: &Events, peer: &Peer) -> Value {
    let kind = peer.kind.as_str();
    let role = peer.role.as_ref().map_or(kind, |role| role.as_str());
    json!({
        "id": peer.name.as_str(),
        "nodeType": role,
        "nodeName": peer.name.as_str(),
        "hostname": peer.name.as_str(),
        "address": Address::of_node(&events.relay(), peer.id).to_string(),
        "online": true,
    })
}

async fn nodes(State(events): State<Events>) -> Response {
    let peers = events.relay().peers();
    let views: Vec<_> = peers.iter().map(|peer| node_view(&events, peer)).collect();
    Json(views).into_response()
}

async fn node(State(events): State<Events>, Path(name): Path<String>) -> Response {
    let peers = events.relay().peers();
    match peers.iter().find(|peer| peer.name.as_str() == name) {
        Some(peer) => Json(node_view(&events, peer)).into_response(),
        None => unknown("node"),
    }
}

async fn browsers(State(events): State<Events>) -> Response {
    let peers = events.relay().peers();
    let is_page = |peer: &&Peer| matches!(peer.kind, Kind::Browser | Kind::Client);
    let view = |peer: &Peer| {
        json!({
            "id": { "nodeId": node_view(&events, peer), "browserName": null },
            "online": true,
            "lastUrl": events.0.sent.last(peer.id),
        })
    };
    let views: Vec<_> = peers.iter().filter(is_page).map(view).collect();
    Json(views).into_response()
}

/// Where a browser shall go.
#[derive(Deserialize)]
struct ToUrl {
    url: String,
    #[serde(default, rename = "browserId")]
    browser: Option<BrowserId>,
}

#[derive(Deserialize)]
struct BrowserId {
    #[serde(rename = "nodeId")]
    node: NodeName,
}

/// A node is told by its id, or whole.
#[derive(Deserialize)]
#[serde(untagged)]
enum NodeName {
    Id(String),
    Whole { id: String },
}

async fn send_browser(State(events): State<Events>, Json(to): Json<ToUrl>) -> Response {
    let name = to.browser.map(|browser| match browser.node {
        NodeName::Id(id) | NodeName::Whole { id } => id,
    });
    match name {
        Some(name) => send(&events, &name, &to.url).await,
        None => refused(
            StatusCode::BAD_REQUEST,
            "bad-message",
            "expected `browserId`",
        ),
    }
}

async fn send_page(
    State(events): State<Events>,
    Path(node): Path<Vec<String>>,
    Json(to): Json<ToUrl>,
) -> Response {
    let name = node.first().map_or("", String::as_str);
    send(&events, name, &to.url).await
}

async fn send(events: &Events, name: &str, url: &str) -> Response {
    match navigate(&events.0.node, name, url).await {
        Ok(page) => {
            events.sent(page, url);
            StatusCode::OK.into_response()
        }
        Err(failure) => {
            let status = match failure.code {
                Code::BadMessage => StatusCode::BAD_REQUEST,
                Code::Unauthorised => StatusCode::FORBIDDEN,
                Code::UnknownName => StatusCode::NOT_FOUND,
                _ => StatusCode::BAD_GATEWAY,
            };
            refused(status, failure.code.as_str(), &failure.in_words())
        }
    }
}

#[derive(Deserialize)]
struct Redirection {
    url: String,
}

/// A redirection that stays at this relay: an address elsewhere is nobody's to send a page to.
async fn redirect(Query(to): Query<Redirection>) -> Response {
    let is_own = to.url.starts_with('/') && !to.url.starts_with("//") && !to.url.contains('\\');
    match HeaderValue::try_from(&to.url) {
        Ok(url) if is_own => (StatusCode::FOUND, [(header::LOCATION, url)]).into_response(),
        _ => refused(
            StatusCode::BAD_REQUEST,
            "bad-message",
            "expected `url`, a path",
        ),
    }
}

async fn time() -> Response {
    Json(json!({ "time": now_ms(), "timeZone": TIME_ZONE })).into_response()
}

async fn timezone() -> Response {
    Json(json!({ "timeZone": TIME_ZONE })).into_response()
}

/// The relay tells the time without one of its own.
const TIME_ZONE: &str = "UTC";

/// The topics that have a value.
async fn states(State(events): State<Events>) -> Response {
    match events.0.node.topics().topics("#", None).await {
        Ok(topics) => {
            let retained = topics.into_iter().filter(|topic| topic.retained);
            let paths: Vec<_> = retained.map(|topic| topic.name).collect();
            Json(paths).into_response()
        }
        Err(failure) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            refused(status, failure.code.as_str(), &failure.in_words())
        }
    }
}

/// The value of a topic, which clients write with a slash before it or without.
async fn state(State(events): State<Events>, Path(path): Path<String>) -> Response {
    let topics = events.0.node.topics();
    for topic in [format!("/{path}"), path] {
        let listed = topics.topics(&topic, None).await.unwrap_or_default();
        if !listed
            .iter()
            .any(|known| known.name == topic && known.retained)
        {
            continue;
        }
        let Ok(mut values) = topics.subscribe(&topic, Subscribe::default()).await else {
            continue;
        };
        if let Ok(Some(Ok(Item::Message(message)))) = timeout(REQUEST_TIMEOUT, values.next()).await
        {
            let value = message.value().unwrap_or_default();
            let kind = [(header::CONTENT_TYPE, "application/json")];
            return (kind, body::write(&value)).into_response();
        }
    }
    unknown("state")
}

/// What there is, as OpenAPI has it.
async fn openapi() -> Response {
    let get = |summary: &str| {
        let ok = json!({ "200": { "description": "OK" } });
        json!({ "get": { "summary": summary, "responses": ok } })
    };
    let post = |summary: &str| {
        let ok = json!({ "200": { "description": "OK" } });
        json!({ "post": { "summary": summary, "responses": ok } })
    };
    Json(json!({
        "openapi": "3.0.3",
        "info": { "title": "kos", "version": env!("CARGO_PKG_VERSION") },
        "paths": {
            "/api/kos/browser": get("The pages that are here."),
            "/api/kos/browser/redirect": get("Redirects to a path of this router."),
            "/api/kos/browser/url": post("Sends a page to an address."),
            "/api/kos/browser/{nodeId}": post("Sends a page to an address."),
            "/api/kos/browser/{nodeId}/{name}": post("Sends a page to an address."),
            "/api/kos/future": get("The futures that are known."),
            "/api/kos/future/{futureId}": get("A future, by its id or tracker."),
            "/api/kos/future/{futureId}/cancel": post("Cancels a future."),
            "/api/kos/future/traces": get("What became of futures."),
            "/api/kos/future/traces/{traceId}/events": get("What became of one, step by step."),
            "/api/kos/node": get("The nodes that are here."),
            "/api/kos/node/{nodeId}": get("A node."),
            "/api/kos/state/paths": get("The topics that have a value."),
            "/api/kos/state/{path}": get("The value of a topic."),
            "/api/kos/time": get("The time, in milliseconds since 1970."),
            "/api/kos/time/timezone": get("The time zone."),
        },
    }))
    .into_response()
}

fn unknown(what: &str) -> Response {
    let message = format!("there is no such {what}");
    refused(StatusCode::NOT_FOUND, "unknown-name", &message)
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({ "code": code, "message": message }))).into_response()
}
