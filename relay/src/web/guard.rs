//! Who may ask at all. A page elsewhere can point a name of its own here, and is then of the same origin as the
//! relay to its browser: so a request must be for a name that is the relay's.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::web::origin::Origins;
use crate::web::serve::LocalAddr;
use crate::web::{Refusal, Web};

/// Lets a request on if it is for this relay.
pub(super) async fn check(State(web): State<Web>, mut request: Request, next: Next) -> Response {
    // Programs call these by any name. A page's call of a socket has an origin, which is what counts there.
    let by_any_name = matches!(
        request.uri().path(),
        "/healthz" | "/mesh" | "/events" | "/mqtt"
    );
    match host(&mut request) {
        Ok(host) if by_any_name || is_own(&web.origins, &host, &request) => next.run(request).await,
        Ok(host) => {
            tracing::warn!(target: peerage::log::ERROR, "refused a request for another host");
            let host: String = String::from_utf8_lossy(host.as_bytes())
                .chars()
                .take(200)
                .collect();
            let message =
                format!("expected a host of this relay or of its `origins`, got `{host}`");
            refused(StatusCode::MISDIRECTED_REQUEST, "refused", message)
        }
        Err(Malformed) if by_any_name && request.version() < Version::HTTP_11 => {
            next.run(request).await
        }
        Err(Malformed) => {
            let message = String::from("expected one host");
            refused(StatusCode::BAD_REQUEST, "bad-message", message)
        }
    }
}

/// Whether a page with these headers may change something, or open a socket, at a node. Pages of nodes in a sandbox
/// have the origin `null`.
pub(super) fn may_act(web: &Web, request: &Request) -> Result<(), Box<Response>> {
    let headers = request.headers();
    let is_safe = request.method().is_safe() && !headers.contains_key(header::UPGRADE);
    let is_sandboxed = web.nodes.sandboxed && is_null(headers);
    if is_safe || is_sandboxed {
        return Ok(());
    }
    web.origins
        .check(headers, local(request))
        .map_err(|refusal| {
            tracing::warn!(target: peerage::log::ERROR, %refusal, "refused a page's request");
            Box::new(refused(
                StatusCode::FORBIDDEN,
                "refused",
                refusal.to_string(),
            ))
        })
}

/// As [`may_act`], for whole routes.
pub(super) async fn act(State(web): State<Web>, request: Request, next: Next) -> Response {
    match may_act(&web, &request) {
        Ok(()) => next.run(request).await,
        Err(refused) => *refused,
    }
}

/// The end of the request's connection that is here.
pub(super) fn local(request: &Request) -> Option<std::net::SocketAddr> {
    request.extensions().get::<LocalAddr>().map(|local| local.0)
}

fn is_null(headers: &HeaderMap) -> bool {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.next().is_some_and(|origin| origin == "null") && origins.next().is_none()
}

fn is_own(origins: &Origins, host: &HeaderValue, request: &Request) -> bool {
    let host = host.to_str();
    host.is_ok_and(|host| origins.is_own_host(host, local(request)))
}

/// No host, or several.
struct Malformed;

/// The one host that a request is for. A target that is a whole address has it, whatever the header says
/// (RFC 9112, 3.2.2).
fn host(request: &mut Request) -> Result<HeaderValue, Malformed> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (told, more) = (hosts.next().cloned(), hosts.next().is_some());
    let host = match request.uri().authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => told.clone(),
    };
    let host = host.filter(|_| !more && (told.is_some() || request.version() < Version::HTTP_11));
    let host = host.ok_or(Malformed)?;
    request.headers_mut().insert(header::HOST, host.clone());
    Ok(host)
}

fn refused(status: StatusCode, code: &'static str, message: String) -> Response {
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    (status, no_store, Json(Refusal { code, message })).into_response()
}
