//! The asking side.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;

use crate::error::{Code, Failure};
use crate::id::NodeId;
use crate::service::http::body::{Body, Of};
use crate::service::http::exchange::{Exchange, Piece};
use crate::service::http::head;
use crate::service::http::send::Sending;
use crate::service::http::{Http, PROTOCOL};

impl Http {
    /// Asks a node for what `request` says, whose address is `peer://name/path`; the name may be an id. It is
    /// cancelled by dropping what this returns, or the response's body; redirections are not followed.
    ///
    /// # Errors
    /// Why there is no response: `bad-message` for an address that is none, `unknown-name`, `unreachable`,
    /// `unknown-protocol` if the node serves no HTTP, `too-large`, `overloaded`…
    pub async fn fetch(
        &self,
        request: Request<impl Into<Body>>,
    ) -> Result<Response<Body>, Failure> {
        let uri = request.uri();
        let name = uri.host().filter(|_| uri.scheme_str() == Some("peer"));
        let name = name
            .map(str::to_owned)
            .ok_or_else(|| Code::BadMessage.because("expected an address `peer://name/path`"))?;
        self.request(&name, request).await
    }

    /// As [`Http::fetch`], of the node of this name or id; of the request's address only path and query count.
    ///
    /// # Errors
    /// As [`Http::fetch`].
    pub async fn request(
        &self,
        node: &str,
        request: Request<impl Into<Body>>,
    ) -> Result<Response<Body>, Failure> {
        let mut request = request.map(Into::into);
        complete(&mut request, node)?;
        match self.node().resolve(node).await? {
            Some(peer) => self
                .ask(peer, request)
                .await
                .map_err(|failure| away(failure, node)),
            None => self.ask_here(request).await,
        }
    }

    async fn ask(&self, peer: NodeId, request: Request<Body>) -> Result<Response<Body>, Failure> {
        let (parts, body) = request.into_parts();
        let mut message = Vec::with_capacity(512);
        head::put_request(&mut message, &parts)?;
        let stream = self.node().open(peer, PROTOCOL)?;
        let exchange = Exchange::new(stream);
        let guard = Guard(Some(Arc::clone(&exchange)));
        let mut upload = Upload {
            exchange: Arc::clone(&exchange),
            waits: parts.headers.contains_key(header::EXPECT) && !body.is_end_stream(),
            sending: Sending::new(message, body),
        };
        // Most requests are sent at once, and need nobody who sees to it.
        if poll_fn(|cx| Poll::Ready(upload.poll_once(cx)))
            .await
            .is_pending()
        {
            self.spawn(Box::pin(upload));
        }
        let upgrades = head::is_websocket(&parts.headers);
        let head = response_head(&exchange).await.inspect_err(|failure| {
            exchange.stream.reset(failure.clone());
        })?;
        guard.disarm();
        let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
        let bodiless = head::is_bodiless(&parts.method, head.status);
        let length = match () {
            () if switches && !upgrades => {
                Err(Code::BadMessage.because("expected no other protocol"))
            }
            () if switches => Ok(None),
            () if bodiless => Ok(Some(0)),
            () => head::content_length(&head.headers),
        };
        let length = length.inspect_err(|failure| exchange.stream.reset(failure.clone()))?;
        let mut body = Body::incoming(&exchange, Of::Response, length)?;
        if bodiless {
            // Its end may come later; a body that is not known to be empty would be said to have some length.
            body.read_empty().await?;
            body = match parts.method {
                Method::HEAD => Body::unsent(),
                _ => Body::empty(),
            };
        }
        Ok(Response::from_parts(*head, body))
    }

