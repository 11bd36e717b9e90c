//! `/n/{name}/{path}`: the HTTP of any node, a tab included, to programs that know nothing of the mesh. This is a
//! reverse proxy, whose back ends are found anew for each request.

mod answer;
mod callers;
mod cookies;
mod head;
mod pace;
mod path;

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body as WebBody;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use futures_util::future::{Either, select};
use hyper_util::rt::TokioIo;
use peerage::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEAD_TIMEOUT, HTTP_HEADERS_MAX};
use peerage::{Code, Failure};
use tokio::sync::oneshot;

use crate::http::upgrade::{later, tunnel};
use crate::web::{Web, guard};
pub(super) use answer::{failed, refusal};
use callers::Callers;
use pace::Pace;
use path::Place;

/// Header fields that are added to a caller's.
const ADDED_HEADERS: usize = 8;
/// Bytes of them, besides the host and the prefix.
const ADDED_BYTES: usize = 1024;

/// How nodes are shown.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether pages of nodes run in an origin of their own, apart from the console's.
    pub sandboxed: bool,
    /// How long a node may be silent before its response begins.
    pub head_timeout: Duration,
    /// Who is asking.
    pub callers: Callers,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sandboxed: true,
            head_timeout: HTTP_HEAD_TIMEOUT,
            callers: Callers::default(),
        }
    }
}

/// Answers a request by that of a node.
pub(super) async fn serve(State(web): State<Web>, request: Request) -> Response {
    let uri = request.uri().clone();
    let (name, path) = match path::read(uri.path()) {
        Ok(Place::Of(name, path)) => (name, path),
        Ok(Place::Bare(name)) => return to_folder(name, &uri),
        Err(error) => {
            let failure = Code::BadMessage.because(error.to_string());
            return refusal(StatusCode::BAD_REQUEST, &failure);
        }
    };
    if let Err(refused) = guard::may_act(&web, &request) {
        return *refused;
    }
    if is_oversized(request.headers(), &uri) {
        let failure = Code::TooLarge.because("the head of the request is too large");
        return refusal(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &failure);
    }
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let Ok(target) = target.parse() else {
        let failure = Code::BadMessage.because("expected a path");
        return refusal(StatusCode::BAD_REQUEST, &failure);
    };
    let pace = Pace::new();
    let answered = pass(&web, name, target, request, &pace).await;
    answered.unwrap_or_else(|failure| match pace.has_failed() {
        true => refusal(StatusCode::BAD_REQUEST, &failure),
        false => failed(&failure),
    })
}

/// A node's root is a folder, or the addresses in its page would be the relay's.
fn to_folder(name: &str, uri: &Uri) -> Response {
    let query = uri
        .query()
        .map_or_else(String::new, |query| format!("?{query}"));
    let to = format!("/n/{name}/{query}");
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, to)]).into_response()
}

fn is_oversized(headers: &HeaderMap, uri: &Uri) -> bool {
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    // The host is told twice more.
    let host = headers.get(header::HOST).map_or(0, HeaderValue::len);
    let bytes = fields.sum::<usize>() + 2 * host + uri.to_string().len();
    headers.len() + ADDED_HEADERS > HTTP_HEADERS_MAX || bytes + ADDED_BYTES > HTTP_HEAD_BYTES_MAX
}

async fn pass(
    web: &Web,
    name: &str,
    target: Uri,
    mut request: Request,
    pace: &Pace,
) -> Result<Response, Failure> {
    let caller = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let caller = caller.map_or(SocketAddr::from(([0, 0, 0, 0], 0)), |info| info.0);
    let turn = web.nodes.callers.enter(caller.ip())?;
    let prefix = format!("/n/{name}");
    let host = request.headers().get(header::HOST).cloned();
    let upgrade = head::is_upgrade(request.headers()).then(|| hyper::upgrade::on(&mut request));
    *request.uri_mut() = target;
    head::forward(request.headers_mut(), caller, &prefix);
    if web.nodes.sandboxed {
        cookies::of_node(request.headers_mut(), name);
    }

    let (tell, told) = oneshot::channel();
    let request = match upgrade {
        Some(_) => request.map(|_| later(told)),
        None => request.map(|body| pace.follow(body)),
    };
    let asked = pin!(web.node.http().request(name, request));
    let silent = pin!(pace.silent_for(web.nodes.head_timeout));
    let response = match select(asked, silent).await {
        Either::Left((response, _)) => response?,
        Either::Right(_) => {
            return Err(Code::TimedOut.because("the node does not answer").of(name));
        }
    };
    let (mut parts, body) = response.into_parts();
    let body = turn.until_end_of(body);
    if web.nodes.sandboxed {
        cookies::of_browser(&mut parts.headers, name);
    }
    head::back(
        &mut parts.headers,
        host.as_ref(),
        &prefix,
        web.nodes.sandboxed,
    );
    if parts.status == StatusCode::SWITCHING_PROTOCOLS
        && let Some(upgrade) = upgrade
    {
        parts
            .headers
            .insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        tokio::spawn(async move {
            // A caller that is gone already needs no tunnel.
            if let Ok(socket) = upgrade.await {
                let _ = tell.send(tunnel(TokioIo::new(socket), body));
            }
        });
        return Ok(Response::from_parts(parts, WebBody::empty()));
    }
    Ok(Response::from_parts(parts, WebBody::new(body)))
}
