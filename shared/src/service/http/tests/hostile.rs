//! Nodes that say what they must not.

use super::*;
use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_MESSAGE_BYTES_MAX};
use crate::service::http::PROTOCOL;
use crate::service::http::wire::{Fields, Part, put};
use crate::service::zone::WHILE;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn message(parts: &[Part<'_>]) -> Bytes {
    let mut message = Vec::new();
    parts.iter().for_each(|part| put(&mut message, part));
    message.into()
}

fn ask<'b>(method: &'b str, target: &'b str, fields: &'b [(&'b str, &'b str)]) -> Part<'b> {
    let fields: Fields<'_> = fields
        .iter()
        .map(|(n, v)| (*n, v.as_bytes().into()))
        .collect();
    Part::Request {
        method,
        target,
        fields,
    }
}

fn tell<'b>(status: u16, fields: &'b [(&'b str, &'b str)]) -> Part<'b> {
    let fields: Fields<'_> = fields
        .iter()
        .map(|(n, v)| (*n, v.as_bytes().into()))
        .collect();
    Part::Response { status, fields }
}

/// How a server ends the exchange that begins so.
fn ended(zone: &mut Zone, a: &Http, messages: &[Bytes]) -> Code {
    zone.run(async {
        let b = a.node().resolve("b").await.unwrap().unwrap();
        let stream = a.node().open(b, PROTOCOL).unwrap();
        for message in messages {
            if stream.send(message.clone()).await.is_err() {
                break;
            }
        }
        loop {
            match stream.recv().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a good end"),
                Err(failure) => return failure.code,
            }
        }
    })
}

const END: Part<'static> = Part::End(Vec::new());

#[test]
fn requests_that_are_none_end_with_the_reason() {
    let (mut zone, a, b) = pair();
    describe(&b);
    let many: Vec<_> = (0..=HTTP_HEADERS_MAX).map(|_| ("a", "b")).collect();
    let long = "x".repeat(HTTP_HEAD_BYTES_MAX);
    let target = format!("/{long}");
    let fields = [("a", &*long)];
    for (part, code) in [
        (ask("G T", "/", &[]), Code::BadMessage),
        (ask("", "/", &[]), Code::BadMessage),
        (ask("GET", "", &[]), Code::BadMessage),
        (ask("GET", "x", &[]), Code::BadMessage),
        (ask("GET", "http://x/", &[]), Code::BadMessage),
        (ask("GET", "/a b", &[]), Code::BadMessage),
        (ask("GET", "/a\r\nx: y", &[]), Code::BadMessage),
        (ask("CONNECT", "/", &[]), Code::Refused),
        (ask("GET", "/", &[("a b", "c")]), Code::BadMessage),
        (ask("GET", "/", &[("", "c")]), Code::BadMessage),
        (ask("GET", "/", &[("a\r\nb", "c")]), Code::BadMessage),
        (ask("GET", "/", &[("a", "b\r\nc: d")]), Code::BadMessage),
        (ask("GET", "/", &[("a", "b\0")]), Code::BadMessage),
        (
            ask("GET", "/", &[("content-length", "-1")]),
            Code::BadMessage,
        ),
        (
            ask("GET", "/", &[("content-length", "+1")]),
            Code::BadMessage,
        ),
        (
            ask("GET", "/", &[("content-length", "1, 1")]),
            Code::BadMessage,
        ),
        (
            ask(
                "GET",
                "/",
                &[("content-length", "1"), ("content-length", "2")],
            ),
            Code::BadMessage,
        ),
        (ask("GET", "/", &many), Code::TooLarge),
        (ask("GET", &target, &[]), Code::TooLarge),
        (ask("GET", "/", &fields), Code::TooLarge),
        (tell(200, &[]), Code::BadMessage),
        (Part::Data((&b"x"[..]).into()), Code::BadMessage),
        (END, Code::BadMessage),
        (Part::Stop, Code::BadMessage),
    ] {
        let code_got = ended(&mut zone, &a, &[message(&[part.clone(), END])]);
        assert_eq!(code_got, code, "{part:?}");
    }
    assert_eq!(
        ended(&mut zone, &a, &[Bytes::from("\u{1}")]),
        Code::BadMessage
    );
    let large = Bytes::from(vec![0; HTTP_MESSAGE_BYTES_MAX + 1]);
    assert_eq!(ended(&mut zone, &a, &[large]), Code::TooLarge);
    zone.run(a.fetch(get("/"))).unwrap();
}

