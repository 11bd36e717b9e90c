//! Who may ask a relay for the HTTP of nodes, by which names, and what comes when a node is not where it was.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on must say where it stopped"
)]

#[path = "http/raw.rs"]
mod raw;

use axum::Router;
use axum::routing::{any, get};
use peerage_relay::Node;
use peerage_tests::{Peer, Relay, join, join_any, until};
use raw::{Raw, ask, fetch};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONFIGURED: &str = "https://front.example";

/// A relay with the node `b`, which says what it was asked.
async fn stage() -> (Relay, Node) {
    let relay = Relay::configured(&json!({ "origins": [CONFIGURED] }));
    let b = join(&relay, "b").await;
    b.serve(
        Router::new().fallback(any(|request: axum::extract::Request| async move {
            let (head, body) = request.into_parts();
            let Ok(body) = axum::body::to_bytes(body, 99).await else {
                return String::from("failed");
            };
            let host = head.headers["host"].to_str().unwrap_or_default();
            let cookie = head
                .headers
                .get("cookie")
                .map(|cookie| cookie.to_str().unwrap());
            format!("{} {host} {cookie:?} {}", head.uri, body.len())
        })),
    );
    (relay, b)
}

async fn says(relay: &Relay, first: &str, lines: &str) -> Raw {
    let request = format!("{first}\r\n{lines}connection: close\r\n\r\n");
    raw::read(&ask(&relay.address, request.as_bytes()).await, false)
}

