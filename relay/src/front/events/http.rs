//! Requests of a client: HTTP to the relay itself or to any node. One with a tracker starts an operation, where the node
//! offers one by that name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use peerage::error::Code;
use peerage::http::{Body, Http};
use peerage::limits::{EVENTS_BODY_BYTES_MAX, REQUEST_TIMEOUT};
use peerage::rpc::{Act, CallError, Parcel};
use peerage::service::lane::Turn;
use peerage::service::operation::{AGENT, Operations, Options, Tracker, Unsuccessful, Which};
use peerage::{Failure, Node};
use serde_json::json;
use tokio::time::timeout;
use tower_service::Service;

use super::Client;
use super::address::{Address, Whom};
use super::form;
use super::frame::{Frame, FrameError};
use super::future::{About, Future, Futures};
use super::json;

/// What a client's requests are answered by. Clones are the same.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) relay: Node,
    /// The client's own node.
    pub(super) node: Node,
    pub(super) caller: SocketAddr,
    pub(super) http: Http,
    pub(super) operations: Operations,
    /// Those of the relay, which follow what goes on without the client.
    pub(super) relays: Operations,
    pub(super) futures: Futures,
    /// The relay's own API.
    pub(super) api: Router,
    pub(super) patience: Duration,
}

/// What comes of a request.
pub(super) struct Answer {
    response: http::Response<Bytes>,
    /// What its client hears more of.
    pub(super) future: Option<Arc<Future>>,
}

impl Asking {
    /// Answers a request when its turn has come. What takes too long is given up, at the node too.
    pub(super) async fn answer(&self, frame: &Frame, turn: Option<Turn>) -> Answer {
        let answered = timeout(self.patience, async {
            if let Some(turn) = &turn {
                turn.come().await;
            }
            self.ask(frame).await
        });
        let late = |_| Err(Code::TimedOut.because("no answer came in time"));
        let answered = answered.await.unwrap_or_else(late);
        answered.unwrap_or_else(|failure| Answer::failed(&failure))
    }

    async fn ask(&self, frame: &Frame) -> Result<Answer, Failure> {
        let mut request = request_of(frame)?;
        let path = request.uri().path().to_owned();
        let whom = match Whom::read(frame.get("dst-addr"), &self.relay)? {
            Whom::Here => application(&path).map_or(Whom::Here, |app| Whom::Node(app.to_owned())),
            other => other,
        };
        let response = match whom {
            Whom::Here => self.ask_relay(request).await?,
            Whom::Node(name) => {
                if let Some(tracker) = frame.get("tracker") {
                    let started = self.start(&name, operation(&path), tracker, frame).await;
                    match started {
                        // It may be something that the node does by HTTP.
                        Err(CallError::Failed(failure)) if is_unknown(failure.code) => {}
                        started => return Ok(Answer::of_future(&started.map_err(of_call)?, self)),
                    }
                    let tracker = tracker.parse().map_err(|_| bad("a tracker"))?;
                    request.headers_mut().insert("tracker", tracker);
                }
                self.http.request(&name, request).await?
            }
        };
        let (head, body) = response.into_parts();
        if head.headers.contains_key(http::header::CONTENT_ENCODING) {
            return Err(Code::BadMessage.because("expected a response without a content-encoding"));
        }
        let body = body.collect(EVENTS_BODY_BYTES_MAX).await?;
        Ok(Answer {
            response: http::Response::from_parts(head, body),
            future: None,
        })
    }

    async fn ask_relay(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Failure> {
        let mut request = request;
        request.extensions_mut().insert(ConnectInfo(self.caller));
        request.extensions_mut().insert(Client(self.node.id()));
        let response = self.api.clone().call(request).await;
        response
            .map(|response| response.map(Body::new))
            .map_err(|never| match never {})
    }

    /// Starts an operation, and waits until its node has begun with it.
    async fn start(
        &self,
        node: &str,
        name: &str,
        tracker: &str,
        frame: &Frame,
    ) -> Result<Arc<Future>, CallError> {
        let own = self.node.id();
        let at = self.node.resolve(node).await?.unwrap_or(own);
        let known = tracker_of(tracker)?;
        let args = Parcel::new(json::read(&frame.body)?, Vec::new());
        let options = Options {
            tracker: Some(known),
            ..Options::default()
        };
        let id = at.to_string();
        let operation = self.operations.start_with(&id, name, args, options);
        // What is asked next on the same stream is answered after it: by then it is begun, or never will be.
        let proxy = self.operations.rpc().proxy(&id, AGENT);
        let begun = proxy.with_timeout(REQUEST_TIMEOUT).ask(
            Act::Get,
            &Which::Tracked(known).to_string(),
            Parcel::default(),
        );
        if let Err(error) = begun.await {
            return Err(match operation.await {
                Err(Unsuccessful::Lost(error)) => error,
                _ => error,
            });
        }
        let about = About {
            owner: own,
            at,
            name: name.to_owned(),
            tracker: (known, tracker.to_owned()),
        };
        let follow = || self.relays.attach(&id, Which::Tracked(known));
        Ok(self.futures.begin(about, follow)?)
    }

    /// The frame that answers a request, from the address that was asked.
    ///
    /// # Errors
    /// What cannot be said in a frame.
    pub(super) fn response(
        &self,
        (id, from): (&str, Option<&str>),
        answer: &Answer,
    ) -> Result<Frame, FrameError> {
        let own = Address::of(&self.relay, "0").to_string();
        let (head, body) = (&answer.response, answer.response.body());
        let frame = Frame::new("kos.http.response")
            .with("response-id", id)?
            .with("status", head.status().as_str())?
            .with("src-addr", from.unwrap_or(&own))?
            .with(
                "dst-addr",
                &Address::of_node(&self.relay, self.node.id()).to_string(),
            )?;
        with_body(frame, body).map(|frame| frame.with_http(head.headers()))
    }
}

impl Answer {
    /// A request that brought nothing.
    pub(super) fn failed(failure: &Failure) -> Self {
        let status = match failure.code {
            Code::BadMessage => 400,
            Code::Unauthorised => 403,
            // So it is said in this dialect.
            Code::UnknownName | Code::TimedOut => 404,
            Code::TooLarge => 413,
            Code::Unreachable | Code::Gone | Code::Left | Code::Overloaded => 503,
            _ => 502,
        };
        let body = json!({ "code": failure.code.as_str(), "message": failure.in_words() });
        Self::of_json(status, body.to_string())
    }

