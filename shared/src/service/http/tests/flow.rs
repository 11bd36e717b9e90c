//! How bodies flow: in pieces, at the reader's pace, and no further than they are wanted.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::limits::{HTTP_CHUNK_BYTES_MAX, HTTP_REQUESTS_PER_PEER_MAX};
use crate::service::zone::WHILE;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A body without an end, of pieces of 16 KiB: how many were taken, and whether it was dropped.
#[derive(Clone, Default)]
struct Endless(Arc<(AtomicUsize, AtomicBool)>);

struct Source(Endless);

impl Endless {
    fn body(&self) -> Body {
        let source = Source(self.clone());
        Body::from_stream(futures_util::stream::poll_fn(move |_| {
            source.0.0.0.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Some(Ok(Bytes::from(vec![7; 16 * 1024]))))
        }))
    }

    fn taken(&self) -> usize {
        self.0.0.load(Ordering::Relaxed)
    }

    fn is_dropped(&self) -> bool {
        self.0.1.load(Ordering::Relaxed)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.0.0.1.store(true, Ordering::Relaxed);
    }
}

async fn piece(body: &mut Body) -> Option<Result<Bytes, Failure>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap()))
}

#[test]
fn large_bodies_are_cut_and_come_whole() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, request: Request<Body>| Ok(Response::new(request.into_body())));
    let sent: Vec<u8> = (0..1_000_003u32).map(|n| n as u8).collect();
    let request = get("/").map(|_| Body::from(sent.clone()));
    let mut body = zone.run(a.fetch(request)).unwrap().into_body();
    let mut got = Vec::new();
    while let Some(piece) = zone.run(piece(&mut body)) {
        let piece = piece.unwrap();
        assert!(piece.len() <= HTTP_CHUNK_BYTES_MAX);
        got.extend_from_slice(&piece);
    }
    assert!(got == sent);
}

#[test]
fn nobody_sends_more_than_is_read() {
    let (mut zone, a, b) = pair();
    let (up, down) = (Endless::default(), Endless::default());
    let source = down.clone();
    let held: Arc<Mutex<Option<Body>>> = Arc::default();
    let hold = Arc::clone(&held);
    b.serve(move |_, request: Request<Body>| {
        *hold.lock().unwrap() = Some(request.into_body());
        core::future::ready(Ok(Response::new(source.body())))
    });
    let mut response = zone
        .run(a.fetch(get("/").map(|_| up.body())))
        .unwrap()
        .into_body();
    zone.sleep(WHILE);
    let stuck = [up.taken(), down.taken()];
    assert!(
        stuck.iter().all(|taken| (4..64).contains(taken)),
        "{stuck:?}"
    );
    zone.sleep(WHILE);
    assert_eq!([up.taken(), down.taken()], stuck);

    // Each direction moves by itself when it is read.
    for _ in 0..100 {
        zone.run(piece(&mut response)).unwrap().unwrap();
    }
    assert!(down.taken() > 90, "{}", down.taken());
    assert_eq!(up.taken(), stuck[0]);
    let mut request = held.lock().unwrap().take().unwrap();
    for _ in 0..100 {
        zone.run(piece(&mut request)).unwrap().unwrap();
    }
    assert!(up.taken() > 90, "{}", up.taken());
}

#[test]
fn who_gives_up_ends_the_handler_and_both_bodies() {
    let (mut zone, a, b) = pair();
    let (up, down, handling) = (Endless::default(), Endless::default(), Endless::default());
    let (source, token) = (down.clone(), handling.clone());
    b.serve(move |_, request: Request<Body>| {
        let (source, token) = (source.clone(), Source(token.clone()));
        async move {
            if request.uri().path() == "/slow" {
                core::future::pending::<()>().await;
            }
            drop(token);
            Ok(Response::new(source.body()))
        }
    });
    // Before the response.
    zone.run(async {
        let fetch = a.fetch(get("/slow").map(|_| up.body()));
        let _ =
            futures_util::future::select(Box::pin(fetch), Box::pin(a.node().sleep(WHILE))).await;
    });
    zone.sleep(WHILE);
    assert!(handling.is_dropped() && up.is_dropped());

    // In its middle.
    let up = Endless::default();
    let mut response = zone
        .run(a.fetch(get("/").map(|_| up.body())))
        .unwrap()
        .into_body();
    zone.run(piece(&mut response)).unwrap().unwrap();
    assert!(!down.is_dropped());
    drop(response);
    zone.sleep(WHILE);
    assert!(down.is_dropped() && up.is_dropped());
}

