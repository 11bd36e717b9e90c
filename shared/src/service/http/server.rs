//! The serving side: one handler, and the exchanges that wait for it.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{Either, select};
use http::header;
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::limits::{
    HTTP_DRAIN_BYTES_MAX, HTTP_REQUEST_TIMEOUT, HTTP_REQUESTS_MAX, HTTP_REQUESTS_PER_PEER_MAX,
};
use crate::log::event;
use crate::node::{Node, Stream};
use crate::service::http::body::{Body, Of};
use crate::service::http::exchange::{Exchange, Piece};
use crate::service::http::send::Sending;
use crate::service::http::wire::Part;
use crate::service::http::{Handler, Http, PROTOCOL, head};

impl Http {
    /// Answers the requests of others from now on, and of this node itself. The last handler counts.
    pub fn serve(&self, handler: impl Handler) {
        let handler: Arc<dyn Handler> = Arc::new(handler);
        self.set_handler(Arc::clone(&handler));
        let mut listener = self.node().listen(PROTOCOL);
        let this = self.clone();
        self.spawn(Box::pin(async move {
            let running = Arc::new(Running::default());
            while let Some(stream) = listener.accept().await {
                this.spawn(Box::pin(answer(
                    this.node().clone(),
                    Arc::clone(&handler),
                    stream,
                    Arc::clone(&running),
                )));
            }
        }));
    }
}

