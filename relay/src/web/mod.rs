//! The relay over HTTP: the mesh socket, the console, and what programs ask.

pub mod console;
mod guard;
mod metrics;
mod nodes;
pub mod origin;
pub(crate) mod pages;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use futures_util::{StreamExt, stream};
use peerage::error::Code;
use peerage::limits::EVENTS_MESSAGE_BYTES_MAX;
use peerage::service::operation::Info;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Node;
use crate::front::events::Events;
use crate::front::mqtt::{self, UpgradeError};
use crate::link::websocket::{self, Socket};
use metrics::Metrics;
pub use nodes::Settings;
use origin::Origins;
pub use serve::{serve, serve_some};

/// What the routes need.
#[derive(Clone)]
pub struct Web {
    /// Who is called.
    pub node: Node,
    /// Whose pages may call.
    pub origins: Arc<Origins>,
    /// How nodes are shown.
    pub nodes: Settings,
    /// Who speaks for clients of `/events`, if anybody does.
    pub events: Option<Events>,
    /// Who speaks for clients of MQTT that come by WebSocket.
    pub mqtt: Option<mqtt::Front>,
}

/// All routes.
pub fn router(web: Web) -> Router {
    let metrics = Arc::new(Metrics::new());
    let told = Arc::clone(&metrics);
    let render = async move |State(web): State<Web>| {
        let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
        (text, told.render(&web))
    };
    let mut own = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/v1/nodes", get(nodes))
        .route("/api/v1/operations", get(operations))
        .route("/api/v1/time", get(time))
        .route("/go/{*path}", get(pages::go))
        .route("/metrics", get(render))
        .route("/n/{name}", any(nodes::serve))
        .route("/n/{name}/", any(nodes::serve))
        .route("/n/{name}/{*path}", any(nodes::serve))
        .fallback(console::serve);
    let acts = from_fn_with_state(web.clone(), guard::act);
    let navigate = post(pages::navigate_page).layer(acts.clone());
    own = own.route("/api/v1/browsers/{name}/navigate", navigate);
    if let Some(events) = &web.events {
        own = own.merge(events.api::<Web>().layer(acts));
    }
    let mut all = own
        .clone()
        .route("/mesh", any(mesh))
        .route("/mqtt", any(mqtt));
    if let Some(events) = web.events.clone() {
        let api = own.with_state(web.clone());
        let serve = move |State(web): State<Web>, request: Request| async move {
            open(
                &web,
                request,
                EVENTS_MESSAGE_BYTES_MAX,
                move |socket, caller| events.serve(socket, caller, api),
            )
        };
        all = all.route("/events", any(serve));
    }
    all.layer(from_fn_with_state(web.clone(), guard::check))
        .layer(from_fn_with_state(metrics, metrics::count))
        .with_state(web)
}

async fn mesh(State(web): State<Web>, request: Request) -> Response {
    let runtime = web.node.runtime().clone();
    open(
        &web,
        request,
        websocket::MESSAGE_BYTES_MAX,
        move |socket, caller| websocket::accept(runtime, socket, caller),
    )
}

async fn mqtt(State(web): State<Web>, mut request: Request) -> Response {
    let Some(front) = &web.mqtt else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Err(refused) = check_page(&web, &request) {
        return *refused;
    }
    let caller = caller(&request);
    let upgrade = front.upgrade(&mut request, caller);
    upgrade.unwrap_or_else(|error| {
        let status = match error {
            UpgradeError::NotLetIn => StatusCode::FORBIDDEN,
            UpgradeError::NoProtocol | UpgradeError::NoWebSocket(_) => StatusCode::BAD_REQUEST,
        };
        (status, error.to_string()).into_response()
    })
}

/// Opens a WebSocket, unless it is for a page that may not.
fn open<F>(
    web: &Web,
    mut request: Request,
    message_bytes_max: usize,
    then: impl FnOnce(Socket, SocketAddr) -> F + Send + 'static,
) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    if let Err(refused) = check_page(web, &request) {
        return *refused;
    }
    let caller = caller(&request);
    let then = move |socket| then(socket, caller);
    let upgrade = websocket::upgrade(&mut request, message_bytes_max, then);
    upgrade.unwrap_or_else(|error| (StatusCode::BAD_REQUEST, error.to_string()).into_response())
}

