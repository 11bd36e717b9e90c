//! HTTP over the mesh: the same suite against a plain server and through the mesh, and what a reverse proxy must
//! withstand.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

#[path = "http/raw.rs"]
mod raw;
#[path = "http/site.rs"]
mod site;

use std::time::Duration;

use axum::body::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use peerage::Code;
use peerage::http::Body;
use peerage_relay::Node;
use peerage_tests::{Relay, join, until};
use raw::{Raw, ask, fetch};
use serde_json::json;
use site::site;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

/// Names of the relay, besides its address.
const HOSTS: [&str; 2] = ["http://site.test", "http://x"];

/// The same site twice: plainly, and at the node `b`.
struct Stage {
    relay: Relay,
    b: Node,
    plain: String,
    files: TempDir,
}

impl Stage {
    async fn new() -> Self {
        Self::on(Relay::configured(&json!({ "origins": HOSTS }))).await
    }

    async fn on(relay: Relay) -> Self {
        let files = tempfile::tempdir().unwrap();
        let text: String = (0..5000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(files.path().join("text.txt"), text).unwrap();
        std::fs::write(files.path().join("index.html"), site::BLANKS).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = listener.local_addr().unwrap().to_string();
        let routes = site(files.path());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let b = join(&relay, "b").await;
        b.serve(site(files.path()));
        Self {
            relay,
            b,
            plain,
            files,
        }
    }

    /// A request to both: the plain answer, and that through the mesh without what only a proxy says.
    async fn both(&self, method: &str, path: &str, lines: &str, body: &[u8]) -> [Raw; 2] {
        let plain = fetch(&self.plain, method, path, lines, body).await;
        let meshed = format!("/n/b{path}");
        let mut meshed = fetch(&self.relay.address, method, &meshed, lines, body).await;
        meshed
            .fields
            .retain(|(name, _)| name != "content-security-policy");
        for (name, value) in &mut meshed.fields {
            let put = match &**name {
                "location" => "/n/b",
                "set-cookie" => "b~",
                _ => continue,
            };
            *value = String::from_utf8_lossy(value).replace(put, "").into_bytes();
        }
        [plain, meshed]
    }

    async fn through(&self, path: &str) -> Raw {
        fetch(&self.relay.address, "GET", path, "", b"").await
    }
}

/// Methods, paths, further lines of the head, and bodies.
type Case = (&'static str, &'static str, &'static str, &'static [u8]);

const CHUNKED: &str = "transfer-encoding: chunked\r\n";

const CASES: &[Case] = &[
    ("GET", "/echo", "", b""),
    (
        "GET",
        "/echo?a=b&c=%20d",
        "x-a: 1\r\nx-a: 2\r\nx-b:\r\n",
        b"",
    ),
    ("GET", "/echo", "x-raw: caf\u{e9}\r\n", b""),
    ("GET", "/echo/a%2fb/c//d;e=f", "", b""),
    ("POST", "/echo", "content-length: 5\r\n", b"hello"),
    ("POST", "/echo", "content-length: 0\r\n", b""),
    ("POST", "/echo", "", b""),
    (
        "POST",
        "/echo",
        CHUNKED,
        b"5\r\nhello\r\n3\r\n\r\n\n\r\n0\r\n\r\n",
    ),
    (
        "POST",
        "/echo",
        CHUNKED,
        b"2\r\nhi\r\n0\r\nx-after: 1\r\n\r\n",
    ),
    ("POST", "/echo", CHUNKED, b"0\r\n\r\n"),
    ("PUT", "/echo", "content-length: 2\r\n", b"ab"),
    ("PATCH", "/echo", "content-length: 2\r\n", b"ab"),
    ("DELETE", "/echo", "", b""),
    ("OPTIONS", "/echo", "", b""),
    ("TRACE", "/echo", "", b""),
    ("PROPFIND", "/echo", "", b""),
    ("HEAD", "/echo", "", b""),
    ("HEAD", "/files/text.txt", "", b""),
    ("GET", "/files/text.txt", "range: bytes=100-199\r\n", b""),
    ("GET", "/files/text.txt", "range: bytes=-10\r\n", b""),
    ("GET", "/files/text.txt", "range: bytes=999999-\r\n", b""),
    ("GET", "/files/text.txt", "", b""),
    ("GET", "/files/", "", b""),
    ("GET", "/files/none", "", b""),
    ("GET", "/etag", "", b""),
    ("GET", "/etag", "if-none-match: \"v1\"\r\n", b""),
    ("GET", "/blanks", "", b""),
    ("GET", "/empty", "", b""),
    ("GET", "/redirect", "", b""),
    ("GET", "/headers", "", b""),
    ("GET", "/cookies", "", b""),
    ("GET", "/trailers", "te: trailers\r\n", b""),
    ("GET", "/trailers", "", b""),
    ("HEAD", "/trailers", "", b""),
    ("GET", "/events", "", b""),
    ("GET", "/zeros/1000000", "", b""),
    ("GET", "/status/204", "", b""),
    ("GET", "/status/205", "", b""),
    ("GET", "/status/304", "", b""),
    ("GET", "/status/418", "", b""),
    ("GET", "/status/500", "", b""),
    ("GET", "/status/599", "", b""),
    ("GET", "/nowhere", "", b""),
    ("POST", "/etag", "", b""),
    ("POST", "/mirror", CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
    (
        "POST",
        "/echo",
        "expect: 100-continue\r\ncontent-length: 2\r\n",
        b"ab",
    ),
];

#[tokio::test]
async fn the_mesh_answers_as_a_plain_server_does() {
    let stage = Stage::new().await;
    let long = format!("x-long: {}\r\n", "z".repeat(30_000));
    let blanks = format!("content-length: {}\r\n", site::BLANKS.len());
    let more = [
        ("GET", "/echo", &*long, &b""[..]),
        ("POST", "/echo", &blanks, site::BLANKS.as_bytes()),
    ];
    for (method, path, lines, body) in more.into_iter().chain(CASES.iter().copied()) {
        let [plain, meshed] = stage.both(method, path, lines, body).await;
        let lines = lines.chars().take(60).collect::<String>();
        assert_eq!(meshed, plain, "{method} {path} {lines}");
        assert!(plain.whole, "{method} {path} {plain:?}");
    }
    let trailing = stage.through("/n/b/trailers").await;
    assert_eq!(trailing.text(), "data");
}

#[tokio::test]
async fn what_fails_in_the_middle_is_never_taken_for_whole() {
    let stage = Stage::new().await;
    for answer in stage.both("GET", "/fails", "", b"").await {
        assert_eq!(answer.status, 200);
        assert!(!answer.whole, "{answer:?}");
    }
}

#[tokio::test]
async fn web_sockets_pass_through() {
    let stage = Stage::new().await;
    for url in [
        format!("ws://{}/socket", stage.plain),
        format!("ws://{}/n/b/socket", stage.relay.address),
    ] {
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        for size in [0, 1, 125, 126, 70_000, 1_000_000] {
            let message = Message::Binary(vec![size as u8; size].into());
            socket.send(message.clone()).await.unwrap();
            assert!(
                socket.next().await.unwrap().unwrap() == message,
                "{url} {size}"
            );
        }
        socket.send(Message::text("last")).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("last"));
        socket.close(None).await.unwrap();
        let closed = socket.next().await.unwrap();
        assert!(closed.is_ok_and(|message| message.is_close()), "{url}");
        assert!(socket.next().await.is_none());
    }
    // Who is asked without the rest of a handshake says so, and a node without sockets does.
    let upgrade = "upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let [plain, meshed] = stage.both("GET", "/socket", upgrade, b"").await;
    assert_eq!((meshed.status, plain.status), (400, 400));
    for path in ["/echo", "/n/b/echo"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\n{upgrade}\r\n"
        );
        let address = if path.starts_with("/n") {
            &stage.relay.address
        } else {
            &stage.plain
        };
        let answer = raw::read(&ask(address, request.as_bytes()).await, false);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text().starts_with("GET /echo\n"));
    }
}