/// A response as it is to leave: with its length where that is known, and without a body where there is none.
pub(super) fn completed(method: &Method, response: Response<Body>) -> Response<Body> {
    let (mut parts, mut body) = response.into_parts();
    head::strip_connection(&mut parts.headers);
    let status = parts.status;
    let length = body.size_hint().exact();
    let sized = !status.is_informational()
        && status != StatusCode::NO_CONTENT
        && status != StatusCode::NOT_MODIFIED;
    if !sized {
        // A handler's library counts the body, which is none: that is not the length that the field would tell here
        // (RFC 9110, 8.6).
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    if sized
        && let Some(length) = length.filter(|length| *length > 0 || *method != Method::HEAD)
        && !parts.headers.contains_key(header::CONTENT_LENGTH)
    {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    if status == StatusCode::NO_CONTENT {
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    if head::is_bodiless(method, status) {
        body = Body::empty();
    }
    Response::from_parts(parts, body)
}

/// What a handler's failure is to who asked: of the request, of its size, of the time, or the handler's own. It may
/// have come of others that the handler has asked, of whom the caller knows nothing.
pub(super) fn of_handler(failure: Failure) -> Failure {
    let code = match failure.code {
        code @ (Code::BadMessage | Code::TooLarge | Code::Overloaded) => code,
        _ => Code::Refused,
    };
    code.because(failure.message)
}

/// How many requests of whom are being answered.
#[derive(Default)]
struct Running(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    all: usize,
    of_peers: BTreeMap<NodeId, usize>,
}

/// A request among them.
struct Place {
    running: Arc<Running>,
    peer: NodeId,
}

impl Running {
    fn enter(this: &Arc<Self>, peer: NodeId) -> Option<Place> {
        let mut running = this.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = running.of_peers.get(&peer).copied().unwrap_or_default();
        if running.all >= HTTP_REQUESTS_MAX || of_peer >= HTTP_REQUESTS_PER_PEER_MAX {
            return None;
        }
        running.all += 1;
        running.of_peers.insert(peer, of_peer + 1);
        Some(Place {
            running: Arc::clone(this),
            peer,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self
            .running
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        running.all -= 1;
        if let Some(of_peer) = running.of_peers.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                running.of_peers.remove(&self.peer);
            }
        }
    }
}

async fn answer(node: Node, handler: Arc<dyn Handler>, stream: Stream, running: Arc<Running>) {
    let exchange = Exchange::new(stream);
    if let Err(failure) = converse(&node, &exchange, &*handler, &running).await {
        let (peer, session) = (exchange.stream.peer(), exchange.stream.session());
        let code = failure.code;
        event!(MESSAGE, DEBUG, node.id(), peer = %peer.short(), session, %code, "an HTTP request ended early");
        exchange.stream.reset(failure);
    }
}

/// The head of a request, for which nobody waits for long.
async fn request_head(node: &Node, exchange: &Exchange) -> Result<http::request::Parts, Failure> {
    let first = pin!(poll_fn(|cx| exchange.poll_piece(cx)));
    match select(first, pin!(node.sleep(HTTP_REQUEST_TIMEOUT))).await {
        Either::Left((piece, _)) => match piece? {
            Some(Piece::Request(head)) => Ok(*head),
            _ => Err(Code::BadMessage.because("expected an HTTP request")),
        },
        Either::Right(_) => Err(Code::TimedOut.because("no HTTP request came")),
    }
}

async fn converse(
    node: &Node,
    exchange: &Arc<Exchange>,
    handler: &dyn Handler,
    running: &Arc<Running>,
) -> Result<(), Failure> {
    let head = request_head(node, exchange).await?;
    let peer = exchange.stream.peer();
    // Who says nothing takes nobody's place.
    let Some(place) = Running::enter(running, peer) else {
        event!(ERROR, WARN, node.id(), peer = %peer.short(), "too many HTTP requests");
        return Err(Code::Overloaded.because("too many requests are answered here already"));
    };
    let length = head::content_length(&head.headers)?;
    let waits = head.headers.contains_key(header::EXPECT);
    let method = head.method.clone();
    let upgrades = head::is_websocket(&head.headers);
    let body = Body::incoming(exchange, Of::Request { waits }, length)?;
    let handling = handler.handle(peer, Request::from_parts(head, body));
    let broken = poll_fn(|cx| exchange.poll_asking(cx));
    let response = match select(handling, pin!(broken)).await {
        Either::Left((response, _)) => response.map_err(of_handler)?,
        Either::Right((failure, _)) => return Err(failure),
    };
    if response.status().is_informational()
        && !(upgrades && response.status() == StatusCode::SWITCHING_PROTOCOLS)
    {
        return Err(Code::Refused.because("expected a final status of a handler"));
    }
    let told = respond(exchange, &method, response).await?;
    // What may still come is not read for anybody: it is bounded by the streams that a node may have.
    drop(place);
    if told {
        drain(exchange).await;
    }
    Ok(())
}

/// Sends the response, and waits until the request is read; whether the rest of that was refused.
async fn respond(
    exchange: &Exchange,
    method: &Method,
    response: Response<Body>,
) -> Result<bool, Failure> {
    let (parts, body) = completed(method, response).into_parts();
    let mut message = Vec::with_capacity(512);
    head::put_response(&mut message, &parts)?;
    let mut sending = Sending::new(message, body);
    let mut told = false;
    // The request's body may be read for longer than the response takes, or not at all.
    poll_fn(|cx| {
        let broken = exchange.poll_broken(cx);
        if exchange.take_asked() {
            sending.put(&Part::Continue);
        }
        if exchange.is_stopped() && !core::mem::replace(&mut told, true) {
            sending.put(&Part::Stop);
        }
        match sending.poll(&exchange.stream, cx) {
            Poll::Ready(Ok(())) if exchange.is_read() => Poll::Ready(Ok(())),
            Poll::Ready(Err(failure)) => Poll::Ready(Err(failure)),
            Poll::Ready(Ok(())) | Poll::Pending => broken.map(Err),
        }
    })
    .await?;
    exchange.stream.finish();
    Ok(told)
}

/// Takes what was on its way when the other side was told to stop. Who goes on is not read any more.
async fn drain(exchange: &Exchange) {
    let mut bytes = 0;
    while bytes < HTTP_DRAIN_BYTES_MAX {
        match exchange.stream.recv().await {
            Ok(Some(message)) => bytes += message.len().max(1),
            Ok(None) | Err(_) => return,
        }
    }
    exchange.stream.broken().await;
}