#[test]
fn a_body_is_as_long_as_its_head_says() {
    let (mut zone, a, b) = pair();
    describe(&b);
    let head = || ask("POST", "/", &[("content-length", "3")]);
    let data = |bytes: &'static [u8]| Part::Data(bytes.into());
    for rest in [
        vec![data(b"four")],
        vec![data(b"tw"), END],
        vec![END],
        vec![data(b"tw"), head()],
        vec![Part::Continue],
    ] {
        for together in [true, false] {
            let parts: Vec<_> = core::iter::once(head()).chain(rest.clone()).collect();
            let messages = match together {
                true => vec![message(&parts)],
                false => parts
                    .iter()
                    .map(|part| message(core::slice::from_ref(part)))
                    .collect(),
            };
            assert_eq!(
                ended(&mut zone, &a, &messages),
                Code::BadMessage,
                "{rest:?}"
            );
        }
    }
}

#[test]
fn responses_that_are_none_are_failures() {
    let (mut zone, a, b) = pair();
    let says: Arc<Mutex<Vec<Bytes>>> = Arc::default();
    let mut listener = b.node().listen(PROTOCOL);
    let said = Arc::clone(&says);
    zone.spawn(async move {
        while let Some(stream) = listener.accept().await {
            let messages = said.lock().unwrap().clone();
            for message in messages {
                let _ = stream.send(message).await;
            }
            stream.finish();
            stream.broken().await;
        }
    });
    let data = |bytes: &'static [u8]| Part::Data(bytes.into());
    for parts in [
        vec![],
        vec![END],
        vec![tell(99, &[])],
        vec![tell(1000, &[])],
        vec![tell(100, &[])],
        vec![tell(101, &[("upgrade", "websocket")])],
        vec![tell(200, &[("a", "b\r\nset-cookie: c=d")])],
        vec![tell(200, &[("a\r\nb", "c")])],
        vec![tell(200, &[("a", "b\0")])],
        vec![tell(200, &[("content-length", "x")])],
        vec![ask("GET", "/", &[])],
        vec![Part::Continue, Part::Stop],
        vec![tell(200, &[]), tell(200, &[])],
        vec![tell(200, &[]), data(b"no end")],
        vec![tell(200, &[("content-length", "1")]), data(b"two")],
        vec![tell(200, &[("content-length", "4")]), data(b"two"), END],
        vec![tell(304, &[("content-length", "4")]), data(b"none"), END],
    ] {
        for together in [true, false] {
            *says.lock().unwrap() = match together {
                true => vec![message(&parts)],
                false => parts
                    .iter()
                    .map(|part| message(core::slice::from_ref(part)))
                    .collect(),
            };
            let failure = zone.run(async {
                let response = a.fetch(get("/")).await?;
                text(response.into_body()).await
            });
            assert_eq!(
                failure.map_err(|failure| failure.code),
                Err(Code::BadMessage),
                "{parts:?}"
            );
        }
    }
    // What belongs to a connection is not believed.
    let fields = [
        ("connection", "x-a"),
        ("x-a", "1"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "1"),
    ];
    *says.lock().unwrap() = vec![message(&[tell(200, &fields), END])];
    let response = zone.run(a.fetch(get("/"))).unwrap();
    assert!(response.headers().is_empty(), "{:?}", response.headers());
    zone.sleep(WHILE);
}

#[test]
fn what_is_too_large_is_not_sent() {
    let (mut zone, a, b) = pair();
    b.serve(async |_, _| {
        let mut response = Response::new(Body::empty());
        for _ in 0..=HTTP_HEADERS_MAX {
            response
                .headers_mut()
                .append("a", HeaderValue::from_static("b"));
        }
        Ok(response)
    });
    let mut request = get("/");
    let long = HeaderValue::from_str(&"x".repeat(HTTP_HEAD_BYTES_MAX)).unwrap();
    request.headers_mut().insert("long", long);
    assert_eq!(zone.run(a.fetch(request)).unwrap_err().code, Code::TooLarge);
    assert_eq!(
        zone.run(a.fetch(get("/"))).unwrap_err().code,
        Code::TooLarge
    );
}
