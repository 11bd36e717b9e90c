//! Requests between nodes of a zone in memory.

mod flow;
mod hostile;

use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::{Body, Http, Task};
use crate::error::{Code, Failure};
use crate::node::Node;
use crate::service::zone::Zone;

/// The HTTP of a node whose tasks the zone runs.
fn http(zone: &mut Zone, node: Node) -> Http {
    let fresh: Arc<Mutex<Vec<Task>>> = Arc::default();
    let spawned = Arc::clone(&fresh);
    let mut running: Vec<Task> = Vec::new();
    zone.spawn(poll_fn(move |cx| {
        loop {
            let more = core::mem::take(&mut *spawned.lock().unwrap());
            if more.is_empty() {
                break;
            }
            running.extend(more.into_iter().filter_map(|mut task| {
                let ended = task.as_mut().poll(cx).is_ready();
                (!ended).then_some(task)
            }));
        }
        running.retain_mut(|task| task.as_mut().poll(cx).is_pending());
        Poll::Pending
    }));
    Http::new(node, move |task| fresh.lock().unwrap().push(task))
}

/// Two nodes: who asks, and who serves as `b`.
fn pair() -> (Zone, Http, Http) {
    let mut zone = Zone::new();
    let (a, b) = (zone.join("a"), zone.join("b"));
    let (a, b) = (http(&mut zone, a), http(&mut zone, b));
    (zone, a, b)
}

fn get(path: &str) -> Request<Body> {
    let uri = format!("peer://b{path}");
    Request::get(uri).body(Body::empty()).unwrap()
}

async fn text(body: Body) -> Result<String, Failure> {
    let bytes = body.collect(1 << 20).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Says what was asked.
fn describe(http: &Http) {
    http.serve(async |_, request: Request<Body>| {
        let (head, body) = request.into_parts();
        let body = text(body).await?;
        let fields: Vec<_> = head
            .headers
            .iter()
            .map(|(n, v)| format!("{n}={v:?}"))
            .collect();
        let told = format!("{} {} [{}] {body}", head.method, head.uri, fields.join(","));
        Ok(Response::new(Body::from(told)))
    });
}

#[test]
fn a_request_arrives_as_it_was_made_and_so_does_the_response() {
    let (mut zone, a, b) = pair();
    describe(&b);
    let mut request = get("/x/y?z=1").map(|_| Body::from("hello"));
    *request.method_mut() = Method::PATCH;
    request
        .headers_mut()
        .append("a", HeaderValue::from_static("1"));
    request
        .headers_mut()
        .append("a", HeaderValue::from_bytes(b"\xff").unwrap());
    request
        .headers_mut()
        .append("blanks", HeaderValue::from_static(" \t a b "));
    request
        .headers_mut()
        .append("blanks", HeaderValue::from_static("  "));
    for (name, value) in [
        ("connection", "x-own"),
        ("x-own", "1"),
        ("te", "trailers"),
        ("upgrade", "h2c"),
    ] {
        request
            .headers_mut()
            .append(name, HeaderValue::from_static(value));
    }
    let response = zone.run(a.fetch(request)).unwrap();
    assert_eq!(response.headers()["content-length"], "88");
    let told = zone.run(text(response.into_body())).unwrap();
    let expected = r#"PATCH /x/y?z=1 [a="1",a="\xff",blanks="a b",blanks="",content-length="5",host="b"] hello"#;
    assert_eq!(told, expected);
}

#[test]
fn a_node_asks_itself_as_it_asks_others() {
    let (mut zone, _, b) = pair();
    let nobody = zone.run(b.fetch(get("/"))).unwrap_err();
    assert_eq!(nobody.code, Code::UnknownProtocol);
    describe(&b);
    let response = zone.run(b.fetch(get("/self"))).unwrap();
    assert_eq!(
        zone.run(text(response.into_body())).unwrap(),
        r#"GET /self [host="b"] "#
    );
}

#[test]
fn who_cannot_be_asked_is_a_failure_of_its_own() {
    let (mut zone, a, _b) = pair();
    for (uri, code) in [
        ("peer://b/", Code::UnknownProtocol),
        ("peer://nobody/", Code::UnknownName),
        ("http://b/", Code::BadMessage),
        ("/b", Code::BadMessage),
    ] {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        assert_eq!(zone.run(a.fetch(request)).unwrap_err().code, code, "{uri}");
    }
    let connect = Request::connect("peer://b/").body(Body::empty()).unwrap();
    assert_eq!(zone.run(a.fetch(connect)).unwrap_err().code, Code::Refused);
}

#[test]
fn responses_that_have_no_body_have_none() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, request: Request<Body>| {
        let status = request.uri().path()[1..].parse::<u16>().unwrap();
        let mut response = Response::new(Body::from("not to be sent"));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if matches!(status, 204 | 304) {
            // Libraries say it of the body, which is not what it would mean.
            let headers = response.headers_mut();
            headers.insert("content-length", HeaderValue::from_static("0"));
        }
        Ok(response)
    });
    for (method, status, length) in [
        (Method::GET, 204, None),
        (Method::GET, 304, None),
        (Method::HEAD, 200, Some("14")),
        (Method::HEAD, 404, Some("14")),
    ] {
        let mut request = get(&format!("/{status}"));
        *request.method_mut() = method;
        let response = zone.run(a.fetch(request)).unwrap();
        assert_eq!(response.status(), status);
        let told = response.headers().get("content-length");
        assert_eq!(told.map(|value| value.to_str().unwrap()), length);
        assert!(response.body().is_end_stream());
    }
    let early = zone.run(a.fetch(get("/103"))).unwrap_err();
    assert_eq!(early.code, Code::Refused);
}

