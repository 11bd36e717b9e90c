//! A client that serves: what others ask of its node by HTTP goes to it as frames, and its answers come back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use peerage::error::Code;
use peerage::http::{Answering, Body, Handler};
use peerage::limits::{EVENTS_BODY_BYTES_MAX, EVENTS_REQUESTS_MAX};
use peerage::{Failure, Node, NodeId};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::address::Address;
use super::frame::Frame;
use super::http::body_of;
use super::session::Say;
use crate::runtime::random;

/// What others have asked of a client. Clones are the same.
#[derive(Clone)]
pub(super) struct Serving {
    relay: Node,
    /// The client's own node.
    node: Node,
    say: Say,
    patience: Duration,
    /// By the number that the client is told: nobody can guess it.
    asked: Arc<Mutex<HashMap<String, oneshot::Sender<Frame>>>>,
}

impl Serving {
    pub(super) fn new(relay: Node, node: Node, say: Say, patience: Duration) -> Self {
        Self {
            relay,
            node,
            say,
            patience,
            asked: Arc::default(),
        }
    }

    /// What the client answers. An answer to nothing is nobody's.
    pub(super) fn answer(&self, frame: Frame) {
        let asked = frame
            .get("response-id")
            .and_then(|id| self.with(|asked| asked.remove(id)));
        if let Some(tell) = asked {
            // Who asked may have given up.
            let _ = tell.send(frame);
        }
    }

    async fn ask(
        self,
        caller: NodeId,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Failure> {
        let (head, body) = request.into_parts();
        let body = body.collect(EVENTS_BODY_BYTES_MAX).await?;
        let id =
            HEXLOWER.encode(&random().map_err(|e| Code::Refused.because(e.to_string()))?[..16]);
        let told = self.begin(&id)?;
        let waiting = Waiting { of: &self, id };
        let own = Address::of_node(&self.relay, self.node.id()).to_string();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut frame = Frame::new("kos.http.request")
            .with("method", head.method.as_str())?
            .with("url", path)?
            .with("request-id", &waiting.id)?
            .with(
                "src-addr",
                &Address::of_node(&self.relay, caller).to_string(),
            )?
            .with("dst-addr", &own)?;
        let tracker = head
            .headers
            .get("tracker")
            .and_then(|value| value.to_str().ok());
        if let Some(tracker) = tracker {
            frame = frame.with("tracker", tracker)?;
        }
        let frame = of_bytes(frame, &body)?.with_http(&head.headers);
        self.say.put(&frame).await?;
        match timeout(self.patience, told).await {
            Ok(Ok(frame)) => response_of(&frame),
            // A handler has no other word for it.
            Ok(Err(_)) => Ok(status(http::StatusCode::BAD_GATEWAY)),
            Err(_) => Ok(status(http::StatusCode::GATEWAY_TIMEOUT)),
        }
    }

    fn begin(&self, id: &str) -> Result<oneshot::Receiver<Frame>, Failure> {
        let (tell, told) = oneshot::channel();
        self.with(|asked| {
            if asked.len() >= EVENTS_REQUESTS_MAX {
                let message = format!("{EVENTS_REQUESTS_MAX} requests wait for the client already");
                return Err(Code::Overloaded.because(message));
            }
            asked.insert(id.to_owned(), tell);
            Ok(())
        })?;
        Ok(told)
    }

    fn with<T>(&self, action: impl FnOnce(&mut HashMap<String, oneshot::Sender<Frame>>) -> T) -> T {
        action(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Handler for Serving {
    fn handle(&self, caller: NodeId, request: http::Request<Body>) -> Answering {
        Box::pin(self.clone().ask(caller, request))
    }
}

/// Somebody waits for the client's answer.
struct Waiting<'s> {
    of: &'s Serving,
    id: String,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.of.with(|asked| drop(asked.remove(&self.id)));
    }
}

/// A request's body: a client reads texts as they are, and anything else in base64.
fn of_bytes(frame: Frame, body: &Bytes) -> Result<Frame, Failure> {
    match std::str::from_utf8(body) {
        Ok(text) => Ok(frame.with_body(text)),
        Err(_) => {
            let frame = frame.with("content-encoding", "base64")?;
            Ok(frame.with_body(data_encoding::BASE64.encode(body)))
        }
    }
}

/// The response of HTTP that a frame is.
fn response_of(frame: &Frame) -> Result<http::Response<Body>, Failure> {
    let code = frame.get("status").unwrap_or("200").parse();
    let code: http::StatusCode = code.map_err(|_| Code::BadMessage.because("expected a status"))?;
    let mut response = http::Response::new(Body::from(body_of(frame)?));
    *response.status_mut() = code;
    *response.headers_mut() = frame.http_headers()?;
    Ok(response)
}

fn status(code: http::StatusCode) -> http::Response<Body> {
    let mut response = http::Response::new(Body::empty());
    *response.status_mut() = code;
    response
}
