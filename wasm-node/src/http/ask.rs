//! Asking another node.

use futures_util::future::{Either, select};
use http::{Method, Request, StatusCode};
use js_sys::Reflect;
use peerage::error::Code;
use peerage::http::{Body, Http};
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, Headers, Response, ResponseInit, Url};

use crate::commands::aborted;
use crate::error::to_js;
use crate::http::{body, from_js_headers, to_js_headers};
use crate::options;
use crate::page::{self, text_of};

/// A real `Response`.
pub(super) async fn fetch(
    http: &Http,
    target: &JsValue,
    options: Option<JsValue>,
) -> Result<JsValue, JsValue> {
    let request = web_request(target, options)?;
    let signal = request.signal();
    if signal.aborted() {
        return Err(signal.reason());
    }
    let asked = core::pin::pin!(http.fetch(mesh_request(&request)?));
    let response = match select(asked, core::pin::pin!(aborted(&signal))).await {
        Either::Left((response, _)) => response.map_err(|failure| to_js(&failure))?,
        Either::Right(_) => return Err(signal.reason()),
    };
    web_response(response, signal)
}

/// The platform reads what it is told: addresses, headers, and bodies of every kind.
fn web_request(target: &JsValue, options: Option<JsValue>) -> Result<web_sys::Request, JsValue> {
    let options = options.unwrap_or_else(|| js_sys::Object::new().into());
    let known = ["method", "headers", "body", "signal", "duplex"];
    let expected = "an object { method, headers, body, signal }";
    options::check(&options, expected, &known).map_err(|failure| to_js(&failure))?;
    let init = js_sys::Object::new();
    for key in known {
        let value = options::value(&options, key);
        if !value.is_undefined() {
            Reflect::set(&init, &key.into(), &value)?;
        }
    }
    // A stream as a body needs it.
    Reflect::set(&init, &"duplex".into(), &"half".into())?;
    let init: &web_sys::RequestInit = init.unchecked_ref();
    if let Some(request) = target.dyn_ref::<web_sys::Request>() {
        return web_sys::Request::new_with_request_and_init(request, init);
    }
    let address = Url::new(&text_of(target))
        .map_err(|_| to_js(&Code::BadMessage.because("expected an address `peer://name/path`")))?;
    web_sys::Request::new_with_str_and_init(&address.href(), init)
}

fn mesh_request(request: &web_sys::Request) -> Result<Request<Body>, JsValue> {
    let bad = |expected: &str| to_js(&Code::BadMessage.because(format!("expected {expected}")));
    let url = request.url();
    let address = url.split('#').next().unwrap_or_default();
    let method = Method::from_bytes(request.method().as_bytes()).map_err(|_| bad("a method"))?;
    let stream = page::field(request, "body")?.dyn_into().ok();
    let mut made = Request::new(body::from_js(stream)?);
    *made.method_mut() = method;
    *made.uri_mut() = address
        .parse()
        .map_err(|_| bad("an address `peer://name/path`"))?;
    *made.headers_mut() = from_js_headers(&request.headers()).map_err(|failure| to_js(&failure))?;
    Ok(made)
}

fn web_response(response: http::Response<Body>, signal: AbortSignal) -> Result<JsValue, JsValue> {
    let (parts, body) = response.into_parts();
    let init = ResponseInit::new();
    init.set_status(parts.status.as_u16());
    init.set_status_text(parts.status.canonical_reason().unwrap_or_default());
    let headers = Headers::new()?;
    to_js_headers(&parts.headers, &headers)?;
    init.set_headers(&headers);
    // The platform has no others.
    if !(200..600).contains(&parts.status.as_u16()) {
        let expected = format!(
            "expected a status from 200 to 599, got {}",
            parts.status.as_u16()
        );
        return Err(to_js(&Code::BadMessage.because(expected)));
    }
    let none = matches!(
        parts.status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    );
    if none {
        return Response::new_with_opt_str_and_init(None, &init).map(JsValue::from);
    }
    let shared = body::Shared::default();
    shared.hold(until_aborted(body, signal));
    let stream = body::to_js(&shared)?;
    Response::new_with_opt_readable_stream_and_init(Some(&stream), &init).map(JsValue::from)
}

/// The same body, which fails when the signal says so.
fn until_aborted(body: Body, signal: AbortSignal) -> Body {
    use futures_util::stream;
    use send_wrapper::SendWrapper;

    let pieces = stream::unfold(Some((body, signal)), |state| async {
        let (mut body, signal) = state?;
        let next = {
            let next = core::pin::pin!(body::piece(&mut body));
            match select(next, core::pin::pin!(aborted(&signal))).await {
                Either::Left((next, _)) => next,
                Either::Right(_) => Some(Err(Code::Cancelled.because("the request was aborted"))),
            }
        };
        match next? {
            Ok(piece) => Some((Ok(piece), Some((body, signal)))),
            Err(failure) => Some((Err(failure), None)),
        }
    });
    Body::from_stream(SendWrapper::new(Box::pin(pieces)))
}