#[tokio::test]
async fn a_native_node_asks_another_with_the_habits_of_http() {
    let stage = Stage::new().await;
    let a = join(&stage.relay, "a").await;
    let get = |uri: &str| Request::get(uri).body(Body::empty()).unwrap();
    let text = async |body: Body| {
        String::from_utf8(body.collect(1 << 20).await.unwrap().to_vec()).unwrap()
    };
    let response = a.fetch(get("peer://b/echo?x=1")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(text(response.into_body()).await, "GET /echo?x=1\n{}\n");
    let response = a.fetch(get("peer://b/caller")).await.unwrap();
    assert_eq!(text(response.into_body()).await, a.id().to_string());
    let by_id = format!("peer://{}/caller", stage.b.id());
    assert_eq!(
        text(a.fetch(get(&by_id)).await.unwrap().into_body()).await,
        a.id().to_string()
    );
    assert_eq!(
        text(
            stage
                .b
                .fetch(get("peer://b/blanks"))
                .await
                .unwrap()
                .into_body()
        )
        .await,
        site::BLANKS
    );
    let posted = Request::put("peer://b/mirror")
        .body(vec![7u8; 300_000])
        .unwrap();
    let mirrored = a
        .fetch(posted)
        .await
        .unwrap()
        .into_body()
        .collect(1 << 20)
        .await
        .unwrap();
    assert_eq!(mirrored, vec![7u8; 300_000]);
    let cut = a
        .fetch(get("peer://b/fails"))
        .await
        .unwrap()
        .into_body()
        .collect(99)
        .await
        .unwrap_err();
    assert_eq!(cut.code, Code::Cancelled);
    assert!(!cut.message.contains("hush"), "{cut}");
    for (uri, code) in [
        ("peer://nobody/", Code::UnknownName),
        ("peer://a/", Code::UnknownProtocol),
        ("peer://relay/", Code::UnknownProtocol),
    ] {
        assert_eq!(a.fetch(get(uri)).await.unwrap_err().code, code, "{uri}");
    }
}

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
    drop(stage.files);
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

/// A gibibyte each way: what is on its way is bounded, and none of it is lost.
#[tokio::test]
async fn a_gibibyte_streams_both_ways_within_bounded_memory() {
    const GIB: usize = 1 << 30;
    const MORE_MAX: u64 = 100 << 20;
    let stage = Stage::new().await;
    stage.through("/n/b/zeros/1000000").await;
    let before = [stage.relay.peak_bytes(), own_peak_bytes()];
    let url = |path: &str| format!("http://{}/n/b/{path}", stage.relay.address);
    let down = url(&format!("zeros/{GIB}"));
    let down = curl(&[
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{size_download}",
        &down,
    ])
    .await;
    assert_eq!(down, format!("200 {GIB}"));
    let up = format!(
        "head -c {GIB} /dev/zero | curl -s -T - -X POST {}",
        url("count")
    );
    assert_eq!(run("sh", &["-c", &up]).await, GIB.to_string());
    let after = [stage.relay.peak_bytes(), own_peak_bytes()];
    let more: Vec<_> = after
        .iter()
        .zip(before)
        .map(|(after, before)| (after - before) >> 20)
        .collect();
    println!("1 GiB down and 1 GiB up: relay and node have grown by {more:?} MiB");
    assert!(more.iter().all(|more| *more << 20 < MORE_MAX), "{more:?}");
}

/// curl's own idea of ranges, redirections, uploads and what is cached.
#[tokio::test]
async fn curl_is_content() {
    let stage = Stage::new().await;
    let url = |path: &str| format!("http://{}/n/b/{path}", stage.relay.address);
    assert_eq!(
        curl(&["-s", "-r", "5-10", &url("files/text.txt")]).await,
        "0\nline"
    );
    assert_eq!(
        curl(&["-s", "-L", &url("redirect")]).await,
        "GET /echo?from=there\n{}\n"
    );
    assert_eq!(curl(&["-s", "-d", "a=b", &url("mirror")]).await, "a=b");
    assert_eq!(
        curl(&["-s", "-H", "expect: 100-continue", "-d", "x", &url("count")]).await,
        "1"
    );
    assert_eq!(
        curl(&[
            "-s",
            "-I",
            "-w",
            "%{http_code}",
            "-o",
            "/dev/null",
            &url("blanks")
        ])
        .await,
        "200"
    );
    assert_eq!(
        curl(&["-s", "-N", &url("events")]).await,
        "data: 0\n\ndata: 1\n\ndata: 2\n\n"
    );
    let etag = url("etag");
    let known = [
        "-s",
        "-H",
        "if-none-match: \"v1\"",
        "-w",
        "%{http_code}",
        &etag,
    ];
    assert_eq!(curl(&known).await, "304");
    let cut = run(
        "sh",
        &[
            "-c",
            &format!("curl -s {} > /dev/null; echo $?", url("fails")),
        ],
    )
    .await;
    assert_ne!(cut.trim(), "0");
}

async fn curl(args: &[&str]) -> String {
    run("curl", args).await
}

async fn run(program: &str, args: &[&str]) -> String {
    let output = tokio::process::Command::new(program)
        .args(args)
        .output()
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The most memory that this process has held so far, in bytes (Linux).
fn own_peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        * 1024
}
