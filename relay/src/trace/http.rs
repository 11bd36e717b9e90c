//! How the collector is asked: one request on a connection of its own, which is all that a batch needs.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{HttpClient, HttpError};
use peerage::limits::{TRACE_ANSWER_BYTES_MAX, TRACE_EXPORT_TIMEOUT};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::link::tls;

/// Asks by HTTP/1.1, and over TLS for `https:`.
#[derive(Debug)]
pub(super) struct Client;

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Client {
    fn send_bytes<'life, 'async_trait>(&'life self, request: Request<Bytes>) -> Answer<'async_trait>
    where
        'life: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { timeout(TRACE_EXPORT_TIMEOUT, ask(request)).await? })
    }
}

async fn ask(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let uri = request.uri().clone();
    let host = uri.host().ok_or_else(|| wrong(&uri))?;
    let is_sealed = uri.scheme() == Some(&Scheme::HTTPS);
    let port = uri.port_u16().unwrap_or(if is_sealed { 443 } else { 80 });
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let socket = TcpStream::connect((bare, port)).await?;
    match is_sealed {
        true => send(tls::connect(socket, host).await?, request).await,
        false => send(socket, request).await,
    }
}

async fn send<S>(socket: S, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut head, body) = request.into_parts();
    let uri = std::mem::take(&mut head.uri);
    let host = uri.authority().ok_or_else(|| wrong(&uri))?;
    let host = HeaderValue::from_str(host.as_str())?;
    head.headers.insert(header::HOST, host);
    let path = uri.path_and_query().ok_or_else(|| wrong(&uri))?;
    head.uri = path.clone().into();
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    let asked = async {
        let request = Request::from_parts(head, Full::new(body));
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, TRACE_ANSWER_BYTES_MAX).collect().await?;
        drop(sender);
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    tokio::pin!(connection, asked);
    tokio::select! {
        answer = &mut asked => answer,
        ended = connection => {
            ended?;
            // Its last words may be there.
            asked.await
        }
    }
}

fn wrong(uri: &Uri) -> io::Error {
    io::Error::other(format!(
        "expected an address http://HOST:PORT/…, got `{uri}`"
    ))
}