    /// A node asks itself.
    async fn ask_here(&self, mut request: Request<Body>) -> Result<Response<Body>, Failure> {
        let handler = self.handler().ok_or_else(|| {
            Code::UnknownProtocol.because(format!("nobody speaks `{PROTOCOL}` here"))
        })?;
        head::strip_connection(request.headers_mut());
        let path = request.uri().path_and_query().cloned();
        *request.uri_mut() = path.map(Into::into).unwrap_or_default();
        let method = request.method().clone();
        let id = self.node().id();
        let response = handler.handle(id, request).await;
        let response = response.map_err(super::server::of_handler)?;
        Ok(super::server::completed(&method, response))
    }
}

/// A name that is somebody's, who is not here, is that of a node that is away; and so is an id.
fn away(failure: Failure, node: &str) -> Failure {
    match failure.code {
        Code::UnknownName => Code::Unreachable.because("the node is away, and may return"),
        _ => failure,
    }
    .of(node)
}

/// Adds what a request has to say of itself, and nothing that is of a connection.
fn complete(request: &mut Request<Body>, name: &str) -> Result<(), Failure> {
    let exact = request.body().size_hint().exact();
    let is_empty = request.body().is_end_stream();
    let headers = request.headers_mut();
    head::strip_connection(headers);
    if head::is_websocket(headers) {
        headers.remove(header::CONTENT_LENGTH);
    } else if head::content_length(headers)?.is_none()
        && let Some(length) = exact.filter(|_| !is_empty)
    {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    if !headers.contains_key(header::HOST) {
        let host = HeaderValue::from_str(name);
        headers.insert(
            header::HOST,
            host.map_err(|_| Code::BadMessage.because("expected a node's name"))?,
        );
    }
    if request.method() == Method::CONNECT {
        return Err(Code::Refused.because("nobody is connected through a node"));
    }
    Ok(())
}

async fn response_head(exchange: &Exchange) -> Result<Box<http::response::Parts>, Failure> {
    loop {
        match poll_fn(|cx| exchange.poll_piece(cx)).await? {
            Some(Piece::Response(head)) => return Ok(head),
            Some(Piece::Continue) => exchange.set_wanted(),
            Some(Piece::Stop) => exchange.set_stopped(),
            Some(_) => return Err(Code::BadMessage.because("expected a response")),
            None => {
                return Err(
                    Code::BadMessage.because("expected a response, got the end of the stream")
                );
            }
        }
    }
}

/// Cancels an exchange that is given up before the response begins.
struct Guard(Option<Arc<Exchange>>);

impl Guard {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(exchange) = &self.0 {
            exchange
                .stream
                .reset(Code::Cancelled.because("the request is not wanted any more"));
        }
    }
}

/// The request on its way: it ends when all is sent, or nobody wants more.
struct Upload {
    exchange: Arc<Exchange>,
    sending: Sending,
    /// Until the other side asks for the body.
    waits: bool,
}

impl Upload {
    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let exchange = &self.exchange;
        exchange.watch(cx);
        if exchange.is_stopped() {
            self.sending.stop();
        }
        let sent = match self.waits && !exchange.is_wanted() && !exchange.is_stopped() {
            true => self.sending.poll_head(&exchange.stream, cx),
            false => self.sending.poll(&exchange.stream, cx),
        };
        match sent {
            Poll::Ready(Ok(())) => exchange.stream.finish(),
            Poll::Ready(Err(failure)) => exchange.stream.reset(failure),
            // The response is whole; what else the other side says is for the request.
            Poll::Pending if exchange.is_read() => return self.listen(cx),
            Poll::Pending => return exchange.poll_broken(cx).map(drop),
        }
        Poll::Ready(())
    }

    fn listen(&self, cx: &Context<'_>) -> Poll<()> {
        loop {
            match self.exchange.poll_piece(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Some(Piece::Continue))) => self.exchange.set_wanted(),
                // It has said all: whatever is left of the request, it does not want.
                Poll::Ready(_) => {
                    let failure = Code::Cancelled.because("the response is whole");
                    self.exchange.stream.reset(failure);
                    return Poll::Ready(());
                }
            }
        }
    }
}

impl Future for Upload {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_once(cx)
    }
}