/// Whether a page, if it is one that calls, may open a socket here.
fn check_page(web: &Web, request: &Request) -> Result<(), Box<Response>> {
    let checked = web.origins.check(request.headers(), guard::local(request));
    checked.map_err(|refusal| {
        tracing::warn!(target: peerage::log::ERROR, %refusal, "refused a page's call");
        let body = Json(Refusal {
            code: "refused",
            message: refusal.to_string(),
        });
        Box::new((StatusCode::FORBIDDEN, body).into_response())
    })
}

/// From where a request comes: nowhere, for a server that does not tell.
fn caller(request: &Request) -> SocketAddr {
    let caller = request.extensions().get::<ConnectInfo<SocketAddr>>();
    caller.map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |caller| caller.0)
}

#[derive(Serialize)]
struct Refusal {
    code: &'static str,
    message: String,
}

/// A node, as `GET /api/v1/nodes` tells of it.
#[derive(Serialize)]
struct NodeView {
    id: String,
    name: String,
    kind: &'static str,
    /// What it is for, as its operator says.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    /// Its links to this relay.
    links: usize,
    /// Seconds since it is here.
    since_s: f64,
    /// Milliseconds there and back, if this relay has a session with it.
    rtt_ms: Option<f64>,
}

async fn nodes(State(web): State<Web>) -> Json<Vec<NodeView>> {
    let views = web.node.peers().into_iter().map(|peer| {
        let (links, since) = web.node.presence(peer.id);
        let quality = web.node.link_quality(peer.id).unwrap_or(peer.quality);
        NodeView {
            id: peer.id.to_string(),
            name: peer.name.to_string(),
            kind: peer.kind.as_str(),
            role: peer.role.map(|role| role.to_string()),
            links,
            since_s: since.unwrap_or_default().as_secs_f64(),
            rtt_ms: quality.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
        }
    });
    Json(views.collect())
}

/// How far a node's clock is from this relay's, as `GET /api/v1/time` tells of it.
#[derive(Serialize)]
struct OffsetView {
    name: String,
    /// Milliseconds that it is ahead; nothing if it does not tell.
    offset_ms: Option<f64>,
    /// Milliseconds by which that may be wrong.
    error_ms: Option<f64>,
}

/// How many clocks are asked at once.
const CLOCKS_AT_ONCE: usize = 16;

/// The time of this relay, and how far nodes are from it.
async fn time(State(web): State<Web>) -> Response {
    let clock = web.node.clock();
    let offset = async |peer: peerage::Peer| {
        let offset = clock.offset(&peer.id.to_string()).await.ok();
        OffsetView {
            name: peer.name.to_string(),
            offset_ms: offset.map(|offset| offset.ms),
            error_ms: offset.map(|offset| offset.error_ms),
        }
    };
    let asked = stream::iter(web.node.peers()).map(offset);
    let nodes: Vec<_> = asked.buffer_unordered(CLOCKS_AT_ONCE).collect().await;
    Json(json!({ "now_ms": clock.now(), "nodes": nodes })).into_response()
}

/// Whose operations are asked for: the relay's own, unless a node is named.
#[derive(Deserialize)]
struct Of {
    node: Option<String>,
}

/// What runs at a node, and what has ended there lately.
async fn operations(State(web): State<Web>, Query(of): Query<Of>) -> Response {
    let Some(node) = of.node else {
        return Json(public(web.node.operations().own())).into_response();
    };
    match web.node.operations().list(&node).await {
        Ok(list) => Json(public(list)).into_response(),
        Err(error) => {
            let code = error.code().unwrap_or(Code::Refused);
            let status = match code {
                Code::UnknownName => StatusCode::NOT_FOUND,
                Code::TimedOut => StatusCode::GATEWAY_TIMEOUT,
                Code::Unreachable | Code::Gone | Code::Left => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_GATEWAY,
            };
            let refusal = Refusal {
                code: code.as_str(),
                message: error.to_string(),
            };
            (status, Json(refusal)).into_response()
        }
    }
}

/// What is private, and the trackers, are for who started the operation; a page that asks the relay did not.
fn public(mut list: Vec<Info>) -> Vec<Info> {
    list.retain(|info| info.is_public);
    list.iter_mut().for_each(|info| info.tracker = None);
    list
}
