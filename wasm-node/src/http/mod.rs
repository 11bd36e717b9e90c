//! HTTP as JavaScript has it: `serve` answers the platform's own `Request` by its own `Response`, and `fetch` gives one.

mod ask;
mod body;
mod serve;

use js_sys::{Array, Function};
use peerage::Failure;
use peerage::error::Code;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;
use web_sys::Headers;

use crate::error::to_js;
use crate::node::Node;
use crate::options::wrong;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
export interface ServedRequest { peer: Peer; headers: Headers }
export type RequestHandler = (request: Request, served: ServedRequest) => Response | Promise<Response>;
export interface FetchOptions { method?: string; headers?: HeadersInit; body?: BodyInit | null; signal?: AbortSignal | null; duplex?: "half" }
"#;

#[wasm_bindgen]
extern "C" {
    /// Answers requests.
    #[wasm_bindgen(typescript_type = "RequestHandler")]
    pub type RequestHandler;
    /// What to ask: an address, or a request.
    #[wasm_bindgen(typescript_type = "string | URL | Request")]
    pub type FetchTarget;
    /// How to ask.
    #[wasm_bindgen(typescript_type = "FetchOptions")]
    pub type FetchOptions;
    /// The promise of a response.
    #[wasm_bindgen(typescript_type = "Promise<Response>")]
    pub type ResponsePromise;
}

#[wasm_bindgen]
impl Node {
    /// Answers the HTTP requests of other nodes, and those for `/n/{name}/` at a relay. The handler gets the request,
    /// whose address is `peer://{name}/{path}` and whose signal tells that the caller is gone, and `{ peer, headers }`:
    /// who asks, and all headers, of which a `Request` hides some. The last handler counts.
    pub fn serve(&self, handler: RequestHandler) -> Result<(), JsValue> {
        let handler = JsValue::from(handler);
        let handler: Function = handler.dyn_into().map_err(|got| {
            to_js(&wrong(
                "handler",
                "a function as a handler of requests",
                &got,
            ))
        })?;
        serve::serve(&self.http(), handler);
        Ok(())
    }

    /// Asks a node by HTTP, at `peer://{name}/{path}`. Options are those of the platform's `fetch`: `method`, `headers`,
    /// `body` and `signal`. Redirections are not followed.
    pub fn fetch(&self, target: FetchTarget, options: Option<FetchOptions>) -> ResponsePromise {
        let http = self.http();
        let (target, options) = (JsValue::from(target), options.map(JsValue::from));
        let promise = future_to_promise(async move { ask::fetch(&http, &target, options).await });
        JsValue::from(promise).unchecked_into()
    }
}

/// Headers as the platform has them: each byte of a value is a character.
fn to_js_headers(headers: &http::HeaderMap, into: &Headers) -> Result<(), JsValue> {
    for (name, value) in headers {
        let value: String = value
            .as_bytes()
            .iter()
            .map(|byte| char::from(*byte))
            .collect();
        into.append(name.as_str(), &value)?;
    }
    Ok(())
}

/// Headers of the platform's.
fn from_js_headers(headers: &Headers) -> Result<http::HeaderMap, Failure> {
    let mut map = http::HeaderMap::new();
    let pairs = Array::from(headers);
    for pair in pairs.iter() {
        let pair: Array = pair.unchecked_into();
        let text = |at| pair.get(at).as_string().unwrap_or_default();
        let bytes: Option<Vec<u8>> = text(1)
            .chars()
            .map(|c| u8::try_from(u32::from(c)).ok())
            .collect();
        let name = http::HeaderName::from_bytes(text(0).as_bytes()).ok();
        let value = bytes.and_then(|bytes| http::HeaderValue::from_bytes(&bytes).ok());
        let (Some(name), Some(value)) = (name, value) else {
            return Err(Code::BadMessage.because("expected headers as HTTP has them"));
        };
        map.append(name, value);
    }
    Ok(map)
}
