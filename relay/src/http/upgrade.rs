//! WebSockets of a served service. Extractors want hyper's own upgrade, which only its own connection gives: one in
//! memory, for this request alone.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Body as HttpBody, Frame};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use peerage::http::Body;
use peerage::{Code, Failure};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, duplex};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_service::Service;

/// Bytes that wait on the connection in memory, each way.
const CONNECTION_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are read of a tunnel at once.
const READ_BYTES: usize = 16 * 1024;
/// How long one direction of a tunnel may go on when the other has ended.
const LINGER_MAX: Duration = Duration::from_secs(5);

/// Lets a service answer a request for a WebSocket. If it agrees, the two bodies are the tunnel.
pub(super) async fn serve<S, B>(
    service: S,
    request: Request<Body>,
) -> Result<Response<Body>, Failure>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (near, far) = duplex(CONNECTION_BYTES_MAX);
    let (mut head, inbound) = request.into_parts();
    let extensions = std::mem::take(&mut head.extensions);
    let answering = service_fn(move |request: Request<Incoming>| {
        let (mut service, extensions) = (service.clone(), extensions.clone());
        let mut request = request.map(Body::new);
        request.extensions_mut().extend(extensions);
        async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        }
    });
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), answering);
    // It ends with the tunnel, or at once if there is none; of what went wrong the asking end tells.
    tokio::spawn(async move { drop(serving.with_upgrades().await) });
    let (mut asking, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near))
        .await
        .map_err(broken)?;
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    head.headers
        .insert(CONNECTION, HeaderValue::from_static("upgrade"));
    let request = Request::from_parts(head, Body::empty());
    let mut response = asking.send_request(request).await.map_err(broken)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(response.map(Body::new));
    }
    let upgraded = hyper::upgrade::on(&mut response).await.map_err(broken)?;
    let outbound = tunnel(TokioIo::new(upgraded), inbound);
    Ok(response.map(|_| outbound))
}

/// Joins a socket with the body that comes; what the socket says is a body too. The tunnel ends when either does.
pub(crate) fn tunnel<T>(socket: T, inbound: Body) -> Body
where
    T: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reading, writing) = tokio::io::split(socket);
    let (open, closed) = oneshot::channel();
    tokio::spawn(async move {
        let copying = pin!(copy(inbound, writing));
        // An end of the other direction is an error here, too.
        if let Either::Right((_, copying)) = select(copying, closed).await {
            // Last words are still on their way.
            let _ = timeout(LINGER_MAX, copying).await;
        }
    });
    Body::new(Outbound {
        reading,
        buffer: BytesMut::new(),
        _open: open,
    })
}

/// Writes a body to a socket, and closes it at the end.
async fn copy(mut inbound: Body, mut writing: impl AsyncWrite + Unpin) {
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut inbound).poll_frame(cx)).await {
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if writing.write_all(&data).await.is_err() || writing.flush().await.is_err() {
            return;
        }
    }
    // The socket may be gone already.
    let _ = writing.shutdown().await;
}

/// A body that is told later; none if nobody tells it.
pub(crate) fn later(told: oneshot::Receiver<Body>) -> Body {
    Body::new(Later::Awaited(told))
}

enum Later {
    Awaited(oneshot::Receiver<Body>),
    Told(Body),
}

impl HttpBody for Later {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        if let Self::Awaited(told) = &mut *self {
            let body = ready!(Pin::new(told).poll(cx));
            *self = Self::Told(body.unwrap_or_else(|_| Body::empty()));
        }
        match &mut *self {
            Self::Told(body) => Pin::new(body).poll_frame(cx),
            Self::Awaited(_) => Poll::Pending,
        }
    }
}

/// What a socket says.
struct Outbound<R> {
    reading: R,
    buffer: BytesMut,
    /// Tells the other direction that this one has ended.
    _open: oneshot::Sender<()>,
}

impl<R: AsyncRead + Unpin> HttpBody for Outbound<R> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        this.buffer.resize(READ_BYTES, 0);
        let mut buffer = ReadBuf::new(&mut this.buffer);
        ready!(Pin::new(&mut this.reading).poll_read(cx, &mut buffer))?;
        let length = buffer.filled().len();
        if length == 0 {
            return Poll::Ready(None);
        }
        let data = this.buffer.split_to(length).freeze();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

fn broken(error: hyper::Error) -> Failure {
    Code::Refused.because(format!("the service did not answer: {error}"))
}