/// A body of these frames.
struct Frames(Vec<Frame<Bytes>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut core::task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        Poll::Ready((!self.0.is_empty()).then(|| Ok(self.0.remove(0))))
    }
}

#[test]
fn trailers_travel_both_ways() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, request: Request<Body>| Ok(Response::new(request.into_body())));
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    for data in ["", "some"] {
        let mut frames = vec![Frame::trailers(trailers.clone())];
        if !data.is_empty() {
            frames.insert(0, Frame::data(Bytes::from(data)));
        }
        let request = get("/").map(|_| Body::new(Frames(frames)));
        let mut body = zone.run(a.fetch(request)).unwrap().into_body();
        let mut got = (String::new(), HeaderMap::new());
        while let Some(frame) = zone.run(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))) {
            match frame.unwrap().into_data() {
                Ok(data) => got.0 += core::str::from_utf8(&data).unwrap(),
                Err(frame) => got.1 = frame.into_trailers().unwrap(),
            }
        }
        assert_eq!(got, (data.to_owned(), trailers.clone()));
    }
}

#[test]
fn after_101_both_bodies_are_a_tunnel() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, request: Request<Body>| {
        let mut response = Response::new(request.into_body());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response
            .headers_mut()
            .insert("upgrade", HeaderValue::from_static("websocket"));
        Ok(response)
    });
    let (mut to_b, says) = channel();
    let mut request = get("/").map(|_| Body::from_stream(says));
    request
        .headers_mut()
        .insert("upgrade", HeaderValue::from_static("websocket"));
    let response = zone.run(a.fetch(request)).unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut body = response.into_body();
    for n in 0..3u8 {
        to_b(Bytes::from(vec![n]));
        let frame = zone.run(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)));
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), [n][..]);
    }
    // Nobody has asked for another protocol: none is spoken.
    let unasked = zone.run(a.fetch(get("/"))).unwrap_err();
    assert!(
        matches!(unasked.code, Code::Refused | Code::Cancelled),
        "{unasked}"
    );
}

/// Pieces that come when they are put there. The zone polls everyone without being woken.
fn channel() -> (
    impl FnMut(Bytes),
    impl futures_util::Stream<Item = Result<Bytes, Failure>> + Send,
) {
    let queue: Arc<Mutex<std::collections::VecDeque<Bytes>>> = Arc::default();
    let taken = Arc::clone(&queue);
    let stream = futures_util::stream::poll_fn(move |_| match taken.lock().unwrap().pop_front() {
        Some(piece) => Poll::Ready(Some(Ok(piece))),
        None => Poll::Pending,
    });
    (move |piece| queue.lock().unwrap().push_back(piece), stream)
}