#[test]
fn a_body_that_fails_is_an_error_where_it_is_read() {
    let (mut zone, a, b) = pair();
    let failing = || {
        let pieces = [
            Ok(Bytes::from("some")),
            Err(Code::Refused.because("no more")),
        ];
        Body::from_stream(futures_util::stream::iter(pieces))
    };
    b.serve(move |_, request: Request<Body>| async move {
        match request.uri().path() {
            "/up" => Ok(Response::new(text(request.into_body()).await?.into())),
            _ => Ok(Response::new(failing())),
        }
    });
    let down = zone.run(async {
        let response = a.fetch(get("/down")).await?;
        text(response.into_body()).await
    });
    let failure = down.unwrap_err();
    assert_eq!(
        (failure.code, &*failure.message),
        (Code::Refused, "no more")
    );
    let up = zone
        .run(a.fetch(get("/up").map(|_| failing())))
        .unwrap_err();
    assert_eq!(up.code, Code::Refused);
}

#[test]
fn what_is_not_wanted_of_a_request_is_not_sent() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, request: Request<Body>| {
        drop(request);
        Ok(Response::new(Body::from("enough")))
    });
    let up = Endless::default();
    let response = zone.run(a.fetch(get("/").map(|_| up.body()))).unwrap();
    assert_eq!(zone.run(text(response.into_body())).unwrap(), "enough");
    zone.sleep(WHILE);
    assert!(up.is_dropped());

    // A handler may go on reading when the response is whole.
    let held: Arc<Mutex<Option<Body>>> = Arc::default();
    let hold = Arc::clone(&held);
    b.serve(move |_, request: Request<Body>| {
        *hold.lock().unwrap() = Some(request.into_body());
        core::future::ready(Ok(Response::new(Body::from("go on"))))
    });
    let up = Endless::default();
    let response = zone.run(a.fetch(get("/").map(|_| up.body()))).unwrap();
    assert_eq!(zone.run(text(response.into_body())).unwrap(), "go on");
    let mut request = held.lock().unwrap().take().unwrap();
    for _ in 0..100 {
        zone.run(piece(&mut request)).unwrap().unwrap();
    }
    assert!(!up.is_dropped());
    drop(request);
    zone.sleep(WHILE);
    assert!(up.is_dropped());
}

#[test]
fn who_expects_to_be_asked_for_the_body_sends_it_then() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, request: Request<Body>| {
        if request.uri().path() == "/no" {
            return Ok(Response::new(Body::from("no")));
        }
        let body = text(request.into_body()).await?;
        Ok(Response::new(Body::from(body)))
    });
    let asked = |path: &str, body: Body| {
        let mut request = get(path).map(|_| body);
        request
            .headers_mut()
            .insert("expect", HeaderValue::from_static("100-continue"));
        request
    };
    let up = Endless::default();
    let response = zone.run(a.fetch(asked("/no", up.body()))).unwrap();
    assert_eq!(zone.run(text(response.into_body())).unwrap(), "no");
    zone.sleep(WHILE);
    assert!(up.taken() == 0 && up.is_dropped());
    let response = zone
        .run(a.fetch(asked("/yes", Body::from("wanted"))))
        .unwrap();
    assert_eq!(zone.run(text(response.into_body())).unwrap(), "wanted");
}

#[test]
fn too_many_requests_at_once_are_overloaded_and_the_others_go_on() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, request: Request<Body>| {
        if request.uri().path() == "/wait" {
            core::future::pending::<()>().await;
        }
        Ok(Response::new(Body::empty()))
    });
    let waiting: Vec<_> = (0..HTTP_REQUESTS_PER_PEER_MAX)
        .map(|_| Box::pin(a.fetch(get("/wait"))))
        .collect();
    let all = futures_util::future::select_all(waiting);
    let (_, rest) = zone.run(async {
        let slept = Box::pin(async { a.node().sleep(WHILE).await });
        match futures_util::future::select(all, slept).await {
            futures_util::future::Either::Right(((), all)) => ((), all),
            futures_util::future::Either::Left((ended, _)) => panic!("{:?}", ended.0.map(drop)),
        }
    });
    let failure = zone.run(a.fetch(get("/"))).unwrap_err();
    assert_eq!(failure.code, Code::Overloaded);
    drop(rest);
    zone.sleep(WHILE);
    zone.run(a.fetch(get("/"))).unwrap();
}

#[test]
fn a_node_that_goes_ends_what_it_was_asked() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, _| Ok(Response::new(Endless::default().body())));
    let mut response = zone.run(a.fetch(get("/"))).unwrap().into_body();
    b.node().close();
    let failure = loop {
        match zone.run(piece(&mut response)).unwrap() {
            Ok(_) => {}
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.code, Code::Left);
}