#[tokio::test]
async fn a_name_that_somebody_else_has_pointed_here_is_refused() {
    let (relay, _b) = stage().await;
    let port = relay.address.rsplit(':').next().unwrap();
    for path in [
        "/n/b/x",
        "/api/v1/nodes",
        "/api/v1/operations",
        "/metrics",
        "/",
    ] {
        for host in [
            "evil.example",
            "evil.example:{port}",
            "127.0.0.1.evil.example",
            "",
        ] {
            let host = host.replace("{port}", port);
            let lines = format!("host: {host}\r\n");
            let answer = says(&relay, &format!("GET {path} HTTP/1.1"), &lines).await;
            assert_eq!(answer.status, 421, "{path} {host} {answer:?}");
            assert!(answer.text().contains("\"code\":\"refused\""), "{answer:?}");
        }
        for host in [
            "localhost:{port}",
            "127.0.0.1:{port}",
            "[::1]:{port}",
            "front.example",
        ] {
            let lines = format!("host: {}\r\n", host.replace("{port}", port));
            let answer = says(&relay, &format!("GET {path} HTTP/1.1"), &lines).await;
            // The console may not be built in.
            let expected = if path == "/" { [200, 404] } else { [200, 200] };
            assert!(
                expected.contains(&answer.status),
                "{path} {host} {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_request_is_for_one_host() {
    let (relay, _b) = stage().await;
    let own = &relay.address;
    for (first, lines, status) in [
        ("GET /n/b/ HTTP/1.1", "".into(), 400),
        ("GET /n/b/ HTTP/1.0", "".into(), 400),
        ("GET /healthz HTTP/1.0", "".into(), 200),
        (
            "GET /n/b/ HTTP/1.1",
            format!("host: {own}\r\nhost: {own}\r\n"),
            400,
        ),
        (
            "GET /n/b/ HTTP/1.1",
            format!("host: {own}\r\nhost: evil.example\r\n"),
            400,
        ),
        (
            "GET http://evil.example/n/b/ HTTP/1.1",
            format!("host: {own}\r\n"),
            421,
        ),
    ] {
        let answer = says(&relay, first, &lines).await;
        assert_eq!(answer.status, status, "{first} {lines} {answer:?}");
    }
    // A target that is a whole address is what counts, also for the node.
    let first = format!("GET http://{own}/n/b/x HTTP/1.1");
    let answer = says(&relay, &first, "host: evil.example\r\n").await;
    assert_eq!(answer.text(), format!("/x {own} None 0"));
}

#[tokio::test]
async fn pages_elsewhere_change_nothing_at_nodes_and_open_no_sockets() {
    let (relay, _b) = stage().await;
    let own = &relay.address;
    let socket = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (origin, status) in [
        ("http://evil.example", 403),
        ("http://127.0.0.1:1", 403),
        ("null", 200),
        (CONFIGURED, 200),
        (&format!("http://{own}"), 200),
    ] {
        let lines = format!("host: {own}\r\norigin: {origin}\r\n");
        for (method, more) in [("POST", ""), ("DELETE", ""), ("GET", socket)] {
            let first = format!("{method} /n/b/x HTTP/1.1");
            let answer = says(&relay, &first, &format!("{lines}{more}")).await;
            assert_eq!(answer.status, status, "{method} {origin} {answer:?}");
        }
        let answer = says(&relay, "GET /n/b/x HTTP/1.1", &lines).await;
        assert_eq!(answer.status, 200, "{origin}");
    }
}

#[tokio::test]
async fn a_node_hears_of_its_own_cookies_only() {
    let (relay, _b) = stage().await;
    let cookies = "cookie: session=hush; b~a=1; other~a=2\r\n";
    let answer = fetch(&relay.address, "GET", "/n/b/", cookies, b"").await;
    assert!(answer.text().ends_with("Some(\"a=1\") 0"), "{answer:?}");
    assert!(answer.field("content-type").is_some());
}

#[tokio::test]
async fn a_body_that_is_none_is_the_callers_fault() {
    let (relay, _b) = stage().await;
    let chunked = "transfer-encoding: chunked\r\n";
    let answer = fetch(&relay.address, "POST", "/n/b/", chunked, b"zz\r\nhello\r\n").await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let (relay, _b) = stage().await;
    let mut socket = TcpStream::connect(&relay.address).await.unwrap();
    socket
        .write_all(b"GET /n/b/ HTTP/1.1\r\nhost: x")
        .await
        .unwrap();
    let mut answer = Vec::new();
    // The relay ends it.
    let _ = socket.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
    assert_eq!(
        fetch(&relay.address, "GET", "/n/b/", "", b"").await.status,
        200
    );
}

#[tokio::test]
async fn a_node_that_moves_to_another_relay_is_followed() {
    let primary = Relay::start("127.0.0.1:0");
    let mut first = Relay::below(&[&primary], "first").await;
    let second = Relay::below(&[&primary], "second").await;
    let moving = join_any(&[&first, &second], "moving").await;
    let id = moving.id().to_string();
    moving.serve(Router::new().route("/", get(|| async { "moving" })));
    for relay in [&primary, &first, &second] {
        until("everyone finds it", async || {
            fetch(&relay.address, "GET", "/n/moving/", "", b"")
                .await
                .text()
                == "moving"
        })
        .await;
    }
    first.kill();
    for path in ["/n/moving/".to_owned(), format!("/n/{id}/")] {
        for relay in [&primary, &second] {
            until("the same node answers through another relay", async || {
                let answer = fetch(&relay.address, "GET", &path, "", b"").await;
                // Until then it is away, and never unknown.
                assert!(
                    matches!(answer.status, 200 | 503 | 504),
                    "{path} {answer:?}"
                );
                answer.text() == "moving"
            })
            .await;
        }
    }
    assert_eq!(moving.id().to_string(), id);
}

#[tokio::test]
async fn a_node_whose_process_was_killed_is_away() {
    let relay = Relay::start("127.0.0.1:0");
    let peer = Peer::start(&relay, "killed", &json!({})).await;
    let (_, nodes) = relay.get("/api/v1/nodes", "").await;
    let nodes: serde_json::Value = serde_json::from_str(&nodes).unwrap();
    let nodes = nodes.as_array().unwrap();
    let id = nodes.iter().find(|node| node["name"] == "killed").unwrap()["id"].clone();
    // It serves no HTTP.
    let status = async |path: &str| fetch(&relay.address, "GET", path, "", b"").await.status;
    assert_eq!(status("/n/killed/").await, 502);
    drop(peer);
    relay.until_here("killed", false).await;
    assert_eq!(status("/n/killed/").await, 503);
    assert_eq!(status(&format!("/n/{}/", id.as_str().unwrap())).await, 503);
}
