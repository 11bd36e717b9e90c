//! The site that is asked, plainly and through the mesh.

#![allow(dead_code, reason = "each test uses a part of what they share")]

use std::collections::BTreeSet;
use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Path, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures_util::{StreamExt, stream};
use http_body::Frame;
use peerage_relay::http::Caller;
use tower_http::services::ServeDir;

/// Text in which every line end and blank line counts.
pub(super) const BLANKS: &str = "\r\n\r\n\n\na\r\n\r\n0\r\n\r\nb\n\n";

/// When its files were written, as anybody may know.
const WRITTEN: u64 = 1_600_000_000;

/// Writes the files of the site into a folder.
pub(super) fn write_files(folder: &std::path::Path) {
    let text: String = (0..5000).map(|n| format!("line {n}\n")).collect();
    for (name, text) in [("text.txt", &*text), ("index.html", BLANKS)] {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        let written = std::time::UNIX_EPOCH + std::time::Duration::from_secs(WRITTEN);
        file.set_modified(written).unwrap();
    }
}

/// The site; files are below `/files/`.
pub(super) fn site(files: &std::path::Path) -> Router {
    Router::new()
        .route("/echo", any(echo))
        .route("/echo/{*rest}", any(echo))
        .route(
            "/mirror",
            any(|request: Request| async { Response::new(request.into_body()) }),
        )
        .route("/count", any(count))
        .route("/zeros/{count}", get(zeros))
        .route("/status/{status}", any(status))
        .route("/redirect", get(redirect))
        .route("/headers", get(headers))
        .route("/cookies", get(cookies))
        .route("/etag", get(etag))
        .route("/blanks", get(|| async { BLANKS }))
        .route("/empty", get(|| async {}))
        .route("/trailers", any(trailers))
        .route("/events", get(events))
        .route("/socket", get(socket))
        .route("/caller", get(caller))
        .route("/fails", get(fails))
        .route("/silent", any(std::future::pending::<()>))
        .nest_service("/files", ServeDir::new(files))
}

/// Method, address, headers of the caller's own, body and trailers.
async fn echo(request: Request) -> String {
    let (head, mut body) = request.into_parts();
    let own = |name: &HeaderName| {
        name.as_str().starts_with("x-") && !name.as_str().starts_with("x-forwarded")
    };
    let fields = head
        .headers
        .iter()
        .filter(|(name, _)| own(name) || *name == header::CONTENT_LENGTH);
    let mut fields: Vec<_> = fields
        .map(|(name, value)| format!("{name}: {value:?}\n"))
        .collect();
    // The order of fields of different names means nothing.
    fields.sort();
    let (mut data, mut trailers) = (Vec::new(), BTreeSet::new());
    while let Some(Ok(frame)) = next(&mut body).await {
        match frame.into_data() {
            Ok(piece) => data.extend_from_slice(&piece),
            Err(frame) => {
                trailers = frame
                    .into_trailers()
                    .unwrap()
                    .keys()
                    .map(|k| k.to_string())
                    .collect()
            }
        }
    }
    let (method, uri) = (head.method, head.uri);
    format!(
        "{method} {uri}\n{}{trailers:?}\n{}",
        fields.concat(),
        String::from_utf8_lossy(&data)
    )
}

/// The next frame of a body.
pub(super) async fn next<B>(body: &mut B) -> Option<Result<Frame<Bytes>, B::Error>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *body).poll_frame(cx)).await
}

async fn count(request: Request) -> String {
    let mut pieces = request.into_body().into_data_stream();
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        bytes += piece.unwrap().len();
    }
    bytes.to_string()
}

async fn zeros(Path(count): Path<usize>) -> Body {
    const PIECE: Bytes = Bytes::from_static(&[0; 64 * 1024]);
    let pieces = (0..count)
        .step_by(PIECE.len())
        .map(move |at| Ok::<_, Infallible>(PIECE.slice(..PIECE.len().min(count - at))));
    Body::from_stream(stream::iter(pieces))
}

async fn status(Path(status): Path<u16>) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    match status.as_u16() {
        204 | 205 | 304 => status.into_response(),
        _ => (status, "told").into_response(),
    }
}

async fn redirect() -> impl IntoResponse {
    (StatusCode::FOUND, [(header::LOCATION, "/echo?from=there")])
}

async fn headers() -> impl IntoResponse {
    let mut headers = HeaderMap::new();
    for value in [&b"1"[..], b"2", b"\xff\xfe caf\xe9", b"", b"a\tb", b"  "] {
        headers.append("x-many", HeaderValue::from_bytes(value).unwrap());
    }
    headers.insert(
        "x-long",
        HeaderValue::from_str(&"y".repeat(30_000)).unwrap(),
    );
    headers.insert("vary", HeaderValue::from_static("accept"));
    (headers, "headers")
}

async fn cookies() -> impl IntoResponse {
    let cookie = |text| (header::SET_COOKIE, HeaderValue::from_static(text));
    let headers: HeaderMap = [cookie("a=1; HttpOnly"), cookie("b=2; Max-Age=5")]
        .into_iter()
        .fold(HeaderMap::new(), |mut all, (name, value)| {
            all.append(name, value);
            all
        });
    (headers, "cookies")
}

async fn etag(headers: HeaderMap) -> Response {
    let tag = [(header::ETAG, "\"v1\"")];
    match headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known == "\"v1\"")
    {
        true => (StatusCode::NOT_MODIFIED, tag).into_response(),
        false => (tag, "first").into_response(),
    }
}

async fn trailers() -> Response {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    let frames = [
        Frame::data(Bytes::from_static(b"data")),
        Frame::trailers(trailers),
    ];
    let body = Body::new(Frames(frames.into()));
    ([(header::TRAILER, "x-sum")], body).into_response()
}

/// A body of these.
pub(super) struct Frames(pub(super) std::collections::VecDeque<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// Three events, each a while after the other.
async fn events() -> impl IntoResponse {
    let pieces = stream::unfold(0, |n| async move {
        if n == 3 {
            return None;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        Some((Ok::<_, Infallible>(format!("data: {n}\n\n")), n + 1))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(pieces),
    )
}

async fn socket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(|mut socket| async move {
        while let Some(Ok(message)) = socket.recv().await {
            // A close is answered by the library.
            if !matches!(message, Message::Close(_)) && socket.send(message).await.is_err() {
                return;
            }
        }
    })
}

async fn caller(request: Request) -> String {
    let caller = request.extensions().get::<Caller>();
    caller.map_or_else(|| String::from("nobody"), |caller| caller.0.to_string())
}

/// A body that ends before it is whole.
async fn fails() -> Body {
    let pieces = [
        Ok(Bytes::from_static(b"some")),
        Err(std::io::Error::other("hush")),
    ];
    let later = stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        piece
    });
    Body::from_stream(later)
}
