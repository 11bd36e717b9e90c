//! The relay over HTTP: the mesh socket, the console, and what programs ask.

pub mod console;
mod guard;
mod metrics;
mod nodes;
pub mod origin;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Json, Router};
use peerage::error::Code;
use peerage::service::operation::Info;
use serde::{Deserialize, Serialize};

use crate::Node;
use crate::front::mqtt::{self, UpgradeError};
use crate::link::websocket;
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
    Router::new()
        .route("/mesh", any(mesh))
        .route("/mqtt", any(mqtt))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/api/v1/nodes", get(nodes))
        .route("/api/v1/operations", get(operations))
        .route("/metrics", get(render))
        .route("/n/{name}", any(nodes::serve))
        .route("/n/{name}/", any(nodes::serve))
        .route("/n/{name}/{*path}", any(nodes::serve))
        .fallback(console::serve)
        .layer(from_fn_with_state(web.clone(), guard::check))
        .layer(from_fn_with_state(metrics, metrics::count))
        .with_state(web)
}

async fn mesh(State(web): State<Web>, mut request: Request) -> Response {
    if let Err(refused) = check_page(&web, &request) {
        return *refused;
    }
    let caller = caller(&request);
    let upgrade = websocket::upgrade(&mut request, move |socket| {
        websocket::accept(web.node.runtime().clone(), socket, caller)
    });
    upgrade.unwrap_or_else(|error| (StatusCode::BAD_REQUEST, error.to_string()).into_response())
}

async fn mqtt(State(web): State<Web>, mut request: Request) -> Response {
    let (Some(front), Some(caller)) = (&web.mqtt, caller(&request)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if let Err(refused) = check_page(&web, &request) {
        return *refused;
    }
    let upgrade = front.upgrade(&mut request, caller);
    upgrade.unwrap_or_else(|error| {
        let status = match error {
            UpgradeError::NotLetIn => StatusCode::FORBIDDEN,
            UpgradeError::NoProtocol | UpgradeError::NoWebSocket(_) => StatusCode::BAD_REQUEST,
        };
        (status, error.to_string()).into_response()
    })
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

fn caller(request: &Request) -> Option<SocketAddr> {
    let caller = request.extensions().get::<ConnectInfo<SocketAddr>>();
    caller.map(|caller| caller.0)
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
            links,
            since_s: since.unwrap_or_default().as_secs_f64(),
            rtt_ms: quality.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
        }
    });
    Json(views.collect())
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
