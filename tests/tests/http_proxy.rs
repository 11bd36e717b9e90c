//! HTTP over the mesh: what a reverse proxy must withstand, and tell apart.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

#[path = "http/cases.rs"]
mod cases;
#[path = "http/raw.rs"]
mod raw;
#[path = "http/site.rs"]
mod site;
#[path = "http/stage.rs"]
mod stage;

use std::time::Duration;

use axum::body::Bytes;
use peerage_tests::{Relay, join, until};
use raw::{Raw, ask, fetch};
use serde_json::json;
use stage::{HOSTS, Stage};

#[tokio::test]
async fn unknown_away_failed_and_silent_are_told_apart() {
    let relay = Relay::configured(&json!({ "http": { "headTimeoutMs": 700 }, "origins": HOSTS }));
    let stage = Stage::on(relay).await;
    let mute = join(&stage.relay, "mute").await;
    let status = async |path: &str| stage.through(path).await.status;
    assert_eq!(status("/n/nobody/").await, 404);
    assert_eq!(status("/n/no%20name/").await, 404);
    assert_eq!(status("/n/mute/").await, 502);
    assert_eq!(status("/n/relay/").await, 502);
    assert_eq!(status("/n/b/silent").await, 504);
    assert_eq!(status("/n/b/echo").await, 200);
    // What moves is not silent, though it takes longer than a silent node may.
    let slow = async_slow_upload(&stage.relay.address).await;
    assert!(slow.text().ends_with("aaaaa"), "{slow:?}");

    // A node that went is away for as long as its name is kept, and back under it.
    mute.close().await;
    stage.relay.until_here("mute", false).await;
    let away = stage.through("/n/mute/").await;
    assert_eq!(
        (away.status, away.field("retry-after").as_deref()),
        (503, Some("2")),
        "{away:?}"
    );
    let failed = stage.b.id().to_string();
    assert_eq!(status(&format!("/n/{failed}/echo")).await, 200);

    // One that goes in the middle of an answer does not leave the caller waiting.
    let address = stage.relay.address.clone();
    let waiting =
        tokio::spawn(async move { fetch(&address, "GET", "/n/b/zeros/999999999", "", b"").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.b.close().await;
    assert!(!waiting.await.unwrap().whole);
    stage.relay.until_here("b", false).await;
    assert_eq!(status("/n/b/echo").await, 503);
}

/// Five bytes, each 300 ms after the other.
async fn async_slow_upload(address: &str) -> Raw {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let head =
        "POST /n/b/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 5\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        socket.write_all(b"a").await.unwrap();
    }
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    raw::read(&answer, false)
}

#[tokio::test]
async fn a_node_is_followed_wherever_it_moves() {
    let stage = Stage::new().await;
    let other = Relay::below(&[&stage.relay], "other").await;
    let says = |text: &'static str| axum::Router::new().fallback(move || async move { text });
    let moving = join(&stage.relay, "moving").await;
    moving.serve(says("here"));
    assert_eq!(stage.through("/n/moving/").await.text(), "here");
    let through_other = fetch(&other.address, "GET", "/n/moving/", "", b"").await;
    assert_eq!(through_other.text(), "here");
    moving.close().await;
    stage.relay.until_here("moving", false).await;
    // Another node takes the name once it is free; the same name elsewhere is another node.
    let moved = join(&other, "moving-on").await;
    moved.serve(says("there"));
    until("the primary knows the node", async || {
        stage.through("/n/moving-on/").await.status == 200
    })
    .await;
    assert_eq!(stage.through("/n/moving-on/").await.text(), "there");
    moved.serve(says("anew"));
    assert_eq!(stage.through("/n/moving-on/").await.text(), "anew");
}

#[tokio::test]
async fn paths_stay_below_the_node() {
    let stage = Stage::new().await;
    let bare = stage.through("/n/b?x=1").await;
    assert_eq!(
        (bare.status, bare.field("location").as_deref()),
        (308, Some("/n/b/?x=1"))
    );
    for (path, told) in [
        ("/n/b/echo/../echo", "GET /echo\n"),
        ("/n/b/echo/x/%2e%2e/y", "GET /echo/y\n"),
        ("/n/b///echo", "GET /echo\n"),
        ("/n/b/echo/./y/", "GET /echo/y/\n"),
    ] {
        let answer = stage.through(path).await;
        assert!(answer.text().starts_with(told), "{path}: {answer:?}");
    }
    for path in [
        "/n/b/..",
        "/n/b/../../healthz",
        "/n/b/%2e%2e/healthz",
        "/n/b/..%2fhealthz",
        "/n/b/x/..%5c..%5chealthz",
        "/n/b/\\..\\healthz",
        "/n/b/echo/%00",
        "/n/b/echo/%0d%0ax:%20y",
    ] {
        assert_eq!(stage.through(path).await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn what_a_caller_claims_of_proxies_is_not_believed_and_hops_end_here() {
    let stage = Stage::new().await;
    stage.b.serve(
        axum::Router::new().fallback(|request: axum::extract::Request| async move {
            let fields = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}={}\n", value.to_str().unwrap_or("?")));
            fields.collect::<String>()
        }),
    );
    let lines = "x-forwarded-for: 9.9.9.9\r\nforwarded: for=9.9.9.9\r\nx-forwarded-proto: https\r\nte: trailers\r\n\
        keep-alive: 1\r\nproxy-authorization: hush\r\nupgrade: h2c\r\nx-hop: 1\r\nx-kept: 1\r\n";
    let request = format!(
        "GET /n/b/ HTTP/1.1\r\nhost: site.test\r\nconnection: close, x-hop, x-forwarded-host\r\n{lines}\r\n"
    );
    let answer = raw::read(&ask(&stage.relay.address, request.as_bytes()).await, false);
    let mut told: Vec<_> = answer.text().lines().map(str::to_owned).collect();
    told.sort();
    let expected = [
        "forwarded=for=127.0.0.1;host=\"site.test\";proto=http",
        "host=site.test",
        "x-forwarded-for=127.0.0.1",
        "x-forwarded-host=site.test",
        "x-forwarded-prefix=/n/b",
        "x-forwarded-proto=http",
        "x-kept=1",
    ];
    assert_eq!(told, expected);
    let policy = answer.field("content-security-policy").unwrap();
    assert!(
        policy.starts_with("sandbox ") && !policy.contains("same-origin"),
        "{policy}"
    );
}

/// A request that hides another is one request, or none: never two.
#[tokio::test]
async fn requests_cannot_be_smuggled() {
    let stage = Stage::new().await;
    let hidden = "GET /n/b/echo/hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    let at = hidden.len();
    for (lines, body) in [
        (
            format!("content-length: {at}\r\ntransfer-encoding: chunked\r\n"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            format!("transfer-encoding: chunked\r\ncontent-length: {at}\r\n"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            format!("content-length: 0\r\ncontent-length: {at}\r\n"),
            hidden.to_owned(),
        ),
        (
            format!("content-length: {at}\r\ncontent-length: 0\r\n"),
            hidden.to_owned(),
        ),
        (format!("content-length: 0, {at}\r\n"), hidden.to_owned()),
        (format!("content-length: +{at}\r\n"), hidden.to_owned()),
        (format!("content-length : {at}\r\n"), hidden.to_owned()),
        (
            String::from("transfer-encoding: xchunked\r\n"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            String::from("transfer-encoding: chunked, identity\r\n"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            String::from("transfer-encoding:\u{b}chunked\r\n"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            String::from(" transfer-encoding: chunked\r\n"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (
            String::from("x: y\rtransfer-encoding: chunked\r\n"),
            format!("0\r\n\r\n{hidden}"),
        ),
        (String::from("x: y\0\r\n"), hidden.to_owned()),
    ] {
        let request =
            format!("POST /n/b/echo HTTP/1.1\r\nhost: x\r\n{lines}connection: close\r\n\r\n{body}");
        let answer = String::from_utf8_lossy(&ask(&stage.relay.address, request.as_bytes()).await)
            .into_owned();
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines}{answer}");
        assert!(!answer.contains("GET /echo/hidden\n"), "{lines}{answer}");
        let refused = answer.starts_with("HTTP/1.1 400");
        assert!(
            refused || answer.starts_with("HTTP/1.1 200"),
            "{lines}{answer}"
        );
    }
    assert_eq!(stage.through("/n/b/echo").await.status, 200);
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let stage = Stage::new().await;
    for (request, status) in [
        (
            String::from("GET /n/b/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"),
            200,
        ),
        (
            format!(
                "GET /n/b/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: {}\r\n\r\n",
                "y".repeat(70_000)
            ),
            431,
        ),
        (
            format!(
                "GET /n/b/echo HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{}\r\n",
                "x: y\r\n".repeat(200)
            ),
            431,
        ),
        (
            format!(
                "GET /n/b/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
                "y".repeat(65_000)
            ),
            431,
        ),
    ] {
        let answer = raw::read(&ask(&stage.relay.address, request.as_bytes()).await, false);
        assert_eq!(answer.status, status, "{}", &request[..60]);
    }
    assert_eq!(stage.through("/n/b/echo").await.status, 200);
}

/// What a caller's connection must never get to see, whatever the node says: its answers are these messages.
#[tokio::test]
async fn a_hostile_node_cannot_inject_heads() {
    let relay = Relay::configured(&json!({ "origins": HOSTS }));
    let node = join(&relay, "liar").await;
    let mut listener = node.listen(peerage::http::PROTOCOL);
    let text = |bytes: &[u8]| [&[0x60 + bytes.len() as u8], bytes].concat();
    let binary = |bytes: &[u8]| [&[0x40 + bytes.len() as u8], bytes].concat();
    let head = |name: &[u8], value: &[u8]| {
        [
            b"\x82\x01\x82\x18\xc8\x81\x82",
            &*text(name),
            &*binary(value),
        ]
        .concat()
    };
    let end = b"\x82\x03\x81\x80";
    let says = [
        head(b"a", b"b\r\nset-cookie: c"),
        head(b"a\r\nb", b"c"),
        head(b"a", b"b\0"),
        head(b"a b", b"c"),
        head(b"content-length", b"-1"),
        head(b"\xff", b"c"),
        b"\x82\x01\x82\x18\x64\x80".to_vec(),
        b"\x82\x01\x82\x18\x65\x80".to_vec(),
        b"\x82\x00\x83\x63GET\x61/\x80".to_vec(),
        b"\x82\x06\x80".to_vec(),
        b"hello".to_vec(),
    ];
    let count = says.len();
    tokio::spawn(async move {
        for says in says {
            let stream = listener.accept().await.unwrap();
            stream
                .send(Bytes::from([&says[..], end].concat()))
                .await
                .unwrap();
            tokio::spawn(async move { stream.broken().await });
        }
        // The last one is well, but for its length.
        let stream = listener.accept().await.unwrap();
        let short = [
            &b"\x82\x01\x82\x18\xc8\x81\x82\x6econtent-length\x41\x39"[..],
            b"\x82\x02\x81\x42hi",
            end,
        ]
        .concat();
        stream.send(Bytes::from(short)).await.unwrap();
        stream.broken().await;
    });
    for n in 0..count {
        let answer = fetch(&relay.address, "GET", "/n/liar/", "", b"").await;
        assert_eq!(answer.status, 502, "{n}: {answer:?}");
        assert!(
            answer.field("set-cookie").is_none() && answer.whole,
            "{n}: {answer:?}"
        );
    }
    let request = "GET /n/liar/ HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let short = ask(&relay.address, request.as_bytes()).await;
    assert!(
        short.is_empty() || !raw::read(&short, false).whole,
        "{short:?}"
    );
}
