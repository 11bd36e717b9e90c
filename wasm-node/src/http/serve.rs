//! Answering others.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use js_sys::{Function, Object, Reflect};
use peerage::error::Code;
use peerage::http::{Body, Http, is_websocket};
use peerage::log::ERROR;
use peerage::{Failure, NodeId};
use send_wrapper::SendWrapper;
use wasm_bindgen::prelude::*;
use web_sys::{AbortController, Headers, ResponseType};

use crate::error::from_js_error;
use crate::http::{body, from_js_headers, to_js_headers};
use crate::objects::{node_object, object, set};
use crate::page::{self, name_of};

/// Answers by a page's function from now on.
pub(super) fn serve(http: &Http, handler: Function) {
    let handler = SendWrapper::new(handler);
    let node = http.node().clone();
    http.serve(move |caller: NodeId, request: Request<Body>| {
        let (handler, node) = (handler.clone(), node.clone());
        SendWrapper::new(async move {
            if is_websocket(request.headers()) {
                return Ok(plain(
                    StatusCode::NOT_IMPLEMENTED,
                    "this node has no WebSockets\n",
                ));
            }
            if matches!(request.method().as_str(), "CONNECT" | "TRACE" | "TRACK") {
                return Ok(plain(
                    StatusCode::NOT_IMPLEMENTED,
                    "this node has no such method\n",
                ));
            }
            let name = node
                .name()
                .map_or_else(|| node.id().to_string(), |name| name.to_string());
            let peer = asking(&node, caller, &name);
            match answer(&handler, &name, peer, request).await {
                Ok(response) => Ok(response),
                Err(error) => failed(&node, &error),
            }
        })
    });
}

/// Who asks, who may be this node itself.
fn asking(node: &peerage::Node, caller: NodeId, own_name: &str) -> JsValue {
    let peer = node_object(node, caller);
    if caller == node.id() {
        set(&peer, "name", &own_name.into());
        set(&peer, "kind", &"browser".into());
        set(&peer, "path", &"direct".into());
    }
    peer
}

async fn answer(
    handler: &Function,
    name: &str,
    peer: JsValue,
    request: Request<Body>,
) -> Result<Response<Body>, JsValue> {
    let gone = Rc::new(Gone {
        controller: AbortController::new()?,
        over: Cell::new(false),
        body: body::Shared::default(),
        request: OnceCell::new(),
    });
    // Until the response is whole, the caller may give up.
    let guard = Guard(gone.clone());
    let headers = Headers::new()?;
    to_js_headers(request.headers(), &headers)?;
    let is_head = request.method() == Method::HEAD;
    let asked = web_request(name, &headers, request, &gone)?;
    // Set once. The request itself: its own `clone` is the platform's, which divides the body.
    let _ = gone.request.set(Clone::clone(&asked));
    let served = object(&[("peer", peer), ("headers", headers.into())]);
    let returned = handler.call2(&JsValue::NULL, &asked, &served)?;
    let returned = page::awaited(&returned).await?;
    let response: web_sys::Response = returned
        .dyn_into()
        .map_err(|_| js_sys::TypeError::new("expected a Response of a handler of requests"))?;
    mesh_response(&response, is_head, guard)
}

fn web_request(
    name: &str,
    headers: &Headers,
    request: Request<Body>,
    gone: &Gone,
) -> Result<web_sys::Request, JsValue> {
    let (parts, body) = request.into_parts();
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let init = Object::new();
    let set = |key: &str, value: &JsValue| Reflect::set(&init, &key.into(), value);
    set("method", &parts.method.as_str().into())?;
    set("headers", headers)?;
    set("signal", &gone.controller.signal())?;
    // The platform has no bodies of these.
    if !matches!(parts.method, Method::GET | Method::HEAD) && !http_body::Body::is_end_stream(&body)
    {
        gone.body.hold(body);
        let stream = body::to_js(&gone.body)?;
        set("body", &stream)?;
        set("duplex", &"half".into())?;
    }
    web_sys::Request::new_with_str_and_init(&format!("peer://{name}{path}"), init.unchecked_ref())
}

fn mesh_response(
    response: &web_sys::Response,
    is_head: bool,
    guard: Guard,
) -> Result<Response<Body>, JsValue> {
    let mut headers =
        from_js_headers(&response.headers()).map_err(|failure| crate::error::to_js(&failure))?;
    // What was fetched is decoded already, though its head says what it was.
    let fetched = matches!(response.type_(), ResponseType::Basic | ResponseType::Cors);
    if fetched && headers.remove(header::CONTENT_ENCODING).is_some() {
        headers.remove(header::CONTENT_LENGTH);
    }
    if response.body_used() {
        return Err(
            js_sys::TypeError::new("expected a Response whose body is not read yet").into(),
        );
    }
    let status = StatusCode::from_u16(response.status());
    let mut body = body::from_js(response.body())?;
    if is_head {
        body = Body::empty();
    }
    let mut made = Response::new(guarded(body, guard));
    // An error response of the platform has the status 0.
    *made.status_mut() = status.unwrap_or(StatusCode::BAD_GATEWAY);
    *made.headers_mut() = headers;
    Ok(made)
}

/// A handler that failed is an answer, too; its words are for its page.
fn failed(node: &peerage::Node, error: &JsValue) -> Result<Response<Body>, Failure> {
    tracing::warn!(target: ERROR, node = %node.id().short(), error = name_of(error), "a handler of requests failed");
    match from_js_error(error) {
        peerage::rpc::CallError::Failed(failure) if failure.code == Code::BadMessage => {
            Err(failure)
        }
        _ => Ok(plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the handler failed\n",
        )),
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Tells the page that a caller has gone.
struct Gone {
    controller: AbortController,
    over: Cell<bool>,
    /// What comes of the request.
    body: body::Shared,
    request: OnceCell<web_sys::Request>,
}

struct Guard(Rc<Gone>);

impl Drop for Guard {
    fn drop(&mut self) {
        // Who has begun to read it may go on when the response is whole; a page that has not keeps nothing.
        let is_over = self.0.over.get();
        let is_read = || {
            self.0
                .request
                .get()
                .is_some_and(web_sys::Request::body_used)
        };
        if !(is_over && is_read()) {
            self.0.body.take_away();
        }
        if !is_over {
            self.0.controller.abort();
        }
    }
}

/// A body with whose end the request is over.
fn guarded(body: Body, guard: Guard) -> Body {
    use futures_util::stream;

    if http_body::Body::is_end_stream(&body) {
        guard.0.over.set(true);
        return body;
    }
    let pieces = stream::unfold((body, guard), |(mut body, guard)| async {
        match body::piece(&mut body).await {
            Some(piece) => Some((piece, (body, guard))),
            None => {
                guard.0.over.set(true);
                None
            }
        }
    });
    Body::from_stream(SendWrapper::new(Box::pin(pieces)))
}