    fn of_future(future: &Arc<Future>, asking: &Asking) -> Self {
        let view = future.view(Some(asking.node.id()), false);
        Self {
            future: Some(Arc::clone(future)),
            ..Self::of_json(200, json::text(&view))
        }
    }

    fn of_json(status: u16, body: String) -> Self {
        let mut response = http::Response::new(Bytes::from(body));
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
        let json = http::HeaderValue::from_static("application/json");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, json);
        Self {
            response,
            future: None,
        }
    }
}

/// A frame with a body. Readers of this dialect end a text at its first empty line, and cut blanks around it: such a text
/// goes as bytes do.
pub(super) fn with_body(frame: Frame, body: &[u8]) -> Result<Frame, FrameError> {
    match std::str::from_utf8(body) {
        Ok(text) if text.trim() == text && !text.contains("\n\n") => Ok(frame.with_body(text)),
        _ => {
            let frame = frame.with("content-encoding", "base64")?;
            Ok(frame.with_body(BASE64.encode(body)))
        }
    }
}

/// The body of a frame as bytes.
///
/// # Errors
/// `bad-message` for what is not encoded as it says; `too-large`.
pub(super) fn body_of(frame: &Frame) -> Result<Bytes, Failure> {
    let bytes = match frame.get("content-encoding") {
        None | Some("identity" | "json") => Bytes::from(frame.body.clone()),
        Some("base64") => {
            let bytes = BASE64.decode(frame.body.trim().as_bytes());
            bytes.map_err(|_| bad("a body in base64"))?.into()
        }
        Some(_) => return Err(bad("`base64` or `json` as content-encoding")),
    };
    if bytes.len() > EVENTS_BODY_BYTES_MAX {
        let (most, got) = (EVENTS_BODY_BYTES_MAX, bytes.len());
        let message = format!("expected a body of at most {most} bytes, got {got}");
        return Err(Code::TooLarge.because(message));
    }
    Ok(bytes)
}

/// The request of HTTP that a frame is.
fn request_of(frame: &Frame) -> Result<http::Request<Body>, Failure> {
    let method = frame.get("method").unwrap_or("GET").parse();
    let method: http::Method = method.map_err(|_| bad("a method of HTTP"))?;
    let url = frame.get("url").filter(|url| url.starts_with('/'));
    let url: http::Uri = url
        .and_then(|url| url.parse().ok())
        .ok_or_else(|| bad("`url`, a path"))?;
    let mut headers = frame.http_headers()?;
    for of_connection in NOT_THE_CLIENTS {
        headers.remove(of_connection);
    }
    let mut body = body_of(frame)?;
    if frame.get("content-encoding") == Some("json") && form::is_form(&headers) {
        let form = form::encode(&body)?;
        headers.insert(http::header::CONTENT_TYPE, form.content_type);
        body = form.body;
    }
    let mut request = http::Request::new(Body::from(body));
    *request.method_mut() = method;
    *request.uri_mut() = url;
    *request.headers_mut() = headers;
    Ok(request)
}

/// What is said of the connection, or of the browser that has none here.
const NOT_THE_CLIENTS: [http::HeaderName; 8] = [
    http::header::HOST,
    http::header::ORIGIN,
    http::header::COOKIE,
    http::header::UPGRADE,
    http::header::EXPECT,
    http::header::TE,
    http::header::ACCEPT_ENCODING,
    http::header::TRANSFER_ENCODING,
];

/// The application that a path is of, `/api/{app}/…`: the node of that name. The relay's own are its own.
fn application(path: &str) -> Option<&str> {
    let (app, _) = path.strip_prefix("/api/")?.split_once('/')?;
    (!matches!(app, "" | "kos" | "v1")).then_some(app)
}

/// The operation that a path is: what follows `/api/{app}/`, or all of it.
fn operation(path: &str) -> &str {
    let of_app = path
        .strip_prefix("/api/")
        .and_then(|rest| rest.split_once('/'));
    let name = of_app.map_or(path, |(_, name)| name);
    name.trim_matches('/')
}

/// Clients write trackers as UUIDs (RFC 9562), which are as long.
fn tracker_of(text: &str) -> Result<Tracker, Failure> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(Tracker).ok_or_else(|| bad("a UUID as tracker"))
}

/// Whether nobody there offers such a thing.
fn is_unknown(code: Code) -> bool {
    matches!(code, Code::UnknownMethod | Code::UnknownProtocol)
}

fn of_call(error: CallError) -> Failure {
    match error {
        CallError::Failed(failure) => failure,
        thrown @ CallError::Thrown(_) => Code::Refused.because(thrown.to_string()),
    }
}

fn bad(expected: &str) -> Failure {
    Code::BadMessage.because(format!("expected {expected}"))
}
